//! Every kind of document beside the real sops: what one encrypts the other decrypts to the same.

mod corpus;
mod forgeries;
mod natures;
mod texts;

use std::path::Path;
use std::thread;

use crate::common::*;
use sealant_test_support::{Output, Sandbox};

/// An identity and its recipient, for these tests alone.
const IDENTITY: &str = "AGE-SECRET-KEY-1HH3WRGUCZXCVP9K8YU02L8FPZVSW77S3CPH6S4VA0EGEX2VRPAJQ6CFT2G";
const RECIPIENT: &str = "age1yh642fmrn40k5e2xj8kfk9v0zctt8xx9ft2pwjltqr6uxd3x4euskwqtdy";

/// Manifests whose own encryption by sops 3.13.3 it cannot decrypt, or decrypts to something else.
const BROKEN_BY_SOPS: &[(&str, &str)] = &[
    ("block-first-line-starts-with-tab.yaml", "a text that begins with a tab comes back as null"),
    ("block-indent-indicators-in-sequences.yaml", "leading blanks of a text in a list are lost"),
    ("keys-quoted-merge-sign.yaml", "the key \"<<\" is written without its quotes"),
    ("ini-boxed-comments.ini", "a comment of several lines makes it panic"),
];

/// Manifests of which sops keeps fewer comments, or keeps them elsewhere, than what we hand it.
const OTHER_COMMENTS: &[(&str, &str)] = &[
    ("anchors-comments.yaml", "sops copies the comments of an anchor to its aliases, too"),
    ("comments-at-end-of-document.yaml", "sops leaves a comment of its own encrypted"),
    ("comments-odd-indents.yaml", "go-yaml attaches oddly indented comments to other collections"),
    ("types-nulls.yaml", "go-yaml attaches a comment of an empty item to the map above"),
    ("flow-multi-line-comments.yaml", "sops loses the comment behind an opening bracket"),
];

/// Manifests of which sops prints another value than it encrypted.
const OTHER_VALUES: &[(&str, &str)] =
    &[("json-numbers.json", "sops prints the float -0.0 as -0, which is an integer when it is read again")];

/// Manifests with a float `-0.0`, of which we encrypt no sign: sops would put it under the IV of the other zero.
const SIGNS_OF_ZEROS: &[(&str, &str, &str)] = &[
    ("json-numbers.json", "\"minus_zero_float\": -0,", "\"minus_zero_float\": 0,"),
    ("types-floats.yaml", "\nv: -0\n", "\nv: 0\n"),
];

fn sandbox() -> Sandbox {
    Sandbox::new(env!("CARGO_BIN_EXE_sealant"))
}

/// Runs `check` over the manifests, in two threads, and reports all problems together.
fn for_each_manifest(check: impl Fn(&Fixture) -> anyhow::Result<()> + Sync) {
    let manifests: Vec<_> = fixtures("manifests")
        .into_iter()
        .filter(|fixture| !BROKEN_BY_SOPS.iter().any(|(name, _)| *name == fixture.name))
        .collect();
    let half = manifests.len() / 2;
    let run = |part: &[Fixture]| {
        let mut problems = Problems::default();
        for fixture in part {
            problems.check(&fixture.name, || check(fixture));
        }
        problems
    };
    let (mut all, rest) = thread::scope(|scope| {
        let first = scope.spawn(|| run(&manifests[..half]));
        let second = run(&manifests[half..]);
        (first.join().expect("the first half"), second)
    });
    all.add(rest);
    all.report();
}

/// Puts the manifests into the sandbox, encrypted by sealant in one run.
fn encrypted_by_sealant(test: &Sandbox) {
    for fixture in fixtures("manifests") {
        test.write(Path::new("plain").join(&fixture.name), &fixture.bytes);
    }
    let files: Vec<String> =
        fixtures("manifests").iter().map(|fixture| format!("plain/{}", fixture.name)).collect();
    let mut args =
        vec!["encrypt", "--age", RECIPIENT, "--unencrypted-suffix", "_unencrypted", "--output-dir", "ours"];
    args.extend(files.iter().map(String::as_str));
    test.sealant(&args).run().ok();
}

fn sops_decrypts(test: &Sandbox, file: &str) -> Output {
    test.sops(&["decrypt", file]).env("SOPS_AGE_KEY", IDENTITY).run()
}

/// What is left of a text without its comment lines.
fn without_comments(text: &[u8]) -> Vec<String> {
    let text = String::from_utf8_lossy(text);
    let lines = text.lines().filter(|line| !line.trim_start().starts_with(['#', ';']));
    lines.map(|line| line.split(" #").next().unwrap_or_default().trim_end().to_owned()).collect()
}

