//! Who can decrypt the result of a merge, and under which data key.
//!
//! Recipients merge like values: those that one side added are added, those that one side removed are removed. But
//! lists in files are not authenticated, and a merge wraps data keys: so nobody gets what they could not read before,
//! unless the creation rule names them or both sides do. Making a data key takes no key either: a side's data key is
//! kept only if the caller vouches for it, and is replaced only by a new one, never by another old one.

use crate::error::{Error, Kind, Result};
use crate::keys::{Content, KeyService, KeySet, MasterKey, Rekey, WrappedDataKey};
use crate::rekey::names;
use crate::repo::git::merge::Versions;
use crate::secret::DataKey;
use crate::shown::typed;

/// How a version is encrypted.
#[derive(Clone, Copy)]
pub struct Locked<'k> {
    pub key: &'k DataKey,
    pub wrapped: &'k WrappedDataKey,
    pub content: &'k dyn Content,
}

impl Locked<'_> {
    /// Its recipients.
    pub fn keys(&self) -> KeySet {
        key_set(self.wrapped)
    }
}

/// The data key of a merged document.
pub struct Chosen {
    pub key: DataKey,
    pub wrapped: WrappedDataKey,
    pub is_new: bool,
}

/// Why no recipients can be merged.
#[derive(Debug)]
pub enum NotChosen {
    /// Both sides changed the same thing, or added a recipient that nobody vouches for.
    Unsettled(Error),
    /// It cannot be wrapped here for one of the recipients; the error names them.
    Unwrappable(Error),
}

impl From<Error> for NotChosen {
    fn from(error: Error) -> Self {
        Self::Unsettled(error)
    }
}

/// Whether these data keys may be wrapped for these recipients: an error if the same content is elsewhere for others.
pub type LetIn<'a> = dyn Fn(&KeySet, &[&DataKey]) -> Result<()> + 'a;

/// The data key of a merged document and how it is wrapped. It is that of the side that changed it, if it `may_stay`.
/// Before anything is wrapped, the caller is asked whether these may be let in.
pub async fn merged(
    service: &KeyService<'_>,
    versions: &Versions<Locked<'_>>,
    rule: Option<&KeySet>,
    may_stay: &dyn Fn(&DataKey) -> Result<bool>,
    let_in: &LetIn<'_>,
) -> Result<Chosen, NotChosen> {
    let keys = merged_keys(versions)?;
    let stays = match holders(versions) {
        Some((key, holders)) if may_stay(key)? => Some((key, holders)),
        _ => None,
    };
    let wrapped = stays.as_ref().map(|(_, holders)| combined(versions, holders, &keys));
    // Existing recipients open the data key as before. If shares change, all may be wrapped again.
    let is_kept = |wrapped: &&WrappedDataKey| {
        wrapped.is_shared_as(&keys) && (keys.groups.len() == 1 || names(wrapped) == keys.groups)
    };
    let kept = wrapped.as_ref().filter(is_kept).map(names).unwrap_or_default();
    if let (Some((key, _)), Some(wrapped)) = (&stays, &wrapped)
        && kept == keys.groups
    {
        return Ok(Chosen { key: (*key).clone(), wrapped: wrapped.clone(), is_new: false });
    }
    refuse_weaker([versions.ours.wrapped, versions.theirs.wrapped], &keys, rule)?;
    let new = keys.groups.iter().enumerate().map(|(index, group)| {
        let is_kept = |key: &&MasterKey| kept.get(index).is_some_and(|kept| kept.contains(key));
        group.iter().filter(|key| !is_kept(key)).cloned().collect()
    });
    refuse_unsettled(&new.collect::<Vec<_>>(), [versions.ours.wrapped, versions.theirs.wrapped], rule)?;
    let versions = [versions.base.as_ref(), Some(&versions.ours), Some(&versions.theirs)];
    let_in(&keys, &versions.into_iter().flatten().map(|version| version.key).collect::<Vec<_>>())?;
    let (Some((key, holders)), Some(wrapped)) = (stays, wrapped) else {
        return new_data_key(service, &keys).await;
    };
    let request = Rekey { data_key: key, content: &Holders(&holders), wrapped: &wrapped, keys: &keys };
    let wrapped = service.rekey_many(&[request]).await.pop();
    let wrapped = wrapped.unwrap_or_else(|| Err(no_answer())).map_err(NotChosen::Unwrappable)?;
    Ok(Chosen { key: key.clone(), wrapped, is_new: false })
}

