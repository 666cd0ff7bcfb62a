//! The encrypted files of the current repository that may be copies of one another.

mod around;
mod earlier;
mod holding;
mod left_behind;
mod on_disk;
mod past;
mod placed;
mod submodules;
mod trail;
mod worktrees;

use std::collections::{BTreeMap, BTreeSet};
use std::iter;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use rayon::prelude::*;

use crate::cli::args::{Destination, Inputs};
use crate::cli::context::Context;
use crate::cli::merging;
use crate::config::{Configs, Lookup, Policy, absolute};
use crate::document::{Format, MAX_BINARY};
use crate::encrypted_file::{EncryptedFile, format_in, meant};
use crate::error::{Error, Kind, Result};
use crate::foreign::git_crypt;
use crate::keys::{KeySet, MasterKey};
use crate::os;
use crate::policy;
use crate::repo;
use crate::repo::before::{self, Before};
use crate::repo::copies::{
    Copies, Foreign, Held, Named, Prints, Refused, Wrapped, alone, are_of_one_key, held, is_for_same, readers,
};
use crate::repo::git::blobs::Blobs;
use crate::repo::git::merge::Versions;
use crate::repo::git::tree::{Entry, ObjectId, Tree};
use crate::repo::git::{Git, NoGit, attributes, changes, lfs};
use crate::sealed_secret::SealedFile;
use crate::secret::{DataKey, SecretBytes};
use crate::shown::typed;
use crate::sops::Trial;
use around::{Around, Below, Place};
pub(super) use earlier::{ToEncrypt, encrypt_allowed, refuse_earlier};
use holding::{Holding, parsed};
use on_disk::{Rules, add_files};
use past::{Asked, PastRule, PastScope, Sought, Version};
use submodules::{Chosen, ChosenRule, Extent};
use trail::Key;
pub(super) use worktrees::Found as FoundRepositories;

/// Which versions out of the history count: a file may have been elsewhere before.
enum Past {
    /// Those at places whose readers a creation rule names today. Where none does, the file's own list is older than
    /// anybody added since.
    Ruled,
    /// The same, as far as Git can tell: nobody gets access yet.
    RuledIfKnown,
    /// All versions of this file, which Git is merging.
    All(PathBuf),
}

/// The files of the repositories in which some files are, read when they are first asked for.
pub(super) struct Neighbours<'a> {
    context: &'a Context<'a>,
    configs: Configs,
    /// Those where a rebase or the like began: a place is for those alone whom both name.
    began: Vec<Configs>,
    around: Around,
    /// Files that do not count as neighbours, though they exist.
    left_out: Vec<PathBuf>,
    /// A repository that Git does not open.
    unopened: OnceLock<PathBuf>,
    /// All of the history counts, whoever may read a place today.
    is_whole: bool,
    past: Past,
    /// Who may have what has left its place, by the word of the person who merges it.
    allowed: &'a [MasterKey],
    /// Files that we are asked about, and that may not be on the disk.
    asked: Vec<Asked>,
    /// Files whose earlier versions count as well: what Git has at their places may be of other places.
    with_versions: Vec<PathBuf>,
    versions: OnceLock<trail::Versions>,
    near: OnceLock<Near>,
    /// With all of the history, for readers whom no rule names.
    whole: OnceLock<Copies>,
}

/// What counts for the readers that rules name.
struct Near {
    copies: Copies,
    /// All rules name these readers alone: what was elsewhere was for them too, so it matters to others only.
    one: Option<KeySet>,
}

