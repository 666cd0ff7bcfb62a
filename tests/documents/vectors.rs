//! The compatibility vectors: files that real versions of sops wrote, with their plaintexts and data keys.
//!
//! They are no part of this project. With `SEALANT_VECTORS` set to their folder, all in `sops` in it are checked; without it,
//! a line says that nobody asked.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Once;

use crate::common::*;
use anyhow::{Context, Result, bail, ensure};
use pollster::block_on;
use sealant::Kind;
use sealant::config::{Config, Dialect};
use sealant::document::{self, Document, Format, TreePath, WithCopies};
use sealant::host::{Closed, Host};
use sealant::keys::{
    Identities, KeyService, MasterKey, Recipient, WrappedDataKey, WrappedKey, recipients_of,
};
use sealant::secret::{DataKey, SecretBytes, SecretString};
use sealant::sops::{self, Encrypted, MacCheck, Metadata};

/// The folder of the vectors, if there is one. Lines are written past the test harness, which would keep them.
fn vectors() -> Option<PathBuf> {
    static SAY_IT: Once = Once::new();
    #[expect(clippy::disallowed_methods, reason = "a test has no host")]
    let folder = std::env::var_os("SEALANT_VECTORS").filter(|folder| !folder.is_empty());
    if folder.is_none() {
        SAY_IT.call_once(|| say("not asked to run: SEALANT_VECTORS names no folder"));
    }
    folder.map(|folder| PathBuf::from(folder).join("sops"))
}

fn say(line: &str) {
    writeln!(std::io::stderr(), "vectors: {line}").expect("standard error is open");
}

fn report(group: &str, problems: Problems) {
    say(&format!("{group}: {} checked", problems.report()));
}

/// The files of a folder, by name.
fn files(folder: &Path) -> Vec<Fixture> {
    let entries = fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut paths: Vec<_> = entries.map(|entry| entry.expect("an entry").path()).collect();
    paths.sort();
    paths.iter().filter(|path| path.is_file()).map(|path| Fixture::read(path)).collect()
}

fn beside(file: &Path, suffix: &str) -> PathBuf {
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    file.with_file_name(format!("{name}{suffix}"))
}

/// An encrypted file with what is known of it.
struct Known {
    file: Fixture,
    plain: Vec<u8>,
    key: DataKey,
}

impl Known {
    fn open(&self) -> sealant::Result<Encrypted> {
        encrypted(self.file.format, &self.file.bytes)
    }

    fn parse_plain(&self) -> sealant::Result<Box<dyn Document>> {
        parse(self.file.format, &self.plain)
    }
}

/// Every encrypted file. Those that were re-keyed have the plaintexts and data keys of the originals.
fn known(vectors: &Path) -> Vec<Known> {
    let mut known = Vec::new();
    for (folder, origin) in [("repo", "repo"), ("repo-rekeyed-age", "repo"), ("gen-3.11.0", "gen-3.11.0")] {
        for file in files(&vectors.join(folder)) {
            let origin = vectors.join(origin).join(&file.name);
            if let Ok(plain) = fs::read(beside(&origin, ".plain")) {
                let key = data_key_of(&origin);
                known.push(Known { file, plain, key });
            }
        }
    }
    assert!(known.len() >= 60, "{} files are not all", known.len());
    known
}

fn data_key_of(file: &Path) -> DataKey {
    let path = beside(file, ".datakey.hex");
    let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let digits = text.trim().as_bytes().chunks(2).map(|pair| std::str::from_utf8(pair).expect("digits"));
    let bytes: Vec<u8> = digits.map(|pair| u8::from_str_radix(pair, 16).expect("two digits")).collect();
    DataKey::from_slice(&bytes).expect("32 bytes")
}

