//! SealedSecrets beside an implementation that has none of our code: fifty lines of Python, written from
//! `docs/format.md`, and the real age. And beside a real OpenBao.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use sealant::Result;
use sealant::document::{self, Format};
use sealant::host::Closed;
use sealant::keys::vault::{Settings, Vault};
use sealant::keys::{Identities, KeyService, KeySet, MasterKey, TransitKey, recipients_of};
use sealant::sealed_secret::{
    AgeEntry, Binding, Changes, NewDataKey, OpenedKeys, Options, Scope, SealedSecret, Secret, Template,
    change, manifest, objects, read, rewrap, seal,
};
use sealant::secret::{SecretBytes, SecretString};
use sealant_test_support::{Bao, Output, Peers, Sandbox};
use serde_json::{Value, json};

/// People of the fixtures, each with an identity file; carol's is a post-quantum one.
const PEOPLE: [&str; 3] = ["alice", "bob", "carol"];

/// Values in base64, by their items.
type Values = BTreeMap<String, String>;

fn fixture(path: impl AsRef<Path>) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/sealed").join(path)
}

fn identity_file(person: &str) -> PathBuf {
    fixture(format!("{person}.agekey"))
}

fn key_of(person: &str) -> MasterKey {
    let file = fs::read(identity_file(person)).expect("an identity");
    MasterKey::Age(recipients_of(&file, person, &Closed).expect("an identity").remove(0))
}

fn any_of(people: &[&str]) -> KeySet {
    KeySet::any_of(people.iter().map(|person| key_of(person)).collect())
}

fn service(people: &[&str]) -> KeyService<'static> {
    let add = |identities: Identities, person: &&str| {
        let file = fs::read(identity_file(person)).expect("an identity");
        identities.with_text(*person, SecretBytes::new(file))
    };
    KeyService::new(&Closed, people.iter().fold(Identities::none(), add))
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.expect("an event queue").block_on(future)
}

fn new_key(keys: &KeySet) -> NewDataKey {
    block_on(NewDataKey::make(&service(&[]), &[keys])).remove(0).expect("a data key")
}

/// The files of a folder of the fixtures, each with its text.
fn texts(folder: &str) -> Vec<(String, String)> {
    let files = fs::read_dir(fixture(folder)).expect("a folder of fixtures");
    let mut texts: Vec<_> = files
        .map(|file| {
            let path = file.expect("a file").path();
            let name = path.file_name().expect("a name").to_string_lossy().into_owned();
            (name, fs::read_to_string(&path).expect("a text"))
        })
        .collect();
    texts.sort();
    texts
}

/// What we make of a file.
fn ours(name: &str, text: &str, people: &[&str]) -> Result<Values> {
    let bytes = SecretBytes::new(text.as_bytes().to_vec());
    let document = document::parse(Format::of_path(Path::new(name)), bytes, false)?;
    let sealed = read(&*document, objects(&*document)[0])?;
    values(&sealed, &service(people))
}

fn values(sealed: &SealedSecret, service: &KeyService) -> Result<Values> {
    let keys = block_on(OpenedKeys::open(service, &[&sealed.spec])).remove(0)?;
    let items = keys.items(&sealed.spec, &Binding::of(sealed)?)?;
    Ok(items.iter().map(|(item, value)| (item.clone(), BASE64.encode(value.as_slice()))).collect())
}

/// What Python makes of it. It reads JSON, as `kubectl get -o json` prints it.
fn theirs(test: &Sandbox, text: &str, people: &[&str]) -> Output {
    let json: Value = serde_yaml::from_str(text).expect("YAML");
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/interop/sealed/decrypt.py");
    let run = test.program("python3", &[]).arg(script).with_peers();
    let run = people.iter().fold(run, |run, person| run.arg(identity_file(person)));
    run.env("PYTHONPATH", Peers::get().directory().join("pycryptodome")).stdin(json.to_string()).run()
}

fn read_values(output: &Output) -> Values {
    serde_json::from_str(output.text()).expect("values")
}

