//! A template as it was read.

use std::collections::HashMap;

use super::functions::Function;

/// What is written between two ends.
pub type Block = Vec<Node>;

/// All templates of a text, by their names.
pub type Trees = HashMap<String, Block>;

pub enum Node {
    Text(usize, String),
    Action(Pipe),
    If(Branch),
    With(Branch),
    Range(Branch),
    Template { at: usize, name: String, pipe: Option<Pipe> },
    Break,
    Continue,
}

/// What has two ways to go on.
pub struct Branch {
    pub at: usize,
    pub pipe: Pipe,
    pub then: Block,
    pub otherwise: Option<Block>,
}

/// Commands, each with the value of the one before as its last argument; and the variables that the value is given to.
pub struct Pipe {
    pub at: usize,
    pub variables: Vec<String>,
    /// Whether the variables are there already.
    pub assigns: bool,
    pub commands: Vec<Command>,
}

/// A word, with its arguments.
pub struct Command {
    pub first: Word,
    pub arguments: Vec<Word>,
}

pub struct Word {
    pub at: usize,
    pub term: Term,
}

pub enum Term {
    Dot,
    Nil,
    Bool(bool),
    Number(Number),
    Text(Vec<u8>),
    /// `.a.b`
    Field(Vec<String>),
    /// `$x.a.b`
    Variable(String, Vec<String>),
    Function(&'static Function),
    Pipe(Box<Pipe>),
    /// `(…).a.b`
    Chain(Box<Word>, Vec<String>),
}

impl Node {
    /// Whether it reads what the template is given.
    pub fn reads(&self) -> bool {
        let any = |block: &Block| block.iter().any(Self::reads);
        match self {
            Self::Text(..) | Self::Break | Self::Continue => false,
            Self::Action(pipe) => pipe.reads(),
            Self::If(branch) | Self::With(branch) | Self::Range(branch) => {
                branch.pipe.reads() || any(&branch.then) || branch.otherwise.as_ref().is_some_and(any)
            }
            Self::Template { pipe, .. } => pipe.as_ref().is_some_and(Pipe::reads),
        }
    }
}

impl Pipe {
    fn reads(&self) -> bool {
        let words = |command: &Command| {
            std::iter::once(&command.first).chain(&command.arguments).any(|word| word.term.reads())
        };
        self.commands.iter().any(words)
    }
}

impl Term {
    fn reads(&self) -> bool {
        match self {
            Self::Dot | Self::Field(_) => true,
            // `$` is all that there is, and the others are made here.
            Self::Variable(name, _) => name == "$",
            Self::Pipe(pipe) => pipe.reads(),
            Self::Chain(word, _) => word.term.reads(),
            Self::Nil | Self::Bool(_) | Self::Number(_) | Self::Text(_) | Self::Function(_) => false,
        }
    }
}

/// A constant, as each type of number that it can be.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Number {
    pub int: Option<i64>,
    pub float: Option<f64>,
    /// Whether it is a float where nothing else asks for a type.
    pub is_float: bool,
}
