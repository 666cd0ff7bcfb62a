//! What the holder of one master key could ever read, as far as the history of a repository tells.
//!
//! Whoever could open one version of a file may have kept its data key, and with it reads whatever is encrypted under
//! it, before and after, whether they are still among the recipients or not. Two versions have the same data key when they
//! share a ciphertext or a wrapped data key; a change that leaves neither counts as a new one, unless both are opened.
//! Without a key, nobody can tell a new value from an old one that was encrypted again: so everything is listed,
//! and what is known of it is said.

mod classes;
mod compare;
mod look;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde::{Serialize, Serializer};

use crate::config::Selection;
use crate::document::Format;
use crate::error::{Error, Kind, Result};
use crate::keys::MasterKey;
use crate::repo::git::Git;
use crate::repo::git::history::{self, Blob, Commit, Content, History, Scope};
use crate::repo::git::tree::{Entry, Tree};
use crate::repo::values::{Mark, Values};
use crate::repo::who_can_decrypt::Share;
use classes::{Classes, Interned};
use compare::Compared;
pub use compare::Open;
use look::{Look, clear_values, look};

/// What became of a value since.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Fate {
    /// What could be read is what HEAD has.
    Live,
    /// HEAD has another ciphertext there: of a new value, or of the same one, encrypted again.
    ReEncrypted,
    /// HEAD has no such value.
    Gone,
    /// HEAD has another value there, as somebody with a key can tell.
    Changed,
}

/// How a value could be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Way {
    /// It was in plaintext: everybody could, who has the repository.
    InClear,
    /// As a recipient.
    Recipient(Share),
    /// With the data key of another version, in which they were a recipient.
    KeptDataKey(Share),
}

impl std::fmt::Display for Way {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::InClear => f.write_str("in plaintext, by anybody"),
            Self::Recipient(share) => share.fmt(f),
            Self::KeptDataKey(share) => write!(f, "{share}, by a kept data key"),
        }
    }
}

impl Serialize for Way {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// A value that could be read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Exposed {
    /// From the top of the repository.
    #[serde(serialize_with = "as_text")]
    pub file: PathBuf,
    /// Where it is in the file.
    pub value: String,
    pub state: Fate,
    pub way: Way,
    /// How many ciphertexts of it could be read; for values in plaintext, in how many versions.
    pub versions: usize,
    /// By which commit the newest version of it came that could be read, and when.
    pub commit: String,
    pub time: Timestamp,
}

fn as_text<S: Serializer>(path: &Path, serializer: S) -> std::result::Result<S::Ok, S::Error> {
    serializer.collect_str(&path.display())
}

/// What was found, the most urgent first, and versions that nobody could look into.
#[derive(Debug, Default)]
pub struct Found {
    pub exposed: Vec<Exposed>,
    pub unread: Vec<Error>,
    /// Some version is encrypted for whom was asked about.
    pub is_known: bool,
    /// Versions that were to be compared, and could not be opened.
    pub closed: usize,
    pub commits: usize,
    pub is_shallow: bool,
}

/// Looks for what the master key of which `is_it` says so could ever read. With `since`, what it could no longer read
/// then in the newest state of any branch is left out. With `open`, values are compared where that can be done.
pub fn find(
    git: &Git<'_>,
    scope: &Scope,
    since: Option<Timestamp>,
    is_it: impl Fn(&MasterKey) -> bool + Sync,
    open: Option<&mut Open<'_>>,
) -> Result<Found> {
    let history = History::read(git, scope, |_| true)?;
    for path in &scope.paths {
        if !History::knows(git, scope, path)? {
            let error = Error::new(Kind::NoFile, "there is no such path in the history that is searched");
            return Err(error
                .in_file(path)
                .advise("Check the spelling: use the path from when it was committed."));
        }
    }
    let mut search = Search::new(&history, git, since)?;
    search.versions(git, &is_it)?;
    search.in_clear(git)?;
    if let Some(open) = open {
        search.compare(git, open)?;
    }
    Ok(search.finish())
}

/// A value: its file and its path in there, by their numbers.
type Place = (usize, usize);

/// All that is known of a ciphertext.
struct Token {
    class: usize,
    /// The newest version that has it, and the newest of those in which they are a recipient.
    newest: usize,
    newest_open: Option<usize>,
    /// Where it is in the newest.
    place: Place,
    first: Timestamp,
    /// Of any version of it, when it was replaced; `None` while some branch has it.
    until: Option<Timestamp>,
}

