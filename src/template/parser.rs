//! Reads a template: what `text/template/parse` takes, with an end to how deep it may go.

use super::ast::{Block, Branch, Command, Node, Number, Pipe, Term, Trees, Word};
use super::error::{Fault, Located};
use super::functions;
use super::lexer::{Kind, Token, tokens};
use super::numbers::{parse_float, parse_int, parse_uint};
use super::text::{push_char, unescape};

/// How deep blocks, parentheses and chains of `else if` may go together.
const MAX_DEPTH: usize = 100;

type Result<T, E = Located> = std::result::Result<T, E>;

/// All templates of a text; its own has the name that is given.
pub fn parse(name: &str, text: &str) -> Result<Trees> {
    let mut parser = Parser {
        tokens: tokens(text)?,
        next: 0,
        variables: vec!["$".to_owned()],
        ranges: 0,
        depth: 0,
        trees: Trees::new(),
    };
    let root = parser.root()?;
    parser.add(0, name, root)?;
    Ok(parser.trees)
}

struct Parser<'t> {
    tokens: Vec<Token<'t>>,
    next: usize,
    /// Those that may be used here.
    variables: Vec<String>,
    /// How many `range` there are around.
    ranges: usize,
    depth: usize,
    trees: Trees,
}

/// How a block ended.
enum Ending {
    End,
    /// The `else`; whether `if` or `with` follows it.
    Else(Option<&'static str>),
}

/// One thing of a block, or its end.
enum Item {
    Node(Node),
    Ending(usize, Ending),
}

fn syntax<T>(at: usize, what: &'static str) -> Result<T> {
    Err(Located::new(at, Fault::syntax(what)))
}

impl<'t> Parser<'t> {
    fn peek(&self) -> Token<'t> {
        let last = self.tokens.len().saturating_sub(1);
        self.tokens[self.next.min(last)]
    }

