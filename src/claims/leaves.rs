//! Which leaves are in plaintext under one choice of values and encrypted under another: in a file that is there, in
//! what somebody writes into it, and in what came of two versions.

use std::collections::{HashMap, HashSet};

use super::Form;
use crate::config::{Policy, Selection};
use crate::document::{Document, Format, NodeId};
use crate::error::Result;
use crate::policy;
use crate::sops::{self, kubernetes};

/// A value or comment that is, or would be, in plaintext where something says that it is encrypted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Exposed {
    /// Where it is in the document that was looked at.
    pub at: NodeId,
    pub is_comment: bool,
}

impl Exposed {
    /// What it is called in messages about the document: its keys, joined by points. Never its value.
    pub fn path(&self, document: &dyn Document) -> String {
        match self.is_comment {
            true => format!("the comment on line {}", self.line(document)),
            false => document.tree().path_of(document.source(), self.at),
        }
    }

    /// Its line in the document, from 1.
    pub fn line(&self, document: &dyn Document) -> usize {
        // A block of text begins below its key.
        match document.tree()[self.at].key_span {
            key if key.is_empty() => document.line(self.at),
            key => document.line_of(key.start()),
        }
    }
}

/// A document before and after somebody's change, all opened.
#[derive(Clone, Copy)]
pub struct Edit<'a> {
    /// Several where versions are brought together.
    pub before: &'a [&'a dyn Document],
    pub after: &'a dyn Document,
    /// What the file itself says of which values are encrypted.
    pub selection: &'a Selection,
}

/// A value or comment that a change writes in plaintext, though something says that it is encrypted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Written {
    pub leaf: Exposed,
    /// Nothing appeared in its place before.
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
    /// The rule leaves it to comments, which are under no MAC; without any, a new file would have encrypted it.
    Comments(Comment),
}

/// The comment by which a value is not encrypted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Comment {
    /// One that was there before: anybody can have written it.
    Old,
    /// One that came with the change.
    New,
    /// Comments say what is encrypted, and there are no comments.
    Missing,
}

/// What a change writes in plaintext that is encrypted by what the rule says explicitly, or else by what is done when
/// nothing is said; the latter also where the rule leaves it to comments. What has only moved is not written.
pub fn written(edit: &Edit<'_>, policy: Option<&Policy>) -> Result<Vec<Written>> {
    let explicit = policy.and_then(|policy| policy.selection.clone());
    let (default, is_preset) = policy::selection(edit.after, None);
    let (asked, default) = match explicit {
        // Of comments nothing is known but what the file says.
        Some(rule) if rule.is_comment_rule() => (Some(rule), Some(default)),
        Some(rule) => (Some(rule), None),
        None => (None, Some(default)),
    };
    let leaves = |asked: Option<&Selection>| match asked {
        Some(asked) if asked != edit.selection => {
            compared(edit.after, edit.selection, asked, Form::Plaintext)
        }
        _ => Ok(Vec::new()),
    };
    let (by_rule, mut by_default) = (leaves(asked.as_ref())?, leaves(default.as_ref())?);
    if is_preset {
        // Whoever writes to the file can make a Secret of it, which no MAC need cover.
        by_default.iter_mut().for_each(|leaf| leaf.is_asked |= leaf.is_no_field_of_secret());
    }
    if !by_rule.iter().chain(&by_default).any(Compared::is_exposed) {
        return Ok(Vec::new());
    }
    let mut before = Before::of(edit)?;
    let mut comments = None;
    // All that stayed comes first: what has moved in a list must not count as changed.
    let after = if by_rule.is_empty() { &by_default } else { &by_rule };
    let is_fresh: Vec<bool> = after.iter().map(|leaf| !before.take_same(leaf, edit.after)).collect();
    let mut written = Vec::new();
    for (at, leaf) in after.iter().enumerate().filter(|(at, _)| is_fresh[*at]) {
        let is_new = !before.take_any(leaf);
        let is_exposed = |leaves: &[Compared]| leaves.get(at).is_some_and(Compared::is_exposed);
        let says = match (is_exposed(&by_rule), is_exposed(&by_default)) {
            (true, _) => Says::Rule,
            (false, true) if asked.is_none() => Says::Default,
            (false, true) if leaf.is_sign(edit) => continue,
            (false, true) => {
                let comments = match &comments {
                    Some(comments) => comments,
                    None => comments.insert(Comments::of(edit)?),
                };
                Says::Comments(comments.decide(leaf))
            }
            (false, false) => continue,
        };
        written.push(Written { leaf: leaf.told(), is_new, says });
    }
    Ok(written)
}

/// The comments of a document after a change, and which of them were there before.
struct Comments(HashMap<NodeId, bool>);

impl Comments {
    fn of(edit: &Edit<'_>) -> Result<Self> {
        let mut before = HashSet::new();
        for &document in edit.before {
            before.extend(placed_comments(document)?.into_iter().map(|(_, place)| place));
        }
        let after = placed_comments(edit.after)?.into_iter();
        Ok(Self(after.map(|(node, place)| (node, before.contains(&place))).collect()))
    }

    fn decide(&self, leaf: &Compared) -> Comment {
        match leaf.by_comment.map(|comment| self.0.get(&comment)) {
            None => Comment::Missing,
            Some(Some(false)) => Comment::New,
            Some(Some(true) | None) => Comment::Old,
        }
    }
}

/// A comment's text, the keys on the way to it, and those to the value before it: what comes behind a comment does not make
/// it another one.
type CommentPlace = (String, String, String);

