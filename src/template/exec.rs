//! Runs a template, as `text/template` does.

use super::ast::{Block, Branch, Command, Node, Number, Pipe, Term, Trees, Word};
use super::buffer::Buffer;
use super::error::{ErrorKind, Fault, Located};
use super::functions::versions;
use super::functions::{Function, Param};
use super::printf::print_value;
use super::run::Run;
use super::value::{Dict, Value};

/// How deep templates, blocks and parentheses may go into each other while they run.
const MAX_DEPTH: usize = 200;

type Result<T, E = Located> = std::result::Result<T, E>;

/// Writes what the template `name` makes of `data`.
pub fn execute(trees: &Trees, name: &str, data: &Value, run: &mut Run, out: &mut Buffer) -> Result<()> {
    let Some(block) = trees.get(name) else { return Ok(()) };
    let mut state = State { trees, run, out, variables: vec![("$", data.clone())], depth: 0 };
    state.block(data, block).map(|_| ())
}

struct State<'t, 'r> {
    trees: &'t Trees,
    run: &'r mut Run,
    out: &'r mut Buffer,
    variables: Vec<(&'t str, Value)>,
    depth: usize,
}

/// Whether a block was left early.
#[derive(PartialEq)]
enum Flow {
    On,
    Break,
    Continue,
}

trait At<T> {
    fn at(self, at: usize) -> Result<T>;
    fn of(self, at: usize, name: &str) -> Result<T>;
}

impl<T> At<T> for std::result::Result<T, Fault> {
    fn at(self, at: usize) -> Result<T> {
        self.map_err(|fault| Located::new(at, fault))
    }