impl<'a> Neighbours<'a> {
    /// Those of these files.
    pub fn of<'p>(context: &'a Context<'a>, files: impl IntoIterator<Item = &'p Path>) -> Result<Self> {
        let files: Vec<&Path> = files.into_iter().collect();
        let configs = context.configs()?;
        left_behind::refuse(context, &configs, files.iter().copied())?;
        let around = Around::files(context, files)?;
        let began = match context.is_sops() {
            true => Vec::new(),
            false => merging::beginnings(context, &(&around.roots | &around.tops))?,
        };
        Ok(Self {
            context,
            configs,
            began,
            past: Past::Ruled,
            allowed: &[],
            asked: Vec::new(),
            with_versions: Vec::new(),
            versions: OnceLock::new(),
            around,
            left_out: Vec::new(),
            unopened: OnceLock::new(),
            is_whole: false,
            near: OnceLock::new(),
            whole: OnceLock::new(),
        })
    }

    /// Those of encrypted files, with what the index and commits had in their places: a file that has a new data key, and
    /// is in no commit yet, moves along when a branch moves it.
    pub fn with_versions<'p>(
        context: &'a Context<'a>,
        files: impl IntoIterator<Item = &'p Path> + Clone,
    ) -> Result<Self> {
        let with_versions = files.clone().into_iter().map(Path::to_path_buf).collect();
        Ok(Self { with_versions, ..Self::of(context, files)? })
    }

    /// Also looks for the content of these files, wherever they are, before anything is read.
    pub fn ask_about<'f>(&mut self, path: &Path, files: impl IntoIterator<Item = &'f EncryptedFile>) {
        files.into_iter().for_each(|file| self.ask_about_prints(path, Prints::of(&held(file, None))));
    }

    fn ask_about_prints(&mut self, path: &Path, prints: Prints) {
        self.asked.push(Asked { path: real(path), brought: prints.clone(), prints });
    }

    /// The same of a merge, which brings what two sides have and their base has not.
    fn ask_about_merge(&mut self, path: &Path, base: Option<&EncryptedFile>, sides: &[&EncryptedFile]) {
        let base = base.map(|base| Prints::of(&held(base, None))).unwrap_or_default();
        for side in sides {
            let prints = Prints::of(&held(side, None));
            self.asked.push(Asked { path: real(path), brought: prints.without(&base), prints });
        }
        self.asked.push(Asked { path: real(path), brought: Prints::default(), prints: base });
    }

    /// Like [`Neighbours::refuse`], for what another program encrypted and that will become ours.
    pub fn refuse_foreign(&self, path: &Path, foreign: &Foreign, keys: &KeySet) -> Result<()> {
        self.refuse_held(path, |rule| foreign.held(rule), keys)?;
        self.refuse_versions_but(path, keys, Vec::new)
    }

    /// The same, whoever encrypted it.
    fn refuse_holding(&self, path: &Path, holding: &Holding, keys: &KeySet) -> Result<()> {
        self.refuse_held(path, |rule| holding.held(rule).unwrap_or_default(), keys)
    }

    fn refuse_held(
        &self,
        path: &Path,
        held: impl FnOnce(Option<&KeySet>) -> Vec<(usize, Held)>,
        keys: &KeySet,
    ) -> Result<()> {
        let (copies, rule) = (self.for_readers(keys)?, rule_of(path, &self.configs));
        let keys = sent_on(keys, rule.as_ref());
        copies
            .refuse(&real(path), &held(rule.as_ref()), &keys)
            .map_err(|refused| self.told(path, refused, part_them))?;
        self.refuse_unopened()
    }

    /// Nobody gets access where Git did not say who could read before.
    fn refuse_unopened(&self) -> Result<()> {
        let Some(root) = self.unopened.get() else { return Ok(()) };
        match Git::find(self.context.host, root) {
            Ok(_) => Ok(()),
            Err(error) => Err(unasked(root, error.into_error())),
        }
    }

    /// Reads the files, in parallel: before other work in parallel asks for them.
    pub fn load(&self) -> Result<&Copies> {
        self.near().map(|near| &near.copies)
    }

    fn near(&self) -> Result<&Near> {
        if let Some(near) = self.near.get() {
            return Ok(near);
        }
        let near = self.read(self.is_whole)?;
        Ok(self.near.get_or_init(|| near))
    }

    /// What counts where these are to read something.
    fn for_readers(&self, keys: &KeySet) -> Result<&Copies> {
        let near = self.near()?;
        if !near.one.as_ref().is_some_and(|one| repo::copies::lets_others_in(keys, one)) {
            return Ok(&near.copies);
        }
        if let Some(whole) = self.whole.get() {
            return Ok(whole);
        }
        let whole = self.read(true)?.copies;
        Ok(self.whole.get_or_init(|| whole))
    }

    fn read(&self, is_whole: bool) -> Result<Near> {
        let mut copies = Copies::default();
        copies.allow(self.allowed);
        let below = self.around.below(self.context)?;
        let chosen = Chosen::read(&self.around, &below, Extent::History, self.context)?;
        let files = &below.files;
        let is_one_of = |began: &Configs, one: &KeySet| {
            one_readership(files, began).is_some_and(|then| is_for_same(&then, one))
        };
        let one = one_readership(files, &self.configs).filter(|one| {
            !is_whole && chosen.names_only(one) && self.began.iter().all(|began| is_one_of(began, one))
        });
        if !self.context.is_sops() {
            let versions =
                trail::Versions::read(self.context, &self.with_versions, &self.asked, one.is_some());
            match (versions, &self.past) {
                (Err(error), Past::RuledIfKnown) => self.context.ui.warning_of(&error),
                (versions, _) => _ = self.versions.set(versions?),
            }
        }
        let rules = Rules { configs: &self.configs, began: &self.began, chosen: &chosen };
        let files = files.iter().filter(|file| !self.left_out.contains(file));
        add_files(files, &below.elsewhere, &mut copies, &rules, self.context)?;
        match (self.add_of_git(&mut copies, &below.nested, &chosen, one.is_some()), &self.past) {
            (Err(error), Past::RuledIfKnown) => self.context.ui.warning_of(&error),
            (added, _) => added?,
        }
        Ok(Near { copies, one })
    }

    /// Adds what is in Git but not in the working tree.
    fn add_of_git(
        &self,
        copies: &mut Copies,
        nested: &BTreeSet<PathBuf>,
        chosen: &Chosen<'_>,
        is_one: bool,
    ) -> Result<()> {
        let roots = &self.around.roots | nested;
        for configs in iter::once(&self.configs).chain(&self.began) {
            add_absent(&(&self.around.tops | &roots), copies, configs, &|_| !is_one, self.context)?;
        }
        if self.context.is_sops() {
            return Ok(());
        }
        if !is_one {
            chosen.add_kept(copies, &self.configs, |_, _| true)?;
        }
        self.add_past(copies, roots, chosen, is_one)
    }

    fn add_past(
        &self,
        copies: &mut Copies,
        mut roots: BTreeSet<PathBuf>,
        chosen: &Chosen<'_>,
        is_one: bool,
    ) -> Result<()> {
        let configs: Vec<&Configs> = iter::once(&self.configs).chain(&self.began).collect();
        // What was in the place of a file is asked about as well.
        let versions = self.with_versions.iter().flat_map(|path| {
            let versions = self.versions.get().map(|versions| versions.of(path)).unwrap_or_default();
            let path = real(path);
            let here = versions.iter().filter(|version| version.was_at(&path));
            here.map(|version| (path.clone(), version.holding.prints())).collect::<Vec<_>>()
        });
        let versions = versions.map(|(path, prints)| Asked { path, prints, brought: Prints::default() });
        let asked: Vec<Asked> = self.asked.iter().cloned().chain(versions).collect();
        let wanted = match &self.past {
            Past::Ruled => PastScope::Ruled,
            Past::RuledIfKnown => PastScope::RuledIfKnown,
            Past::All(_) => PastScope::All,
        };
        let sought = Sought { wanted, asked: &asked, before: &[], also: &|_| Vec::new() };
        if let Past::All(file) = &self.past {
            match Git::of_file(self.context.host, file) {
                Ok((git, _)) => {
                    past::add(copies, &git, &configs, &sought, is_one, self.context)?;
                    roots.remove(git.top());
                }
                Err(_) if is_one => return Ok(()),
                Err(error) => return Err(error),
            }
        }
        for root in roots {
            let git = match Git::find(self.context.host, &root).map_err(NoGit::into_error) {
                Ok(Some(git)) => git,
                // A repository that Git does not open may still have a history. What we know counts first.
                Err(error) if !is_one && wanted == PastScope::RuledIfKnown => {
                    return Err(unasked(&root, error));
                }
                Err(_) if !is_one => {
                    let _ = self.unopened.set(root);
                    continue;
                }
                Ok(None) | Err(_) => continue,
            };
            // Its own files are its own business.
            let is_asked = self.around.roots.contains(&root);
            let also = |path: &Path| {
                let rules = chosen.rules_of(path).into_iter();
                rules.filter(|rule| !is_asked || rule.outside.is_none()).map(|rule| rule.keys).collect()
            };
            past::add(copies, &git, &configs, &Sought { also: &also, ..sought }, is_one, self.context)?;
        }
        Ok(())
    }

    /// The neighbours of files that are about to be written in plaintext in place; `None` if there are none. Encrypting
    /// them there again would make them readable for the place's readers, and leave no trace of another place.
    pub fn of_plaintext(
        context: &'a Context<'a>,
        inputs: &Inputs,
        destination: &Destination,
    ) -> Result<Option<Self>> {
        if *destination != Destination::InPlace || context.is_sops() {
            return Ok(None);
        }
        let paths = inputs.inputs.iter().filter_map(|input| input.path.as_deref());
        let paths: Vec<&Path> = paths.collect();
        let neighbours = Self { past: Past::RuledIfKnown, ..Self::with_versions(context, paths)? };
        neighbours.load()?;
        Ok(Some(neighbours))
    }

    /// Refuses to write a file's plaintext in place if the place has more readers than a file elsewhere that shares its
    /// data key or a value: that would give them access. If no rule names the place's readers, whoever encrypts it
    /// does.
    pub fn refuse_plaintext(&self, path: &Path, file: &EncryptedFile, key: Option<&DataKey>) -> Result<()> {
        let Some(keys) = self.readers(path, file) else { return Ok(()) };
        self.refuse(path, file, &keys)?;
        key.map_or(Ok(()), |key| self.refuse_key(path, key, &keys))
    }

    /// Who reads a file in its place by the rules for it; `None` where they say nothing of that.
    pub fn readers(&self, path: &Path, file: &EncryptedFile) -> Option<KeySet> {
        Some(readers(file, &rule_of(path, &self.configs)?))
    }

    /// Refuses to wrap a data key for `keys` if a file elsewhere that shares it, or a value, is not for all of them.
    /// Called as sops, we refuse nothing.
    pub fn refuse(&self, path: &Path, file: &EncryptedFile, keys: &KeySet) -> Result<()> {
        if self.context.is_sops() {
            return Ok(());
        }
        self.refuse_held(path, |rule| held(file, rule), keys)?;
        self.refuse_versions(path, file, keys)
    }

    /// An error with what to do: in a merge, whoever may have what is merged is let in by name.
    fn told(&self, path: &Path, refused: Refused, otherwise: fn(&Path) -> String) -> Error {
        let advice = match (&self.past, &refused.strangers[..]) {
            (Past::All(_), [_, ..]) => {
                let allowed = self.allowed.iter().map(MasterKey::to_string);
                let_them_in(path, &allowed.chain(refused.strangers).collect::<Vec<_>>())
            }
            _ => otherwise(path),
        };
        refused.error.advise(advice).in_file(path)
    }

    /// The same for what was in the place of this file earlier, unless its data keys were made for the readers there.
    fn refuse_versions(&self, path: &Path, file: &EncryptedFile, keys: &KeySet) -> Result<()> {
        let sought = || Wrapped::all_of(file).into_iter().map(Key::Wrapped).collect();
        self.refuse_versions_but(path, keys, sought)
    }

    /// The same, unless these data keys were; what has none has nothing to show for it.
    fn refuse_versions_but<'k>(
        &self,
        path: &Path,
        keys: &KeySet,
        sought: impl FnOnce() -> Vec<Key<'k>>,
    ) -> Result<()> {
        let copies = self.for_readers(keys)?;
        let versions = self.versions.get().map(|versions| versions.of(path)).unwrap_or_default();
        // What `publish` sends was not sent by whoever encrypted it.
        let rule = rule_of(path, &self.configs).filter(|rule| !rule.is_only_sent()).as_ref().map(alone);
        let refused = versions.iter().find_map(|version| {
            let held = version.holding.held(rule.as_ref())?;
            copies.refuse_earlier(&real(path), &held, &alone(keys)).err()
        });
        let Some((refused, trails)) = refused.zip(self.versions.get()) else { return Ok(()) };
        let sought = sought();
        match !sought.is_empty() && trails.are_made_for_their_places(self.context, path, &sought)? {
            true => Ok(()),
            false => Err(self.told(path, refused, part_versions)),
        }
    }

    /// The same for a document whose data key is open: a file elsewhere may have the same key, wrapped in another way.
    pub fn refuse_key(&self, path: &Path, data_key: &DataKey, keys: &KeySet) -> Result<()> {
        if self.context.is_sops() {
            return Ok(());
        }
        let (copies, rule) = (self.for_readers(keys)?, rule_of(path, &self.configs));
        copies
            .refuse_key(&real(path), data_key, rule.as_ref(), &sent_on(keys, rule.as_ref()))
            .map_err(|refused| self.told(path, refused, part_them))?;
        let trial = Trial::of(data_key);
        self.refuse_versions_but(path, keys, || vec![Key::Opened(&trial)])
    }

    /// Refuses a version whose content was in no commit: nobody can tell who could read it where it comes from.
    fn refuse_unknown(&self, path: &Path, version: &EncryptedFile, opened: &[&DataKey]) -> Result<()> {
        if self.context.is_sops() {
            return Ok(());
        }
        let (copies, rule) = (self.load()?, rule_of(path, &self.configs));
        if copies.knows(&held(version, rule.as_ref()), opened) {
            return Ok(());
        }
        let message = "what is merged into this file is in no commit that a branch, tag or reflog reaches, so it is \
                       unknown who could read it there";
        let advice = "Keep its commit, `git branch NAME COMMIT`, and merge again.";
        Err(Error::new(Kind::Conflict, message).advise(advice).in_file(path))
    }
}

