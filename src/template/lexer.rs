//! The words of a template, as `text/template/parse` divides it.

use super::error::{Fault, Located};
use super::unicode::{is_digit, is_letter};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Text,
    Open,
    Close,
    Space,
    Comma,
    Assign,
    Declare,
    Pipe,
    LeftParen,
    RightParen,
    Bool,
    Char,
    Dot,
    Field,
    Identifier,
    Keyword,
    Nil,
    Number,
    RawText,
    Quoted,
    Variable,
    End,
}

/// A word, with the byte at which it begins.
#[derive(Debug, Clone, Copy)]
pub struct Token<'t> {
    pub kind: Kind,
    pub at: usize,
    pub text: &'t str,
}

const KEYWORDS: [&str; 10] =
    ["block", "break", "continue", "define", "else", "end", "if", "range", "template", "with"];

const SPACES: [char; 4] = [' ', '\t', '\r', '\n'];

/// All words of a text, with one for its end.
pub fn tokens(text: &str) -> Result<Vec<Token<'_>>, Located> {
    let mut lexer = Lexer { text, at: 0, found: Vec::new() };
    lexer.run()?;
    Ok(lexer.found)
}

struct Lexer<'t> {
    text: &'t str,
    at: usize,
    found: Vec<Token<'t>>,
}