    fn of(self, at: usize, name: &str) -> Result<T> {
        self.map_err(|fault| match fault.kind {
            ErrorKind::Bound => Located::new(at, fault),
            _ => Located::about(at, name, fault),
        })
    }
}

fn fault<T>(at: usize, what: &'static str) -> Result<T> {
    Err(Located::new(at, Fault::value(what)))
}

impl<'t> State<'t, '_> {
    fn deeper<T>(&mut self, at: usize, run: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(Located::new(
                at,
                Fault::bound("templates and blocks are nested more than 200 levels deep here"),
            ));
        }
        let done = run(self);
        self.depth -= 1;
        done
    }

    fn block(&mut self, dot: &Value, block: &'t Block) -> Result<Flow> {
        for node in block {
            let flow = self.node(dot, node)?;
            if flow != Flow::On {
                return Ok(flow);
            }
        }
        Ok(Flow::On)
    }

    fn write(&mut self, at: usize, value: &Value) -> Result<()> {
        print_value(self.run, self.out, value).at(at)?;
        self.check_output(at)
    }

    fn check_output(&self, at: usize) -> Result<()> {
        if self.out.is_over() { Err(Located::new(at, super::buffer::TOO_LONG)) } else { Ok(()) }
    }

    fn node(&mut self, dot: &Value, node: &'t Node) -> Result<Flow> {
        match node {
            Node::Text(at, text) => {
                self.run.step().at(*at)?;
                self.out.push(text.as_bytes());
                self.check_output(*at)?;
            }
            Node::Action(pipe) => {
                let value = self.pipe(dot, pipe)?;
                if pipe.variables.is_empty() {
                    self.write(pipe.at, &value)?;
                }
            }
            Node::If(branch) | Node::With(branch) => {
                let mark = self.variables.len();
                let value = self.pipe(dot, &branch.pipe)?;
                let flow = self.deeper(branch.at, |state| match (value.is_true(), node) {
                    (true, Node::With(_)) => state.block(&value, &branch.then),
                    (true, _) => state.block(dot, &branch.then),
                    (false, _) => branch.otherwise.as_ref().map_or(Ok(Flow::On), |it| state.block(dot, it)),
                });
                self.variables.truncate(mark);
                return flow;
            }
            Node::Range(branch) => {
                let mark = self.variables.len();
                let flow = self.deeper(branch.at, |state| state.range(dot, branch));
                self.variables.truncate(mark);
                return flow;
            }
            Node::Template { at, name, pipe } => self.template(dot, *at, name, pipe.as_ref())?,
            Node::Break => return Ok(Flow::Break),
            Node::Continue => return Ok(Flow::Continue),
        }
        Ok(Flow::On)
    }

    fn template(&mut self, dot: &Value, at: usize, name: &'t str, pipe: Option<&'t Pipe>) -> Result<()> {
        let trees = self.trees;
        let Some(block) = trees.get(name) else {
            return Err(Located::about(at, name, Fault::value("is not defined here as a template")));
        };
        let dot = match pipe {
            Some(pipe) => self.pipe(dot, pipe)?,
            None => Value::Missing,
        };
        let variables = std::mem::replace(&mut self.variables, vec![("$", dot.clone())]);
        self.deeper(at, |state| state.block(&dot, block))?;
        self.variables = variables;
        Ok(())
    }

    fn range(&mut self, dot: &Value, branch: &'t Branch) -> Result<Flow> {
        let value = self.pipe(dot, &branch.pipe)?;
        let at = branch.at;
        let mark = self.variables.len();
        let has_two = branch.pipe.variables.len() > 1;
        let mut ran = false;
        let mut once = |state: &mut Self, key: Value, item: Value| {
            ran = true;
            state.run.step().at(at)?;
            state.bind(&branch.pipe, key, &item)?;
            let flow = state.block(&item, &branch.then)?;
            state.variables.truncate(mark);
            Ok::<_, Located>(flow == Flow::Break)
        };
        match &value {
            Value::Int(_) | Value::Int64(_) | Value::Byte(_) | Value::Uint64(_) if has_two => {
                return fault(at, "a number has no second variable to range over");
            }
            Value::Int(count) => {
                for index in 0..*count {
                    if once(self, Value::Missing, Value::Int(index))? {
                        break;
                    }
                }
            }
            Value::Int64(count) => {
                for index in 0..*count {
                    if once(self, Value::Missing, Value::Int64(index))? {
                        break;
                    }
                }
            }
            Value::Byte(count) => {
                for index in 0..*count {
                    if once(self, Value::Missing, Value::Byte(index))? {
                        break;
                    }
                }
            }
            Value::Uint64(count) => {
                for index in 0..*count {
                    if once(self, Value::Missing, Value::Uint64(index))? {
                        break;
                    }
                }
            }
            Value::List(list) => {
                for index in 0..list.len() {
                    let item = list.get(index).unwrap_or(Value::Missing);
                    if once(self, Value::Int(i64::try_from(index).unwrap_or(i64::MAX)), item)? {
                        break;
                    }
                }
            }
            Value::Dict(dict) => {
                self.run.steps(dict.len()).at(at)?;
                for (key, item) in dict.to_vec() {
                    if once(self, Value::Text(key), item)? {
                        break;
                    }
                }
            }
            Value::Missing | Value::Nil => {}
            _ => return fault(at, "there is nothing to range over in a value of this type"),
        }
        match &branch.otherwise {
            Some(otherwise) if !ran => self.block(dot, otherwise),
            _ => Ok(Flow::On),
        }
    }

    /// Gives the variables of a `range` their values.
    fn bind(&mut self, pipe: &'t Pipe, key: Value, item: &Value) -> Result<()> {
        let values = match pipe.variables.as_slice() {
            [] => return Ok(()),
            [one] => vec![(one, item.clone())],
            [first, second, ..] => vec![(first, key), (second, item.clone())],
        };
        let count = values.len();
        for (index, (name, value)) in values.into_iter().enumerate() {
            if pipe.assigns {
                self.assign(pipe.at, name, value)?;
            } else {
                let place = self.variables.len() - count + index;
                if let Some(variable) = self.variables.get_mut(place) {
                    variable.1 = value;
                }
            }
        }
        Ok(())
    }

    fn assign(&mut self, at: usize, name: &str, value: Value) -> Result<()> {
        match self.variables.iter_mut().rev().find(|(known, _)| *known == name) {
            Some(variable) => variable.1 = value,
            None => return Err(Located::about(at, name, Fault::value("was not declared with `:=`"))),
        }
        Ok(())
    }

    /// The value of a pipeline; its variables have it afterwards.
    fn pipe(&mut self, dot: &Value, pipe: &'t Pipe) -> Result<Value> {
        self.deeper(pipe.at, |state| state.pipe_within(dot, pipe))
    }

    fn pipe_within(&mut self, dot: &Value, pipe: &'t Pipe) -> Result<Value> {
        let mut last = None;
        for command in &pipe.commands {
            let value = self.command(dot, command, last)?;
            // An empty interface is nothing, once it is out of what held it.
            last = Some(if matches!(value, Value::Nil) { Value::Missing } else { value });
        }
        let value = last.unwrap_or(Value::Missing);
        for name in &pipe.variables {
            if pipe.assigns {
                self.assign(pipe.at, name, value.clone())?;
            } else {
                self.variables.push((name, value.clone()));
            }
        }
        Ok(value)
    }

    fn command(&mut self, dot: &Value, command: &'t Command, last: Option<Value>) -> Result<Value> {
        let Command { first, arguments } = command;
        self.run.step().at(first.at)?;
        let has_arguments = !arguments.is_empty() || last.is_some();
        match &first.term {
            Term::Function(function) => self.call(dot, first.at, function, arguments, last),
            Term::Field(fields) => self.fields(dot, first.at, dot.clone(), fields, arguments, last),
            Term::Chain(word, fields) => {
                let value = self.chained(dot, word)?;
                self.fields(dot, first.at, value, fields, arguments, last)
            }
            Term::Variable(name, fields) => {
                let value = self.variable(first.at, name)?;
                if fields.is_empty() && has_arguments {
                    return fault(first.at, NO_FUNCTION);
                }
                self.fields(dot, first.at, value, fields, arguments, last)
            }
            _ if has_arguments => fault(first.at, NO_FUNCTION),
            Term::Pipe(pipe) => self.pipe(dot, pipe),
            Term::Nil => fault(first.at, "`nil` alone is not a command"),
            Term::Dot => Ok(dot.clone()),
            Term::Bool(value) => Ok(Value::Bool(*value)),
            Term::Number(number) => constant(first.at, *number),
            Term::Text(text) => self.run.copy(text).at(first.at),
        }
    }

    fn variable(&self, at: usize, name: &str) -> Result<Value> {
        match self.variables.iter().rev().find(|(known, _)| *known == name) {
            Some((_, value)) => Ok(value.clone()),
            None => Err(Located::about(at, name, Fault::value("is not defined here as a variable"))),
        }
    }

    /// What fields are asked of, in parentheses or without.
    fn chained(&mut self, dot: &Value, word: &'t Word) -> Result<Value> {
        match &word.term {
            Term::Pipe(pipe) => self.pipe(dot, pipe),
            Term::Function(function) => self.call(dot, word.at, function, &[], None),
            _ => fault(word.at, "this has no fields"),
        }
    }

    fn fields(
        &mut self,
        dot: &Value,
        at: usize,
        mut value: Value,
        fields: &'t [String],
        arguments: &'t [Word],
        last: Option<Value>,
    ) -> Result<Value> {
        let Some((final_field, before)) = fields.split_last() else { return Ok(value) };
        for field in before {
            value = self.field(dot, at, value, field, &[], None)?;
        }
        self.field(dot, at, value, final_field, arguments, last)
    }

    fn field(
        &mut self,
        dot: &Value,
        at: usize,
        value: Value,
        field: &'t str,
        arguments: &'t [Word],
        last: Option<Value>,
    ) -> Result<Value> {
        self.run.step().at(at)?;
        let about = |what| Err(Located::about(at, field, Fault::value(what)));
        match value {
            Value::Missing => Ok(Value::Missing),
            Value::Nil => about("is asked of nil"),
            Value::Dict(dict) if arguments.is_empty() && last.is_none() => {
                Ok(dict.get(field.as_bytes()).unwrap_or(Value::Missing))
            }
            Value::Dict(_) => about("is not a function, so it takes no arguments"),
            Value::Version(version) => {
                let mut values = Vec::new();
                for word in arguments {
                    values.push(self.argument(dot, word, Param::Any)?);
                }
                values.extend(last);
                versions::method(self.run, &version, field, &values).of(at, field)
            }
            _ => about("is not a field of a value of this type"),
        }
    }

    fn call(
        &mut self,
        dot: &Value,
        at: usize,
        function: &'static Function,
        arguments: &'t [Word],
        last: Option<Value>,
    ) -> Result<Value> {
        let Function { name, fixed, rest, body } = *function;
        let count = arguments.len() + usize::from(last.is_some());
        let fits = if rest.is_some() { count >= fixed.len() } else { count == fixed.len() };
        if !fits {
            let what = if count < fixed.len() { "has too few arguments" } else { "has too many arguments" };
            return Err(Located::about(at, name, Fault::value(what)));
        }
        if matches!(name, "and" | "or") {
            return self.and_or(dot, name == "or", arguments, last);
        }
        let param = |index: usize| fixed.get(index).copied().or(rest).unwrap_or(Param::Any);
        let mut values = Vec::with_capacity(count);
        for (index, word) in arguments.iter().enumerate() {
            values.push(self.argument(dot, word, param(index)).map_err(|error| named(error, name))?);
        }
        if let Some(last) = last {
            values.push(fitting(last, param(arguments.len())).of(at, name)?);
        }
        for value in &values {
            self.run.read(value).at(at)?;
        }
        body(self.run, &values).of(at, name)
    }

    /// The first that decides, or the last; those after it are not looked at.
    fn and_or(&mut self, dot: &Value, is_or: bool, words: &'t [Word], last: Option<Value>) -> Result<Value> {
        let mut value = Value::Missing;
        for word in words {
            value = self.argument(dot, word, Param::Any)?;
            if value.is_true() == is_or {
                return Ok(value);
            }
        }
        Ok(last.unwrap_or(value))
    }

    fn argument(&mut self, dot: &Value, word: &'t Word, param: Param) -> Result<Value> {
        self.run.step().at(word.at)?;
        let at = word.at;
        let value = match &word.term {
            Term::Dot => dot.clone(),
            Term::Nil => match param {
                Param::Any => Value::Nil,
                Param::Dict => Value::Dict(Dict::nil()),
                _ => return fault(at, "got nil"),
            },
            Term::Field(fields) => self.fields(dot, at, dot.clone(), fields, &[], None)?,
            Term::Variable(name, fields) => {
                let value = self.variable(at, name)?;
                self.fields(dot, at, value, fields, &[], None)?
            }
            Term::Pipe(pipe) => self.pipe(dot, pipe)?,
            Term::Function(function) => self.call(dot, at, function, &[], None)?,
            Term::Chain(word, fields) => {
                let value = self.chained(dot, word)?;
                self.fields(dot, at, value, fields, &[], None)?
            }
            Term::Bool(value) => match param {
                Param::Any | Param::Bool => return Ok(Value::Bool(*value)),
                _ => return fault(at, "got true or false, which it does not take here"),
            },
            Term::Text(text) => match param {
                Param::Any | Param::Text => return self.run.copy(text).at(at),
                _ => return fault(at, "got a text, which it does not take here"),
            },
            Term::Number(number) => {
                let value = match param {
                    Param::Any => Some(constant(at, *number)?),
                    Param::Int => number.int.map(Value::Int),
                    Param::Float => number.float.map(Value::Float),
                    _ => None,
                };
                return value.map_or_else(|| fault(at, "got a number, which it does not take here"), Ok);
            }
        };
        fitting(value, param).at(at)
    }
}