/// Files that keep more of their bytes here than in sops, which rewrites them: only their values agree.
const KEPT_BYTES: &[(&str, &str)] = &[
    ("repo/examples-all_in_one.enc.json", "it has no final line break, and gets none"),
    ("repo/examples-per_file.enc.json", "it has no final line break, and gets none"),
    ("repo/root-example.json", "it has no final line break, and gets none"),
    ("repo/root-example.ini", "its last line is blank, and stays"),
    ("gen-3.11.0/k8s-indent2.enc.yaml", "it is indented by two, and stays so"),
    ("gen-3.11.0/types-indent2.enc.json", "it is indented by two, and stays so"),
];

#[test]
fn every_file_decrypts_to_what_sops_printed() {
    let Some(vectors) = vectors() else { return };
    let mut problems = Problems::default();
    for known in known(&vectors) {
        let name = known.file.name.as_str();
        problems.check(known.file.path.display(), || {
            let check = if name == "ft-no_mac.yaml" { MacCheck::Ignore } else { MacCheck::Verify };
            let decrypted = known.open()?.decrypt(&known.key, check)?;
            let clear_comments = if name == "ft-comments_unencrypted_comments.yaml" { 2 } else { 0 };
            ensure!(decrypted.warnings.len() == clear_comments, "it warns: {:?}", decrypted.warnings);
            if !KEPT_BYTES.iter().any(|(file, _)| known.file.path.ends_with(file)) {
                return same_bytes(&decrypted.bytes, &known.plain);
            }
            ensure!(*decrypted.bytes != known.plain, "its bytes agree: it does not belong into the table");
            same_values(&*parse(known.file.format, &decrypted.bytes)?, &*known.parse_plain()?)
        });
    }
    report("plaintexts of all files", problems);
}

/// A host with a person who knows one passphrase.
struct Person(&'static str);

impl Host for Person {
    fn env(&self, _: &str) -> Option<std::ffi::OsString> {
        None
    }
    fn ask_passphrase(&self, _: &str) -> sealant::Result<SecretString> {
        Ok(SecretString::new(self.0.to_owned()))
    }
    fn note(&self, _: &str) {}
    fn now(&self) -> jiff::Timestamp {
        moment(0)
    }
}

/// What the identities in these files of `keys/` make of the data key of an encrypted file.
fn unwrap(vectors: &Path, identities: &[&str], wrapped: &WrappedDataKey) -> sealant::Result<DataKey> {
    let read = |name: &&str| fs::read(vectors.join("keys").join(name)).expect("an identity file");
    let add = |all: Identities, name: &&str| all.with_text(*name, SecretBytes::new(read(name)));
    let host = Person("passphrase");
    let service = KeyService::new(&host, identities.iter().fold(Identities::none(), add));
    block_on(service.unwrap_many(&[wrapped])).remove(0)
}

/// Which identities open which files, each line by itself.
fn openers(name: &str) -> Vec<Vec<&'static str>> {
    const MAIN: &str = "age-main.txt";
    const GROUPS: [&[&str]; 3] =
        [&["age-group1.txt"], &["age-group2.txt", "age-other.txt"], &["age-group3.txt"]];
    let lines: &[&[&str]] = match name {
        "multi-recipient.enc.yaml" => &[&[MAIN], &["age-other.txt"], &["ssh_ed25519"], &["ssh_rsa"]],
        "ssh-ed25519.enc.yaml" => &[&["ssh_ed25519"]],
        "ssh-rsa.enc.yaml" => &[&["ssh_rsa"]],
        "op-updatekeys.enc.yaml" => &[&[MAIN], &["age-other.txt"]],
        "dup.enc.yaml" => &[&[MAIN], &["age-main.scrypt.age"], &["age-group1.txt", "ssh_rsa", MAIN]],
        _ if name.starts_with("shamir-2of3-") => {
            let pairs = [(0, 1), (0, 2), (1, 2)];
            return pairs
                .iter()
                .flat_map(|&(a, b)| GROUPS[a].iter().map(move |one| (one, b)))
                .flat_map(|(one, b)| GROUPS[b].iter().map(move |two| vec![*two, *one]))
                .collect();
        }
        _ => &[&[MAIN]],
    };
    lines.iter().map(|line| line.to_vec()).collect()
}