#[test]
fn sops_decrypts_what_we_encrypt_to_what_it_makes_of_its_own() {
    let test = sandbox();
    encrypted_by_sealant(&test);
    for_each_manifest(|fixture| {
        let plain = format!("plain/{}", fixture.name);
        let theirs = format!("theirs-{}", fixture.name);
        let encrypt = [
            "encrypt",
            "--age",
            RECIPIENT,
            "--unencrypted-suffix",
            "_unencrypted",
            "--output",
            &theirs,
            &plain,
        ];
        test.sops(&encrypt).run().ok();
        let expected = sops_decrypts(&test, &theirs).ok();
        let found = sops_decrypts(&test, &format!("ours/plain/{}", fixture.name)).ok();
        if OTHER_COMMENTS.iter().any(|(name, _)| *name == fixture.name) || fixture.name.ends_with(".ini") {
            anyhow::ensure!(
                without_comments(&found.stdout) == without_comments(&expected.stdout),
                "the values differ"
            );
            return Ok(());
        }
        let mut expected = expected.stdout;
        for (_, theirs, ours) in SIGNS_OF_ZEROS.iter().filter(|(name, ..)| *name == fixture.name) {
            expected = String::from_utf8(expected)?.replace(theirs, ours).into_bytes();
        }
        same_bytes(&found.stdout, &expected)
    });
}

#[test]
fn we_decrypt_what_every_sops_encrypts_to_what_it_prints() {
    let test = sandbox();
    for fixture in fixtures("manifests") {
        test.write(&fixture.name, &fixture.bytes);
    }
    for_each_manifest(|fixture| {
        for (version, sops) in
            [("new", Sandbox::sops as fn(&Sandbox, &[&str]) -> _), ("old", Sandbox::sops_3_11)]
        {
            let file = format!("{version}-{}", fixture.name);
            let encrypted =
                sops(&test, &["encrypt", "--age", RECIPIENT, "--output", &file, &fixture.name]).run();
            if encrypted.status != 0 && version == "old" {
                continue;
            }
            encrypted.ok();
            let printed = sops(&test, &["decrypt", &file]).env("SOPS_AGE_KEY", IDENTITY).run();
            if printed.status != 0 && version == "old" {
                continue;
            }
            let printed = printed.ok();
            let found = test.sealant(&["decrypt", &file]).env("SOPS_AGE_KEY", IDENTITY).run().ok();
            if OTHER_VALUES.iter().any(|(name, _)| *name == fixture.name) {
                same_bytes(
                    &found.stdout,
                    &String::from_utf8_lossy(&printed.stdout).replace("-0,", "-0.0,").into_bytes(),
                )?;
                continue;
            }
            same_values(fixture, &found.stdout, &printed.stdout)
                .map_err(|error| error.context(format!("by the {version} sops")))?;
        }
        Ok(())
    });
}

/// Whether two plaintexts of one file hold the same values.
fn same_values(fixture: &Fixture, found: &[u8], expected: &[u8]) -> anyhow::Result<()> {
    if found == expected {
        return Ok(());
    }
    let values = |bytes: &[u8]| -> anyhow::Result<Vec<(String, Vec<u8>)>> {
        let document = parse(fixture.format, bytes)?;
        let mut values = Vec::new();
        sealant::sops::for_each_leaf(&*document, &Default::default(), &mut |leaf| {
            if !leaf.is_comment {
                values.push((leaf.path.to_owned(), document.value(leaf.node)?.to_plaintext().to_vec()));
            }
            Ok(())
        })?;
        Ok(values)
    };
    anyhow::ensure!(values(found)? == values(expected)?, "the values differ");
    Ok(())
}

#[test]
fn every_rule_means_the_same_to_both() {
    let test = sandbox();
    let plain =
        "# sops:enc\na: 1\nb_clear: {c: x, secret: y}\n# other\nsecret: z\nlist_enc:\n    - p\n    - q\n";
    for (field, pattern) in [
        ("unencrypted_suffix", "_clear"),
        ("encrypted_suffix", "_enc"),
        ("unencrypted_regex", "^(a|secret)$"),
        ("encrypted_regex", "^(a|secret)$"),
        ("unencrypted_comment_regex", "sops:enc"),
        ("encrypted_comment_regex", "sops:enc"),
    ] {
        for mac_only in [false, true] {
            let rule = format!(
                "creation_rules:\n  - age: {RECIPIENT}\n    {field}: '{pattern}'\n    mac_only_encrypted: {mac_only}\n"
            );
            test.write(".sops.yaml", rule);
            test.write("plain.yaml", plain);
            test.sealant(&["encrypt", "--output", "ours.yaml", "plain.yaml"]).run().ok();
            test.sops(&["encrypt", "--output", "theirs.yaml", "plain.yaml"]).run().ok();
            let tokens = |file: &str| -> Vec<usize> {
                let text = test.read_text(file);
                let body = text.split("\nsops:").next().unwrap_or_default();
                body.lines().map(|line| line.matches("ENC[").count()).filter(|count| *count > 0).collect()
            };
            let count = |file: &str| tokens(file).iter().sum::<usize>();
            assert_eq!(count("ours.yaml"), count("theirs.yaml"), "{field}, mac only {mac_only}");
            for file in ["ours.yaml", "theirs.yaml"] {
                let by_us = test.sealant(&["decrypt", file]).env("SOPS_AGE_KEY", IDENTITY).run().ok();
                let by_sops = sops_decrypts(&test, file).ok();
                for value in ["a: 1", "secret: z", "- p"] {
                    assert!(by_us.text().contains(value), "{field}: {}", by_us.text());
                    assert!(by_sops.text().contains(value), "{field}: {}", by_sops.text());
                }
            }
        }
    }
}