/// These readers, with all to whom `publish` gives what is in their place.
fn sent_on(keys: &KeySet, rule: Option<&KeySet>) -> KeySet {
    KeySet { sent_to: rule.and_then(|rule| rule.sent_to.clone()), ..keys.clone() }
}

fn let_them_in(path: &Path, strangers: &[String]) -> String {
    let flag = |key: &String| format!("--allow-recipient {} ", typed(key.as_ref()));
    let flags: String = strangers.iter().map(flag).collect();
    format!("To let them in, if they may read all that is merged: `sealant resolve {flags}{}`.", typed(path))
}

fn part_versions(path: &Path) -> String {
    format!(
        "The version of this file that Git has came from there, and this one may have as well. If the readers of this \
         path may read it: `sealant rotate -i --allow-copied {}`",
        typed(path)
    )
}

fn part_them(path: &Path) -> String {
    format!(
        "Readers of one of the two could also read the other. If you mean to copy it, give the copy its own data \
         key: `sealant rotate -i --allow-copied {}`. Otherwise remove what was copied.",
        typed(path)
    )
}

/// Versions of one file that are brought together.
pub(super) struct Merging<'m> {
    pub path: &'m Path,
    pub format: Format,
    pub versions: Versions<Option<&'m SecretBytes>>,
    /// Those of them that are on the disk.
    pub files: &'m [&'m Path],
    /// Whom a person lets in by name.
    pub allowed: &'m [MasterKey],
}

