//! What one run of a template may cost, and what it has cost.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

use regex::bytes::Regex;

use super::Bounds;
use super::buffer::Buffer;
use super::error::Fault;
use super::value::{Dict, Entries, List, Of, Text, Value};
use crate::secret::SecretBytes;

/// How deep lists may be in each other.
const MAX_NESTING: usize = 100;

pub const TOO_DEEP: Fault = Fault::bound("lists and dicts are nested more than 100 levels deep here");
const TOO_MANY_STEPS: Fault = Fault::bound("the template takes more steps than are allowed");
const TOO_MUCH_TEXT: Fault = Fault::bound("the template works with more text than is allowed");

/// The purse of a run: whoever makes something pays for it first.
pub struct Run {
    steps: usize,
    bytes: usize,
    max_text: usize,
    /// All dicts, which may hold themselves: they are emptied at the end.
    dicts: Vec<Rc<RefCell<Entries>>>,
    regexes: HashMap<Vec<u8>, Regex>,
}

impl Run {
    pub fn new(bounds: &Bounds) -> Self {
        Self {
            steps: bounds.steps,
            bytes: bounds.bytes,
            max_text: bounds.output,
            dicts: Vec::new(),
            regexes: HashMap::new(),
        }
    }

    pub fn step(&mut self) -> Result<(), Fault> {
        self.steps(1)
    }

    pub fn steps(&mut self, count: usize) -> Result<(), Fault> {
        match self.steps.checked_sub(count) {
            Some(left) => self.steps = left,
            None => {
                self.steps = 0;
                return Err(TOO_MANY_STEPS);
            }
        }
        Ok(())
    }

    /// Pays for bytes that are read or made.
    pub fn bytes(&mut self, count: usize) -> Result<(), Fault> {
        self.bytes = self.bytes.checked_sub(count).ok_or(TOO_MUCH_TEXT)?;
        Ok(())
    }

    /// Pays for what a function is given: texts by their length, lists and dicts by their items.
    pub fn read(&mut self, value: &Value) -> Result<(), Fault> {
        match value {
            Value::Text(text) => self.bytes(text.bytes().len()),
            Value::List(list) => self.steps(list.len()),
            Value::Dict(dict) => self.steps(dict.len()),
            _ => Ok(()),
        }
    }

    /// A text to write into.
    pub fn buffer(&self) -> Buffer {
        Buffer::new(self.max_text.min(self.bytes))
    }

    /// The value that was written.
    pub fn written(&mut self, buffer: Buffer) -> Result<Value, Fault> {
        self.text(buffer.finish()?)
    }

    pub fn text(&mut self, bytes: SecretBytes) -> Result<Value, Fault> {
        Ok(Value::Text(self.raw_text(bytes)?))
    }

    pub fn raw_text(&mut self, bytes: SecretBytes) -> Result<Text, Fault> {
        self.bytes(bytes.len())?;
        Ok(Text::new(bytes))
    }

    pub fn copy(&mut self, bytes: &[u8]) -> Result<Value, Fault> {
        self.bytes(bytes.len())?;
        Ok(Value::Text(Text::new(SecretBytes::new(bytes.to_vec()))))
    }

    pub fn list(&mut self, of: Of, items: Vec<Value>) -> Result<Value, Fault> {
        self.steps(items.len())?;
        let depth = |item: &Value| match item {
            Value::List(list) => list.depth + 1,
            _ => 0,
        };
        let depth = items.iter().map(depth).max().unwrap_or_default();
        if depth > MAX_NESTING {
            return Err(TOO_DEEP);
        }
        Ok(Value::List(List { of, items: Some(Rc::new(RefCell::new(items))), depth }))
    }

    pub fn texts(&mut self, texts: &[&[u8]]) -> Result<Value, Fault> {
        self.steps(texts.len())?;
        let items = texts.iter().map(|text| self.copy(text)).collect::<Result<_, _>>()?;
        self.list(Of::Texts, items)
    }

    pub fn dict(&mut self, of: Of, entries: Entries) -> Result<Value, Fault> {
        self.steps(entries.len() + 1)?;
        let entries = Rc::new(RefCell::new(entries));
        self.dicts.push(Rc::clone(&entries));
        Ok(Value::Dict(Dict { of, entries: Some(entries) }))
    }

    pub fn regex(&mut self, pattern: &[u8]) -> Option<&Regex> {
        self.regexes.get(pattern)
    }

    pub fn keep_regex(&mut self, pattern: &[u8], regex: Regex) {
        self.regexes.insert(pattern.to_vec(), regex);
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        // One after the other, and never one within another: they may be in a circle, or in a long chain.
        for dict in &self.dicts {
            let entries = dict.try_borrow_mut().map(|mut entries| std::mem::take(&mut *entries));
            drop(entries);
        }
    }
}