#[test]
fn rules_about_keys_do_not_concern_a_binary_file() {
    let test = sandbox();
    test.write("plain.txt", "any bytes\n");
    for rule in ["encrypted_regex: ^nothing$", "unencrypted_regex: .", "encrypted_suffix: _enc"] {
        test.write(".sops.yaml", format!("creation_rules:\n  - age: {RECIPIENT}\n    {rule}\n"));
        test.sealant(&["encrypt", "--output", "ours.txt", "plain.txt"]).run().ok();
        assert_eq!(sops_decrypts(&test, "ours.txt").ok().text(), "any bytes\n", "{rule}");
        test.sops(&["rotate", "-i", "ours.txt"]).env("SOPS_AGE_KEY", IDENTITY).run().ok();
        let by_us = test.sealant(&["decrypt", "ours.txt"]).env("SOPS_AGE_KEY", IDENTITY).run().ok();
        assert_eq!(by_us.text(), "any bytes\n", "{rule}");
    }
}

#[test]
fn comments_in_lists_stay_readable_for_both() {
    let test = sandbox();
    let plain = "list:\n    # before a\n    - a\n    # before b\n    - b\n";
    test.write("plain.yaml", plain);
    test.sealant(&["encrypt", "--age", RECIPIENT, "--output", "ours.yaml", "plain.yaml"]).run().ok();
    assert!(test.read_text("ours.yaml").contains("    #ENC["), "comments are comment lines");
    assert_eq!(sops_decrypts(&test, "ours.yaml").ok().text(), plain);
    let old = test.sops_3_11(&["decrypt", "ours.yaml"]).env("SOPS_AGE_KEY", IDENTITY).run().ok();
    assert_eq!(old.text(), plain);
    test.sops(&["encrypt", "--age", RECIPIENT, "--output", "theirs.yaml", "plain.yaml"]).run().ok();
    assert!(test.read_text("theirs.yaml").contains("- ENC["), "sops writes them as items");
    let by_us = test.sealant(&["decrypt", "theirs.yaml"]).env("SOPS_AGE_KEY", IDENTITY).run().ok();
    assert_eq!(by_us.text(), plain);
}

#[test]
fn sops_reads_generated_aliases_as_it_reads_its_own() {
    let test = sandbox();
    let mut state = 7_u32;
    let mut number = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    };
    let names: Vec<String> = (0..40).map(|at| format!("g{at}.yaml")).collect();
    for name in &names {
        let choices: Vec<_> = (0..7).map(|_| (number(), number(), number())).collect();
        test.write(name, crate::common::anchored::anchored(&choices));
    }
    let files: Vec<&str> = names.iter().map(String::as_str).collect();
    let args = [&["encrypt", "--age", RECIPIENT, "--output-dir", "ours"][..], &files].concat();
    test.sealant(&args).run().ok();
    for name in &names {
        let plain = test.read_text(name);
        let back =
            test.sealant(&["decrypt", &format!("ours/{name}")]).env("SOPS_AGE_KEY", IDENTITY).run().ok();
        assert_eq!(back.text(), plain);
        let theirs = format!("theirs-{name}");
        test.sops(&["encrypt", "--age", RECIPIENT, "--output", &theirs, name]).run().ok();
        // As JSON, since sops does not copy comments as it attaches them.
        let [ours, theirs] = [format!("ours/{name}"), theirs].map(|file| {
            let json = ["decrypt", "--output-type", "json", &file];
            test.sops(&json).env("SOPS_AGE_KEY", IDENTITY).run().ok().stdout
        });
        assert_eq!(ours, theirs, "{plain}");
    }
}