/// The same for such versions. `opened` are their data keys.
pub(super) fn refuse_versions(
    context: &Context,
    &Merging { path, format, ref versions, files, allowed }: &Merging<'_>,
    keys: &KeySet,
    opened: &[&DataKey],
) -> Result<()> {
    let mut neighbours = Neighbours { allowed, ..Neighbours::with_versions(context, [path])? };
    neighbours.left_out = files.iter().map(|file| real(file)).collect();
    neighbours.past = Past::All(path.to_path_buf());
    let parse = |version: Option<&SecretBytes>| {
        let version = version.filter(|version| meant(format_in(format, version), version).is_some());
        version.map(|bytes| EncryptedFile::parse(format_in(format, bytes), bytes.clone())).transpose()
    };
    let [base, ours, theirs] = [versions.base.flatten(), versions.ours, versions.theirs].map(parse);
    let (base, ours, theirs) = (base?, ours?, theirs?);
    let sides: Vec<&EncryptedFile> = [&ours, &theirs].into_iter().flatten().collect();
    neighbours.ask_about_merge(path, base.as_ref(), &sides);
    let is_known =
        |theirs: &EncryptedFile| ours.as_ref().is_some_and(|ours| are_of_one_key(ours, theirs, opened));
    // It may come from a place that we have not looked at, even if everything here is for the same people.
    let is_new = theirs.as_ref().is_some_and(|theirs| !is_known(theirs));
    neighbours.is_whole = is_new;
    for version in [&base, &ours, &theirs].into_iter().flatten() {
        neighbours.refuse(path, version, keys)?;
    }
    opened.iter().try_for_each(|data_key| neighbours.refuse_key(path, data_key, keys))?;
    match theirs.filter(|_| is_new) {
        Some(theirs) => neighbours.refuse_unknown(path, &theirs, opened),
        None => Ok(()),
    }
}

