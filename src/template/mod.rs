//! Templates as people write them for SealedSecrets, External Secrets and Helm: Go's `text/template`, with the functions of
//! sprig that depend on nothing but what they are given.
//!
//! A template makes a text of the items of one object. It reads nothing else: what is random, asks clock, network or
//! environment, or makes keys is refused by its name ([`ErrorKind::RefusedFunction`]). What it may cost has an end
//! ([`Bounds`]), so that nobody's template can stop or fill whoever runs it; and an error says where and what, never a value.
//!
//! Each room is one idea: `lexer` and `parser` read a template into `ast`, `exec` runs it on `value`s and pays from `run`,
//! `printf` writes what comes out, `functions` has a table for each kind of thing. Knows `secret` and nothing else of the
//! library.
//!
//! Own code, because no package does it: of those for Rust, `gtmpl` (whose last release lacks `printf`'s rules, sprig and
//! exact numbers) and `gotmpl` (which has texts of UTF-8 only, one type of whole numbers, dicts that `set` cannot change and
//! no end to what a template may cost) come nearest. The real packages are beside it in `tests/interop/templates`.

mod ast;
mod buffer;
mod error;
mod exec;
mod functions;
mod json;
mod lexer;
mod numbers;
mod parser;
mod printf;
mod run;
mod text;
mod unicode;
mod value;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

pub use error::{Error, ErrorKind, Result};

use crate::secret::SecretBytes;
use run::Run;
use value::{Dict, Entries, Of, Text, Value};

/// How long the text of a template may be.
pub const MAX_LENGTH: usize = 1 << 20;

/// What a run of a template may cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// How many bytes may come out, and may be in a text on the way.
    pub output: usize,
    /// How many steps it may take: each word, each turn of a `range`, each item of a list is one.
    pub steps: usize,
    /// How many bytes its functions may read and write, all together.
    pub bytes: usize,
}

impl Default for Bounds {
    /// What is enough for a Secret of the largest size.
    fn default() -> Self {
        Self { output: 1 << 20, steps: 1_000_000, bytes: 32 << 20 }
    }
}

/// The items of an object, which is what its templates see.
pub type Items = BTreeMap<String, SecretBytes>;

/// A template that was read.
///
/// ```
/// use sealant::secret::SecretBytes;
/// use sealant::template::Template;
///
/// let items = [("user", "ann"), ("db-host", "db.example.com")]
///     .map(|(name, value)| (name.to_owned(), SecretBytes::new(value.as_bytes().to_vec())));
/// let template = Template::parse("url", r#"https://{{ .user | urlquery }}@{{ index . "db-host" }}/{{ .path }}"#)?;
/// let text = template.render(&items.into())?;
/// assert_eq!(text.as_slice(), b"https://ann@db.example.com/<no value>");
/// # Ok::<(), sealant::template::Error>(())
/// ```
///
/// What makes another text each time is refused, when it is read:
///
/// ```
/// use sealant::template::{ErrorKind, Template};
///
/// let error = Template::parse("token", "{{ randAlphaNum 32 }}").unwrap_err();
/// assert_eq!(error.kind(), ErrorKind::RefusedFunction);
/// ```
pub struct Template {
    name: String,
    text: String,
    trees: ast::Trees,
}

impl std::fmt::Debug for Template {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Template({:?})", self.name)
    }
}

impl Template {
    /// Reads a template. Its name is what it calls itself by, with `{{ template }}`.
    pub fn parse(name: &str, text: &str) -> Result<Self> {
        if text.len() > MAX_LENGTH {
            let fault = error::Fault::bound("a template has at most 1 MiB");
            return Err(error::Located::new(0, fault).in_text(text));
        }
        let trees = parser::parse(name, text).map_err(|located| located.in_text(text))?;
        Ok(Self { name: name.to_owned(), text: text.to_owned(), trees })
    }

    /// Whether it reads an item. One that does not has all of its text in it.
    pub fn reads_items(&self) -> bool {
        self.trees.values().flatten().any(ast::Node::reads)
    }

    /// What the template makes of these items.
    pub fn render(&self, items: &Items) -> Result<SecretBytes> {
        self.render_within(items, &Bounds::default())
    }

    /// As [`Template::render`], at a price of one's own.
    ///
    /// ```
    /// use sealant::template::{Bounds, ErrorKind, Items, Template};
    ///
    /// let template = Template::parse("loop", "{{ range until 1000 }}{{ . }}{{ end }}")?;
    /// let bounds = Bounds { steps: 100, ..Bounds::default() };
    /// let error = template.render_within(&Items::new(), &bounds).unwrap_err();
    /// assert_eq!(error.kind(), ErrorKind::Bound);
    /// # Ok::<(), sealant::template::Error>(())
    /// ```
    pub fn render_within(&self, items: &Items, bounds: &Bounds) -> Result<SecretBytes> {
        self.run(&data(items), &mut Run::new(bounds), bounds.output)
    }