/// A value that was in plaintext.
struct Clear {
    newest: usize,
    versions: usize,
    in_head: bool,
}

struct Search<'h> {
    history: &'h History,
    since: Option<Timestamp>,
    /// Of each content: the commits by which it came first and last, and the paths under which it did, the newest first.
    first: Vec<usize>,
    last: Vec<usize>,
    paths: Vec<Vec<usize>>,
    /// The contents of HEAD, and their paths.
    head: HashMap<usize, Vec<usize>>,
    at_tips: HashSet<history::ObjectId>,
    classes: Classes,
    tokens: HashMap<Mark, Token>,
    values: Interned,
    /// Which ciphertexts ever were in a place, and which is there in HEAD.
    history_of: HashMap<Place, Vec<Mark>>,
    head_values: HashMap<Place, Mark>,
    /// Somebody asked about a recipient that there is.
    is_known: bool,
    /// How values of files are selected that were encrypted once.
    selections: HashMap<usize, Vec<Option<Selection>>>,
    others: Vec<usize>,
    clear: BTreeMap<Place, Clear>,
    compared: Compared,
    unread: Vec<Error>,
}

impl<'h> Search<'h> {
    fn new(history: &'h History, git: &Git<'_>, since: Option<Timestamp>) -> Result<Self> {
        let (mut paths, mut known) = (vec![Vec::new(); history.blobs.len()], HashSet::new());
        for version in &history.versions {
            if known.insert((version.blob, version.path)) {
                paths[version.blob].push(version.path);
            }
        }
        drop(known);
        let mut head: HashMap<usize, Vec<usize>> = HashMap::new();
        if history.has_head {
            let blobs = history.blobs.iter().enumerate().map(|(at, blob)| (blob, at));
            let blobs: HashMap<_, _> = blobs.collect();
            let names = history.paths.iter().enumerate().map(|(at, path)| (path.as_path(), at));
            let names: HashMap<&Path, usize> = names.collect();
            for (path, id) in files_of(git, "HEAD")? {
                if let (Some(&blob), Some(&path)) =
                    (blobs.get(&Blob { id, format: Format::of_path(&path) }), names.get(path.as_path()))
                {
                    head.entry(blob).or_default().push(path);
                }
            }
        }
        let mut at_tips = HashSet::new();
        if since.is_some() {
            for tip in history::tips(git, history.has_head)? {
                at_tips.extend(files_of(git, &tip)?.into_iter().map(|(_, id)| id));
            }
        }
        Ok(Self {
            history,
            since,
            first: history.first_commits(),
            last: history.last_commits(),
            paths,
            head,
            at_tips,
            classes: Classes::default(),
            tokens: HashMap::new(),
            values: Interned::default(),
            history_of: HashMap::new(),
            head_values: HashMap::new(),
            is_known: false,
            selections: HashMap::new(),
            others: Vec::new(),
            clear: BTreeMap::new(),
            compared: Compared::default(),
            unread: Vec::new(),
        })
    }

    fn commit_of(&self, blob: usize) -> &Commit {
        &self.history.commits[self.last[blob]]
    }

    fn path_of(&self, blob: usize) -> &Path {
        self.paths[blob].first().map_or(Path::new(""), |&path| &self.history.paths[path])
    }

    /// Looks at every content there ever was.
    fn versions(&mut self, git: &Git<'_>, is_it: &(impl Fn(&MasterKey) -> bool + Sync)) -> Result<()> {
        let history = self.history;
        let all: Vec<usize> = (0..history.blobs.len()).collect();
        history.read_blobs(
            git,
            &all,
            |blob, content| look(history.blobs[blob].format, content, is_it),
            |blob, look| match look {
                Look::Other(secrets) => {
                    self.others.push(blob);
                    for path in self.paths[blob].clone() {
                        secrets.iter().for_each(|value| self.note_clear(blob, path, value));
                    }
                }
                Look::Unread(error) => {
                    let commit = self.commit_of(blob);
                    let error = Error::new(
                        error.kind(),
                        format!("{} (as of {})", error.message(), commit.id.short()),
                    );
                    self.unread.push(error.in_file(self.path_of(blob)));
                }
                Look::Encrypted { values, shares, selection, clear } => {
                    self.encrypted(blob, &values, &shares);
                    for path in self.paths[blob].clone() {
                        self.selections.entry(path).or_default().push(selection.clone());
                        clear.iter().for_each(|value| self.note_clear(blob, path, value));
                    }
                }
            },
        )
    }

