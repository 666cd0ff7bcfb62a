//! Values as a template in Go has them: with the types that decide what a function takes, and how they are written.

use std::cell::RefCell;
use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::rc::Rc;

use super::functions::versions::Version;
use crate::secret::SecretBytes;

/// A value. Cloning one is cheap; lists and dicts are shared, as in Go.
#[derive(Clone)]
pub enum Value {
    /// Nothing at all: what a key that is missing gives.
    Missing,
    /// `nil` that is there, as in `list nil`.
    Nil,
    Bool(bool),
    Int(i64),
    Int64(i64),
    Byte(u8),
    Uint64(u64),
    Float(f64),
    Text(Text),
    List(List),
    Dict(Dict),
    Version(Rc<Version>),
}

/// A text: bytes, as in Go.
#[derive(Clone, PartialEq, Eq)]
pub struct Text(Rc<SecretBytes>);

impl Text {
    pub fn new(bytes: SecretBytes) -> Self {
        Self(Rc::new(bytes))
    }

    pub fn bytes(&self) -> &[u8] {
        &self.0
    }
}

impl PartialOrd for Text {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Text {
    fn cmp(&self, other: &Self) -> Ordering {
        self.bytes().cmp(other.bytes())
    }
}

impl std::borrow::Borrow<[u8]> for Text {
    fn borrow(&self) -> &[u8] {
        self.bytes()
    }
}

/// What a list or a dict may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Of {
    Any,
    Texts,
    Ints,
    Lists,
}

/// A slice; without items, which is not the same as no items, it is Go's `nil`.
#[derive(Clone)]
pub struct List {
    pub of: Of,
    pub items: Option<Rc<RefCell<Vec<Value>>>>,
    /// How deep lists are in it.
    pub depth: usize,
}

impl List {
    pub fn nil(of: Of) -> Self {
        Self { of, items: None, depth: 0 }
    }

    pub fn len(&self) -> usize {
        self.items.as_ref().map_or(0, |items| items.borrow().len())
    }

    pub fn get(&self, index: usize) -> Option<Value> {
        self.items.as_ref()?.borrow().get(index).cloned()
    }

    /// The items as they are now.
    pub fn to_vec(&self) -> Vec<Value> {
        self.items.as_ref().map_or_else(Vec::new, |items| items.borrow().clone())
    }
}

pub type Entries = BTreeMap<Text, Value>;

/// A map by texts.
#[derive(Clone)]
pub struct Dict {
    pub of: Of,
    pub entries: Option<Rc<RefCell<Entries>>>,
}

impl Dict {
    pub fn nil() -> Self {
        Self { of: Of::Any, entries: None }
    }

    pub fn len(&self) -> usize {
        self.entries.as_ref().map_or(0, |entries| entries.borrow().len())
    }

    pub fn get(&self, key: &[u8]) -> Option<Value> {
        self.entries.as_ref()?.borrow().get(key).cloned()
    }

    /// The entries as they are now.
    pub fn to_vec(&self) -> Vec<(Text, Value)> {
        let entries = |entries: &Rc<RefCell<Entries>>| {
            entries.borrow().iter().map(|(key, value)| (key.clone(), value.clone())).collect()
        };
        self.entries.as_ref().map_or_else(Vec::new, entries)
    }
}

impl Value {
    /// What `if` makes of it.
    pub fn is_true(&self) -> bool {
        match self {
            Self::Missing | Self::Nil => false,
            Self::Bool(value) => *value,
            Self::Int(value) | Self::Int64(value) => *value != 0,
            Self::Byte(value) => *value != 0,
            Self::Uint64(value) => *value != 0,
            Self::Float(value) => *value != 0.0,
            Self::Text(text) => !text.bytes().is_empty(),
            Self::List(list) => list.len() > 0,
            Self::Dict(dict) => dict.len() > 0,
            Self::Version(_) => true,
        }
    }

    pub fn is_nil(&self) -> bool {
        matches!(self, Self::Missing | Self::Nil)
    }

    /// `%T`
    pub fn type_name(&self) -> &'static str {
        match self {
            Self::Missing | Self::Nil => "<nil>",
            Self::Bool(_) => "bool",
            Self::Int(_) => "int",
            Self::Int64(_) => "int64",
            Self::Byte(_) => "uint8",
            Self::Uint64(_) => "uint64",
            Self::Float(_) => "float64",
            Self::Text(_) => "string",
            Self::List(list) => match list.of {
                Of::Any => "[]interface {}",
                Of::Texts => "[]string",
                Of::Ints => "[]int",
                Of::Lists => "[][]interface {}",
            },
            Self::Dict(dict) => match dict.of {
                Of::Texts => "map[string]string",
                _ => "map[string]interface {}",
            },
            Self::Version(_) => "*semver.Version",
        }
    }

    /// `reflect.Kind`
    pub fn kind_name(&self) -> &'static str {
        match self {
            Self::Missing | Self::Nil => "invalid",
            Self::List(_) => "slice",
            Self::Dict(_) => "map",
            Self::Version(_) => "ptr",
            _ => self.type_name(),
        }
    }

    /// What a key that a dict has not is in Go.
    pub fn zero(of: Of) -> Self {
        match of {
            Of::Any => Self::Nil,
            Of::Texts => Self::Text(Text::new(SecretBytes::default())),
            Of::Ints => Self::Int(0),
            Of::Lists => Self::List(List::nil(Of::Any)),
        }
    }
}

impl From<bool> for Value {
    fn from(value: bool) -> Self {
        Self::Bool(value)
    }
}
