//! What holds for every SealedSecret: whatever is in it comes back, and what is not changed stays.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use jiff::Timestamp;
use pollster::block_on;
use proptest::collection::{btree_map, vec};
use proptest::prelude::*;
use proptest::sample::subsequence;
use sealant::document::{self, Document, Format};
use sealant::host::Closed;
use sealant::keys::{Identities, KeyService, KeySet, MasterKey, generate_identity};
use sealant::sealed_secret::{
    Binding, Changes, NewDataKey, OpenedKeys, Options, Rewrite, Scope, SealedSecret, Secret, change,
    manifest, merge, objects, read, rewrite, rotate, seal, secrets, unseal, unset,
};
use sealant::secret::SecretBytes;

use super::check;

/// Somebody who can open everything.
struct Owner {
    service: KeyService<'static>,
    keys: KeySet,
}

static OWNER: LazyLock<Owner> = LazyLock::new(|| {
    let identity = generate_identity(false, Timestamp::UNIX_EPOCH);
    let file = SecretBytes::new(identity.file.as_bytes().to_vec());
    let service = KeyService::new(&Closed, Identities::none().with_text("test", file));
    Owner { service, keys: KeySet::any_of(vec![MasterKey::Age(identity.recipient)]) }
});

fn new_key() -> NewDataKey {
    block_on(NewDataKey::make(&OWNER.service, &[&OWNER.keys])).remove(0).expect("a data key")
}

fn opened(sealed: &SealedSecret) -> OpenedKeys {
    block_on(OpenedKeys::open(&OWNER.service, &[&sealed.spec])).remove(0).expect("it opens")
}

fn any_text() -> impl Strategy<Value = String> {
    prop_oneof![
        3 => "[ -~]{0,30}",
        2 => "[ a-z:#'\"|>\n\t-]{0,20}",
        1 => "(yes|on|null|~|1e3|0x1F|2001-01-01|1:30|-|\\?|!x|&a|\\*a|\\{\\}|=|<<)",
        1 => any::<String>(),
    ]
}

fn any_value() -> impl Strategy<Value = SecretBytes> {
    let value = prop_oneof![3 => any_text().prop_map(String::into_bytes), 1 => vec(any::<u8>(), 0..40)];
    value.prop_map(SecretBytes::new)
}

/// A key of a Secret.
fn any_item() -> impl Strategy<Value = String> {
    "([A-Za-z0-9_-][A-Za-z0-9._-]{0,8}|on|null|1\\.5)"
}

fn any_labels() -> impl Strategy<Value = BTreeMap<String, String>> {
    btree_map("[a-z][a-z./-]{0,10}[a-z]", any_text(), 0..3)
}

fn any_secret() -> impl Strategy<Value = Secret> {
    let items = btree_map(any_item(), any_value(), 1..6);
    let rest = (any_labels(), any_labels(), proptest::option::of(any_text()), any::<Option<bool>>());
    (items, rest).prop_map(|(items, (labels, annotations, kind, immutable))| Secret {
        name: "db".to_owned(),
        namespace: Some("shop".to_owned()),
        labels,
        annotations,
        kind,
        immutable,
        items,
    })
}

fn any_scope() -> impl Strategy<Value = Scope> {
    proptest::sample::select(Scope::ALL.to_vec())
}

fn any_format() -> impl Strategy<Value = Format> {
    proptest::sample::select(vec![Format::Yaml, Format::Json])
}

fn parse(format: Format, text: &[u8]) -> Box<dyn Document> {
    document::parse(format, SecretBytes::new(text.to_vec()), false).expect("a document")
}

fn sealed(secret: &Secret, scope: Scope) -> SealedSecret {
    let options = Options { scope: Some(scope), ..Options::default() };
    seal(secret, &options, new_key()).expect("it can be sealed")
}

fn values(sealed: &SealedSecret) -> BTreeMap<String, SecretBytes> {
    let binding = Binding::of(sealed).expect("a place");
    opened(sealed).items(&sealed.spec, &binding).expect("the items open")
}

fn set(sealed: &SealedSecret, item: &str, value: &SecretBytes) -> SealedSecret {
    let changes: Changes = [(item.to_owned(), Some(value.clone()))].into_iter().collect();
    change(sealed, &changes, new_key()).expect("it can be set")
}