/// Refuses to seal for these readers what a file has already: it may have come from a place that is not for all of them.
pub(super) fn refuse_readers(context: &Context, path: &Path, file: &SealedFile, keys: &KeySet) -> Result<()> {
    let document = &file.document;
    let bytes = SecretBytes::new(document.source().as_bytes().to_vec());
    refuse_file(context, path, &EncryptedFile::parse(document.format(), bytes)?, keys)
}

/// The same for what is about to be in a file.
pub(super) fn refuse_file(context: &Context, path: &Path, file: &EncryptedFile, keys: &KeySet) -> Result<()> {
    let mut neighbours = Neighbours::with_versions(context, [path])?;
    neighbours.ask_about(path, [file]);
    neighbours.refuse(path, file, keys)
}

/// What is around files that were looked at.
pub(super) struct Beside<'a> {
    around: Around,
    below: Below,
    chosen: Chosen<'a>,
    configs: &'a Configs,
    context: &'a Context<'a>,
}

impl<'a> Beside<'a> {
    pub fn of(copies: &Copies, configs: &'a Configs, context: &'a Context<'a>) -> Result<Self> {
        let around = Around::looked_at(copies, context)?;
        let below = around.below(context)?;
        let chosen = Chosen::read(&around, &below, Extent::Commits, context)?;
        Ok(Self { chosen, below, around, configs, context })
    }

    /// Adds the encrypted files of the working tree that the current folder is in; outside of one, those of the folder itself.
    pub fn add_all(&self, copies: &mut Copies) -> Result<()> {
        self.add(self.below.files.iter(), copies)
    }

    /// The same of what a sparse checkout leaves out alone, and what is or was chosen of submodules: the rest was looked at.
    pub fn add_left_out(&self, copies: &mut Copies) -> Result<()> {
        let is_more = |file: &&PathBuf| {
            self.chosen.has(file) || file.ancestors().any(|above| self.below.elsewhere.contains_key(above))
        };
        self.add(self.below.files.iter().filter(is_more), copies)
    }