    fn take(&mut self) -> Token<'t> {
        let token = self.peek();
        self.next += 1;
        token
    }

    fn skip_spaces(&mut self) {
        while self.peek().kind == Kind::Space {
            self.next += 1;
        }
    }

    fn take_word(&mut self) -> Token<'t> {
        self.skip_spaces();
        self.take()
    }

    fn expect_close(&mut self) -> Result<()> {
        let token = self.take_word();
        if token.kind == Kind::Close { Ok(()) } else { syntax(token.at, "expected `}}` here") }
    }

    fn deeper<T>(&mut self, at: usize, read: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(Located::new(
                at,
                Fault::bound("blocks and parentheses are nested more than 100 levels deep here"),
            ));
        }
        let found = read(self);
        self.depth -= 1;
        found
    }

    /// Adds a template, unless it is empty and there is one of that name.
    fn add(&mut self, at: usize, name: &str, block: Block) -> Result<()> {
        match self.trees.get(name) {
            Some(old) if !is_empty(old) => {
                if is_empty(&block) {
                    return Ok(());
                }
                Err(Located::about(at, name, Fault::syntax("is defined twice")))
            }
            _ => {
                self.trees.insert(name.to_owned(), block);
                Ok(())
            }
        }
    }

    fn root(&mut self) -> Result<Block> {
        let mut block = Block::new();
        while self.peek().kind != Kind::End {
            let begin = self.next;
            if self.take().kind == Kind::Open && self.is_keyword("define") {
                self.define()?;
                continue;
            }
            self.next = begin;
            match self.item()? {
                Item::Node(node) => block.push(node),
                Item::Ending(at, _) => return syntax(at, "there is nothing open here that this could end"),
            }
        }
        Ok(block)
    }

    /// Passes over a keyword, if it is what comes next.
    fn is_keyword(&mut self, keyword: &str) -> bool {
        self.skip_spaces();
        let token = self.peek();
        let found = token.kind == Kind::Keyword && token.text == keyword;
        if found {
            self.next += 1;
        }
        found
    }

    fn define(&mut self) -> Result<()> {
        let token = self.take_word();
        let name = template_name(token)?;
        self.expect_close()?;
        let block = self.apart(token.at)?;
        self.add(token.at, &name, block)
    }

    /// A template of its own, up to its `end`: it sees no variables of the text around.
    fn apart(&mut self, at: usize) -> Result<Block> {
        let variables = std::mem::replace(&mut self.variables, vec!["$".to_owned()]);
        let ranges = std::mem::take(&mut self.ranges);
        let (block, ending) = self.deeper(at, Self::block)?;
        self.variables = variables;
        self.ranges = ranges;
        match ending {
            (_, Ending::End) => Ok(block),
            (at, Ending::Else(_)) => syntax(at, "a template has no `else`"),
        }
    }

    fn block(&mut self) -> Result<(Block, (usize, Ending))> {
        let mut block = Block::new();
        loop {
            self.skip_spaces();
            if self.peek().kind == Kind::End {
                return syntax(self.peek().at, "an `{{end}}` is missing");
            }
            match self.item()? {
                Item::Node(node) => block.push(node),
                Item::Ending(at, ending) => return Ok((block, (at, ending))),
            }
        }
    }

    fn item(&mut self) -> Result<Item> {
        let token = self.take_word();
        match token.kind {
            Kind::Text => Ok(Item::Node(Node::Text(token.at, token.text.to_owned()))),
            Kind::Open => self.action(),
            _ => syntax(token.at, "this does not belong here"),
        }
    }

    fn action(&mut self) -> Result<Item> {
        self.skip_spaces();
        let token = self.peek();
        if token.kind != Kind::Keyword || token.text == "define" {
            let pipe = self.pipe(token.at, Kind::Close, false)?;
            return Ok(Item::Node(Node::Action(pipe)));
        }
        self.next += 1;
        let at = token.at;
        let node = match token.text {
            "end" => {
                self.expect_close()?;
                return Ok(Item::Ending(at, Ending::End));
            }
            "else" => return Ok(Item::Ending(at, self.otherwise()?)),
            "break" | "continue" => {
                self.expect_close()?;
                if self.ranges == 0 {
                    return syntax(at, "there is no `range` around this");
                }
                if token.text == "break" { Node::Break } else { Node::Continue }
            }
            "block" => {
                let token = self.take_word();
                let name = template_name(token)?;
                let pipe = Some(self.pipe(at, Kind::Close, false)?);
                let block = self.apart(at)?;
                self.add(at, &name, block)?;
                Node::Template { at, name, pipe }
            }
            "template" => {
                let name = template_name(self.take_word())?;
                self.skip_spaces();
                let pipe = match self.peek().kind {
                    Kind::Close => {
                        self.next += 1;
                        None
                    }
                    _ => Some(self.pipe(at, Kind::Close, false)?),
                };
                Node::Template { at, name, pipe }
            }
            "if" => Node::If(self.branch(at, "if")?),
            "with" => Node::With(self.branch(at, "with")?),
            _ => Node::Range(self.branch(at, "range")?),
        };
        Ok(Item::Node(node))
    }

    /// After `else`: its `}}`, or the `if` or `with` that follows, which is left.
    fn otherwise(&mut self) -> Result<Ending> {
        self.skip_spaces();
        let token = self.peek();
        for keyword in ["if", "with"] {
            if token.kind == Kind::Keyword && token.text == keyword {
                return Ok(Ending::Else(Some(keyword)));
            }
        }
        self.expect_close()?;
        Ok(Ending::Else(None))
    }

    fn branch(&mut self, at: usize, keyword: &'static str) -> Result<Branch> {
        let variables = self.variables.len();
        let branch = self.deeper(at, |parser| parser.branch_within(at, keyword))?;
        self.variables.truncate(variables);
        Ok(branch)
    }

    fn branch_within(&mut self, at: usize, keyword: &'static str) -> Result<Branch> {
        let is_range = keyword == "range";
        let pipe = self.pipe(at, Kind::Close, is_range)?;
        self.ranges += usize::from(is_range);
        let (then, (place, ending)) = self.block()?;
        self.ranges -= usize::from(is_range);
        let otherwise = match ending {
            Ending::End => None,
            Ending::Else(Some(next)) if next == keyword => {
                self.next += 1;
                let branch = self.branch(place, keyword)?;
                Some(vec![if keyword == "if" { Node::If(branch) } else { Node::With(branch) }])
            }
            Ending::Else(Some(_)) => return syntax(place, "another keyword cannot follow this `else`"),
            Ending::Else(None) => match self.block()? {
                (block, (_, Ending::End)) => Some(block),
                (_, (at, Ending::Else(_))) => return syntax(at, "there is an `else` already"),
            },
        };
        Ok(Branch { at, pipe, then, otherwise })
    }

    /// A pipeline up to `end`, which is taken.
    fn pipe(&mut self, at: usize, end: Kind, is_range: bool) -> Result<Pipe> {
        self.deeper(at, |parser| parser.pipe_within(end, is_range))
    }

    fn pipe_within(&mut self, end: Kind, is_range: bool) -> Result<Pipe> {
        self.skip_spaces();
        let mut pipe =
            Pipe { at: self.peek().at, variables: Vec::new(), assigns: false, commands: Vec::new() };
        self.declarations(&mut pipe, is_range)?;
        loop {
            let token = self.take_word();
            if token.kind == end {
                break;
            }
            match token.kind {
                Kind::Bool
                | Kind::Char
                | Kind::Dot
                | Kind::Field
                | Kind::Identifier
                | Kind::Number
                | Kind::Nil
                | Kind::RawText
                | Kind::Quoted
                | Kind::Variable
                | Kind::LeftParen => {
                    self.next -= 1;
                    let command = self.command()?;
                    let is_value = matches!(
                        command.first.term,
                        Term::Bool(_) | Term::Dot | Term::Nil | Term::Number(_) | Term::Text(_)
                    );
                    if is_value && !pipe.commands.is_empty() {
                        let what = "a value cannot take what is before the `|`: a function must be here";
                        return syntax(command.first.at, what);
                    }
                    pipe.commands.push(command);
                }
                _ => return syntax(token.at, "this does not belong here"),
            }
        }
        if pipe.commands.is_empty() {
            return syntax(pipe.at, "there is no value here");
        }
        Ok(pipe)
    }

    fn declarations(&mut self, pipe: &mut Pipe, is_range: bool) -> Result<()> {
        loop {
            self.skip_spaces();
            let begin = self.next;
            let variable = self.peek();
            if variable.kind != Kind::Variable {
                return Ok(());
            }
            self.next += 1;
            self.skip_spaces();
            let token = self.peek();
            let is_last = match token.kind {
                Kind::Assign | Kind::Declare => true,
                Kind::Comma => false,
                _ => {
                    self.next = begin;
                    return Ok(());
                }
            };
            self.next += 1;
            pipe.variables.push(variable.text.to_owned());
            self.variables.push(variable.text.to_owned());
            if is_last {
                pipe.assigns = token.kind == Kind::Assign;
                return Ok(());
            }
            if !is_range || pipe.variables.len() > 1 {
                return syntax(token.at, "there are too many variables here");
            }
            self.skip_spaces();
            if !matches!(self.peek().kind, Kind::Variable | Kind::Close | Kind::RightParen) {
                return syntax(self.peek().at, "expected a variable here");
            }
        }
    }

    /// A word and its arguments, with the `|` that follows.
    fn command(&mut self) -> Result<Command> {
        let mut words = Vec::new();
        loop {
            self.skip_spaces();
            if let Some(word) = self.operand()? {
                words.push(word);
            }
            let token = self.take();
            match token.kind {
                Kind::Space => {}
                Kind::Close | Kind::RightParen => {
                    self.next -= 1;
                    break;
                }
                Kind::Pipe => break,
                _ => return syntax(token.at, "a space is missing here, or this does not belong here"),
            }
        }
        let mut words = words.into_iter();
        match words.next() {
            Some(first) => Ok(Command { first, arguments: words.collect() }),
            None => syntax(self.peek().at, "there is no value here"),
        }
    }

    /// A term, with the fields after it.
    fn operand(&mut self) -> Result<Option<Word>> {
        let Some(mut word) = self.term()? else { return Ok(None) };
        let at = self.peek().at;
        let mut fields = Vec::new();
        while self.peek().kind == Kind::Field {
            fields.push(self.take().text.trim_start_matches('.').to_owned());
        }
        if fields.is_empty() {
            return Ok(Some(word));
        }
        word.term = match word.term {
            Term::Field(mut first) => {
                first.append(&mut fields);
                Term::Field(first)
            }
            Term::Variable(name, mut first) => {
                first.append(&mut fields);
                Term::Variable(name, first)
            }
            Term::Function(_) | Term::Pipe(_) => {
                let at = word.at;
                return Ok(Some(Word { at, term: Term::Chain(Box::new(word), fields) }));
            }
            _ => return syntax(at, "this has no fields"),
        };
        Ok(Some(word))
    }

    fn term(&mut self) -> Result<Option<Word>> {
        let token = self.take_word();
        let at = token.at;
        let term = match token.kind {
            Kind::Identifier => Term::Function(functions::find(at, token.text)?),
            Kind::Dot => Term::Dot,
            Kind::Nil => Term::Nil,
            Kind::Variable => {
                if !self.variables.iter().any(|name| name == token.text) {
                    return Err(Located::about(
                        at,
                        token.text,
                        Fault::syntax("is not defined here as a variable"),
                    ));
                }
                Term::Variable(token.text.to_owned(), Vec::new())
            }
            Kind::Field => Term::Field(vec![token.text.trim_start_matches('.').to_owned()]),
            Kind::Bool => Term::Bool(token.text == "true"),
            Kind::Char => Term::Number(char_constant(token)?),
            Kind::Number => Term::Number(number(token)?),
            Kind::LeftParen => Term::Pipe(Box::new(self.pipe(at, Kind::RightParen, false)?)),
            Kind::Quoted | Kind::RawText => Term::Text(text_of(token)?),
            _ => {
                self.next -= 1;
                return Ok(None);
            }
        };
        Ok(Some(Word { at, term }))
    }
}