/// Says of which function it is a fault.
fn named(error: Located, name: &str) -> Located {
    match (error.fault.kind, &error.about) {
        (ErrorKind::Value, None) => Located::about(error.at, name, error.fault),
        _ => error,
    }
}

const NO_FUNCTION: &str = "this is not a function, so it takes no arguments";

fn constant(at: usize, number: Number) -> Result<Value> {
    match number {
        Number { is_float: true, float: Some(float), .. } => Ok(Value::Float(float)),
        Number { int: Some(int), .. } => Ok(Value::Int(int)),
        _ => fault(at, "this number is too large"),
    }
}

/// A value where a parameter wants it; Go's own rules of what can be assigned to what.
fn fitting(value: Value, param: Param) -> std::result::Result<Value, Fault> {
    let what = match (param, &value) {
        (Param::Any, Value::Missing) => return Ok(Value::Nil),
        (Param::Any, _)
        | (Param::Text, Value::Text(_))
        | (Param::Int, Value::Int(_))
        | (Param::Bool, Value::Bool(_))
        | (Param::Float, Value::Float(_)) => return Ok(value),
        (Param::Dict, Value::Dict(dict)) if dict.of == super::value::Of::Any => return Ok(value),
        (Param::Dict, Value::Missing) => return Ok(Value::Dict(Dict::nil())),
        (Param::Text, Value::Missing | Value::Nil) => {
            "got an item or a key that is missing, or nil, instead of a text"
        }
        (_, Value::Missing | Value::Nil) => "got an item or a key that is missing, or nil",
        (Param::Text, _) => "got a value that is not a text: convert it with `toString`",
        (Param::Int, _) => "got a value that is not an int: convert it with `int`",
        (Param::Bool, _) => "got a value that is neither true nor false",
        (Param::Float, _) => "got a value that is not a float64: convert it with `float64`",
        (Param::Dict, _) => "got a value that is not a dict",
    };
    Err(Fault::value(what))
}
