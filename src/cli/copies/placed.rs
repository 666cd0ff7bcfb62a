//! Where our own working trees have the repositories around that are submodules, and where they had them.
//!
//! Owns that only what our branches have at paths says so, now and in their history: which commit is checked out, what is written in
//! `.gitmodules`, and what lies on the disk since somebody looked at another branch, says nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use rayon::prelude::*;

use super::around::{Around, Below};
use super::worktrees::Elsewhere;
use crate::cli::context::Context;
use crate::error::{self, Error, Result};
use crate::repo::git::gitlinks::{self, Gitlinks};
use crate::repo::git::tree::ObjectId;
use crate::repo::git::{Git, is_kept_in, kept_without_tree, repository_of, root_of, sides};

/// A repository that is or was a submodule of ours, or lies where one may be.
pub(super) struct Placed<'c> {
    pub git: Git<'c>,
    /// Its top; of one without a working tree, Git's folder.
    pub top: PathBuf,
    /// It has no working tree.
    pub is_kept: bool,
    pub choice: Choice,
    /// Where ours has it.
    pub places: BTreeSet<PathBuf>,
    /// Where ours had it and has it no more, with its commits there.
    pub former: Former,
}

/// What ours has chosen of a repository.
#[derive(Clone)]
pub(super) enum Choice {
    /// Nothing: it is no submodule.
    Nothing,
    /// These commits: several where a merge has not said which.
    Commits(BTreeSet<ObjectId>),
    /// It is one of another branch, or of another commit.
    Unknown,
    /// It was at more places than anybody looks at.
    TooMany,
}

/// Places that ours has no more.
#[derive(Default)]
pub(super) struct Left {
    /// Each with a commit of the repository at whose top the place begins.
    pub before: Vec<(PathBuf, PathBuf, ObjectId)>,
}

/// The most places that one repository may have had, and the most commits whose history is looked at for one: anybody can invent
/// more, and then nothing is known of it.
const MOST_PLACES: usize = 256;
const MOST_COMMITS: usize = 10_000;

/// How deep they may have been in one another: one that was within itself has no end.
const MOST_NESTED: usize = 16;

/// The repositories within our working trees, and those that Git keeps for them; what they left.
pub(super) fn read<'c>(
    around: &Around,
    below: &Below,
    context: &'c Context,
) -> Result<(Vec<Placed<'c>>, Left)> {
    let Below { nested, elsewhere, .. } = below;
    let inner: BTreeSet<&PathBuf> = nested.iter().chain(elsewhere.keys()).collect();
    let mut kept = BTreeSet::new();
    let trees: BTreeSet<&PathBuf> = inner.iter().copied().chain(&around.roots).collect();
    for repository in around.roots.iter().chain(nested).filter_map(|top| repository_of(top)) {
        kept.extend(kept_without_tree(&repository, &trees)?);
    }
    if inner.is_empty() && kept.is_empty() {
        return Ok((Vec::new(), Left::default()));
    }
    let mut reading = Reading::default();
    for root in around.roots.iter().filter(|root| !inner.contains(root)) {
        // What Git does not open is told where its history is wanted.
        let Ok(Some(git)) = Git::find(context.host, root) else { continue };
        reading.nodes.push(Node::of(git, root, Kind::Root));
    }
    let found = inner.par_iter().map(|top| Git::find(context.host, top).ok().flatten());
    let found: Vec<Option<Git<'c>>> = found.collect();
    for (top, git) in inner.into_iter().zip(found) {
        let Some(git) = git else { continue };
        let may_be = reading.may_be(top, elsewhere.get(top));
        let is_elsewhere = elsewhere.contains_key(top);
        reading.nodes.push(Node { may_be, is_elsewhere, ..Node::of(git, top, Kind::Within) });
    }
    for git_dir in kept {
        let git = Git::kept(context.host, &git_dir)?;
        git.run(["rev-parse", "--git-dir"]).map_err(|error| not_opened(&git_dir, error))?;
        reading.nodes.push(Node::of(git, &git_dir, Kind::Kept));
    }
    let ours = around.roots.iter().filter_map(|root| Some((root.clone(), repository_of(root)?)));
    let ours: Vec<(PathBuf, PathBuf)> = ours.collect();
    reading.choose(&ours)?;
    reading.relate()?;
    let left = reading.left()?;
    Ok((reading.placed(), left))
}

fn not_opened(git_dir: &Path, error: Error) -> Error {
    let message = "Git keeps the repository of a submodule here, and does not open it";
    let advice = "If somebody else has all that is in it, move this folder away: `git submodule update --init` makes it again.";
    Error::new(error::Kind::Read, message).caused_by(error).advise(advice).in_file(git_dir)
}

