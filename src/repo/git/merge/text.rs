//! Three plaintexts of one format brought together: by lines as Git would, and by keys where lines alone do not tell.
//!
//! Owns when two changes fit together. Lines decide first, and keep comments and layout. What they gave has to be what a
//! merge by keys gives: lines that fit together can still name a key twice, or lose a change. Where they are at odds, both
//! sides still come together if they changed different keys.

use super::keyed::{Claim, Shape, Trust, grafted};
use super::lines::{self, LineMerge, Side};
use crate::document::{self, Document, Format};
use crate::error::Result;
use crate::host::Host;
use crate::secret::SecretBytes;

/// What came of two plaintexts.
pub enum Merged {
    Clean(SecretBytes),
    /// The whole text, once with our side where the two are at odds, once with theirs.
    Conflict {
        ours: SecretBytes,
        theirs: SecretBytes,
    },
}

/// Three plaintexts. Without a base all of both sides is new.
#[derive(Clone, Copy)]
pub struct Texts<'t> {
    pub base: Option<&'t [u8]>,
    pub ours: &'t [u8],
    pub theirs: &'t [u8],
}

/// Merges plaintexts of a format.
pub fn merge(host: &dyn Host, format: Format, texts: Texts<'_>) -> Result<Merged> {
    let Texts { base, ours, theirs } = texts;
    let by_lines = lines::merge(host, base.unwrap_or_default(), ours, theirs)?;
    let copy = |text: &[u8]| SecretBytes::new(text.to_vec());
    let whole = || Merged::Conflict { ours: copy(ours), theirs: copy(theirs) };
    if format == Format::Binary {
        return Ok(match by_lines.is_clean() {
            true => Merged::Clean(by_lines.with(Side::Ours)),
            false => whole(),
        });
    }
    // What is no document cannot be compared with anything.
    let Ok(versions) = Versions::read(format, texts) else { return Ok(whole()) };
    if by_lines.is_clean() {
        let text = by_lines.with(Side::Ours);
        return Ok(if versions.come_to(&text, Trust::Lists) { Merged::Clean(text) } else { whole() });
    }
    let refined = by_lines.refined();
    if refined.is_clean() {
        let text = refined.with(Side::Ours);
        if versions.come_to(&text, Trust::Nothing) {
            return Ok(Merged::Clean(text));
        }
    }
    if let Ok(Some(text)) = versions.grafted()
        && versions.come_to(&text, Trust::Nothing)
    {
        return Ok(Merged::Clean(text));
    }
    Ok([refined, by_lines].iter().find_map(|lines| versions.conflict(lines)).unwrap_or_else(whole))
}

struct Versions {
    format: Format,
    base: Option<Box<dyn Document>>,
    ours: Box<dyn Document>,
    theirs: Box<dyn Document>,
    shapes: [Vec<Shape>; 3],
}

impl Versions {
    fn read(format: Format, texts: Texts<'_>) -> Result<Self> {
        let parse = |text: &[u8]| document::parse(format, SecretBytes::new(text.to_vec()), false);
        let base = texts.base.map(parse).transpose()?;
        let (ours, theirs) = (parse(texts.ours)?, parse(texts.theirs)?);
        let of_base = base.as_deref().map(Shape::of).transpose()?.unwrap_or_default();
        let shapes = [of_base, Shape::of(&*ours)?, Shape::of(&*theirs)?];
        Ok(Self { format, base, ours, theirs, shapes })
    }

    /// Whether a text is what a merge by keys gives.
    fn come_to(&self, text: &SecretBytes, trust: Trust) -> bool {
        let merged = document::parse(self.format, text.clone(), false);
        let Ok(merged) = merged.and_then(|merged| Shape::of(&*merged)) else { return false };
        let [base, ours, theirs] = &self.shapes;
        Claim { base, ours, theirs, merged: &merged }.holds(trust)
    }

    fn grafted(&self) -> Result<Option<SecretBytes>> {
        grafted(self.base.as_deref(), &*self.ours, &*self.theirs)
    }

    /// The conflicts as lines have them, if either side of them leaves a document in which all else is merged.
    fn conflict(&self, lines: &LineMerge<'_>) -> Option<Merged> {
        let (ours, theirs) = (lines.with(Side::Ours), lines.with(Side::Theirs));
        let is_merged = |text: &SecretBytes| self.come_to(text, Trust::Sides);
        (ours != theirs && is_merged(&ours) && is_merged(&theirs))
            .then_some(Merged::Conflict { ours, theirs })
    }
}
