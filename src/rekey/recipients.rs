//! Who may stay in an encrypted file, and for whom its new data keys are.
//!
//! A file's own list of master keys is not authenticated: whoever can write to a file can write themselves into it. So it
//! is held against the creation rule before anything is encrypted for it.

use super::change::Sharing;
use crate::encrypted_file::KeyedPart;
use crate::error::{Error, Kind, Result};
use crate::keys::{KeySet, MasterKey, WrappedDataKey};
use crate::sealed_secret::{self, Spec};
use crate::shown;

/// What a person asks for when a file gets a new data key.
#[derive(Debug, Clone, Default)]
pub struct Wish {
    /// Go into the first group.
    pub add: Vec<MasterKey>,
    /// Go out of all groups.
    pub remove: Vec<MasterKey>,
    /// Stay, though the creation rule does not name them; as they are written in files.
    pub allow: Vec<String>,
}

impl Wish {
    /// Whether anybody is to come or to go.
    pub fn names_any(&self) -> bool {
        !(self.add.is_empty() && self.remove.is_empty())
    }

    /// Whether this master key of a file is to go.
    pub fn removes(&self, key: &MasterKey) -> bool {
        self.remove.iter().any(|name| key.is_meant_by(name))
    }
}

/// Another key group for a file, or one less.
#[derive(Debug, Clone)]
pub struct Regrouping {
    pub change: GroupsChange,
    /// Of how many groups keys are needed from then on; as the file has it if nobody says.
    pub threshold: Option<usize>,
    /// Recipients that may stay, though the creation rule does not name them.
    pub allow: Vec<String>,
}

/// What becomes of a file's key groups.
#[derive(Debug, Clone)]
pub enum GroupsChange {
    /// A new group of these, behind the others.
    Add(Vec<MasterKey>),
    /// The group with this number, from 0, goes.
    Delete(usize),
}

/// For whom a document's data key is wrapped once its groups are changed. Errors of kind [`Kind::Conflict`] name who is in
/// the file and not in the rule, and what the rule asks for.
pub fn regrouped(current: &WrappedDataKey, rule: Option<&KeySet>, wish: &Regrouping) -> Result<KeySet> {
    let mut groups = names(current);
    if let GroupsChange::Delete(index) = wish.change {
        let count = groups.len();
        if index >= count {
            let message = format!("there is no group {index}: the file has {count}, counted from 0");
            return Err(Error::new(Kind::Conflict, message));
        }
        groups.remove(index);
    }
    if let Some(rule) = rule {
        refuse_strangers(&groups, rule, &wish.allow)?;
    }
    if let GroupsChange::Add(group) = &wish.change {
        groups.push(group.clone());
    }
    refuse_foreign(&groups)?;
    if groups.is_empty() || groups.iter().any(Vec::is_empty) {
        return Err(Error::new(Kind::Conflict, "the group has no keys, so nobody could open it")
            .advise("Name its recipients, with --age for instance."));
    }
    let threshold = threshold_of(&groups, current, wish.threshold)?;
    let keys = KeySet::of_groups(groups, threshold);
    if let Some(rule) = rule {
        refuse_weaker(Sharing { required: keys.required(), groups: keys.groups.len() }, rule)?;
    }
    Ok(keys)
}

/// Of how many of these groups keys are needed: as many as were wished for, else as many as before.
fn threshold_of(
    groups: &[Vec<MasterKey>],
    current: &WrappedDataKey,
    wish: Option<usize>,
) -> Result<Option<usize>> {
    let count = groups.len();
    let (least, wished) = (count.min(2), wish.filter(|threshold| *threshold > 0));
    let before = (current.groups.len() > 1 && current.threshold > 0).then(|| current.required());
    match wished.or(before) {
        Some(threshold) if !(least..=count).contains(&threshold) => {
            let groups = if count == 1 { "1 group" } else { &format!("{count} groups") };
            let message =
                format!("keys from {threshold} groups would be needed, but there would only be {groups}");
            Err(Error::new(Kind::Conflict, message)
                .advise(format!("Say how many are needed: --shamir-secret-sharing-threshold {count}")))
        }
        threshold => Ok(threshold.filter(|_| count > 1)),
    }
}

