//! Which leaves are in plaintext under one choice of values and encrypted under another: in a file that is there, in
//! what somebody writes into it, and in what came of two versions.

use std::collections::HashMap;

use super::Form;
use crate::config::{Policy, Selection};
use crate::document::{Document, Format, NodeId};
use crate::error::Result;
use crate::policy;
use crate::sops;

/// A value or comment that is, or would be, in plaintext where something says that it is encrypted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exposed {
    /// Its keys, joined by points, for messages. Never its value.
    pub path: String,
    /// From 1, in the document that was looked at.
    pub line: usize,
    pub is_comment: bool,
}

/// A document before and after somebody's change, both opened.
#[derive(Clone, Copy)]
pub struct Edit<'a> {
    pub before: &'a dyn Document,
    pub after: &'a dyn Document,
    /// What the file itself says of which values are encrypted.
    pub selection: &'a Selection,
}

/// A value or comment that a change writes in plaintext, though something says that it is encrypted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written {
    pub leaf: Exposed,
    /// Nothing stood in its place before.
    pub is_new: bool,
    pub says: Says,
}

/// What says that a value is encrypted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Says {
    /// The creation rule does, explicitly.
    Rule,
    /// No rule says anything; a new file would have encrypted it.
    Default,
}

/// What a change writes in plaintext that is encrypted by what the rule says explicitly, or else by what is done when
/// nothing is said. What has only moved is not written.
pub fn written(edit: &Edit<'_>, policy: Option<&Policy>) -> Result<Vec<Written>> {
    let explicit = policy.and_then(|policy| policy.selection.clone());
    let says = if explicit.is_some() { Says::Rule } else { Says::Default };
    let (asked, _) = policy::selection(edit.after, explicit);
    if asked == *edit.selection {
        return Ok(Vec::new());
    }
    let after = compared(edit.after, edit.selection, &asked, Form::Plaintext)?;
    if !after.iter().any(Compared::is_exposed) {
        return Ok(Vec::new());
    }
    let mut before = Before::of(edit.before)?;
    // All that stayed comes first: what has moved in a list must not count as changed.
    let fresh: Vec<&Compared> = after.iter().filter(|leaf| !before.take_same(leaf, edit.after)).collect();
    let mut written = Vec::new();
    for leaf in fresh {
        let is_new = !before.take_any(leaf);
        if leaf.is_exposed() {
            written.push(Written { leaf: leaf.told(edit.after), is_new, says });
        }
    }
    Ok(written)
}

/// What is in plaintext in a file and encrypted under `asked`. In a file that is not opened comments are left out, which
/// sops takes in plaintext, too.
pub(super) fn exposed(
    document: &dyn Document,
    file: &Selection,
    asked: &Selection,
    form: Form,
) -> Result<Vec<Exposed>> {
    if file == asked {
        return Ok(Vec::new());
    }
    let leaves = compared(document, file, asked, form)?;
    let counts = |leaf: &&Compared| {
        leaf.is_exposed()
            && (form == Form::Plaintext || !leaf.is_comment && sops::is_clear(document, leaf.at))
    };
    Ok(leaves.iter().filter(counts).map(|leaf| leaf.told(document)).collect())
}

/// What of a merged document, opened, would be in plaintext under `result`, the choice that it is to be written with, though
/// the creation rule and one of the two sides encrypt it. With a silent rule the sides alone decide. What both sides
/// already have in plaintext is let be: an older branch, or a rule that was tightened, stops no merge.
pub fn merged(
    document: &dyn Document,
    result: &Selection,
    sides: [&Selection; 2],
    policy: Option<&Policy>,
) -> Result<Vec<Exposed>> {
    if sides.iter().all(|side| *side == result) {
        return Ok(Vec::new());
    }
    let rule = policy.and_then(|policy| policy.selection.as_ref());
    let by_rule = rule.map(|rule| compared(document, result, rule, Form::Plaintext)).transpose()?;
    let [ours, theirs] = sides.map(|side| compared(document, result, side, Form::Plaintext));
    let (ours, theirs) = (ours?, theirs?);
    let of_rule = |at: usize| by_rule.as_ref().is_none_or(|leaves| leaves[at].is_exposed());
    let is_lost = |at: &usize| of_rule(*at) && (ours[*at].is_exposed() || theirs[*at].is_exposed());
    Ok((0..ours.len()).filter(is_lost).map(|at| ours[at].told(document)).collect())
}