#[test]
fn the_vectors_open_to_their_values() {
    let test = Sandbox::new("");
    let expected: BTreeMap<String, Values> =
        serde_json::from_str(&fs::read_to_string(fixture("values.json")).expect("values")).expect("values");
    let vectors = texts("objects");
    assert!(vectors.len() >= 8 && vectors.len() == expected.len());
    for (name, text) in vectors {
        assert_eq!(ours(&name, &text, &PEOPLE).expect(&name), expected[&name], "{name}");
        assert_eq!(read_values(&theirs(&test, &text, &PEOPLE).ok()), expected[&name], "{name}");
    }
}

#[test]
fn what_must_be_refused_is_refused() {
    let test = Sandbox::new("");
    let vectors = texts("refused");
    assert!(vectors.len() >= 20);
    for (name, text) in vectors {
        let why = text.lines().next().and_then(|line| line.strip_prefix("# ")).expect("a reason");
        let error = ours(&name, &text, &["alice"]).expect_err(&name).to_string();
        assert!(error.contains(why), "{name}: {error:?} instead of {why:?}");
        theirs(&test, &text, &["alice"]).code(1);
    }
}

#[test]
fn what_is_freshly_sealed_opens() {
    let test = Sandbox::new("");
    let shared = KeySet::of_groups(PEOPLE.map(|person| vec![key_of(person)]).to_vec(), Some(2));
    for scope in Scope::ALL {
        for (keys, people) in [(any_of(&PEOPLE), &PEOPLE[2..]), (shared.clone(), &PEOPLE[..2])] {
            let options = Options { scope: Some(scope), ..Options::default() };
            let sealed = seal(&secret(), &options, new_key(&keys)).expect("it can be sealed");
            let set: Changes =
                [("b".to_owned(), Some(SecretBytes::new(b"set".to_vec())))].into_iter().collect();
            let sealed = change(&sealed, &set, new_key(&keys)).expect("it can be set");
            let found =
                read_values(&theirs(&test, &manifest(&sealed, Format::Yaml).expect("YAML"), people).ok());
            assert_eq!(found["a"], BASE64.encode("hunter2"));
            assert_eq!(found["b"], BASE64.encode("set"));
            assert_eq!(found, values(&sealed, &service(people)).expect("it opens"));
        }
    }
}

#[test]
fn transit_keys_open_and_are_moved_to_new_versions() {
    let bao = Bao::start();
    bao.transit_key("transit", "shop");
    let key = TransitKey::new(bao.address(), None, "transit", "shop").expect("a transit key");
    let token = SecretString::new(bao.root_token().to_owned());
    let settings = Settings::none().with_address(bao.address()).with_token(token);
    let vault =
        || KeyService::new(&Closed, Identities::none()).with_vault(Vault::with_settings(settings.clone()));
    let keys = KeySet::any_of(vec![key_of("alice"), MasterKey::Vault(key)]);
    let new_key = || block_on(NewDataKey::make(&vault(), &[&keys])).remove(0).expect("a data key");

    let sealed = seal(&secret(), &Options::default(), new_key()).expect("it can be sealed");
    let set: Changes = [("b".to_owned(), Some(SecretBytes::new(b"set".to_vec())))].into_iter().collect();
    let sealed = change(&sealed, &set, new_key()).expect("it can be set");
    let text = manifest(&sealed, Format::Yaml).expect("YAML");
    assert!(text.contains("hcVault:\n        - address: http://127.0.0.1:"), "{text}");
    let document = document::parse(Format::Yaml, SecretBytes::new(text.into_bytes()), false).expect("YAML");
    assert_eq!(read(&*document, objects(&*document)[0]).expect("it can be read"), sealed);
    let expected = values(&sealed, &service(&["alice"])).expect("alice opens it");
    assert_eq!(values(&sealed, &vault()).expect("Vault opens it"), expected);

    assert!(block_on(rewrap(&vault(), &[&sealed])).remove(0).expect("it can be rewrapped").is_none());
    bao.bao(&["write", "-f", "transit/keys/shop/rotate"]).run().ok();
    let before = bao.requests_to("transit/").len();
    let both = [&sealed, &sealed];
    let moved =
        block_on(rewrap(&vault(), &both)).remove(1).expect("it can be rewrapped").expect("it is older");
    let requests = bao.requests_to("transit/");
    // Four data keys in one request, and none of them was opened for it.
    assert!(requests[before..].iter().all(|request| request.path == "transit/rewrap/shop"), "{requests:?}");
    assert_eq!(requests.len(), before + 1);
    for (old, new) in sealed.spec.data_keys.iter().zip(&moved.spec.data_keys) {
        assert!(new.wraps.hc_vault[0].enc.starts_with("vault:v2:"));
        assert_eq!((&old.id, &old.commitment, &old.wraps.age), (&new.id, &new.commitment, &new.wraps.age));
    }
    assert_eq!(
        (&moved.spec.encrypted_data, &moved.metadata),
        (&sealed.spec.encrypted_data, &sealed.metadata)
    );
    assert_eq!(values(&moved, &vault()).expect("Vault opens it"), expected);
}