#[test]
fn every_age_identity_opens_the_data_keys_that_are_for_it() {
    let Some(vectors) = vectors() else { return };
    let mut problems = Problems::default();
    for known in known(&vectors) {
        let folder = known.file.path.parent().unwrap_or(&known.file.path);
        if folder.ends_with("repo") || known.file.name.starts_with("hc_vault") {
            continue;
        }
        for identities in openers(&known.file.name) {
            problems.check(format_args!("{} with {identities:?}", known.file.path.display()), || {
                let key = unwrap(&vectors, &identities, &known.open()?.metadata.keys)?;
                ensure!(key == known.key, "it is another key");
                Ok(())
            });
        }
    }
    report("data keys of all age files", problems);
}

#[test]
fn too_few_or_other_identities_open_nothing() {
    let Some(vectors) = vectors() else { return };
    let mut problems = Problems::default();
    for known in known(&vectors) {
        let name = known.file.name.as_str();
        let foreign = if known.file.path.parent().is_some_and(|folder| folder.ends_with("repo")) {
            Some("  pgp ")
        } else {
            name.starts_with("hc_vault").then_some("hc_vault http://127.0.0.1:18200/v1/transit/keys/dev")
        };
        let tries: &[&[&str]] = match name {
            _ if name.starts_with("shamir-2of3-") => &[
                &["age-group1.txt"],
                &["age-group2.txt", "age-other.txt"],
                &["age-group3.txt"],
                &["age-main.txt", "ssh_rsa"],
            ],
            _ => &[&["age-group1.txt", "age-group2.txt", "age-group3.txt", "age-hybrid-pq.txt"]],
        };
        for identities in tries {
            problems.check(format_args!("{} with {identities:?}", known.file.path.display()), || {
                let Err(error) = unwrap(&vectors, identities, &known.open()?.metadata.keys) else {
                    bail!("it opens");
                };
                ensure!((error.kind(), error.kind().exit_code()) == (Kind::NoDataKey, 128), "{error}");
                let named = foreign.is_none_or(|words| error.to_string().contains(words));
                ensure!(named, "it does not name {foreign:?}: {error}");
                Ok(())
            });
        }
    }
    report("data keys that stay closed", problems);
}

#[test]
fn identity_files_have_the_recipients_that_they_name() {
    let Some(vectors) = vectors() else { return };
    let mut problems = Problems::default();
    for file in files(&vectors.join("keys")) {
        if !file.name.ends_with(".txt") && !file.name.ends_with(".pub") {
            continue;
        }
        problems.check(&file.name, || {
            let text = std::str::from_utf8(&file.bytes)?;
            if file.name.ends_with(".pub") {
                let recipient: Recipient = text.parse()?;
                ensure!(recipient.as_str() == text.trim(), "it is read as {recipient}");
                let secret = fs::read(file.path.with_extension(""))?;
                let [own] = &recipients_of(&secret, &file.name, &Closed)?[..] else {
                    bail!("not one recipient")
                };
                let key = |recipient: &Recipient| {
                    recipient.as_str().split(' ').take(2).map(str::to_owned).collect::<Vec<_>>()
                };
                ensure!(key(own) == key(&recipient), "its private half is of {own}");
                return Ok(());
            }
            let [recipient] = &recipients_of(&file.bytes, &file.name, &Closed)?[..] else {
                bail!("not one recipient");
            };
            match text.lines().find_map(|line| line.strip_prefix("# public key: ")) {
                Some(named) => ensure!(recipient.as_str() == named, "{recipient} is not {named}"),
                None => ensure!(recipient.as_str().starts_with("age1"), "{recipient}"),
            }
            Ok(())
        });
    }
    report("recipients of identity files", problems);
}