/// Of two choices of values, the one that encrypts all of an opened document that the other encrypts, the first if they
/// do the same; `None` when each leaves something in plaintext that the other encrypts.
pub fn stronger<'s>(
    document: &dyn Document,
    first: &'s Selection,
    second: &'s Selection,
) -> Result<Option<&'s Selection>> {
    if exposed(document, first, second, Form::Plaintext)?.is_empty() {
        return Ok(Some(first));
    }
    let is_second = exposed(document, second, first, Form::Plaintext)?.is_empty();
    Ok(is_second.then_some(second))
}

/// A leaf or comment that is not empty, under two choices of values.
struct Compared {
    node: NodeId,
    at: NodeId,
    is_comment: bool,
    /// The keys on the way to it.
    path: String,
    /// Whether the file's own choice encrypts it.
    is_hidden: bool,
    /// Whether the other choice does.
    is_asked: bool,
}

impl Compared {
    fn is_exposed(&self) -> bool {
        self.is_asked && !self.is_hidden
    }

    fn told(&self, document: &dyn Document) -> Exposed {
        let (tree, source) = (document.tree(), document.source());
        let key = tree[self.at].key_span;
        let line = if key.is_empty() { document.line(self.at) } else { document.line_of(key.start()) };
        let path = match self.is_comment {
            true => format!("the comment on line {line}"),
            false => tree.path_of(source, self.at),
        };
        Exposed { path, line, is_comment: self.is_comment }
    }
}

/// The leaves and comments of a document that are not empty, which sops leaves as they are, under two choices of values.
fn compared(
    document: &dyn Document,
    file: &Selection,
    asked: &Selection,
    form: Form,
) -> Result<Vec<Compared>> {
    // A binary file is encrypted as a whole.
    if document.format() == Format::Binary {
        return Ok(Vec::new());
    }
    let walk = match form {
        Form::Encrypted => sops::for_each_encrypted_leaf,
        Form::Plaintext => sops::for_each_leaf,
    };
    // Both walks come by the same leaves in the same order, whatever is chosen.
    let mut is_hidden = Vec::new();
    walk(document, file, &mut |leaf| {
        is_hidden.push(leaf.selected);
        Ok(())
    })?;
    let mut is_hidden = is_hidden.into_iter();
    let mut found = Vec::new();
    walk(document, asked, &mut |leaf| {
        let is_hidden = is_hidden.next().unwrap_or_default();
        if !is_blank(document, &leaf) {
            let sops::Leaf { node, at, is_comment, selected: is_asked, path, .. } = leaf;
            found.push(Compared { node, at, is_comment, path: path.to_owned(), is_hidden, is_asked });
        }
        Ok(())
    })?;
    Ok(found)
}

/// Whether there is nothing to hide: sops leaves alone what is empty.
fn is_blank(document: &dyn Document, leaf: &sops::Leaf<'_>) -> bool {
    !leaf.is_comment && document.value(leaf.node).is_ok_and(|value| value.is_blank())
}

/// What stood in a document, place by place: list positions do not count, so that an item which moves stays the same.
struct Before<'d>(HashMap<(String, bool), Vec<&'d str>>);

impl<'d> Before<'d> {
    fn of(document: &'d dyn Document) -> Result<Self> {
        let mut leaves: HashMap<_, Vec<&str>> = HashMap::new();
        sops::for_each_leaf(document, &Selection::default(), &mut |leaf| {
            if !is_blank(document, &leaf) {
                let text = document.tree()[leaf.node].text.get(document.source());
                leaves.entry((leaf.path.to_owned(), leaf.is_comment)).or_default().push(text);
            }
            Ok(())
        })?;
        Ok(Self(leaves))
    }

    /// Takes out what stood at the place of a leaf with the same text; false if there was nothing.
    fn take_same(&mut self, leaf: &Compared, document: &dyn Document) -> bool {
        let text = document.tree()[leaf.node].text.get(document.source());
        let Some(there) = self.0.get_mut(&(leaf.path.clone(), leaf.is_comment)) else { return false };
        let Some(at) = there.iter().position(|known| *known == text) else { return false };
        there.remove(at);
        true
    }

    /// Takes out whatever stood at the place of a leaf; false if there was nothing.
    fn take_any(&mut self, leaf: &Compared) -> bool {
        let there = self.0.get_mut(&(leaf.path.clone(), leaf.is_comment));
        there.is_some_and(|there| there.pop().is_some())
    }
}