#[test]
fn what_is_sealed_and_written_comes_back() {
    check(2, (any_secret(), any_scope(), any_format()), |(secret, scope, format)| {
        let sealed = sealed(&secret, scope);
        let text = manifest(&sealed, format).expect("it can be written");
        let document = parse(format, text.as_bytes());
        let found = read(&*document, objects(&*document)[0]).expect("it can be read");
        prop_assert_eq!(&found, &sealed);
        prop_assert_eq!(unseal(&found, &opened(&found)).expect("it can be unsealed"), secret);
        Ok(())
    });
}

#[test]
fn a_secret_that_is_shown_reads_back() {
    check(4, (any_secret(), any_format()), |(secret, format)| {
        let text = match format {
            Format::Json => secret.to_json().expect("it can be written"),
            _ => secret.to_yaml(),
        };
        prop_assert_eq!(secrets(&*parse(format, text.as_bytes())).expect("it can be read"), vec![secret]);
        Ok(())
    });
}

#[test]
fn an_item_is_set_in_place_and_taken_out_again() {
    let cases = (any_secret(), any_item(), any_value(), any_format());
    check(2, cases, |(mut secret, item, value, format)| {
        secret.items.remove(&item);
        prop_assume!(!secret.items.is_empty());
        let old = sealed(&secret, Scope::Strict);
        let text = manifest(&old, format).expect("it can be written");
        let in_place = |text: &[u8], old: &SealedSecret, new: &SealedSecret| {
            let document = parse(format, text);
            let node = objects(&*document)[0];
            rewrite(&*document, &[Rewrite { node, old, new }]).expect("it can be changed in place")
        };
        let new = set(&old, &item, &value);
        let changed = in_place(text.as_bytes(), &old, &new);
        // A new manifest says the same, byte for byte: files keep one look, however they came about.
        prop_assert_eq!(
            &String::from_utf8_lossy(&changed),
            &manifest(&new, format).expect("it can be written")
        );
        let back = in_place(&changed, &new, &unset(&new, &[&item]).expect("it is there"));
        prop_assert_eq!(String::from_utf8_lossy(&back), text);

        secret.items.insert(item, value);
        prop_assert_eq!(values(&new), secret.items);
        Ok(())
    });
}

#[test]
fn changes_of_different_items_come_together() {
    let cases = (any_secret(), btree_map(any_item(), (any::<bool>(), any::<Option<u8>>()), 0..6));
    check(2, cases, |(mut secret, changes)| {
        let base = sealed(&secret, Scope::Strict);
        let (mut ours, mut theirs) = (base.clone(), base.clone());
        for (item, (is_ours, value)) in changes {
            let side = if is_ours { &mut ours } else { &mut theirs };
            match value {
                Some(byte) => {
                    let value = SecretBytes::new(vec![byte]);
                    *side = set(side, &item, &value);
                    secret.items.insert(item, value);
                }
                None if secret.items.remove(&item).is_some() => {
                    *side = unset(side, &[&item]).expect("it is there")
                }
                None => {}
            }
        }
        for (ours, theirs) in [(&ours, &theirs), (&theirs, &ours)] {
            let merged = merge(Some(&base), ours, theirs, None).expect("it can be merged");
            prop_assert!(merged.conflicts.is_empty(), "{:?}", merged.conflicts);
            prop_assert_eq!(values(&merged.sealed), secret.items.clone());
        }
        Ok(())
    });
}

#[test]
fn a_rotation_keeps_values_and_no_ciphertext() {
    check(1, any_secret(), |secret| {
        let before = sealed(&secret, Scope::Namespace);
        let after = rotate(&before, &opened(&before), new_key()).expect("it can be rotated");
        prop_assert_eq!(values(&after), secret.items);
        for (item, text) in &after.spec.encrypted_data {
            prop_assert_ne!(text, &before.spec.encrypted_data[item]);
        }
        Ok(())
    });
}

#[test]
fn no_item_opens_in_the_place_of_another() {
    let cases = (any_secret(), any_scope()).prop_flat_map(|(secret, scope)| {
        let items: Vec<String> = secret.items.keys().cloned().collect();
        let count = items.len().min(2);
        (Just(secret), Just(scope), subsequence(items, count))
    });
    check(1, cases, |(secret, scope, pair)| {
        let mut sealed = sealed(&secret, scope);
        let [a, b] = &pair[..] else { return Err(TestCaseError::reject("one item alone")) };
        let text = sealed.spec.encrypted_data[a].clone();
        sealed.spec.encrypted_data.insert(b.clone(), text);
        prop_assert!(opened(&sealed).items(&sealed.spec, &Binding::of(&sealed).expect("a place")).is_err());
        Ok(())
    });
}