    fn add<'f>(&self, files: impl Iterator<Item = &'f PathBuf>, copies: &mut Copies) -> Result<()> {
        let rules = Rules { configs: self.configs, began: &[], chosen: &self.chosen };
        add_files(files, &self.below.elsewhere, copies, &rules, self.context)?;
        add_absent_beside(&self.around, copies, self.configs, self.context)
    }

    /// Adds content that was once at a place whose readers a rule names, and is in a file that we looked at, where more may
    /// read. `befores` is what was before a change. Reads only what is not as the index has it, at places that fewer may
    /// read than one of those files.
    pub fn add_past(&self, copies: &mut Copies, befores: &[Before]) -> Result<()> {
        let Self { around, below, chosen, configs, context } = self;
        let all: Vec<&Configs> = iter::once(*configs).chain(before::configs(befores)).collect();
        let one = one_readership(&below.files, configs).filter(|one| chosen.names_only(one));
        let is_one = all.len() == 1 && one.is_some();
        if !is_one {
            chosen.add_kept(copies, configs, |copies, held| copies.share(held))?;
        }
        for root in &around.roots {
            let git = match Git::of(context.host, root) {
                Ok(git) => git,
                Err(_) if is_one => continue,
                Err(error) => {
                    context.ui.warning_of(&unasked(root, error));
                    continue;
                }
            };
            let befores: Vec<&Before> = befores.iter().filter(|before| before.top == git.top()).collect();
            for Before { tree, configs, .. } in &befores {
                add_states_before(copies, tree, git.top(), configs, &mut Blobs::open(&git)?)?;
            }
            let before: Vec<ObjectId> = befores.iter().map(|before| before.id.clone()).collect();
            let is_of_chosen = |rule: ChosenRule| rule.outside.is_none().then_some(rule.keys);
            let also = |path: &Path| chosen.rules_of(path).into_iter().filter_map(is_of_chosen).collect();
            let sought = Sought { wanted: PastScope::Shared, asked: &[], before: &before, also: &also };
            past::add(copies, &git, &all, &sought, is_one, context)?;
        }
        Ok(())
    }
}

/// Adds what files that were looked at held in a commit before a change. `top` is what their paths begin with, as Git does not.
fn add_states_before(
    copies: &mut Copies,
    tree: &Tree,
    top: &Path,
    configs: &Configs,
    blobs: &mut Blobs,
) -> Result<()> {
    let names: BTreeSet<PathBuf> = copies
        .paths_looked_at()
        .filter_map(|path| path.strip_prefix(top).ok())
        .map(Path::to_path_buf)
        .collect();
    let file = |name: &PathBuf| match tree.get(name) {
        Some(Entry::File(id)) => Some((top.join(name), id)),
        _ => None,
    };
    let (paths, ids): (Vec<PathBuf>, Vec<&ObjectId>) = names.iter().filter_map(file).unzip();
    let hold = |at: usize, bytes: &_| held_in_git(&paths[at], bytes, configs);
    // Content that cannot be read counts as not having been there.
    for (at, held) in held_of(blobs, &ids, |_| false, hold, |_, _| None)? {
        copies.add_state_before(paths[at].clone(), held);
    }
    Ok(())
}

/// As [`Beside::add_past`], of what one commit has and a change takes away or replaces: paths are those of Git.
pub(super) fn add_replaced(
    copies: &mut Copies,
    tree: &Tree,
    changed: &[PathBuf],
    configs: &[&Configs],
    blobs: &mut Blobs,
) -> Result<()> {
    for before in configs.iter().skip(1) {
        add_states_before(copies, tree, Path::new(""), before, blobs)?;
    }
    let version = |path: &PathBuf| match tree.get(path) {
        Some(Entry::File(id)) => {
            let mut rules = PastRule::of(configs, path);
            rules.retain(|rule| rule.keys.is_some());
            let shown = format!("{} of the commit before", path.display()).into();
            Some(Version { id: id.clone(), path: path.clone(), shown, rules })
        }
        _ => None,
    };
    let versions = changed.iter().filter_map(version).filter(|version| !version.rules.is_empty()).collect();
    let Some(today) = configs.first() else { return Ok(()) };
    for found in past::held_versions(blobs, versions, today, |held| copies.share(held))? {
        found.add_to(copies);
    }
    Ok(())
}

/// The readers that all rules name, if every place has a rule, and `publish` gives nothing to others: then no file was ever in
/// a place with other readers. `files` are all that are there, configs among them.
fn one_readership(files: &[PathBuf], configs: &Configs) -> Option<KeySet> {
    let folders: BTreeSet<&Path> = files.iter().filter_map(|file| file.parent()).collect();
    let of_folder = |folder: &&Path| configs.config_for(&folder.join("file")).ok().flatten();
    let found: Option<Vec<_>> = folders.iter().map(of_folder).collect();
    let found = found?;
    if found.iter().any(|config| policy::sends_on(config)) {
        return None;
    }
    let found: BTreeMap<_, _> = found.iter().map(|config| (config.path(), config)).collect();
    let mut all: Vec<KeySet> = Vec::new();
    for config in found.values() {
        let policies = config.policies();
        let is_for_all =
            |policy: &Result<Policy>| policy.as_ref().is_ok_and(|policy| policy.rule.path_regex.is_none());
        if !policies.last().is_some_and(is_for_all) {
            return None;
        }
        let keys = policies.into_iter().map(|policy| policy::key_set(&policy.ok()?).ok().flatten());
        all.extend(keys.collect::<Option<Vec<_>>>()?);
    }
    all.windows(2).all(|two| is_for_same(&two[0], &two[1])).then(|| all.pop()).flatten()
}

/// A file, and what it holds, each with the line that it begins on.
type NamedHeld = (Named, Vec<(usize, Held)>);