/// `shop/db` with values of all kinds.
fn secret() -> Secret {
    let items: [(&str, &[u8]); 5] = [
        ("a", b"hunter2"),
        ("b", b"before"),
        ("empty", b""),
        ("binary.key", &[0, 255, 10, 13, 128]),
        (".dockerconfigjson", "{\"auths\":{\"é\":{}}}\n".as_bytes()),
    ];
    Secret {
        name: "db".to_owned(),
        namespace: Some("shop".to_owned()),
        labels: [("app".to_owned(), "shop".to_owned())].into_iter().collect(),
        items: items
            .into_iter()
            .map(|(item, value)| (item.to_owned(), SecretBytes::new(value.to_vec())))
            .collect(),
        ..Secret::default()
    }
}

/// Makes the fixtures again: see their README.
#[test]
#[ignore = "writes fixtures"]
fn make_the_objects() {
    let sealed = |scope: Scope, keys: &KeySet| {
        let options = Options { scope: Some(scope), ..Options::default() };
        seal(&secret(), &options, new_key(keys)).expect("it can be sealed")
    };
    let set = |sealed: &SealedSecret, keys: &KeySet| {
        let set: Changes = [("b".to_owned(), Some(SecretBytes::new(b"set".to_vec())))].into_iter().collect();
        change(sealed, &set, new_key(keys)).expect("it can be set")
    };
    let everybody = any_of(&PEOPLE);
    let shared = KeySet::of_groups(PEOPLE.map(|person| vec![key_of(person)]).to_vec(), Some(2));
    let all_groups = KeySet { threshold: None, ..shared.clone() };
    let strict = sealed(Scope::Strict, &everybody);
    let mut beside_vault = strict.clone();
    beside_vault.spec.data_keys[0].wraps.hc_vault = serde_json::from_value(json!([{
        "address": "https://vault.example:8200", "namespace": "team", "enginePath": "transit", "keyName": "shop",
        "enc": "vault:v1:bm90aGluZyBvcGVucyB0aGlz",
    }]))
    .expect("an entry");
    let mut scopeless = strict.clone();
    scopeless.spec.scope = None;
    scopeless.spec.template = Some(Template { kind: Some("Opaque".to_owned()), ..Template::default() });
    let mut nothing = strict.clone();
    nothing.spec.data_keys.clear();
    nothing.spec.encrypted_data.clear();
    let objects = [
        ("strict.yaml", strict.clone()),
        ("strict-by-default.json", scopeless),
        ("namespace.yaml", sealed(Scope::Namespace, &everybody)),
        ("cluster.yaml", sealed(Scope::Cluster, &everybody)),
        ("post-quantum.yaml", sealed(Scope::Strict, &any_of(&["carol"]))),
        ("several-data-keys.yaml", set(&strict, &any_of(&["bob"]))),
        ("two-of-three.yaml", sealed(Scope::Strict, &shared)),
        ("three-of-three.json", sealed(Scope::Namespace, &all_groups)),
        ("beside-vault.yaml", beside_vault),
        ("no-items.yaml", nothing),
    ];
    let mut expected: BTreeMap<&str, Values> = BTreeMap::new();
    for (name, sealed) in &objects {
        let text = manifest(sealed, Format::of_path(Path::new(name))).expect("a manifest");
        expected.insert(name, ours(name, &text, &PEOPLE).expect(name));
        fs::write(fixture("objects").join(name), text).expect("a fixture");
    }
    let text = serde_json::to_string_pretty(&expected).expect("JSON") + "\n";
    fs::write(fixture("values.json"), text).expect("a fixture");

    let alice = any_of(&["alice"]);
    let good = sealed(Scope::Strict, &alice);
    let other = sealed(Scope::Strict, &alice);
    let groups = KeySet::of_groups(vec![alice.groups[0].clone(); 3], Some(2));
    let good_groups = sealed(Scope::Strict, &groups);
    let other_groups = sealed(Scope::Strict, &groups);
    let token = |change: &dyn Fn(&str) -> String| {
        let mut spoilt = good.clone();
        let text = change(&spoilt.spec.encrypted_data["a"]);
        spoilt.spec.encrypted_data.insert("a".to_owned(), text);
        spoilt
    };
    let spoil = |change: &dyn Fn(&mut SealedSecret)| {
        let mut spoilt = good.clone();
        change(&mut spoilt);
        spoilt
    };
    let spoil_groups = |change: &dyn Fn(&mut SealedSecret)| {
        let mut spoilt = good_groups.clone();
        change(&mut spoilt);
        spoilt
    };
    let payload = |text: &str| BASE64.decode(text.split_once(':').expect("a token").1).expect("base64");
    let with_payload = |text: &str, payload: &[u8]| format!("{}:{}", &text[..8], BASE64.encode(payload));
    let opens = "does not open as one that was sealed for";
    let not_it = "is not the one that its commitment names";
    let refused = [
        (
            "renamed-item.yaml",
            opens,
            spoil(&|s| {
                let text = s.spec.encrypted_data.remove("a").expect("an item");
                s.spec.encrypted_data.insert("c".to_owned(), text);
            }),
        ),
        (
            "swapped-items.yaml",
            opens,
            spoil(&|s| {
                let [a, b] = ["a", "b"].map(|item| s.spec.encrypted_data[item].clone());
                s.spec.encrypted_data.insert("a".to_owned(), b);
                s.spec.encrypted_data.insert("b".to_owned(), a);
            }),
        ),
        ("other-name.yaml", opens, spoil(&|s| s.metadata.name = "other".to_owned())),
        ("other-namespace.yaml", opens, spoil(&|s| s.metadata.namespace = Some("other".to_owned()))),
        ("wider-scope.yaml", opens, spoil(&|s| s.spec.scope = Some(Scope::Namespace))),
        ("widest-scope.yaml", opens, spoil(&|s| s.spec.scope = Some(Scope::Cluster))),
        (
            "changed-ciphertext.yaml",
            opens,
            token(&|text| {
                let mut payload = payload(text);
                payload[30] ^= 1;
                with_payload(text, &payload)
            }),
        ),
        ("cut-off.yaml", "it is cut off", token(&|text| with_payload(text, &payload(text)[..39]))),
        (
            "base64-without-padding.yaml",
            "canonical base64",
            token(&|text| text.trim_end_matches('=').to_owned()),
        ),
        (
            "base64-with-spare-bits.yaml",
            "canonical base64",
            token(&|text| {
                // 47 bytes: the last character before the padding has two spare bits.
                let at = text.len() - 2;
                let next = char::from(text.as_bytes()[at] + 1);
                format!("{}{next}=", &text[..at])
            }),
        ),
        (
            "unknown-data-key.yaml",
            "names the data key 00000000",
            token(&|text| format!("00000000{}", &text[8..])),
        ),
        (
            "other-data-key.yaml",
            not_it,
            spoil(&|s| s.spec.data_keys[0].wraps.age = other.spec.data_keys[0].wraps.age.clone()),
        ),
        (
            "other-commitment.yaml",
            "id does not match its commitment",
            spoil(&|s| {
                s.spec.data_keys[0].commitment = other.spec.data_keys[0].commitment.clone();
            }),
        ),
        (
            "swapped-data-keys.yaml",
            not_it,
            spoil(&|s| {
                s.spec.data_keys.push(other.spec.data_keys[0].clone());
                let age = std::mem::take(&mut s.spec.data_keys[0].wraps.age);
                s.spec.data_keys[0].wraps.age = std::mem::replace(&mut s.spec.data_keys[1].wraps.age, age);
            }),
        ),
        (
            "duplicate-id.yaml",
            "two data keys have the id",
            spoil(&|s| {
                s.spec.data_keys.push(s.spec.data_keys[0].clone());
            }),
        ),
        (
            "passphrase.yaml",
            "is wrapped with a passphrase",
            spoil(&|s| {
                let mut recipient = age::scrypt::Recipient::new(age::secrecy::SecretString::from("hunter2"));
                recipient.set_work_factor(1);
                let enc = age::encrypt_and_armor(&recipient, &[7; 32]).expect("an age file");
                s.spec.data_keys[0].wraps.age.insert(0, AgeEntry { recipient: "age1x".to_owned(), enc });
            }),
        ),
        (
            "short-data-key.yaml",
            "has 31 bytes instead of 32",
            spoil(&|s| s.spec.data_keys[0].wraps.age[0] = wrap(&[7; 31])),
        ),
        (
            "long-data-key.yaml",
            "has 33 bytes instead of 32",
            spoil(&|s| s.spec.data_keys[0].wraps.age[0] = wrap(&[7; 33])),
        ),
        (
            "threshold-without-groups.yaml",
            "has a shamirThreshold and no keyGroups",
            spoil(&|s| {
                s.spec.data_keys[0].shamir_threshold = Some(2);
            }),
        ),
        (
            "one-of-three.yaml",
            "asks for 1 of 3 key groups",
            spoil_groups(&|s| {
                s.spec.data_keys[0].shamir_threshold = Some(1);
            }),
        ),
        (
            "groups-and-recipients.yaml",
            "has keyGroups, and recipients beside them",
            spoil_groups(&|s| {
                s.spec.data_keys[0].wraps.age = good.spec.data_keys[0].wraps.age.clone();
            }),
        ),
        (
            "mixed-shares.yaml",
            not_it,
            spoil_groups(&|s| {
                s.spec.data_keys[0].key_groups[0] = other_groups.spec.data_keys[0].key_groups[0].clone();
            }),
        ),
        (
            "short-share.yaml",
            "has 32 bytes instead of 33",
            spoil_groups(&|s| {
                for group in &mut s.spec.data_keys[0].key_groups {
                    group.age[0] = wrap(&[7; 32]);
                }
            }),
        ),
    ];
    for (name, why, sealed) in refused {
        let text = format!("# {why}\n{}", manifest(&sealed, Format::Yaml).expect("a manifest"));
        fs::write(fixture("refused").join(name), text).expect("a fixture");
    }
}