/// Four bytes are no data key: that the error counts them shows that they were opened.
#[test]
fn an_age_file_of_the_sops_repository_opens() {
    let Some(vectors) = vectors() else { return };
    let mut problems = Problems::default();
    for (file, identity) in
        [("age-datakey-x25519.age", "age-main.txt"), ("age-datakey-ssh-ed25519.age", "ssh_ed25519")]
    {
        problems.check(file, || {
            let plain = fs::read(vectors.join("repo/age-datakey.plain"))?;
            let enc = fs::read_to_string(vectors.join("repo").join(file))?;
            let key = MasterKey::Age(Recipient::as_written("age1somebody"));
            let groups = vec![vec![WrappedKey { key, enc, entry: Default::default() }]];
            let Err(error) = unwrap(&vectors, &[identity], &WrappedDataKey { groups, threshold: 0 }) else {
                bail!("four bytes are taken for a data key");
            };
            let counted = format!("has {} bytes instead of 32", plain.len());
            ensure!(error.to_string().contains(&counted), "{error}");
            Ok(())
        });
    }
    report("age files of sops's own tests", problems);
}

/// Broken files: the exit code of sops, and what the message says.
const BROKEN: &[(&str, u8, &str)] = &[
    ("neg-bad-version.yaml", 1, "is not a version"),
    ("neg-lastmodified-edited.yaml", 51, "the MAC cannot be decrypted"),
    ("neg-mac-mismatch-plaintext-edited.yaml", 51, "MAC mismatch"),
    ("neg-no-mac.yaml", 51, "the file has no MAC"),
    ("neg-no-version.yaml", 1, "no version"),
    ("neg-two-rules.yaml", 1, "more than one rule"),
    ("neg-value-moved.yaml", 25, "cannot be decrypted"),
];

#[test]
fn broken_files_fail_with_the_exit_codes_of_sops() {
    let Some(vectors) = vectors() else { return };
    let folder = vectors.join("gen-3.11.0");
    let mut problems = Problems::default();
    let open = |name: &str| -> sealant::Result<_> {
        let file = Fixture::read(&folder.join(name));
        let file = encrypted(file.format, &file.bytes)?;
        let key = unwrap(&vectors, &["age-main.txt"], &file.metadata.keys)?;
        file.decrypt(&key, MacCheck::Verify)
    };
    for (name, code, message) in BROKEN {
        problems.check(name, || {
            let Err(error) = open(name) else { bail!("it decrypts") };
            ensure!(error.kind().exit_code() == *code, "{} is not {code}: {error}", error.kind().exit_code());
            ensure!(error.message().contains(message), "{error}");
            Ok(())
        });
    }
    // 3.11 takes it, 3.13 does not: it is read here, and never written so.
    problems.check("neg-lastmodified-unquoted-ok-in-3.11.yaml", || {
        open("neg-lastmodified-unquoted-ok-in-3.11.yaml")?;
        let written = encrypt(Format::Yaml, b"a: 1\n", &Rule::default())?;
        let text = String::from_utf8(written.bytes)?;
        ensure!(text.contains("\n    lastmodified: \"20"), "{text}");
        Ok(())
    });
    problems.check("ft-no_mac.yaml", || {
        let known = known(&vectors).into_iter().find(|known| known.file.name == "ft-no_mac.yaml");
        let known = known.context("no such file")?;
        let Err(error) = known.open()?.decrypt(&known.key, MacCheck::Verify) else { bail!("it decrypts") };
        ensure!(error.kind() == Kind::MacMismatch, "{error}");
        Ok(())
    });
    report("broken files", problems);
}

fn generated(vectors: &Path, name: &str) -> Known {
    let found = known(vectors).into_iter().find(|known| known.file.name == name);
    found.unwrap_or_else(|| panic!("there is no {name}"))
}