    fn encrypted(&mut self, blob: usize, values: &Values, shares: &[Option<Share>]) {
        let classes: Vec<usize> = values
            .data_keys
            .iter()
            .zip(shares)
            .map(|(key, share)| {
                self.is_known |= share.is_some();
                let class = self.classes.add(*share);
                key.marks.iter().for_each(|mark| self.classes.join(class, *mark));
                class
            })
            .collect();
        let until = self.until(blob);
        let first = self.history.commits[self.first[blob]].time;
        for value in &values.values {
            let class = classes[value.data_key];
            self.classes.join(class, value.mark);
            let number = self.values.of(&value.path);
            let Some(&path) = self.paths[blob].first() else { continue };
            // The log is newest first: a smaller number is a newer commit.
            let is_newer = |known: usize| self.last[known] > self.last[blob];
            let new = Token { class, newest: blob, newest_open: None, place: (path, number), first, until };
            let token = self.tokens.entry(value.mark).or_insert(new);
            if is_newer(token.newest) {
                (token.newest, token.place) = (blob, (path, number));
            }
            if shares[value.data_key].is_some() && token.newest_open.is_none_or(is_newer) {
                token.newest_open = Some(blob);
            }
            token.first = token.first.min(first);
            token.until = token.until.zip(until).map(|(one, other)| one.max(other));
            for &path in &self.paths[blob] {
                let known = self.history_of.entry((path, number)).or_default();
                if !known.contains(&value.mark) {
                    known.push(value.mark);
                }
            }
            for &path in self.head.get(&blob).into_iter().flatten() {
                self.head_values.insert((path, number), value.mark);
            }
        }
    }

    /// When a content was last replaced; `None` while it is there on some branch.
    fn until(&self, blob: usize) -> Option<Timestamp> {
        let id = &self.history.blobs[blob].id;
        self.history.replaced.get(id).copied().filter(|_| !self.at_tips.contains(id))
    }

    fn is_too_old(&self, until: Option<Timestamp>) -> bool {
        self.since.zip(until).is_some_and(|(since, until)| until < since)
    }

    /// Looks for values that were in plaintext in files that are encrypted in another version.
    fn in_clear(&mut self, git: &Git<'_>) -> Result<()> {
        let history = self.history;
        let is_known = |blob: &usize| self.paths[*blob].iter().any(|path| self.selections.contains_key(path));
        let blobs: Vec<usize> = self.others.iter().copied().filter(is_known).collect();
        let selections = std::mem::take(&mut self.selections);
        let paths = &self.paths;
        let look = |blob: usize, content: Content| {
            let Content::Bytes(bytes) = content else { return Vec::new() };
            let format = history.blobs[blob].format;
            let found = paths[blob].iter().filter_map(|path| Some((*path, selections.get(path)?)));
            found.map(|(path, selections)| (path, clear_values(format, &bytes, selections))).collect()
        };
        let mut found = Vec::new();
        history.read_blobs(git, &blobs, look, |blob, values: Vec<(usize, Vec<String>)>| {
            found.push((blob, values))
        })?;
        for (blob, values) in found {
            for (path, values) in values {
                values.iter().for_each(|value| self.note_clear(blob, path, value));
            }
        }
        Ok(())
    }

    fn note_clear(&mut self, blob: usize, path: usize, value: &str) {
        if self.is_too_old(self.until(blob)) {
            return;
        }
        let in_head = self.head.get(&blob).is_some_and(|paths| paths.contains(&path));
        let place = (path, self.values.of(value));
        let clear = self.clear.entry(place).or_insert(Clear { newest: blob, versions: 0, in_head });
        if self.last[clear.newest] > self.last[blob] {
            clear.newest = blob;
        }
        clear.versions += 1;
        clear.in_head |= in_head;
    }

    /// Where a value went: files are renamed, and values in lists move. It is followed by its ciphertexts.
    fn follow(&self, mut place: Place) -> Place {
        // A chain longer than that has been going in circles.
        for _ in 0..64 {
            let marks = self.history_of.get(&place).into_iter().flatten();
            let newest =
                marks.filter_map(|mark| self.tokens.get(mark)).min_by_key(|token| self.last[token.newest]);
            match newest {
                Some(token) if token.place != place => place = token.place,
                _ => break,
            }
        }
        place
    }