/// All versions that have one data key.
struct Holders<'h, 'k>(&'h [Locked<'k>]);

impl Content for Holders<'_, '_> {
    fn verify(&self, data_key: &DataKey) -> Result<()> {
        self.0.iter().try_for_each(|holder| holder.content.verify(data_key))
    }
}

/// A new data key for those who are in a file already, once the rule or both sides have named them.
pub async fn renewed(
    service: &KeyService<'_>,
    old: Locked<'_>,
    sides: [&WrappedDataKey; 2],
    rule: Option<&KeySet>,
    let_in: &LetIn<'_>,
) -> Result<Chosen, NotChosen> {
    let keys = old.keys();
    refuse_weaker(sides, &keys, rule)?;
    refuse_unsettled(&keys.groups, sides, rule)?;
    let_in(&keys, &[old.key])?;
    new_data_key(service, &keys).await
}

async fn new_data_key(service: &KeyService<'_>, keys: &KeySet) -> Result<Chosen, NotChosen> {
    let new = service.new_data_keys(&[keys]).await.pop().unwrap_or_else(|| Err(no_answer()));
    let (key, wrapped) = new.map_err(NotChosen::Unwrappable)?;
    Ok(Chosen { key, wrapped, is_new: true })
}

const MATCH_THE_RULE: &str =
    "Make both sides match the creation rule with `sealant updatekeys --rotate FILE`, and merge again.";

/// An error if a group would give a data key to somebody whom neither the rule names nor, without a rule, both sides.
fn refuse_unsettled(
    new: &[Vec<MasterKey>],
    sides: [&WrappedDataKey; 2],
    rule: Option<&KeySet>,
) -> Result<()> {
    let sides = sides.map(names);
    let (mut strangers, mut misplaced) = (Vec::<&MasterKey>::new(), Vec::<&MasterKey>::new());
    for (index, key) in
        new.iter().enumerate().flat_map(|(index, group)| group.iter().map(move |key| (index, key)))
    {
        let is_in = |groups: &[Vec<MasterKey>]| groups.get(index).is_some_and(|group| key.is_among(group));
        let is_settled = match rule.map(|rule| &rule.groups[..]) {
            Some([only]) => key.is_among(only),
            Some(groups) => is_in(groups),
            None => sides.iter().all(|groups| is_in(groups)),
        };
        // To let somebody in is for the groups of the rule that have them.
        let is_elsewhere = rule.is_some_and(|rule| rule.groups.iter().any(|group| key.is_among(group)));
        let found = if is_elsewhere { &mut misplaced } else { &mut strangers };
        if !is_settled && !found.contains(&key) {
            found.push(key);
        }
    }
    match (strangers.is_empty(), misplaced.is_empty()) {
        (true, true) => Ok(()),
        (false, _) => Err(unsettled(&strangers, rule.is_some())),
        (true, false) => {
            Err(wrapped_for(&misplaced, "whom its creation rule has in another key group")
                .advise(MATCH_THE_RULE))
        }
    }
}

/// If new shares are made, the file takes as many keys to open as the rule says, or as on both sides.
fn refuse_weaker(sides: [&WrappedDataKey; 2], keys: &KeySet, rule: Option<&KeySet>) -> Result<()> {
    let sides = sides.map(|side| (side.groups.len(), side.required()));
    let merged = (keys.groups.len(), keys.required());
    let is_settled = match rule {
        Some(rule) => rule.groups.len() < 2 || (merged.0 == rule.groups.len() && merged.1 >= rule.required()),
        None => sides.iter().all(|side| *side == merged),
    };
    if is_settled {
        return Ok(());
    }
    let message = format!("decrypting the file would need keys from {} of {} groups", merged.1, merged.0);
    Err(Error::new(Kind::Conflict, format!("{message}, and no rule says that this is enough"))
        .advise(MATCH_THE_RULE))
}

fn no_answer() -> Error {
    Error::new(Kind::NoDataKey, "the key service gave no answer")
}