/// What a repository is to us.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Root,
    Within,
    Kept,
}

/// A path in one of the repositories.
type At = (usize, PathBuf);

struct Node<'c> {
    git: Git<'c>,
    top: PathBuf,
    kind: Kind,
    is_elsewhere: bool,
    /// Where it may be by its place on the disk.
    may_be: Vec<At>,
    /// Where it is.
    is_at: BTreeSet<At>,
    /// Where it is or was, with its commits there.
    was_at: BTreeMap<At, BTreeSet<ObjectId>>,
    choice: Choice,
    /// The submodules that ours has chosen in it.
    today: Gitlinks,
    /// How many of the links it was asked about.
    asked: usize,
    /// Its commits whose history was looked at.
    known: BTreeSet<ObjectId>,
    /// There are more of them than are looked at, or more places.
    has_too_many: bool,
}

impl<'c> Node<'c> {
    fn of(git: Git<'c>, top: &Path, kind: Kind) -> Self {
        Self {
            git,
            top: top.to_path_buf(),
            kind,
            is_elsewhere: false,
            may_be: Vec::new(),
            is_at: BTreeSet::new(),
            was_at: BTreeMap::new(),
            choice: Choice::Nothing,
            today: Gitlinks::new(),
            asked: 0,
            known: BTreeSet::new(),
            has_too_many: false,
        }
    }
}

/// The commits that a path ever had.
struct Link {
    at: At,
    /// The repository that ours has there today: what it had was compared there, and is not asked for elsewhere.
    owner: Option<usize>,
    /// Those that it does not have: they are of another one.
    of_others: Vec<ObjectId>,
}

#[derive(Default)]
struct Reading<'c> {
    nodes: Vec<Node<'c>>,
    links: Vec<Link>,
}

impl<'c> Reading<'c> {
    fn number(&self, top: &Path) -> Option<usize> {
        self.nodes.iter().position(|node| node.top == top)
    }

    /// Where a repository may be one of our submodules, by where it lies. Outer ones come first.
    fn may_be(&self, top: &Path, elsewhere: Option<&Elsewhere>) -> Vec<At> {
        let outer = top.parent().and_then(root_of).and_then(|outer| self.number(outer));
        let at = |number: usize, place: &Path| {
            Some((number, place.strip_prefix(&self.nodes[number].top).ok()?.to_path_buf()))
        };
        match (outer, elsewhere) {
            (Some(outer), _) => at(outer, top).into_iter().collect(),
            (None, Some(elsewhere)) => {
                let root = self.number(&elsewhere.root);
                root.iter()
                    .flat_map(|&root| elsewhere.places.iter().filter_map(move |place| at(root, place)))
                    .collect()
            }
            (None, None) => Vec::new(),
        }
    }

    /// Reads what is chosen, from the outside in.
    fn choose(&mut self, ours: &[(PathBuf, PathBuf)]) -> Result<()> {
        for number in 0..self.nodes.len() {
            let node = &self.nodes[number];
            let chosen_at = |at: &&At| self.nodes[at.0].today.contains_key(&at.1);
            let is_at: BTreeSet<At> = node.may_be.iter().filter(chosen_at).cloned().collect();
            let commits: BTreeSet<ObjectId> =
                is_at.iter().flat_map(|at| &self.nodes[at.0].today[&at.1]).cloned().collect();
            let is_unknown = |at: &At| matches!(self.nodes[at.0].choice, Choice::Unknown);
            let is_ours = || {
                node.is_elsewhere
                    || node.may_be.iter().any(is_unknown)
                    || ours
                        .iter()
                        .any(|(top, repository)| *top != node.top && is_kept_in(&node.top, repository))
            };
            let choice = match node.kind {
                Kind::Root | Kind::Kept => Choice::Nothing,
                Kind::Within if !commits.is_empty() => Choice::Commits(commits),
                Kind::Within if is_ours() => Choice::Unknown,
                Kind::Within => Choice::Nothing,
            };
            let (mut today, mut known) = (Gitlinks::new(), BTreeSet::new());
            let heads = match &choice {
                Choice::Nothing if node.kind != Kind::Kept => {
                    today = gitlinks::staged(&node.git)?;
                    sides::here(&node.git)?
                }
                Choice::Commits(commits) => {
                    let here = gitlinks::commits_in(&node.git, commits)?;
                    for commit in &here {
                        for (path, commits) in gitlinks::of_commit(&node.git, commit)? {
                            today.entry(path).or_default().extend(commits);
                        }
                    }
                    known.extend(here.iter().cloned());
                    here.iter().map(|commit| commit.as_str().to_owned()).collect()
                }
                _ => Vec::new(),
            };
            let ever = gitlinks::ever(&node.git, &heads)?;
            let node = &mut self.nodes[number];
            (node.choice, node.is_at, node.today, node.known) = (choice, is_at, today, known);
            self.add_links(number, ever)?;
        }
        Ok(())
    }