impl<'t> Lexer<'t> {
    fn rest(&self) -> &'t str {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn next(&mut self) -> Option<char> {
        let next = self.peek()?;
        self.at += next.len_utf8();
        Some(next)
    }

    fn push(&mut self, kind: Kind, from: usize) {
        let text = self.text.get(from..self.at).unwrap_or_default();
        self.found.push(Token { kind, at: from, text });
    }

    fn run(&mut self) -> Result<(), Located> {
        loop {
            let begin = self.at;
            let Some(length) = self.rest().find("{{") else {
                self.at = self.text.len();
                if self.at > begin {
                    self.push(Kind::Text, begin);
                }
                self.push(Kind::End, self.at);
                return Ok(());
            };
            let delimiter = begin + length;
            let trims = is_left_marker(self.text.get(delimiter + 2..).unwrap_or_default());
            let before = self.text.get(begin..delimiter).unwrap_or_default();
            let before = if trims { before.trim_end_matches(SPACES) } else { before };
            if !before.is_empty() {
                self.found.push(Token { kind: Kind::Text, at: begin, text: before });
            }
            self.at = delimiter + 2 + if trims { 2 } else { 0 };
            if self.rest().starts_with("/*") {
                self.comment()?;
            } else {
                self.found.push(Token { kind: Kind::Open, at: delimiter, text: "{{" });
                self.action(delimiter)?;
            }
        }
    }

    fn comment(&mut self) -> Result<(), Located> {
        let begin = self.at;
        let Some(length) = self.rest().get(2..).and_then(|rest| rest.find("*/")) else {
            return Err(Located::new(begin, Fault::syntax("this comment has no end")));
        };
        self.at += length + 4;
        if !self.close() {
            let fault = Fault::syntax("there must be nothing but `}}` after a comment");
            return Err(Located::new(begin, fault));
        }
        Ok(())
    }

    /// Passes over the end of an action, if it is here, and what that end trims.
    fn close(&mut self) -> bool {
        let rest = self.rest();
        let trims = is_right_marker(rest) && rest.get(2..).is_some_and(|rest| rest.starts_with("}}"));
        if !trims && !rest.starts_with("}}") {
            return false;
        }
        self.at += if trims { 4 } else { 2 };
        if trims {
            self.at = self.text.len() - self.rest().trim_start_matches(SPACES).len();
        }
        true
    }

    fn action(&mut self, begin: usize) -> Result<(), Located> {
        let mut parens = 0;
        loop {
            let at = self.at;
            if self.close() {
                if parens > 0 {
                    return Err(Located::new(at, Fault::syntax("a `(` has no `)`")));
                }
                self.found.push(Token { kind: Kind::Close, at, text: "}}" });
                return Ok(());
            }
            let Some(next) = self.next() else {
                return Err(Located::new(begin, Fault::syntax("this action has no `}}`")));
            };
            match next {
                ' ' | '\t' | '\r' | '\n' => self.spaces(at),
                '=' => self.push(Kind::Assign, at),
                ':' => match self.next() {
                    Some('=') => self.push(Kind::Declare, at),
                    _ => return Err(Located::new(at, Fault::syntax("expected `:=`"))),
                },
                ',' => self.push(Kind::Comma, at),
                '|' => self.push(Kind::Pipe, at),
                '(' => {
                    parens += 1;
                    self.push(Kind::LeftParen, at);
                }
                ')' if parens == 0 => return Err(Located::new(at, Fault::syntax("a `)` has no `(`"))),
                ')' => {
                    parens -= 1;
                    self.push(Kind::RightParen, at);
                }
                '"' => self.quoted(at, '"', Kind::Quoted)?,
                '\'' => self.quoted(at, '\'', Kind::Char)?,
                '`' => {
                    let Some(length) = self.rest().find('`') else {
                        return Err(Located::new(at, Fault::syntax("this text has no closing backquote")));
                    };
                    self.at += length + 1;
                    self.push(Kind::RawText, at);
                }
                '$' => self.name(at, Kind::Variable, Kind::Variable)?,
                '.' if !self.peek().is_some_and(|next| next.is_ascii_digit()) => {
                    self.name(at, Kind::Field, Kind::Dot)?;
                }
                '.' | '+' | '-' | '0'..='9' => {
                    self.at = at;
                    self.number(at)?;
                }
                _ if is_alphanumeric(next) => self.word(at)?,
                _ => {
                    return Err(Located::new(at, Fault::syntax("this character means nothing in an action")));
                }
            }
        }
    }

    /// The first space is passed over. The last may belong to the end of the action.
    fn spaces(&mut self, at: usize) {
        while self.peek().is_some_and(|next| SPACES.contains(&next)) {
            self.next();
        }
        let last = self.at - 1;
        let rest = self.text.get(last..).unwrap_or_default();
        if is_right_marker(rest) && rest.get(2..).is_some_and(|rest| rest.starts_with("}}")) {
            self.at = last;
            if last == at {
                return;
            }
        }
        self.push(Kind::Space, at);
    }

    fn quoted(&mut self, at: usize, quote: char, kind: Kind) -> Result<(), Located> {
        loop {
            match self.next() {
                Some('\\') if !matches!(self.next(), None | Some('\n')) => {}
                Some(next) if next == quote => break,
                Some('\n' | '\\') | None => {
                    return Err(Located::new(
                        at,
                        Fault::syntax("this text has no closing quote on its line"),
                    ));
                }
                Some(_) => {}
            }
        }
        self.push(kind, at);
        Ok(())
    }

    /// A name after `.` or `$`, or nothing.
    fn name(&mut self, at: usize, kind: Kind, bare: Kind) -> Result<(), Located> {
        if self.is_at_end_of_word() {
            self.push(bare, at);
            return Ok(());
        }
        self.alphanumerics();
        self.end_word(at)?;
        self.push(kind, at);
        Ok(())
    }

    fn word(&mut self, at: usize) -> Result<(), Located> {
        self.alphanumerics();
        self.end_word(at)?;
        let kind = match self.text.get(at..self.at).unwrap_or_default() {
            word if KEYWORDS.contains(&word) => Kind::Keyword,
            "nil" => Kind::Nil,
            "true" | "false" => Kind::Bool,
            _ => Kind::Identifier,
        };
        self.push(kind, at);
        Ok(())
    }

    fn alphanumerics(&mut self) {
        while self.peek().is_some_and(is_alphanumeric) {
            self.next();
        }
    }

    fn end_word(&self, at: usize) -> Result<(), Located> {
        if self.is_at_end_of_word() {
            return Ok(());
        }
        let fault = Fault::syntax(
            "a name has letters, digits and `_`: for an item with another name write `index . \"NAME\"`",
        );
        Err(Located::new(at, fault))
    }

    fn is_at_end_of_word(&self) -> bool {
        match self.peek() {
            None | Some(' ' | '\t' | '\r' | '\n' | '.' | ',' | '|' | ':' | ')' | '(') => true,
            Some(_) => self.rest().starts_with("}}"),
        }
    }

    fn number(&mut self, at: usize) -> Result<(), Located> {
        let bad = |what| Located::new(at, Fault::syntax(what));
        if !self.scan_number() {
            return Err(bad("this is not a number"));
        }
        let is_complex = self.text.get(..self.at).is_some_and(|text| text.ends_with('i'));
        if is_complex || matches!(self.peek(), Some('+' | '-')) {
            return Err(bad("this is not a number; complex numbers are not supported"));
        }
        self.push(Kind::Number, at);
        Ok(())
    }

    fn scan_number(&mut self) -> bool {
        let accept = |lexer: &mut Self, set: &str| {
            let fits = lexer.peek().is_some_and(|next| set.contains(next));
            if fits {
                lexer.next();
            }
            fits
        };
        accept(self, "+-");
        let mut digits = "0123456789_";
        if accept(self, "0") {
            if accept(self, "xX") {
                digits = "0123456789abcdefABCDEF_";
            } else if accept(self, "oO") {
                digits = "01234567_";
            } else if accept(self, "bB") {
                digits = "01_";
            }
        }
        while accept(self, digits) {}
        if accept(self, ".") {
            while accept(self, digits) {}
        }
        let exponent = match digits.len() {
            11 => "eE",
            23 => "pP",
            _ => "",
        };
        if accept(self, exponent) {
            accept(self, "+-");
            while accept(self, "0123456789_") {}
        }
        accept(self, "i");
        !self.peek().is_some_and(is_alphanumeric)
    }
}

fn is_alphanumeric(char: char) -> bool {
    char == '_' || is_letter(char) || is_digit(char)
}

fn is_left_marker(text: &str) -> bool {
    text.starts_with('-') && text.get(1..).is_some_and(|rest| rest.starts_with(SPACES))
}

fn is_right_marker(text: &str) -> bool {
    text.starts_with(SPACES) && text.get(1..).is_some_and(|rest| rest.starts_with('-'))
}