    fn run(&self, data: &Value, run: &mut Run, output: usize) -> Result<SecretBytes> {
        let mut out = buffer::Buffer::new(output);
        let done = exec::execute(&self.trees, &self.name, data, run, &mut out);
        let found = done.and_then(|()| out.finish().map_err(|fault| error::Located::new(0, fault)));
        found.map_err(|located| located.in_text(&self.text))
    }
}

/// The items as a template sees them: a `map[string]string`.
fn data(items: &Items) -> Value {
    let text = |bytes: &[u8]| Text::new(SecretBytes::new(bytes.to_vec()));
    let entries: Entries =
        items.iter().map(|(name, value)| (text(name.as_bytes()), Value::Text(text(value)))).collect();
    Value::Dict(Dict { of: Of::Texts, entries: Some(Rc::new(RefCell::new(entries))) })
}

/// The templates of an object, by the item that each makes. One without a text takes the item of its name out of what comes
/// out, and leaves it for the others to read.
pub type Templates = BTreeMap<String, Option<String>>;

/// Why templates of an object came to nothing: each fault, with the items that have it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotRendered(pub Vec<(Error, Vec<String>)>);

impl std::fmt::Display for NotRendered {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (index, (error, items)) in self.0.iter().enumerate() {
            f.write_str(if index > 0 { "; " } else { "" })?;
            write!(f, "template, {error} ({})", items.join(", "))?;
        }
        Ok(())
    }
}

impl std::error::Error for NotRendered {}

impl NotRendered {
    fn add(&mut self, error: Error, item: &str) {
        match self.0.iter_mut().find(|(known, _)| *known == error) {
            Some((_, items)) => items.push(item.to_owned()),
            None => self.0.push((error, vec![item.to_owned()])),
        }
    }
}

/// Reads the templates of an object, which takes no key: whoever writes one learns at once what it cannot be.
pub fn check(templates: &Templates) -> Result<(), NotRendered> {
    read(templates).map(|_| ())
}

fn read(templates: &Templates) -> Result<Vec<(&String, Template)>, NotRendered> {
    let (mut found, mut faults) = (Vec::new(), NotRendered(Vec::new()));
    for (item, text) in templates {
        match text.as_ref().map(|text| Template::parse(item, text)) {
            None => {}
            Some(Ok(template)) => found.push((item, template)),
            Some(Err(error)) => faults.add(error, item),
        }
    }
    if faults.0.is_empty() { Ok(found) } else { Err(faults) }
}

/// The items of an object, with what its templates make of them. As in sealed-secrets, a template sees the items and the texts
/// of the other templates as they are written, and an item stays as it is if a template has its name. All templates of an
/// object together have what one may cost.
///
/// ```
/// use sealant::secret::SecretBytes;
/// use sealant::template::{Items, Templates, render_all};
///
/// let items = Items::from([("password".to_owned(), SecretBytes::new(b"hunter2".to_vec()))]);
/// let templates = Templates::from([
///     ("url".to_owned(), Some("db://{{ .user }}:{{ .password }}@db".to_owned())),
///     ("user".to_owned(), Some("ann".to_owned())),
///     ("password".to_owned(), None),
/// ]);
/// let made = render_all(&templates, items)?;
/// assert_eq!(made.keys().collect::<Vec<_>>(), ["url", "user"]);
/// assert_eq!(made["url"].as_slice(), b"db://ann:hunter2@db");
/// # Ok::<(), sealant::template::NotRendered>(())
/// ```
pub fn render_all(templates: &Templates, items: Items) -> Result<Items, NotRendered> {
    if templates.is_empty() {
        return Ok(items);
    }
    let read = read(templates)?;
    let bounds = Bounds::default();
    let mut run = Run::new(&bounds);
    let mut seen = items.clone();
    for (item, text) in templates {
        if let (Some(text), false) = (text, items.contains_key(item)) {
            seen.insert(item.clone(), SecretBytes::new(text.clone().into_bytes()));
        }
    }
    let data = data(&seen);
    let (mut made, mut faults) = (Items::new(), NotRendered(Vec::new()));
    let mut room = bounds.output;
    for (item, template) in read {
        match template.run(&data, &mut run, room) {
            Ok(text) => {
                room -= text.len();
                made.insert(item.clone(), text);
            }
            Err(error) => faults.add(error, item),
        }
    }
    if !faults.0.is_empty() {
        return Err(faults);
    }
    made.extend(items);
    made.retain(|item, _| !matches!(templates.get(item), Some(None)));
    Ok(made)
}

/// The names of all functions that a template may call, in order.
pub fn functions() -> Vec<&'static str> {
    functions::names()
}

/// Why a function of other programs' templates is left out here, if it is known and left out on purpose.
pub fn is_refused(function: &str) -> bool {
    functions::refused::reason(function).is_some()
}

#[cfg(test)]
mod tests;