/// For whom a new data key is made. An error of kind [`Kind::Conflict`] names who is in the file and not in the rule.
pub fn recipients(holder: KeyedPart<'_>, rule: Option<&KeySet>, wish: &Wish) -> Result<KeySet> {
    match holder {
        KeyedPart::Document(current) => of_document(current, rule, wish),
        KeyedPart::Sealed(sealed) => of_sealed(&sealed.spec, rule, wish),
    }
}

/// The recipients in the document, as wished.
fn of_document(current: &WrappedDataKey, rule: Option<&KeySet>, wish: &Wish) -> Result<KeySet> {
    let stays = |key: &MasterKey| !wish.removes(key);
    let mut groups: Vec<Vec<MasterKey>> =
        names(current).into_iter().map(|group| group.into_iter().filter(stays).collect()).collect();
    if let Some(rule) = rule {
        refuse_weaker(Sharing { required: current.required(), groups: current.groups.len() }, rule)?;
        refuse_strangers(&groups, rule, &wish.allow)?;
    }
    refuse_foreign(&groups)?;
    if let Some(first) = groups.first_mut() {
        let new: Vec<_> = wish.add.iter().filter(|key| !first.contains(key)).cloned().collect();
        first.extend(new);
    }
    if let Some(empty) = groups.iter().position(Vec::is_empty) {
        let which =
            if groups.len() > 1 { format!("group {} of the file", empty + 1) } else { "the file".into() };
        return Err(Error::new(Kind::Conflict, format!("nobody would be left who can decrypt {which}"))
            .advise("Add a recipient, with --add-age for instance."));
    }
    let threshold = (groups.len() > 1).then(|| current.required());
    Ok(KeySet::of_groups(groups, threshold))
}

/// Those of the rule, else those who can read all of the SealedSecret, as wished.
fn of_sealed(spec: &Spec, rule: Option<&KeySet>, wish: &Wish) -> Result<KeySet> {
    let stays = |key: &MasterKey| !wish.removes(key);
    let nobody = || {
        Error::new(Kind::Conflict, "no recipients are named, so nobody could decrypt it")
            .advise("Run `sealant init` to make a config, or name recipients with --age.")
    };
    let mut keys = match rule {
        None => sealed_secret::recipients(spec)?.ok_or_else(nobody)?,
        Some(rule) => {
            let mut keys = rule.clone();
            for current in sealed_secret::wrapped_data_keys(spec)? {
                let groups: Vec<Vec<MasterKey>> = names(&current)
                    .into_iter()
                    .map(|group| group.into_iter().filter(stays).collect())
                    .collect();
                refuse_strangers(&groups, rule, &wish.allow)?;
                // Those that are left are named by the rule, or allowed.
                let last = keys.groups.len().saturating_sub(1);
                for (index, key) in groups
                    .into_iter()
                    .enumerate()
                    .flat_map(|(index, group)| group.into_iter().map(move |key| (index.min(last), key)))
                {
                    if let Some(group) = keys.groups.get_mut(index).filter(|group| !group.contains(&key)) {
                        group.push(key);
                    }
                }
            }
            keys
        }
    };
    keys.groups.iter_mut().for_each(|group| group.retain(stays));
    if let Some(first) = keys.groups.first_mut() {
        let new: Vec<_> = wish.add.iter().filter(|key| !first.contains(key)).cloned().collect();
        first.extend(new);
    }
    match keys.groups.is_empty() || keys.groups.iter().any(Vec::is_empty) {
        true => Err(nobody()),
        false => Ok(keys),
    }
}

/// The master keys of a file, each once in its group.
pub fn names(wrapped: &WrappedDataKey) -> Vec<Vec<MasterKey>> {
    let group_names = |group: &Vec<crate::keys::WrappedKey>| {
        let mut names: Vec<MasterKey> = Vec::new();
        for wrapped in group {
            if !names.contains(&wrapped.key) {
                names.push(wrapped.key.clone());
            }
        }
        names
    };
    wrapped.groups.iter().map(group_names).collect()
}

/// Whom all that has a data key is to be wrapped for, before that is known of each file.
#[derive(Debug, Clone)]
pub enum Readers {
    /// For those of the rule.
    OfRule(KeySet),
    /// For those who can open it, and one of the rule: whom else the rule names does not come in.
    With { rule: KeySet, newcomer: MasterKey },
    /// For those who can open it but for one: nobody comes in whom the rule names besides.
    Without { rule: KeySet, leaver: MasterKey },
}