/// The ciphertexts of a file that has another one's place and is not the same.
fn changed(before: &Encrypted, after: &Encrypted) -> Result<Vec<String>> {
    let (before, after) = (tokens(before)?, tokens(after)?);
    Ok(after.iter().filter(|token| !before.contains(token)).map(|(path, _)| path.clone()).collect())
}

#[test]
fn an_operation_changes_no_ciphertext_that_sops_keeps() {
    let Some(vectors) = vectors() else { return };
    let mut problems = Problems::default();
    let types = generated(&vectors, "types.enc.yaml");
    for (name, path, data) in [
        ("op-set.enc.yaml", "[\"str\"]", Some(serde_json::json!("changed"))),
        ("op-unset.enc.yaml", "[\"multi\"]", None),
    ] {
        problems.check(name, || {
            let after = generated(&vectors, name);
            let (old, by_sops) = (types.open()?, after.open()?);
            let opened = old.open(&types.key, MacCheck::Verify)?;
            let path = TreePath::parse(path)?;
            let edits = match data {
                Some(data) => path.set(&*opened, &data, WithCopies::Refuse)?,
                None => path.unset(&*opened, WithCopies::Refuse)?,
            };
            let text = edits.context("nothing to do")?.apply(opened.source());
            let edited = document::parse(Format::Yaml, secret(text.as_bytes()), true)?;
            let written = old.write(&*edited, old.metadata.clone(), &types.key, None, moment(0))?;
            let by_us = encrypted(Format::Yaml, &written.bytes)?;
            same_bytes(&by_us.decrypt(&types.key, MacCheck::Verify)?.bytes, &after.plain)?;
            let (ours, theirs) = (changed(&old, &by_us)?, changed(&old, &by_sops)?);
            ensure!(ours.iter().all(|path| theirs.contains(path)), "{ours:?} is more than {theirs:?}");
            Ok(())
        });
    }
    problems.check("op-rotate.enc.yaml", || {
        let after = generated(&vectors, "op-rotate.enc.yaml");
        let (old, by_sops) = (types.open()?, after.open()?);
        ensure!(changed(&old, &by_sops)?.len() == tokens(&old)?.len(), "sops changes all");
        let opened = old.open(&types.key, MacCheck::Verify)?;
        let written = old.write(&*opened, old.metadata.clone(), &types.key, Some(&after.key), moment(0))?;
        let by_us = encrypted(Format::Yaml, &written.bytes)?;
        same_bytes(&by_us.decrypt(&after.key, MacCheck::Verify)?.bytes, &after.plain)?;
        let ivs = |file: &Encrypted| -> Result<Vec<String>> {
            let iv = |text: &str| {
                text.split(",iv:").nth(1).and_then(|rest| rest.split(',').next()).map(str::to_owned)
            };
            Ok(tokens(file)?.iter().filter_map(|(_, text)| iv(text)).collect())
        };
        let (before, now) = (ivs(&old)?, ivs(&by_us)?);
        ensure!(now.len() == before.len() && !now.iter().any(|iv| before.contains(iv)), "an IV stays");
        Ok(())
    });
    problems.check("op-updatekeys.enc.yaml", || {
        let before = generated(&vectors, "k8s-encrypted_regex.enc.yaml");
        let after = generated(&vectors, "op-updatekeys.enc.yaml");
        let (old, by_sops) = (before.open()?, after.open()?);
        ensure!(tokens(&old)? == tokens(&by_sops)?, "sops keeps all ciphertexts");
        let mut metadata = old.metadata.clone();
        metadata.keys = by_sops.metadata.keys.clone();
        let by_us = encrypted(Format::Yaml, &old.with_metadata(&metadata)?)?;
        ensure!(tokens(&old)? == tokens(&by_us)?, "a ciphertext changed");
        ensure!(by_us.metadata.mac == old.metadata.mac, "the MAC changed");
        ensure!(by_us.metadata.last_modified == old.metadata.last_modified, "the time changed");
        ensure!(by_us.metadata.keys == by_sops.metadata.keys, "other keys");
        same_bytes(&by_us.decrypt(&before.key, MacCheck::Verify)?.bytes, &before.plain)
    });
    report("operations", problems);
}