    fn add_links(&mut self, number: usize, ever: BTreeMap<PathBuf, Vec<ObjectId>>) -> Result<()> {
        for (path, commits) in ever {
            let at = (number, path);
            let is_owner = |node: &Node| !node.is_elsewhere && node.may_be.contains(&at);
            let is_today = self.nodes[number].today.contains_key(&at.1);
            let owner = self.nodes.iter().position(is_owner).filter(|_| is_today);
            let mut of_others = commits;
            if let Some(owner) = owner {
                let owner = &mut self.nodes[owner];
                let had = gitlinks::commits_in(&owner.git, &of_others)?;
                of_others.retain(|commit| !had.contains(commit));
                if !had.is_empty() {
                    owner.was_at.entry(at.clone()).or_default().extend(had);
                }
            }
            self.links.push(Link { at, owner, of_others });
        }
        Ok(())
    }

    /// Finds where repositories were by the commits that they have, and so what was within them there.
    fn relate(&mut self) -> Result<()> {
        loop {
            let mut has_more = false;
            for number in 0..self.nodes.len() {
                has_more |= self.relate_one(number)?;
            }
            if !has_more {
                break;
            }
        }
        for number in 0..self.nodes.len() {
            let node = &self.nodes[number];
            let is_chosen = matches!(node.choice, Choice::Commits(_));
            if node.kind == Kind::Root || is_chosen {
                continue;
            }
            // Of what is not in our working tree, the commits say where ours has it.
            let mut commits = BTreeSet::new();
            let mut is_at = BTreeSet::new();
            for (at, had) in node.was_at.iter().filter(|_| node.is_elsewhere || node.kind == Kind::Kept) {
                let today = self.nodes[at.0].today.get(&at.1);
                let here: Vec<&ObjectId> =
                    today.into_iter().flatten().filter(|commit| had.contains(*commit)).collect();
                if !here.is_empty() {
                    commits.extend(here.into_iter().cloned());
                    is_at.insert(at.clone());
                }
            }
            let is_left_there = node.may_be.iter().any(|at| node.was_at.contains_key(at));
            let node = &mut self.nodes[number];
            if !commits.is_empty() {
                (node.choice, node.is_at) = (Choice::Commits(commits), is_at);
            } else if is_left_there || (node.kind == Kind::Kept && node.was_at.is_empty()) {
                node.choice = Choice::Unknown;
            }
        }
        Ok(())
    }

    /// Whether there was anything new.
    fn relate_one(&mut self, number: usize) -> Result<bool> {
        let Self { nodes, links } = self;
        let node = &mut nodes[number];
        let new = links.len() > node.asked;
        if node.kind == Kind::Root {
            node.asked = links.len();
            return Ok(new);
        }
        let others: Vec<&Link> =
            links[node.asked..].iter().filter(|link| link.owner != Some(number)).collect();
        let had = gitlinks::commits_in(&node.git, others.iter().flat_map(|link| &link.of_others))?;
        for link in others {
            let here = link.of_others.iter().filter(|commit| had.contains(*commit)).cloned();
            let here: BTreeSet<ObjectId> = here.collect();
            if !here.is_empty() {
                node.was_at.entry(link.at.clone()).or_default().extend(here);
            }
        }
        node.asked = links.len();
        let all: BTreeSet<&ObjectId> = node.was_at.values().flatten().collect();
        let more: Vec<ObjectId> =
            all.into_iter().filter(|commit| !node.known.contains(*commit)).cloned().collect();
        node.known.extend(more.iter().cloned());
        if node.known.len() > MOST_COMMITS {
            node.has_too_many = true;
        }
        let names = if node.has_too_many { &[] } else { &more[..] };
        let names: Vec<String> = names.iter().map(|commit| commit.as_str().to_owned()).collect();
        let mut ever = gitlinks::ever(&node.git, &names)?;
        ever.retain(|path, _| !links.iter().any(|link| link.at.0 == number && link.at.1 == *path));
        self.add_links(number, ever)?;
        Ok(new || !names.is_empty())
    }