/// Adds the encrypted files that are not in the working tree: a sparse checkout leaves them out, or git-crypt has them there in
/// plaintext. Without Git there are none. What Git has and does not show may be the original of a copy, so it is an error.
fn add_absent(
    tops: &BTreeSet<PathBuf>,
    copies: &mut Copies,
    configs: &Configs,
    matters: &(dyn Fn(&KeySet) -> bool + Sync),
    context: &Context,
) -> Result<()> {
    for top in tops {
        for (file, held) in absent(top, configs, matters, context)? {
            copies.add(file, held);
        }
    }
    Ok(())
}

/// The same for files that were looked at: only what fewer people may read than one of these matters.
fn add_absent_beside(
    around: &Around,
    copies: &mut Copies,
    configs: &Configs,
    context: &Context,
) -> Result<()> {
    // A nested repository leaves out its own files.
    let roots = &around.tops | &around.roots;
    let audiences = copies.audiences();
    let matters = |keys: &KeySet| audiences.reach_others_than(keys);
    let absent = roots.iter().map(|top| absent(top, configs, &matters, context));
    let found = absent.collect::<Result<Vec<_>>>()?;
    found.into_iter().flatten().for_each(|(file, held)| copies.add(file, held));
    Ok(())
}

fn absent(
    top: &Path,
    configs: &Configs,
    matters: &(dyn Fn(&KeySet) -> bool + Sync),
    context: &Context,
) -> Result<Vec<NamedHeld>> {
    let Ok(git) = Git::of(context.host, top) else { return Ok(Vec::new()) };
    let mut names = changes::not_checked_out(&git)?;
    let is_unlocked = git.path_of(["rev-parse", "--git-path", git_crypt::FOLDER])?.is_dir();
    if names.is_empty() && !is_unlocked {
        return Ok(Vec::new());
    }
    let tree = Tree::of_index(&git)?;
    if is_unlocked {
        let all: Vec<&Path> = tree.iter().map(|(name, _)| name.as_path()).collect();
        let said = attributes::said(&git, &["filter"], &all)?;
        let said: BTreeSet<PathBuf> =
            said.into_iter().filter(|said| git_crypt::is_filter(&said.value)).map(|said| said.file).collect();
        names.extend(said);
    }
    let file = |name: PathBuf| match tree.get(&name) {
        Some(Entry::File(id)) => Some((git.top().join(&name), id.clone())),
        _ => None,
    };
    let files: Vec<(PathBuf, ObjectId)> = names.into_iter().filter_map(file).collect();
    let held = held_in_blobs(&git, &mut Blobs::open(&git)?, &files, configs, matters)?.into_iter();
    let named = |at: usize| {
        let path: &PathBuf = &files[at].0;
        Named { path: path.clone(), shown: path.strip_prefix(git.top()).unwrap_or(path).to_path_buf() }
    };
    Ok(held.map(|(at, held)| (named(at), held)).collect())
}

/// The place of a file among others, and what it holds, each with the line that it begins on.
type HeldAt = (usize, Vec<(usize, Held)>);

/// What files hold whose content is in Git, each with its number. Where Git does not give all, as in a partial clone, those
/// alone are read of which it matters who may read them by their rules; and if Git does not give one of these, that is an
/// error: then nobody can tell what is a copy of it.
pub(super) fn held_in_blobs(
    git: &Git,
    blobs: &mut Blobs,
    files: &[(PathBuf, ObjectId)],
    configs: &Configs,
    matters: &(dyn Fn(&KeySet) -> bool + Sync),
) -> Result<Vec<HeldAt>> {
    let mut read = |wanted: &[usize]| {
        let ids: Vec<&ObjectId> = wanted.iter().map(|&at| &files[at].1).collect();
        let hold = |at: usize, bytes: &_| held_in_git(&files[wanted[at]].0, bytes, configs);
        let counts = |at: usize| is_for_secrets(&files[wanted[at]].0, configs);
        let found = held_of(blobs, &ids, counts, hold, |_, error| Some(Err(error)));
        if found.is_err() {
            *blobs = Blobs::open(git)?;
        }
        Ok(found?.into_iter().map(|(at, held)| (wanted[at], held)).collect())
    };
    let all: Vec<usize> = (0..files.len()).collect();
    read(&all).or_else(|_: Error| {
        let is_wanted = |at: &usize| past_rule_of(&files[*at].0, configs).is_some_and(|keys| matters(&keys));
        read(&all.iter().copied().filter(is_wanted).collect::<Vec<_>>())
    })
}

/// Whether a file here may be secret: what is kept elsewhere then counts though nobody can read it. Git LFS keeps pictures and the like
/// everywhere, which only a rule for all files matches.
fn is_for_secrets(path: &Path, configs: &Configs) -> bool {
    Format::of_path(path) != Format::Binary || is_named(path, configs)
}

/// Whether a rule names files here by their paths.
fn is_named(path: &Path, configs: &Configs) -> bool {
    let rule = configs.rules_of_other_state(path).ok().and_then(|(policy, _)| policy);
    rule.is_some_and(|policy| policy.rule.path_regex.is_some())
}

