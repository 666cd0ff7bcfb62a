//! The ages of values that `status` shows: which repositories to ask, and how an age is told.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde::Serialize;

use super::Found;
use crate::cli::context::Context;
use crate::cli::failures::Failures;
use crate::error::{Error, Kind, Result};
use crate::host::Host;
use crate::os;
use crate::repo::ages::{self, Since};
use crate::repo::git::{Git, root_of};
use crate::repo::values::{Mark, Value};

const DAY: i64 = 24 * 60 * 60;

/// How old something is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Age {
    /// When it was committed first; absent when it was not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub since: Option<Timestamp>,
    #[serde(rename = "age_days")]
    pub days: i64,
    /// It may be older: what came before is not in this clone.
    pub at_least: bool,
}

impl Age {
    fn of(since: Option<Since>, now: Timestamp) -> Self {
        let seconds = since.map_or(0, |since| now.as_second() - since.time.as_second());
        Self {
            since: since.map(|since| since.time),
            days: seconds.max(0) / DAY,
            at_least: since.is_some_and(|since| since.at_least),
        }
    }
}

impl fmt::Display for Age {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.since.is_none() {
            return f.write_str("not committed");
        }
        let days = if self.days == 1 { "day" } else { "days" };
        write!(f, "{}{} {days}", if self.at_least { "at least " } else { "" }, self.days)
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ValueAge {
    pub value: String,
    #[serde(flatten)]
    pub age: Age,
}

/// The ages in a file.
#[derive(Debug, Serialize)]
pub struct FileAges {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub oldest_value: Option<ValueAge>,
    /// Of the oldest data key: it may be older than what is left of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data_key: Option<Age>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub values: Option<Vec<ValueAge>>,
}

/// The ages in all files.
pub struct Ages {
    now: Timestamp,
    /// Of each repository, by its topmost folder; those that could not be asked are missing.
    seen: BTreeMap<PathBuf, HashMap<Mark, Since>>,
    roots: HashMap<PathBuf, PathBuf>,
    /// All values, with their files.
    all: Vec<(String, ValueAge)>,
    /// A file that is in no repository.
    outside: Option<String>,
}

impl Ages {
    /// Asks the history of each repository once. Whether they have to be known decides what a failure is.
    pub fn of(found: &[Found], needed: bool, context: &Context, failures: &mut Failures) -> Self {
        let mut ages = Self {
            now: context.host.now(),
            seen: BTreeMap::new(),
            roots: HashMap::new(),
            all: Vec::new(),
            outside: None,
        };
        let mut by_root: BTreeMap<PathBuf, Vec<&Found>> = BTreeMap::new();
        for found in found {
            match found.path.as_deref().and_then(root) {
                Some((path, root)) => {
                    ages.roots.insert(path, root.clone());
                    by_root.entry(root).or_default().push(found);
                }
                None => _ = ages.outside.get_or_insert_with(|| found.file.clone()),
            }
        }
        for (root, files) in by_root {
            match ask(&root, &files, context) {
                Ok(seen) => _ = ages.seen.insert(root, seen),
                Err(error) if needed => failures.add(context.ui, &error),
                Err(error) => context.ui.warning(format!("the ages of values are unknown: {error}")),
            }
        }
        if let Some(file) = ages.outside.as_ref().filter(|_| needed) {
            let error =
                Error::new(Kind::Read, "is not in a Git repository, so the ages of its values are unknown");
            failures.add(context.ui, &error.in_file(file));
        }
        ages
    }

    /// The ages in a file; `None` when its history is not known.
    pub fn of_file(&mut self, found: &Found, with_values: bool) -> Option<FileAges> {
        let seen = self.seen.get(self.roots.get(found.path.as_deref()?)?)?;
        let age = |mark: &Mark| Age::of(seen.get(mark).copied(), self.now);
        let values = found.values.values.iter();
        let values: Vec<ValueAge> =
            values.map(|Value { path, mark, .. }| ValueAge { value: path.clone(), age: age(mark) }).collect();
        let oldest_value = values.iter().max_by_key(|value| value.age.days).cloned();
        self.all.extend(values.iter().map(|value| (found.file.clone(), value.clone())));
        let data_key = found.values.marks().map(age).max_by_key(|age| age.days);
        Some(FileAges { oldest_value, data_key, values: with_values.then_some(values) })
    }

    /// Tells of files with values that are older than so many days. Where that cannot be told, it is a failure.
    pub fn hold(&self, limit: i64, context: &Context, failures: &mut Failures) -> bool {
        let mut any = false;
        for (file, ValueAge { value, age }) in &self.all {
            if age.days > limit {
                any = true;
                context.ui.say(format!("{file}: {value} is {age} old"));
            } else if age.at_least {
                let error = Error::new(Kind::Read, format!("{value} is {age} old: the clone is shallow"));
                let error =
                    error.advise("Fetch all of it: `git fetch --unshallow`, or `fetch-depth: 0` in CI.");
                failures.add(context.ui, &error.in_file(file));
            }
        }
        any
    }
}

/// The repository of a file, whatever links lead to it.
fn root(path: &Path) -> Option<(PathBuf, PathBuf)> {
    let real = os::real_path(path).ok()?;
    Some((path.to_path_buf(), root_of(real.parent()?)?.to_path_buf()))
}

fn ask(root: &Path, files: &[&Found], context: &Context) -> Result<HashMap<Mark, Since>> {
    let git = Git::needed(context.host, root)?;
    let wanted: HashSet<Mark> = files.iter().flat_map(|found| found.values.marks()).copied().collect();
    let paths = files.iter().filter_map(|found| found.path.as_deref());
    ages::first_seen(&git, &wanted, &paths.map(ages::extension).collect())
}

/// An age in days: `90d`, `12w`, `1y`.
pub fn parse(text: &str) -> Result<i64, String> {
    let units = [("d", 1), ("w", 7), ("y", 365)];
    let found = units.iter().find_map(|(unit, days)| {
        let number: u16 = text.strip_suffix(unit)?.parse().ok()?;
        Some(i64::from(number) * days)
    });
    found.ok_or_else(|| "an age is a number of days, weeks or years, such as 90d, 12w or 1y".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_age_is_in_days() {
        assert_eq!(["90d", "2w", "1y"].map(parse), [Ok(90), Ok(14), Ok(365)]);
        for wrong in ["90", "d", "-1d", "1.5d", "90 d", "99999999d"] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
        let now = Timestamp::from_second(100 * DAY).unwrap();
        let age = |days, at_least| {
            let time = Timestamp::from_second(days * DAY + 1).unwrap();
            Age::of(Some(Since { time, at_least }), now).to_string()
        };
        assert_eq!([age(90, false), age(98, true), age(200, false)], ["9 days", "at least 1 day", "0 days"]);
        assert_eq!(Age::of(None, now).to_string(), "not committed");
    }
}