impl Readers {
    /// Those of this data key.
    pub fn of(&self, holder: KeyedPart<'_>) -> Result<KeySet> {
        match self {
            Self::OfRule(rule) => Ok(rule.clone()),
            Self::With { rule, newcomer } => with_newcomer(holder, rule, newcomer),
            Self::Without { rule, leaver } => without_leaver(holder, rule, leaver),
        }
    }

    /// Those of all data keys in a file, which have to be the same; those of the rule if the file has no data key.
    pub fn of_all(&self, holders: &[KeyedPart<'_>], rule: &KeySet) -> Result<KeySet> {
        let mut sets = holders.iter().map(|holder| self.of(*holder)).collect::<Result<Vec<_>>>()?.into_iter();
        let Some(first) = sets.next() else { return Ok(rule.clone()) };
        match sets.all(|other| is_same(&other.groups, &first.groups)) {
            true => Ok(first),
            false => Err(for_different()),
        }
    }
}

fn with_newcomer(holder: KeyedPart<'_>, rule: &KeySet, newcomer: &MasterKey) -> Result<KeySet> {
    if !rule.groups.iter().flatten().any(|key| key == newcomer) {
        let message = format!("its creation rule does not name {newcomer}");
        return Err(Error::new(Kind::Conflict, message).advise(format!(
            "If another branch asks for access, go there first: `git switch BRANCH`. To let it in without one: `sealant \
             recipient add {} --for FILE`",
            shown::typed(newcomer.id().as_ref())
        )));
    }
    let mut groups = groups_as_in(holder, rule)?;
    if groups.len() > 1 {
        // Where the shares that were opened are not what they say, the data key is shared out again: for all who are listed.
        refuse_strangers(&groups, rule, &[])?;
    }
    for (group, of_rule) in groups.iter_mut().zip(&rule.groups) {
        if of_rule.contains(newcomer) && !group.contains(newcomer) {
            group.push(newcomer.clone());
        }
    }
    Ok(KeySet::of_groups(groups, rule.threshold))
}

fn without_leaver(holder: KeyedPart<'_>, rule: &KeySet, leaver: &MasterKey) -> Result<KeySet> {
    let wish = Wish { remove: vec![leaver.clone()], ..Wish::default() };
    let mut keys = recipients(holder, Some(rule), &wish)?;
    let current: Vec<MasterKey> = holder.data_keys()?.iter().flat_map(names).flatten().collect();
    if !current.is_empty() {
        keys.groups.iter_mut().for_each(|group| group.retain(|key| current.contains(key)));
    }
    if keys.groups.iter().any(Vec::is_empty) {
        return Err(Error::new(Kind::Conflict, "nobody would be left who can decrypt it")
            .advise("Add the recipients of the rule first: `sealant updatekeys FILE`"));
    }
    Ok(keys)
}

/// The groups that can open it, if it is shared out as the rule says; those of the rule where nothing is encrypted yet.
fn groups_as_in(holder: KeyedPart<'_>, rule: &KeySet) -> Result<Vec<Vec<MasterKey>>> {
    let mut data_keys = holder.data_keys()?.into_iter();
    let Some(first) = data_keys.next() else { return Ok(rule.groups.clone()) };
    let groups = names(&first);
    if !first.is_shared_as(rule) {
        let message = "its data key is split among groups other than those of its creation rule";
        return Err(Error::new(Kind::Conflict, message).advise(BRING_IN_LINE));
    }
    if !data_keys.all(|other| is_same(&names(&other), &groups)) {
        return Err(for_different());
    }
    Ok(groups)
}

fn for_different() -> Error {
    Error::new(Kind::Conflict, "parts of it are for different recipients").advise(BRING_IN_LINE)
}

const BRING_IN_LINE: &str = "A single recipient cannot be added or removed there. Show all differences: `sealant updatekeys --dry-run FILE`";

/// Whether groups name the same keys, in whatever order.
fn is_same(one: &[Vec<MasterKey>], other: &[Vec<MasterKey>]) -> bool {
    let holds = |one: &[MasterKey], other: &[MasterKey]| one.iter().all(|key| other.contains(key));
    one.len() == other.len()
        && one.iter().zip(other).all(|(one, other)| holds(one, other) && holds(other, one))
}

/// Refuses a file that takes fewer people to open than the rule asks for, be it by its threshold or by who is in which group.
fn refuse_weaker(file: Sharing, rule: &KeySet) -> Result<()> {
    let Sharing { groups, required } = file;
    if rule.groups.len() < 2 || (groups == rule.groups.len() && required >= rule.required()) {
        return Ok(());
    }
    let message = format!(
        "the file takes keys from {required} of {groups} groups to decrypt, and its creation rule asks for {} of {}",
        rule.required(),
        rule.groups.len()
    );
    Err(Error::new(Kind::Conflict, message).advise(
        "Bring the file in line with the rule, under a new data key: `sealant updatekeys --rotate FILE`",
    ))
}

fn refuse_strangers(groups: &[Vec<MasterKey>], rule: &KeySet, allowed: &[String]) -> Result<()> {
    let is_named = |index: usize, key: &MasterKey| match &rule.groups[..] {
        [only] => key.is_among(only),
        several => several.get(index).is_some_and(|group| key.is_among(group)),
    };
    let mut strangers: Vec<&MasterKey> = Vec::new();
    for (index, group) in groups.iter().enumerate() {
        for key in group {
            if !is_named(index, key) && !allowed.contains(&key.to_string()) && !strangers.contains(&key) {
                strangers.push(key);
            }
        }
    }
    if strangers.is_empty() {
        return Ok(());
    }
    let flag = |key: &&MasterKey| format!("--rm-{} {}", key.kind().flag(), shown::typed(key.id().as_ref()));
    let somebody_stays = groups.iter().flatten().any(|key| !strangers.contains(&key));
    let shut_out = match somebody_stays {
        true => format!("rotate -i {}", strangers.iter().map(flag).collect::<Vec<_>>().join(" ")),
        false => "updatekeys --rotate".to_owned(),
    };
    let advice = format!(
        "They may have added themselves to the file. To remove them: `sealant {shut_out} FILE`. To let them decrypt \
         from now on, add them to the rule (in a rebase or the like: to the rule where it began), or pass \
         --allow-recipient R."
    );
    Err(Error::new(Kind::Conflict, "the file names recipients that its creation rule does not name:")
        .listing(strangers.iter().map(|key| format!("  {key}")))
        .advise(advice))
}

fn refuse_foreign(groups: &[Vec<MasterKey>]) -> Result<()> {
    let unsupported = |key: &MasterKey| Some((key.clone(), key.why_unsupported()?));
    let Some((key, why)) = groups.iter().flatten().find_map(unsupported) else {
        return Ok(());
    };
    let flag = key.kind().flag();
    let id = key.id();
    Err(Error::new(
        Kind::Conflict,
        format!("the new data key cannot be wrapped for {key}, which would lose access"),
    )
    .advise(format!("{why}: remove the key with --rm-{flag} '{id}', or rotate the file with sops.")))
}

/// Refuses what [`super::update_keys`] could not do: to wrap for a master key of a kind that Sealant does not support. One that
/// stays where it is, is kept.
pub fn refuse_new_foreign(current: &WrappedDataKey, rule: &KeySet, new_data_key: bool) -> Result<()> {
    let keeps = !new_data_key && current.is_shared_as(rule);
    let before = names(current);
    for (index, group) in rule.groups.iter().enumerate() {
        let stays = |key: &MasterKey| keeps && before.get(index).is_some_and(|old| old.contains(key));
        let unsupported = |key: &MasterKey| Some((key.clone(), key.why_unsupported()?));
        if let Some((key, why)) = group.iter().filter(|key| !stays(key)).find_map(unsupported) {
            return Err(Error::new(
                Kind::Other,
                format!("the data key cannot be wrapped for {key}, which the creation rule names"),
            )
            .advise(format!("{why}: remove the key from the rule, or use sops for this file.")));
        }
    }
    Ok(())
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::keys::{KeyKind, Recipient, WrappedKey};

    fn key(name: &str) -> MasterKey {
        match name.strip_prefix("pgp:") {
            Some(id) => MasterKey::Foreign { kind: KeyKind::Pgp, id: id.to_owned() },
            None => MasterKey::Age(Recipient::as_written(name)),
        }
    }

    /// Groups with bars between them.
    pub(in crate::rekey) fn keys(groups: &str, threshold: Option<usize>) -> KeySet {
        let group = |names: &str| names.split_whitespace().map(key).collect();
        KeySet::of_groups(groups.split('|').map(group).collect(), threshold)
    }

    pub(in crate::rekey) fn file(groups: &str, threshold: usize) -> WrappedDataKey {
        let wrapped = |key| WrappedKey { key, enc: String::new(), entry: serde_json::Map::new() };
        let groups = keys(groups, None).groups.into_iter();
        let groups = groups.map(|group| group.into_iter().map(wrapped).collect()).collect();
        WrappedDataKey { groups, threshold }
    }

    fn wish(add: &str, remove: &str, allow: &[&str]) -> Wish {
        let [add, remove] = [add, remove].map(|names| keys(names, None).groups.concat());
        Wish { add, remove, allow: allow.iter().map(ToString::to_string).collect() }
    }

    fn refused(file: &WrappedDataKey, rule: &KeySet) -> String {
        let error = of_document(file, Some(rule), &Wish::default()).unwrap_err();
        assert_eq!(error.kind(), Kind::Conflict);
        error.to_string()
    }

    #[test]
    fn without_a_rule_those_in_the_file_stay_with_groups_and_threshold() {
        let stay = |file: &WrappedDataKey| of_document(file, None, &Wish::default()).unwrap();
        assert_eq!(stay(&file("a a | b | a", 2)), keys("a | b | a", Some(2)));
        assert_eq!(stay(&file("a", 0)), keys("a", None));
    }

    #[test]
    fn some_come_to_the_first_group_and_some_go_from_all() {
        let found = of_document(&file("a b | b a", 0), None, &wish("c", "a", &[])).unwrap();
        assert_eq!(found, keys("b c | b", Some(2)));
        let error = of_document(&file("a | a", 0), None, &wish("c", "a", &[])).unwrap_err();
        assert_eq!(error.message(), "nobody would be left who can decrypt group 2 of the file");
    }

    #[test]
    fn who_stands_in_the_file_and_not_in_the_rule_is_refused() {
        let (strange, rule) = (file("a c", 0), keys("a b", None));
        assert!(refused(&strange, &rule).ends_with(":\n  c"));
        assert!(of_document(&strange, Some(&rule), &wish("", "", &["c"])).is_ok());
        assert!(of_document(&strange, Some(&rule), &wish("", "c", &[])).is_ok());
        // More groups than the rule asks for take more people, and all of them are named.
        assert!(of_document(&file("a | b", 0), Some(&rule), &Wish::default()).is_ok());
    }

    #[test]
    fn a_file_that_takes_fewer_people_than_the_rule_asks_for_is_refused() {
        // One who is named is in two groups, and could open the file alone.
        assert!(refused(&file("a | b a", 0), &keys("a | b", None)).ends_with(":\n  a"));
        assert!(refused(&file("a b", 0), &keys("a | b", None)).contains("1 of 1 groups"));
        assert!(refused(&file("a | b | c", 2), &keys("a | b | c", None)).contains("2 of 3 groups"));
    }

    fn regroup(file: &WrappedDataKey, rule: Option<&str>, change: GroupsChange, n: usize) -> Result<KeySet> {
        let rule = rule.map(|rule| keys(rule, None));
        regrouped(file, rule.as_ref(), &Regrouping { change, threshold: Some(n), allow: Vec::new() })
    }

    #[test]
    fn groups_come_and_go_and_the_threshold_stays_within_them() {
        let add = |before, rule, new, n| {
            regroup(&before, rule, GroupsChange::Add(keys(new, None).groups.concat()), n)
        };
        let delete = |before, rule, index, n| regroup(&before, rule, GroupsChange::Delete(index), n);
        assert_eq!(add(file("a", 0), None, "b c", 0).unwrap(), keys("a | b c", None));
        assert_eq!(add(file("a | b", 2), None, "c", 0).unwrap(), keys("a | b | c", Some(2)));
        assert_eq!(add(file("a | b", 2), None, "c", 3).unwrap(), keys("a | b | c", Some(3)));
        assert_eq!(delete(file("a | b | c", 2), None, 1, 0).unwrap(), keys("a | c", Some(2)));
        assert_eq!(delete(file("a | b", 2), None, 0, 1).unwrap(), keys("b", None));
        for refused in [
            add(file("a", 0), None, "", 0),
            add(file("a", 0), None, "b", 1),
            add(file("a", 0), None, "b", 3),
            add(file("a", 0), None, "pgp:F", 0),
            delete(file("a | b", 2), None, 0, 0),
            delete(file("a", 0), None, 0, 0),
            delete(file("a | b", 2), None, 2, 1),
        ] {
            assert_eq!(refused.unwrap_err().kind(), Kind::Conflict);
        }
    }

    #[test]
    fn whom_the_rule_does_not_name_gets_no_share_of_regrouped_files() {
        let add = |before, rule: &str| {
            regroup(&before, Some(rule), GroupsChange::Add(keys("new", None).groups.concat()), 0)
        };
        assert!(add(file("a", 0), "a").is_ok());
        assert!(add(file("a x", 0), "a").unwrap_err().to_string().ends_with(":\n  x"));
        assert!(add(file("a | b", 0), "a | b | c").is_ok());
        assert!(add(file("a", 0), "a | b | c").unwrap_err().message().contains("asks for 3 of 3"));
        let delete = |rule| regroup(&file("a | x | b", 2), Some(rule), GroupsChange::Delete(1), 0);
        assert!(delete("a | b").is_ok());
        assert!(delete("a | c").unwrap_err().to_string().ends_with(":\n  b"));
    }

    #[test]
    fn a_foreign_key_is_lost_only_on_demand() {
        let with_pgp = file("a pgp:F", 0);
        let error = of_document(&with_pgp, None, &Wish::default()).unwrap_err();
        assert_eq!(error.kind(), Kind::Conflict);
        assert!(error.advice().unwrap().contains("--rm-pgp 'F'"), "{error}");
        assert!(of_document(&with_pgp, None, &wish("", "pgp:F", &[])).is_ok());
    }

    #[test]
    fn foreign_keys_stay_where_nothing_is_wrapped_again() {
        let allowed =
            |before, rule, new_key| refuse_new_foreign(&file(before, 0), &keys(rule, None), new_key).is_ok();
        assert!(allowed("a pgp:F", "a b pgp:F", false));
        assert!(!allowed("a pgp:F", "a b pgp:F", true));
        assert!(!allowed("a pgp:F", "a | pgp:F", false));
        assert!(allowed("a | pgp:F", "b | pgp:F", false));
        assert!(!allowed("a | pgp:F", "pgp:F | a", false));
    }

    /// A SealedSecret with a data key for each of these groups of master keys.
    fn sealed(data_keys: &[&str]) -> Spec {
        let entry = |name: &MasterKey| serde_json::json!({"recipient": name.id(), "enc": ""});
        let data_key = |names: &&str| {
            let names = keys(names, None).groups.concat();
            serde_json::json!({"id": "", "commitment": "", "age": names.iter().map(entry).collect::<Vec<_>>()})
        };
        let data_keys: Vec<_> = data_keys.iter().map(data_key).collect();
        serde_json::from_value(serde_json::json!({"dataKeys": data_keys, "encryptedData": {}})).unwrap()
    }

    #[test]
    fn a_sealed_secret_is_for_those_of_the_rule_else_for_those_who_can_read_all_of_it() {
        let found = |data_keys: &[&str], rule: Option<&str>, wish: &Wish| {
            let rule = rule.map(|names| keys(names, None));
            of_sealed(&sealed(data_keys), rule.as_ref(), wish).map_err(|error| error.to_string())
        };
        let nothing = Wish::default();
        assert_eq!(found(&["a b", "b c"], None, &nothing), Ok(keys("b", None)));
        assert_eq!(found(&["a"], Some("a b"), &nothing), Ok(keys("a b", None)));
        assert_eq!(found(&[], Some("a | b"), &nothing), Ok(keys("a | b", None)));
        assert_eq!(found(&["a b"], None, &wish("c", "a", &[])), Ok(keys("b c", None)));
        assert!(found(&["a", "a x"], Some("a"), &nothing).unwrap_err().ends_with(":\n  x"));
        assert_eq!(found(&["a", "a x"], Some("a"), &wish("", "", &["x"])), Ok(keys("a x", None)));
        assert_eq!(found(&["a", "a x"], Some("a"), &wish("", "x", &[])), Ok(keys("a", None)));
        for (data_keys, wish) in [(&[][..], &nothing), (&["a"], &wish("", "a", &[]))] {
            let error = found(data_keys, None, wish).unwrap_err();
            assert_eq!(error, "no recipients are named, so nobody could decrypt it");
        }
    }
}