    /// What our own working trees had around repositories before these left their places, whatever is there since.
    fn left(&self) -> Result<Left> {
        let mut before = BTreeSet::new();
        for (number, root) in self.nodes.iter().enumerate().filter(|(_, node)| node.kind == Kind::Root) {
            let mut gone: BTreeMap<&Path, Vec<&BTreeSet<ObjectId>>> = BTreeMap::new();
            for node in &self.nodes {
                let were = node.was_at.iter().filter(|(at, _)| at.0 == number && !node.is_at.contains(*at));
                were.for_each(|(at, commits)| gone.entry(&at.1).or_default().push(commits));
            }
            if gone.is_empty() {
                continue;
            }
            let heads = sides::here(&root.git)?;
            // What is only staged has left the last commit.
            for head in heads.iter().filter_map(|head| ObjectId::parse(head.as_bytes())) {
                let there = gitlinks::of_commit(&root.git, &head)?;
                let left = gone.keys().filter(|path| there.contains_key(**path));
                before.extend(left.map(|path| (root.top.join(path), root.top.clone(), head.clone())));
            }
            for change in gitlinks::changes(&root.git, &heads)? {
                let of = gone.get(change.path.as_path()).into_iter().flatten();
                if of
                    .into_iter()
                    .any(|commits| commits.contains(&change.then) && !commits.contains(&change.now))
                {
                    let place = root.top.join(&change.path);
                    before.extend(
                        change.before.into_iter().map(|commit| (place.clone(), root.top.clone(), commit)),
                    );
                }
            }
        }
        Ok(Left { before: before.into_iter().collect() })
    }

    fn placed(self) -> Vec<Placed<'c>> {
        let places = self.places();
        let former = self.former(&places);
        let inner = self.nodes.into_iter().zip(places.into_iter().zip(former));
        let inner = inner.filter(|(node, _)| node.kind != Kind::Root);
        let placed = inner.map(|(node, (places, former))| {
            if node.has_too_many || places.len() + former.len() > MOST_PLACES {
                return Placed::at_too_many(node);
            }
            let Node { git, top, kind, choice, .. } = node;
            Placed { git, top, is_kept: kind == Kind::Kept, choice, places, former }
        });
        placed.collect()
    }

    /// Where repositories are in our working trees: those within others wherever these are.
    fn places(&self) -> Vec<BTreeSet<PathBuf>> {
        let mut places: Vec<BTreeSet<PathBuf>> = vec![BTreeSet::new(); self.nodes.len()];
        // Outer ones come first, but for what is in another working tree, or in none.
        for _ in 0..2 {
            for (number, node) in self.nodes.iter().enumerate() {
                let is_as_it_lies = match (node.kind, &node.choice) {
                    (Kind::Root, _) => true,
                    (Kind::Within, Choice::Nothing | Choice::Unknown) => !node.is_elsewhere,
                    _ => false,
                };
                let joined = node
                    .is_at
                    .iter()
                    .flat_map(|(outer, path)| places[*outer].iter().map(move |place| place.join(path)));
                let found: BTreeSet<PathBuf> = match is_as_it_lies {
                    true => BTreeSet::from([node.top.clone()]),
                    false => joined.take(MOST_PLACES + 1).collect(),
                };
                places[number] = found;
            }
        }
        places
    }

    /// Where they were, with their commits there: those within others wherever these are and were.
    fn former(&self, places: &[BTreeSet<PathBuf>]) -> Vec<Former> {
        let mut former: Vec<Former> = vec![Former::new(); self.nodes.len()];
        for _ in 0..=self.nodes.len().min(MOST_NESTED) {
            let mut has_more = false;
            for (number, node) in self.nodes.iter().enumerate() {
                let before = former[number].len();
                for ((outer, path), commits) in &node.was_at {
                    let all =
                        places[*outer].iter().chain(former[*outer].keys()).map(|place| place.join(path));
                    let all: Vec<PathBuf> = all.filter(|place| !places[number].contains(place)).collect();
                    for place in all {
                        if former[number].len() <= MOST_PLACES {
                            former[number].entry(place).or_default().extend(commits.iter().cloned());
                        }
                    }
                }
                has_more |= former[number].len() > before;
            }
            if !has_more {
                break;
            }
        }
        former
    }
}

/// Places, with the commits of a repository there.
type Former = BTreeMap<PathBuf, BTreeSet<ObjectId>>;

impl<'c> Placed<'c> {
    fn at_too_many(Node { git, top, kind, .. }: Node<'c>) -> Self {
        let (places, former) = (BTreeSet::new(), BTreeMap::new());
        Self { git, top, is_kept: kind == Kind::Kept, choice: Choice::TooMany, places, former }
    }
}