#[test]
fn a_value_is_bound_to_its_path() {
    let Some(vectors) = vectors() else { return };
    let mut problems = Problems::default();
    let table = fs::read_to_string(vectors.join("cipher.json")).expect("cipher.json");
    let table: serde_json::Value = serde_json::from_str(&table).expect("JSON");
    let test = &table["aes_cipher_test"];
    let text = |name: &str| test[name].as_str().expect("a text").to_owned();
    let key = DataKey::from_slice(text("key_utf8").as_bytes()).expect("32 bytes");
    let open = |place: &str| -> Result<SecretBytes> {
        let mut metadata = Rule::default().metadata();
        metadata.last_modified = "2026-01-01T00:00:00Z".to_owned();
        let plain = parse(Format::Yaml, format!("{place}: '{}'\n", text("ciphertext")).as_bytes())?;
        let file = plain.put_metadata(Some(&metadata.to_data(plain.format())))?.apply(plain.source());
        Ok(encrypted(Format::Yaml, file.as_bytes())?.decrypt(&key, MacCheck::Ignore)?.bytes)
    };
    problems.check("a value at its path", || {
        let place = text("aad").replace(':', "");
        same_bytes(&open(&place)?, format!("{place}: '{}'\n", text("plaintext")).as_bytes())
    });
    problems.check("a value elsewhere", || {
        let Err(error) = open("elsewhere") else { bail!("it opens") };
        ensure!(error.downcast_ref::<sealant::Error>().map(sealant::Error::kind) == Some(Kind::Decrypt));
        Ok(())
    });
    report("the value cipher", problems);
}

#[test]
fn numbers_become_the_texts_of_sops() {
    let Some(vectors) = vectors() else { return };
    let mut problems = Problems::default();
    let table = fs::read_to_string(vectors.join("cipher.json")).expect("cipher.json");
    let table: serde_json::Value = serde_json::from_str(&table).expect("JSON");
    for case in table["val_to_string"].as_array().expect("a list") {
        let expected = case[2].as_str().expect("a text");
        problems.check(expected, || {
            let source = format!("{{\"a\": {}}}", case[1]);
            let text = document::convert(
                &*parse(Format::Json, source.as_bytes())?,
                Format::Dotenv,
                document::Losses::Refused,
            )?;
            same_bytes(&text, format!("a={expected}\n").as_bytes())
        });
    }
    report("texts of numbers", problems);
}

#[test]
fn what_sops_emits_is_read_as_what_it_read() {
    let Some(vectors) = vectors() else { return };
    let mut problems = Problems::default();
    for file in files(&vectors.join("yaml-emit-3.13.2")) {
        let Some(name) = file.name.strip_suffix(".in.yaml") else { continue };
        problems.check(name, || {
            let read = file.parse()?;
            let Ok(out) = fs::read(file.path.with_file_name(format!("{name}.out.yaml"))) else {
                ensure!(!values(&*read)?.is_empty(), "it is empty");
                return Ok(());
            };
            let emitted = parse(Format::Yaml, &out)?;
            same_values(&*emitted, &*read)?;
            let (ours, theirs) = (comments(&*read)?, comments(&*emitted)?);
            ensure!(ours == theirs, "the comments {ours:?} are not {theirs:?}");
            let written = encrypt(Format::Yaml, &file.bytes, &Rule::default())?;
            ensure!(written.warnings.is_empty(), "{:?}", written.warnings);
            same_bytes(&decrypt(Format::Yaml, &written.bytes)?, &file.bytes)
        });
    }
    report("YAML as sops emits it", problems);
}