/// Whether a template is nothing but spaces.
fn is_empty(block: &Block) -> bool {
    block.iter().all(|node| matches!(node, Node::Text(_, text) if text.trim().is_empty()))
}

fn template_name(token: Token<'_>) -> Result<String> {
    if !matches!(token.kind, Kind::Quoted | Kind::RawText) {
        return syntax(token.at, "expected the name of a template in quotes");
    }
    Ok(String::from_utf8_lossy(&text_of(token)?).into_owned())
}

fn within(token: Token<'_>) -> &str {
    token.text.get(1..token.text.len().saturating_sub(1)).unwrap_or_default()
}

fn text_of(token: Token<'_>) -> Result<Vec<u8>> {
    let within = within(token);
    if token.kind == Kind::RawText {
        return Ok(within.replace('\r', "").into_bytes());
    }
    let mut text = Vec::with_capacity(within.len());
    let mut rest = within;
    while !rest.is_empty() {
        let Some((value, is_char, after)) = unescape(rest, '"') else {
            return syntax(token.at, "Go has no such escape in a text");
        };
        match char::from_u32(value).filter(|_| is_char) {
            Some(char) => push_char(&mut text, char),
            None => text.push(u8::try_from(value).unwrap_or(b'?')),
        }
        rest = after;
    }
    Ok(text)
}