/// An age file for alice with this payload.
fn wrap(payload: &[u8]) -> AgeEntry {
    let recipient = key_of("alice").id().to_owned();
    let parsed: age::x25519::Recipient = recipient.parse().expect("a recipient");
    AgeEntry { recipient, enc: age::encrypt_and_armor(&parsed, payload).expect("an age file") }
}

/// Eight hexadecimal digits may look like a number that no float can hold. kustomize, and whatever else is built on go-yaml,
/// writes such a text without quotes.
#[test]
fn an_identifier_that_looks_like_a_number_comes_through_kustomize() {
    let test = Sandbox::new(env!("CARGO_BIN_EXE_sealant"));
    let ids = ["12e45678", "1234e567", "12345678", "0e123456"];
    let keys = ids.map(|id| format!("    - id: \"{id}\"\n      commitment: x\n"));
    let object =
        "apiVersion: sealant.dev/v1alpha1\nkind: SealedSecret\nmetadata: {name: a, namespace: b}\nspec:\n";
    test.write("app/s.yaml", format!("{object}  encryptedData: {{}}\n  dataKeys:\n{}", keys.concat()));
    test.write("app/kustomization.yaml", "resources: [s.yaml]\n");
    let built = test.program(Peers::get().program("kustomize"), &["build", "app"]).run().ok();
    assert!(built.text().contains("- commitment: x\n    id: 12e45678\n"), "{built}");
    test.write("built.yaml", built.text());
    for file in ["app/s.yaml", "built.yaml"] {
        let output = test.sealant(&["inspect", file]).run();
        assert!(output.status != 0 && output.stderr.contains("commitment"), "{output}");
        assert!(!output.stderr.contains("not a string"), "{output}");
    }
}