/// Each leaf as (path, type, value), comments left out.
fn opened(file: &Encrypted, key: &DataKey) -> Result<Vec<(String, String, String)>> {
    let mut found = Vec::new();
    file.for_each_value(key, &mut |leaf, value| {
        let text = String::from_utf8_lossy(&value.to_plaintext()).into_owned();
        found.push((leaf.path.to_owned(), format!("{value:?}"), text));
    })?;
    Ok(found)
}

/// The file that a generated one was made from by `encrypt` alone: `k8s-mac_only.enc.yaml` from `k8s.in.yaml`.
fn input_of(file: &Fixture) -> Option<Fixture> {
    let (stem, extension) = file.name.split_once(".enc.")?;
    let stem = stem.strip_prefix("shamir-2of3-").unwrap_or(stem);
    let stem = stem.split('-').next().filter(|_| !stem.ends_with("-edited"))?;
    let path = file.path.with_file_name(format!("{stem}.in.{extension}"));
    path.is_file().then(|| Fixture::read(&path))
}

#[test]
fn the_inputs_of_sops_are_encrypted_to_the_same_values_and_types() {
    let Some(vectors) = vectors() else { return };
    let folder = vectors.join("gen-3.11.0");
    let mut problems = Problems::default();
    for known in known(&vectors).into_iter().filter(|known| known.file.path.starts_with(&folder)) {
        let Some(input) = input_of(&known.file) else { continue };
        problems.check(format_args!("{} for {}", input.name, known.file.name), || {
            let by_sops = known.open()?;
            let encrypt = |bytes: &[u8]| -> sealant::Result<Encrypted> {
                let rule = by_sops.metadata.selection.clone();
                let mac_only_encrypted = by_sops.metadata.mac_only_encrypted;
                let metadata = Metadata::new(by_sops.metadata.keys.clone(), rule, mac_only_encrypted);
                let plain = parse(input.format, bytes)?;
                encrypted(input.format, &sops::encrypt(&*plain, metadata, &known.key, moment(0), None)?.bytes)
            };
            let by_us = encrypt(&input.bytes)?;
            same_bytes(&by_us.decrypt(&known.key, MacCheck::Verify)?.bytes, &input.bytes)?;

            let (mut ours, mut theirs) = (opened(&by_us, &known.key)?, opened(&by_sops, &known.key)?);
            if input.format == Format::Json {
                // To sops before 3.13.2 each number of JSON is a float, with the precision of one.
                for (_, kind, text) in ours.iter_mut().chain(&mut theirs).filter(|(_, kind, _)| kind == "int")
                {
                    *text = text.parse::<f64>()?.to_string();
                    "float".clone_into(kind);
                }
            }
            if let Some((a, b)) = ours.iter().zip(&theirs).find(|(a, b)| a != b) {
                bail!("{a:?} is not {b:?}");
            }
            ensure!(ours.len() == theirs.len(), "{} values are not {}", ours.len(), theirs.len());
            Ok(())
        });
    }
    report("inputs of generated files", problems);
}

#[test]
fn the_config_of_sops_own_tests_is_read() {
    let Some(vectors) = vectors() else { return };
    let mut problems = Problems::default();
    problems.check("functional-tests.sops.yaml", || {
        let text = fs::read_to_string(vectors.join("repo/functional-tests.sops.yaml"))?;
        let config = Config::parse(&text, "/repo/.sops.yaml", Dialect::Sops)?;
        let policy = |file: &str| config.policy_for(Path::new(file));
        let groups =
            |file: &str| -> Result<usize> { Ok(policy(file)?.context("no policy")?.key_groups.len()) };
        ensure!(groups("/repo/test_roundtrip_keygroups.yaml")? == 2);
        ensure!(groups("/repo/anything.yaml")? == 1);
        ensure!(policy("/repo/test_empty_keygroup.yaml").is_err(), "a group without keys is accepted");
        Ok(())
    });
    report("config of sops's own tests", problems);
}