/// What contents hold, each with its place in `ids`. Of one that Git does not give, or Git LFS, as far as it `counts`, it is what
/// `unread` says.
fn held_of<T: Send>(
    blobs: &mut Blobs,
    ids: &[&ObjectId],
    counts: impl Fn(usize) -> bool + Sync,
    held: impl Fn(usize, &SecretBytes) -> Option<T> + Sync,
    unread: impl Fn(usize, Error) -> Option<Result<T>> + Sync,
) -> Result<Vec<(usize, T)>> {
    let limit = MAX_BINARY as u64;
    let objects = blobs.lfs_objects().to_path_buf();
    let hold = |(at, read): (usize, Result<Option<((), SecretBytes)>>)| {
        let held = match read {
            Ok(Some(((), bytes))) => match lfs::pointer(&bytes) {
                Some(pointer) => match pointer.content(&objects, limit) {
                    Some(bytes) => held(at, &bytes).map(Ok),
                    None if counts(at) => unread(at, lfs::not_here()),
                    None => None,
                },
                None => held(at, &bytes).map(Ok),
            },
            Ok(None) => None,
            Err(error) => unread(at, error),
        };
        Some(held?.map(|held| (at, held)))
    };
    let top = blobs.top().to_path_buf();
    let read = blobs.each(ids, |_, size| Ok((size <= limit).then_some(((), limit))));
    let found = read.par_bridge().filter_map(hold).collect::<Result<Vec<_>>>();
    let found = found.and_then(|found| blobs.refuse_ended().map(|()| found));
    let mut found = found.map_err(|error| unknown_original(&top, error))?;
    found.sort_by_key(|(at, _)| *at);
    Ok(found)
}

/// If Git does not answer, there is no history.
fn unasked(root: &Path, error: Error) -> Error {
    let message = "files that were moved here from paths with other readers were not looked for, because Git does not answer";
    Error::new(Kind::Read, message).caused_by(error).in_file(root)
}

/// What Git does not give may be what a file was copied from, or was before.
fn unknown_original(top: &Path, error: Error) -> Error {
    let message =
        "parts of this repository or its history cannot be read, so copies of them cannot be recognized";
    let file = error.file().unwrap_or(top).to_path_buf();
    let top = typed(top);
    let advice = format!(
        "In a partial clone, `git -C {top} fetch --refetch --no-filter` fetches what is missing, and `git -C {top} lfs fetch --all` \
         what Git LFS keeps; otherwise `git -C {top} fsck` says what is missing."
    );
    Error::new(Kind::Read, message).caused_by(error).advise(advice).in_file(file)
}

/// The readers that a file's rule names: nobody if the rule cannot be read.
fn rule_of(path: &Path, configs: &Configs) -> Option<KeySet> {
    policy::readers_of_file(configs, path).unwrap_or_else(nobody)
}

/// The same for a place in Git, which no link of the working tree leads to.
fn past_rule_of(path: &Path, configs: &Configs) -> Option<KeySet> {
    policy::readers_of_other_state(configs, path).unwrap_or_else(nobody)
}

/// The same where it would excuse other readers elsewhere: a rule that cannot be read excuses nothing.
fn known_rule_of(path: &Path, configs: &Configs) -> Option<KeySet> {
    policy::readers_of_other_state(configs, path).unwrap_or_default().filter(|keys| !keys.is_only_sent())
}

fn nobody(_: Error) -> Option<KeySet> {
    Some(KeySet::of_groups(Vec::new(), None))
}

/// What a file may have in common with others; `None` for one that is not encrypted, or is broken. `file` is what was read from
/// its bytes before, if it was.
pub(super) fn held_by(
    path: &Path,
    format: Format,
    bytes: &SecretBytes,
    file: Option<EncryptedFile>,
    configs: &Configs,
) -> Option<Vec<(usize, Held)>> {
    let file = file.or_else(|| parsed(format, bytes))?;
    Some(held(&file, rule_of(path, configs).as_ref()))
}

/// The same with what is not ours, for a content in Git. The links of the working tree do not lead to its place.
fn held_in_git(path: &Path, bytes: &SecretBytes, configs: &Configs) -> Option<Vec<(usize, Held)>> {
    Holding::of(Format::of_path(path), bytes)?.held(past_rule_of(path, configs).as_ref())
}

/// Where a command looks for configs, by the real names of places: as Git has them.
pub(super) fn real_lookup(context: &Context) -> Result<Lookup> {
    let mut lookup = context.lookup()?;
    lookup.explicit = lookup.explicit.map(|path| real(&absolute(&path, &lookup.working_dir)));
    lookup.working_dir = real(&lookup.working_dir);
    Ok(lookup)
}

/// The file that a path leads to.
pub(super) fn real(path: &Path) -> PathBuf {
    os::real_path(path).unwrap_or_else(|_| path.to_path_buf())
}