fn unsettled(strangers: &[&MasterKey], by_rule: bool) -> Error {
    let why = match by_rule {
        true => "whom its creation rule did not name before this merge",
        false => "and no creation rule says whether it should be",
    };
    let flag = |key: &&MasterKey| format!("--allow-recipient {}", typed(key.to_string().as_ref()));
    let flags: Vec<String> = strangers.iter().map(flag).collect();
    let advice = format!(
        "They may have added themselves to the file. To let them in: `sealant resolve {} FILE`. Otherwise make both \
         sides match the rule, and merge again: `sealant updatekeys --rotate FILE`",
        flags.join(" ")
    );
    wrapped_for(strangers, why).advise(advice)
}

fn wrapped_for(keys: &[&MasterKey], why: &str) -> Error {
    let message = "the data key would have to be wrapped for";
    match keys {
        [one] => Error::new(Kind::Conflict, format!("{message} {one}, {why}")),
        several => Error::new(Kind::Conflict, format!("{message} these, {why}:"))
            .listing(several.iter().map(|key| format!("  {key}"))),
    }
}

/// Whether one of the sides has a data key that is that of the merge, if it may stay.
pub fn gives_key(versions: &Versions<Locked<'_>>) -> bool {
    holders(versions).is_some()
}

/// The data key, and the versions that have it: the side that changed it gives it. `None` when both did.
fn holders<'k>(versions: &Versions<Locked<'k>>) -> Option<(&'k DataKey, Vec<Locked<'k>>)> {
    let Versions { base, ours, theirs } = *versions;
    if ours.key == theirs.key {
        return Some((ours.key, vec![ours, theirs]));
    }
    match base?.key {
        base if base == theirs.key => Some((ours.key, vec![ours])),
        base if base == ours.key => Some((theirs.key, vec![theirs])),
        _ => None,
    }
}

/// What the versions with the data key have wrapped; as much of it as possible is kept.
fn combined(versions: &Versions<Locked<'_>>, holders: &[Locked<'_>], keys: &KeySet) -> WrappedDataKey {
    let is_whole = |locked: &&Locked<'_>| names(locked.wrapped) == keys.groups;
    let [first, others @ ..] = holders else {
        return WrappedDataKey { groups: vec![Vec::new(); keys.groups.len()], threshold: 0 };
    };
    if keys.groups.len() > 1 {
        // Shares of two splits do not fit together.
        let is_old = |locked: &Locked<'_>| versions.base.is_some_and(|base| base.wrapped == locked.wrapped);
        let mut whole: Vec<_> = holders.iter().filter(is_whole).collect();
        whole.sort_by_key(|locked| is_old(locked));
        return whole.first().unwrap_or(&first).wrapped.clone();
    }
    let mut wrapped = first.wrapped.clone();
    for (index, group) in others.iter().flat_map(|other| other.wrapped.groups.iter().enumerate()) {
        let Some(known) = wrapped.groups.get_mut(index) else { continue };
        for entry in group {
            let is_of_base = |entry: &_| {
                let base = versions.base.and_then(|base| base.wrapped.groups.get(index));
                base.is_some_and(|base| base.contains(entry))
            };
            match known.iter_mut().find(|known| known.key == entry.key) {
                Some(ours) if is_of_base(ours) => *ours = entry.clone(),
                Some(_) => {}
                None => known.push(entry.clone()),
            }
        }
    }
    wrapped
}

/// Who a data key is wrapped for.
fn key_set(wrapped: &WrappedDataKey) -> KeySet {
    let threshold = (wrapped.groups.len() > 1).then(|| wrapped.required());
    KeySet::of_groups(names(wrapped), threshold)
}

