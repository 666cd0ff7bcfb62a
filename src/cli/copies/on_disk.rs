//! What files on the disk hold, as far as it counts for other places.
//!
//! Owns by which rules it does: those of a file's own place; of what another working tree has, or our own has chosen of a submodule, as
//! of a version of the file.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use rayon::prelude::*;

use super::holding::Holding;
use super::submodules::{Chosen, ChosenRule};
use super::worktrees::Elsewhere;
use super::{past_rule_of, real, rule_of};
use crate::cli::context::Context;
use crate::config::Configs;
use crate::document::Format;
use crate::error::Result;
use crate::fs;
use crate::keys::KeySet;
use crate::repo::copies::{Copies, Held, Named, Since};

/// Who reads files: those alone whom each of these names.
pub(super) struct Rules<'r> {
    pub configs: &'r Configs,
    pub began: &'r [Configs],
    pub chosen: &'r Chosen<'r>,
}

/// What is in a file by one of the rules for it.
struct Found {
    file: Named,
    held: Vec<(usize, Held)>,
    counting: Counting,
}

/// How it counts.
enum Counting {
    Present,
    /// As a version of its place.
    Version,
    /// The same, outside of a folder.
    Outside(PathBuf),
}

/// Adds what files hold. What another working tree has in a submodule is a version, as a commit has one, of what is at its place in
/// ours, under its own rules or ours: never under those around it there. So is what was chosen of a submodule.
pub(super) fn add_files<'f>(
    files: impl IntoIterator<Item = &'f PathBuf>,
    elsewhere: &BTreeMap<PathBuf, Elsewhere>,
    copies: &mut Copies,
    rules: &Rules<'_>,
    context: &Context,
) -> Result<()> {
    let reading = Reading { working_dir: real(&context.lookup()?.working_dir), elsewhere, rules };
    let files: Vec<&PathBuf> = files.into_iter().collect();
    let found: Vec<_> = files.into_par_iter().filter_map(|path| reading.read(path)).collect();
    for Found { file, held, counting } in found.into_iter().flatten() {
        match counting {
            Counting::Present => copies.add(file, held),
            Counting::Version => copies.add_past(file, held),
            Counting::Outside(top) => {
                let leaving = copies.add_leaving(Since::Outside(top));
                copies.add_left(file, held, leaving);
            }
        }
    }
    Ok(())
}

struct Reading<'r> {
    working_dir: PathBuf,
    elsewhere: &'r BTreeMap<PathBuf, Elsewhere>,
    rules: &'r Rules<'r>,
}

impl Reading<'_> {
    /// `None` for a file that holds nothing.
    fn read(&self, path: &Path) -> Option<Vec<Found>> {
        let format = Format::of_path(path);
        let bytes = fs::read_found(path, format.most_bytes() as u64).ok()?;
        let holding = Holding::of(format, &bytes)?;
        let other = path.ancestors().find_map(|above| self.elsewhere.get_key_value(above));
        let here = other.and_then(|(top, other)| Some(at(path, top, other.here.as_ref()?)));
        let place = here.unwrap_or_else(|| real(path));

        let now = self.rules_now(path, other).into_iter().map(|rule| {
            let counting = match other.is_some() && rule.is_some() {
                true => Counting::Version,
                false => Counting::Present,
            };
            (Named { path: place.clone(), shown: self.shown(path) }, rule, counting)
        });
        let chosen = self.rules.chosen.rules_of(path).into_iter().map(
            |ChosenRule { keys, outside, former, is_ours, .. }| {
                let file = match former {
                    Some(former) => Named { shown: self.shown(&former), path: former },
                    None => {
                        let of = if is_ours {
                            "the staged commit"
                        } else {
                            "a submodule that this branch does not have"
                        };
                        let shown = format!("{} of {of}", self.shown(path).display());
                        Named { path: place.clone(), shown: shown.into() }
                    }
                };
                (file, Some(keys), outside.map_or(Counting::Version, Counting::Outside))
            },
        );
        let all = now.chain(chosen);
        let held = all.filter_map(|(file, rule, counting)| {
            Some(Found { file, held: holding.held(rule.as_ref())?, counting })
        });
        Some(held.collect())
    }

    /// What rules of today say of a file, and those where something that is under way began.
    fn rules_now(&self, path: &Path, other: Option<(&PathBuf, &Elsewhere)>) -> Vec<Option<KeySet>> {
        let Rules { configs, began, .. } = self.rules;
        let is_its_own = |top: &Path| {
            configs.config_for(path).ok().flatten().is_some_and(|config| config.path().starts_with(top))
        };
        let mut rules: Vec<Option<KeySet>> = match other {
            Some((top, other)) if !is_its_own(top) => {
                let places = other.places.iter().map(|place| at(path, top, place));
                places.filter_map(|place| past_rule_of(&place, configs)).map(Some).collect()
            }
            _ => vec![rule_of(path, configs)],
        };
        if rules.is_empty() {
            rules.push(None);
        }
        rules.extend(began.iter().filter_map(|began| past_rule_of(path, began)).map(Some));
        rules
    }

    fn shown(&self, path: &Path) -> PathBuf {
        path.strip_prefix(&self.working_dir).unwrap_or(path).to_path_buf()
    }
}

/// Where a file below a top is, if that is at another place.
fn at(path: &Path, top: &Path, place: &Path) -> PathBuf {
    place.join(path.strip_prefix(top).unwrap_or(path))
}