/// sops writes a comment that is alone in a list as an item of it, and no MAC covers a list without values.
#[test]
fn a_list_of_nothing_but_comments_stays_an_empty_list() {
    let texts = [
        "a: [] # c\nz: 1\n",
        "x:\n  a: [] # c\nz: 1\n",
        "a:\n  # one\n  # two\n  []\nz: 1\n",
        "l:\n  - k: [] # c\n    v: 1\n  - 2\nz: 1\n",
        "l: [[] # c\n  , 1]\nz: 1\n",
        "a: [] # c\n---\na: [] # d\nz: 2\n",
        "z: 1\na: [] # c\n",
    ];
    let test = sandbox();
    test.write("age.txt", IDENTITY);
    let sops = |args: &[&str]| test.sops(args).env("SOPS_AGE_KEY_FILE", "age.txt").run().ok();
    let sealant = |args: &[&str]| test.sealant(args).env("SOPS_AGE_KEY_FILE", "age.txt").run().ok();
    // Of a stream sops makes JSON of the first document alone.
    let json = |file: &str| sops(&["decrypt", "--output-type", "json", file]).text().to_owned();
    for text in texts {
        test.write("plain.yaml", text);
        test.write("s.yaml", sops(&["encrypt", "--age", RECIPIENT, "plain.yaml"]).stdout);
        let meant = json("s.yaml");
        let plain = sealant(&["decrypt", "s.yaml"]).stdout;
        test.write("again.yaml", &plain);
        test.write("again.yaml", sops(&["encrypt", "--age", RECIPIENT, "again.yaml"]).stdout);
        assert_eq!(json("again.yaml"), meant, "{text}{}", String::from_utf8_lossy(&plain));
        sealant(&["rotate", "-i", "s.yaml"]);
        assert_eq!(json("s.yaml"), meant, "rotated: {text}");
        assert_eq!(sealant(&["decrypt", "s.yaml"]).stdout, plain);
    }
}

/// As Windows writes them: sops takes the values and comments of dotenv and INI files as bytes.
#[test]
fn bytes_that_are_no_utf8_are_kept_in_flat_files() {
    let test = sandbox();
    test.write("age.txt", IDENTITY);
    let sops = |args: &[&str]| test.sops(args).env("SOPS_AGE_KEY_FILE", "age.txt").run().ok();
    let sealant = |args: &[&str]| test.sealant(args).env("SOPS_AGE_KEY_FILE", "age.txt").run();
    for (file, plain, path, line) in [
        ("l.env", &b"# caf\xe9\nA=caf\xe9 \xff\xfe\nB=x\nC_unencrypted=\xa0\n"[..], "[\"B\"]", "B="),
        (
            "l.ini",
            b"; caf\xe9\n[s]\na = caf\xe9 \xff\xfe\nb = x\nc_unencrypted = \xe4\n",
            "[\"s\"][\"b\"]",
            "b = ",
        ),
    ] {
        test.write(file, plain);
        sops(&["encrypt", "-i", "--age", RECIPIENT, file]);
        let printed = sops(&["decrypt", file]).stdout;
        assert_eq!(sealant(&["decrypt", file]).ok().stdout, printed, "{file} of sops");
        sealant(&["rotate", "-i", file]).ok();
        assert_eq!(sops(&["decrypt", file]).stdout, printed, "{file} rotated");

        test.write(file, plain);
        sealant(&["encrypt", "-i", "--age", RECIPIENT, "--unencrypted-suffix", "_unencrypted", file]).ok();
        assert_eq!(sealant(&["decrypt", file]).ok().stdout, plain, "{file} of ours");
        assert_eq!(sops(&["decrypt", file]).stdout, printed, "{file} of ours, by sops");
        sealant(&["set", file, path, "\"y\""]).ok();
        let changed = sealant(&["decrypt", file]).ok().stdout;
        let [old, new] = [format!("{line}x"), format!("{line}y")];
        assert_eq!(changed, replaced(plain, old.as_bytes(), new.as_bytes()), "{file} set");
        sealant(&["decrypt", "--output-type", "json", file]).code(4);
        assert_eq!(
            sealant(&["sops", "decrypt", "--output-type", "json", file]).ok().stdout,
            sops(&["decrypt", "--output-type", "json", file]).stdout
        );
    }
    test.write("k.env", b"caf\xe9=x\n");
    let refused = sealant(&["encrypt", "-i", "--age", RECIPIENT, "k.env"]).code(2);
    assert!(refused.stderr.contains("k.env:1: invalid UTF-8 in a key"), "{}", refused.stderr);
}

fn replaced(text: &[u8], old: &[u8], new: &[u8]) -> Vec<u8> {
    let at = text.windows(old.len()).position(|window| window == old).expect("the old text");
    [&text[..at], new, &text[at + old.len()..]].concat()
}