/// Recipients and threshold by a merge of three.
pub fn merged_keys(versions: &Versions<Locked<'_>>) -> Result<KeySet> {
    let [ours, theirs] = [versions.ours, versions.theirs].map(|side| side.keys());
    let base = versions.base.map(|base| base.keys());
    let differ = || {
        Error::new(Kind::Conflict, "both sides changed the key groups").advise(
            "Make both sides match the creation rule with `sealant updatekeys FILE`, and merge again.",
        )
    };
    if ours == theirs || base.as_ref() == Some(&theirs) {
        return Ok(ours);
    }
    if base.as_ref() == Some(&ours) {
        return Ok(theirs);
    }
    let count = ours.groups.len();
    let same_count =
        theirs.groups.len() == count && base.as_ref().is_none_or(|base| base.groups.len() == count);
    let threshold = match base.as_ref().map(|base| base.threshold) {
        _ if ours.threshold == theirs.threshold => ours.threshold,
        Some(base) if base == theirs.threshold => ours.threshold,
        Some(base) if base == ours.threshold => theirs.threshold,
        _ => return Err(differ()),
    };
    if !same_count {
        return Err(differ());
    }
    let nobody = Vec::new();
    let merge = |index: usize| {
        let base = base.as_ref().map_or(&nobody, |base| &base.groups[index]);
        let (ours, theirs) = (&ours.groups[index], &theirs.groups[index]);
        let stays = |key: &&MasterKey| !base.contains(key) || theirs.contains(key);
        let comes = |key: &&MasterKey| !base.contains(key) && !ours.contains(key);
        ours.iter().filter(stays).chain(theirs.iter().filter(comes)).cloned().collect::<Vec<_>>()
    };
    let groups: Vec<_> = (0..count).map(merge).collect();
    if groups.iter().any(Vec::is_empty) {
        return Err(Error::new(Kind::Conflict, "nobody would be left who can decrypt the file")
            .advise("Add a recipient on one side, run `sealant updatekeys FILE`, and merge again."));
    }
    Ok(KeySet::of_groups(groups, threshold))
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use pollster::block_on;

    use super::*;
    use crate::host::Closed;
    use crate::keys::{Identities, NewIdentity, WrappedKey, generate_identity};

    struct People(Vec<NewIdentity>);

    /// Stands for files of which nothing was changed.
    struct Nothing;

    impl Content for Nothing {
        fn verify(&self, _: &DataKey) -> Result<()> {
            Ok(())
        }
    }

    impl People {
        fn key(&self, name: char) -> MasterKey {
            let index = usize::from(name as u8 - b'a');
            MasterKey::Age(self.0[index].recipient.clone())
        }

        /// Groups stand as `ab|c`.
        fn set(&self, names: &str) -> KeySet {
            let group = |names: &str| names.chars().map(|name| self.key(name)).collect();
            KeySet::of_groups(names.split('|').map(group).collect(), None)
        }

        fn names(&self, wrapped: &WrappedDataKey) -> String {
            let name = |key: &WrappedKey| ('a'..='d').find(|name| self.key(*name) == key.key).unwrap();
            let groups = wrapped.groups.iter().map(|group| group.iter().map(name).collect::<String>());
            groups.collect::<Vec<_>>().join("|")
        }
    }

    /// Each version is who can open it, and after a digit which of two data keys it has.
    fn merge(
        base: &str,
        ours: &str,
        theirs: &str,
        rule: Option<&str>,
    ) -> std::result::Result<(String, usize), String> {
        merge_if(true, base, ours, theirs, rule)
    }

    fn merge_if(
        may_stay: bool,
        base: &str,
        ours: &str,
        theirs: &str,
        rule: Option<&str>,
    ) -> std::result::Result<(String, usize), String> {
        let people = People((0..4).map(|_| generate_identity(false, Timestamp::UNIX_EPOCH)).collect());
        let service = KeyService::new(&Closed, Identities::none());
        let keys = [DataKey::generate(), DataKey::generate(), DataKey::generate()];
        let wrap = |version: &str| {
            let (names, key) = version.split_at(version.len() - 1);
            let (set, key) = (people.set(names), key.parse::<usize>().unwrap());
            let nobody = WrappedDataKey { groups: Vec::new(), threshold: 0 };
            let request = Rekey { data_key: &keys[key], content: &Nothing, wrapped: &nobody, keys: &set };
            (block_on(service.rekey_many(&[request])).pop().unwrap().unwrap(), key)
        };
        let base = (!base.is_empty()).then(|| wrap(base));
        let (ours, theirs) = (wrap(ours), wrap(theirs));
        fn locked<'k>((wrapped, key): &'k (WrappedDataKey, usize), keys: &'k [DataKey]) -> Locked<'k> {
            Locked { key: &keys[*key], wrapped, content: &Nothing }
        }
        let versions = Versions {
            base: base.as_ref().map(|base| locked(base, &keys)),
            ours: locked(&ours, &keys),
            theirs: locked(&theirs, &keys),
        };
        let rule = rule.map(|rule| people.set(rule));
        let merged = block_on(merged(&service, &versions, rule.as_ref(), &|_| Ok(may_stay), &|_, _| Ok(())));
        let Chosen { key, wrapped, is_new } = merged.map_err(|failure| match failure {
            NotChosen::Unsettled(error) | NotChosen::Unwrappable(error) => error.message().to_owned(),
        })?;
        assert_eq!(is_new, !keys.contains(&key));
        for entry in wrapped.groups.iter().flatten() {
            let is_old =
                [&ours.0, &theirs.0].iter().any(|side| side.groups.iter().flatten().any(|old| old == entry));
            let is_new_key = !keys.contains(&key);
            assert!(is_old || is_new_key || rule.is_some(), "wrapped though nobody said so");
        }
        Ok((people.names(&wrapped), keys.iter().position(|known| *known == key).unwrap_or(9)))
    }

    #[test]
    fn recipients_come_and_go() {
        let ok = |names: &str, key| Ok((names.to_owned(), key));
        assert_eq!(merge("ab0", "ab0", "ab0", None), ok("ab", 0));
        assert_eq!(merge("ab0", "abc0", "a0", None), ok("ac", 0));
        assert_eq!(merge("ab0", "abc0", "abd0", None), ok("abcd", 0));
        // One side has a new data key, and gives it.
        assert_eq!(merge("ab0", "a1", "ab0", None), ok("a", 1));
        assert_eq!(merge("ab0", "ab0", "a1", None), ok("a", 1));
        assert_eq!(merge("ab0", "ab1", "abc0", Some("abc")), ok("abc", 1));
        assert_eq!(merge("ab0", "a1", "abc0", Some("abc")), ok("ac", 1));
        // Both have one: there is a third.
        assert_eq!(merge("ab0", "ab1", "ab2", None), ok("ab", 9));
        assert_eq!(merge("ab0", "a1", "ab2", Some("abc")), ok("a", 9));
        assert_eq!(merge("", "ab1", "ab2", Some("ab")), ok("ab", 9));
        assert_eq!(merge("", "ab1", "ab1", None), ok("ab", 1));
        assert_eq!(merge("a|b0", "a|bc0", "a|b0", None), ok("a|bc", 0));
    }

    #[test]
    fn a_data_key_that_may_not_stay_makes_room_for_a_new_one() {
        let ok = |names: &str| Ok((names.to_owned(), 9));
        for (ours, theirs) in [("ab1", "ab0"), ("ab0", "ab1")] {
            assert_eq!(merge_if(false, "ab0", ours, theirs, None), ok("ab"));
            assert_eq!(merge_if(false, "ab0", ours, theirs, Some("abc")), ok("ab"));
        }
        assert_eq!(merge_if(false, "ab0", "a1", "ab0", None), ok("a"));
        assert_eq!(merge_if(false, "a|b0", "a|b1", "a|b0", None), ok("a|b"));
        // Of a new data key everybody has to be named, whoever had the old one.
        let refused = |rule| merge_if(false, "ab0", "abd1", "ab0", rule).unwrap_err();
        assert!(refused(None).contains("no creation rule says"));
        assert!(refused(Some("ab")).contains("did not name before this merge"));
    }

    #[test]
    fn nobody_comes_in_by_a_merge() {
        let refused = |base, ours, theirs, rule: Option<&str>| {
            assert!(
                merge(base, ours, theirs, rule).unwrap_err().starts_with("the data key would have to be")
            );
        };
        // A stranger has added themselves to a file whose data key changes on the other side.
        refused("ab0", "ab1", "abd0", None);
        refused("ab0", "ab1", "abd0", Some("ab"));
        refused("ab0", "abd1", "ab2", Some("ab"));
        refused("ab0", "abd1", "ab2", None);
        refused("", "ab1", "ad2", None);
        let weaker = |base, ours, theirs, rule: Option<&str>| {
            let message = merge(base, ours, theirs, rule).unwrap_err();
            assert!(
                message.starts_with("decrypting the file would need keys from 1 of 1 groups"),
                "{message}"
            );
        };
        weaker("a|b0", "a|b1", "a0", Some("a|b"));
        weaker("a|b0", "a|b1", "a0", None);
        weaker("a|b0", "a|b1", "ab0", None);
        assert!(merge("ab0", "a0", "b0", None).unwrap_err().starts_with("nobody would be left"));
        assert!(
            merge("ab0", "a|b0", "abc0", None).unwrap_err().starts_with("both sides changed the key groups")
        );
    }
}