fn placed_comments(document: &dyn Document) -> Result<Vec<(NodeId, CommentPlace)>> {
    let (mut comments, mut last) = (Vec::new(), String::new());
    sops::for_each_leaf(document, &Selection::default(), &mut |leaf| {
        match leaf.is_comment {
            true => {
                let text = document.tree()[leaf.node].text.get(document.source());
                comments.push((leaf.node, (text.to_owned(), leaf.path.to_owned(), last.clone())));
            }
            false => leaf.path.clone_into(&mut last),
        }
        Ok(())
    })?;
    Ok(comments)
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
            && (form == Form::Plaintext || !leaf.is_comment && sops::is_clear(document, leaf.node))
    };
    Ok(leaves.iter().filter(counts).map(Compared::told).collect())
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
    Ok((0..ours.len()).filter(is_lost).map(|at| ours[at].told()).collect())
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

/// What another choice of values would do to an opened document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SelectionChange {
    /// What is in plaintext and would be encrypted.
    pub hidden: Vec<Exposed>,
    /// What is encrypted and would be in plaintext.
    pub exposed: Vec<Exposed>,
}

/// What it would do to an opened document to be encrypted by another choice of values.
pub fn change_of_selection(
    document: &dyn Document,
    from: &Selection,
    to: &Selection,
) -> Result<SelectionChange> {
    Ok(SelectionChange {
        hidden: exposed(document, from, to, Form::Plaintext)?,
        exposed: exposed(document, to, from, Form::Plaintext)?,
    })
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
    /// The comment by which the file's own choice decides.
    by_comment: Option<NodeId>,
}

impl Compared {
    fn is_exposed(&self) -> bool {
        self.is_asked && !self.is_hidden
    }

    /// Whether it is a comment that decides.
    fn is_sign(&self, edit: &Edit<'_>) -> bool {
        let text = edit.after.tree()[self.node].text.get(edit.after.source());
        self.is_comment && edit.selection.matches_comment(text)
    }

    fn is_no_field_of_secret(&self) -> bool {
        !self.is_comment && !kubernetes::is_in_secret(&self.path)
    }

    fn told(&self) -> Exposed {
        Exposed { at: self.at, is_comment: self.is_comment }
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
        let by_comment = match leaf.because {
            Some(sops::Match::Comment(node)) => Some(node),
            _ => None,
        };
        is_hidden.push((leaf.selected, by_comment));
        Ok(())
    })?;
    let mut is_hidden = is_hidden.into_iter();
    let mut found = Vec::new();
    walk(document, asked, &mut |leaf| {
        let (is_hidden, by_comment) = is_hidden.next().unwrap_or_default();
        if !is_blank(document, &leaf) {
            let sops::Leaf { node, at, is_comment, selected: is_asked, path, .. } = leaf;
            let path = path.to_owned();
            found.push(Compared { node, at, is_comment, path, is_hidden, is_asked, by_comment });
        }
        Ok(())
    })?;
    Ok(found)
}

/// Whether there is nothing to hide: sops leaves alone what is empty.
fn is_blank(document: &dyn Document, leaf: &sops::Leaf<'_>) -> bool {
    !leaf.is_comment && document.value(leaf.node).is_ok_and(|value| value.is_blank())
}

/// What appeared in a document, place by place: list positions do not count, so that an item which moves stays the
/// same.
struct Before<'d>(HashMap<(String, bool), Place<'d>>);

/// What appeared in one place.
#[derive(Default)]
struct Place<'d> {
    /// How often each text appeared there that the file's own choice leaves in plaintext.
    texts: HashMap<&'d str, usize>,
    /// Encrypted ones, too.
    count: usize,
}

impl<'d> Before<'d> {
    fn of(edit: &Edit<'d>) -> Result<Self> {
        let mut places: HashMap<_, Place<'_>> = HashMap::new();
        for &document in edit.before {
            sops::for_each_leaf(document, edit.selection, &mut |leaf| {
                // A ciphertext that the file's own choice leaves as it is was no plaintext before somebody changed that.
                let is_plain = leaf.selected || leaf.is_comment || sops::is_clear(document, leaf.node);
                if is_plain && !is_blank(document, &leaf) {
                    let text = document.tree()[leaf.node].text.get(document.source());
                    let place = places.entry((leaf.path.to_owned(), leaf.is_comment)).or_default();
                    if !leaf.selected {
                        *place.texts.entry(text).or_default() += 1;
                    }
                    place.count += 1;
                }
                Ok(())
            })?;
        }
        Ok(Self(places))
    }

    fn place(&mut self, leaf: &Compared) -> Option<&mut Place<'d>> {
        self.0.get_mut(&(leaf.path.clone(), leaf.is_comment)).filter(|place| place.count > 0)
    }

    /// Takes out what appeared in plaintext at the place of a leaf with the same text; false if there was nothing.
    fn take_same(&mut self, leaf: &Compared, document: &dyn Document) -> bool {
        let text = document.tree()[leaf.node].text.get(document.source());
        let Some(place) = self.place(leaf) else { return false };
        let Some(same) = place.texts.get_mut(text).filter(|same| **same > 0) else { return false };
        *same -= 1;
        place.count -= 1;
        true
    }

    /// Takes out whatever appeared at the place of a leaf, when all that stayed is out; false if there was nothing.
    fn take_any(&mut self, leaf: &Compared) -> bool {
        let Some(place) = self.place(leaf) else { return false };
        place.count -= 1;
        true
    }
}