fn char_constant(token: Token<'_>) -> Result<Number> {
    match unescape(within(token), '\'') {
        Some((value, _, "")) => {
            let value = i64::from(value);
            #[allow(clippy::cast_precision_loss)]
            Ok(Number { int: Some(value), float: Some(value as f64), is_float: false })
        }
        _ => syntax(token.at, "this is not one character"),
    }
}

fn number(token: Token<'_>) -> Result<Number> {
    let text = token.text;
    let int = parse_int(text.as_bytes(), 0).ok();
    let uint = parse_uint(text.as_bytes(), 0).ok();
    #[allow(clippy::cast_precision_loss)]
    let float = int.map(|int| int as f64).or_else(|| uint.map(|uint| uint as f64));
    let looks_float = text.contains(['.', 'p', 'P'])
        || (text.contains(['e', 'E']) && !text.starts_with("0x") && !text.starts_with("0X"));
    let mut found = Number { int, float, is_float: false };
    if float.is_none() {
        let float = parse_float(text.as_bytes()).filter(|_| looks_float || text.contains(['e', 'E']));
        let Some(float) = float else { return syntax(token.at, "this is not a number, or it is too large") };
        #[allow(clippy::cast_possible_truncation, clippy::cast_precision_loss, clippy::float_cmp)]
        let int = (float as i64 as f64 == float && float.abs() < 9.2e18).then_some(float as i64);
        found = Number { int, float: Some(float), is_float: true };
    } else if looks_float {
        found.is_float = true;
    }
    Ok(found)
}