    fn finish(mut self) -> Found {
        let mut rows: BTreeMap<(PathBuf, String, bool), Exposed> = BTreeMap::new();
        let mut in_head: HashMap<Mark, Vec<Place>> = HashMap::new();
        for (place, mark) in &self.head_values {
            in_head.entry(*mark).or_default().push(*place);
        }
        let mut classes = std::mem::take(&mut self.classes);
        for (mark, token) in &self.tokens {
            let Some(share) = classes.share(token.class).filter(|_| !self.is_too_old(token.until)) else {
                continue;
            };
            let way = match token.newest_open {
                Some(_) => Way::Recipient(share),
                None => Way::KeptDataKey(share),
            };
            let blob = token.newest_open.unwrap_or(token.newest);
            match in_head.get(mark) {
                Some(places) => {
                    places.iter().for_each(|&place| self.add(&mut rows, place, Fate::Live, way, 1, blob));
                }
                None => {
                    let place = self.follow(token.place);
                    let same = |head| self.compared.are_same(mark, head);
                    let state = match self.head_values.get(&place).map(same) {
                        Some(Some(true)) => Fate::Live,
                        Some(Some(false)) => Fate::Changed,
                        Some(None) => Fate::ReEncrypted,
                        None => Fate::Gone,
                    };
                    self.add(&mut rows, place, state, way, 1, blob);
                }
            }
        }
        for (&place, clear) in &self.clear {
            let now = self.follow(place);
            let state = match self.head_values.get(&now) {
                _ if clear.in_head => Fate::Live,
                Some(mark) if self.is_first_since(place, clear, mark) => Fate::Live,
                Some(_) => Fate::ReEncrypted,
                None => Fate::Gone,
            };
            let place = if clear.in_head { place } else { now };
            self.add(&mut rows, place, state, Way::InClear, clear.versions, clear.newest);
        }
        let mut exposed: Vec<Exposed> = rows.into_values().collect();
        exposed.sort_by_key(|row| row.state);
        Found {
            exposed,
            unread: self.unread,
            is_known: self.is_known,
            closed: self.compared.closed,
            commits: self.history.commits.len(),
            is_shallow: self.history.is_shallow,
        }
    }

    /// Whether a ciphertext may be of the very value that was in plaintext: nothing newer came since it was encrypted.
    fn is_first_since(&self, place: Place, clear: &Clear, mark: &Mark) -> bool {
        let since = self.commit_of(clear.newest).time;
        let first = |mark: &Mark| self.tokens.get(mark).map(|token| token.first);
        let firsts = self.history_of.get(&place).into_iter().flatten().filter_map(first);
        let encrypted = firsts.filter(|first| *first >= since).min();
        first(mark).zip(encrypted).is_none_or(|(first, encrypted)| first <= encrypted)
    }

    /// One row for each value: its worst state, the easiest way to it, the newest version of it.
    fn add(
        &self,
        rows: &mut BTreeMap<(PathBuf, String, bool), Exposed>,
        place: Place,
        state: Fate,
        way: Way,
        versions: usize,
        blob: usize,
    ) {
        let (file, value) = (self.history.paths[place.0].clone(), self.values.text(place.1).to_owned());
        let Commit { id, time, .. } = self.commit_of(blob);
        let (id, time) = (id.as_str(), *time);
        let key = (file.clone(), value.clone(), way != Way::InClear);
        let new = Exposed { file, value, state, way, versions: 0, commit: id.to_owned(), time };
        let row = rows.entry(key).or_insert(new);
        row.state = row.state.min(state);
        row.way = row.way.min(way);
        row.versions += versions;
        if row.time < time {
            (row.commit, row.time) = (id.to_owned(), time);
        }
    }
}

/// The files of a commit, from the top of the repository; links and submodules are none.
fn files_of(git: &Git<'_>, commit: &str) -> Result<Vec<(PathBuf, history::ObjectId)>> {
    let tree = Tree::of_commit(git, commit)?;
    let file = |(path, entry): (&PathBuf, &Entry)| match entry {
        Entry::File(id) => Some((path.clone(), id.clone())),
        _ => None,
    };
    Ok(tree.iter().filter_map(file).collect())
}
