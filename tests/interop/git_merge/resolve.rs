//! Conflicts: what is in the working tree, and how a person finishes them.

use std::fs;

use super::repo::{Repo, new_identity};

const TEXT: &str = "a: one\nfill1: 1\nfill2: 1\nfill3: 1\nb: two\n";

/// Both sides changed `a` and `b`.
fn conflict(name: &str) -> Repo {
    let repo = Repo::new(&[(name, TEXT)]);
    let both = |who: &str| {
        repo.set(name, "a", &format!("planted-a-{who}"));
        repo.set(name, "b", &format!("planted-b-{who}"));
    };
    repo.branches(|| both("ours"), || both("theirs"));
    let merge = repo.merge().code(1);
    assert!(!format!("{merge}").contains("planted"), "{merge}");
    assert!(merge.stderr.contains("[\"a\"]") && merge.stderr.contains("[\"b\"]"), "{merge}");
    repo
}

#[test]
fn a_conflict_is_encrypted_and_a_side_finishes_it() {
    let repo = conflict("s.yaml");
    let text = repo.test.read_text("s.yaml");
    assert_eq!(text.matches("<<<<<<< ours\n").count(), 2, "{text}");
    repo.holds_none_of(&["planted"]);
    let diff = repo.ok(&["diff"]);
    for line in ["++<<<<<<< ours", " +a: planted-a-ours", "++=======", "+ a: planted-a-theirs"] {
        assert!(diff.text().contains(line), "{diff}");
    }
    let listed = repo.test.sealant(&["resolve", "s.yaml"]).run().code(1);
    assert_eq!(listed.text(), "s.yaml: conflicts begin on line 1, 9\n  [\"a\"]\n  [\"b\"]\n");
    assert_eq!(repo.test.read_text("s.yaml"), text);
    repo.holds_none_of(&["planted"]);
    for side in ["ours", "theirs"] {
        repo.test.write("s.yaml", &text);
        let resolved = repo.sealant(&["resolve", &format!("--{side}"), "s.yaml"]);
        assert!(resolved.stderr.contains("git add s.yaml"), "{resolved}");
        let expected =
            TEXT.replace("one", &format!("planted-a-{side}")).replace("two", &format!("planted-b-{side}"));
        assert_eq!(repo.plain("s.yaml"), expected);
        assert!(repo.ok(&["status", "--porcelain"]).text().starts_with("UU s.yaml"), "nothing was added");
    }
}

/// The file with one side of its first conflict and the other of its second.
fn mixed(text: &str) -> String {
    let (mut kept, mut within, mut number) = (String::new(), 0, 0);
    for line in text.split_inclusive('\n') {
        match line.get(..7) {
            Some("<<<<<<<") => (within, number) = (1, number + 1),
            Some("=======") => within = 2,
            Some(">>>>>>>") => within = 0,
            _ if within == 0 || within == number => kept.push_str(line),
            _ => {}
        }
    }
    kept
}

#[test]
fn lines_taken_by_hand_get_a_new_mac() {
    let repo = conflict("s.yaml");
    repo.test.write("s.yaml", mixed(&repo.test.read_text("s.yaml")));
    assert!(repo.test.sealant(&["decrypt", "s.yaml"]).run().status != 0, "the MAC is of another file");
    let resolved = repo.sealant(&["resolve", "s.yaml"]);
    assert!(!resolved.stderr.contains("none of the versions"), "{resolved}");
    assert_eq!(
        repo.plain("s.yaml"),
        TEXT.replace("one", "planted-a-ours").replace("two", "planted-b-theirs")
    );
    repo.commit("merged");
    let nothing = repo.sealant(&["resolve", "s.yaml"]);
    assert!(nothing.stderr.contains("nothing to resolve"), "{nothing}");
}

#[test]
fn an_editor_gets_the_plaintext_with_markers() {
    let repo = conflict("s.yaml");
    let before = repo.test.read_text("s.yaml");
    let edit = |commands: &str| {
        repo.test.sealant(&["resolve", "--edit", "s.yaml"]).env("EDITOR", repo.test.editor(commands)).run()
    };
    // Nothing was changed, or a marker is left: nothing is written.
    let _ = edit("grep -q planted-a-theirs \"$1\"").code(1);
    assert!(edit("sed -i 1d \"$1\"").status != 0);
    assert_eq!(repo.test.read_text("s.yaml"), before);
    let _ = edit("sed -i '/^<<<<<<</d; /^=======/,/^>>>>>>>/d; s/planted-b-ours/planted-b-new/' \"$1\"").ok();
    assert_eq!(repo.plain("s.yaml"), TEXT.replace("one", "planted-a-ours").replace("two", "planted-b-new"));
    repo.holds_none_of(&["planted"]);
}

#[test]
fn what_comes_from_nowhere_is_named_and_needs_a_conflict() {
    let repo = Repo::empty("    encrypted_regex: ^secret\n");
    repo.encrypted("s.yaml", "secret: one\nclear: good\nboth: x\n");
    repo.commit("base");
    repo.branches(|| repo.set("s.yaml", "secret", "ours"), || repo.set("s.yaml", "secret", "theirs"));
    let _ = repo.merge().code(1);
    let by_hand =
        mixed(&repo.test.read_text("s.yaml")).replace("clear: good", "clear: evil").replace("both: x\n", "");
    repo.test.write("s.yaml", &by_hand);
    let resolved = repo.sealant(&["resolve", "s.yaml"]);
    assert!(resolved.stderr.contains("clear: none of the merged versions has this value"), "{resolved}");
    assert!(resolved.stderr.contains("both: this value is gone"), "{resolved}");
    // Without a conflict there is no new MAC.
    repo.commit("merged");
    let text = repo.test.read_text("s.yaml").replace("clear: evil", "clear: worse");
    repo.test.write("s.yaml", &text);
    let refused = repo.test.sealant(&["resolve", "s.yaml"]).run();
    assert!(refused.status != 0 && refused.stderr.contains("Git has no conflict in this file"), "{refused}");
    assert_eq!(repo.test.read_text("s.yaml"), text);
}

#[test]
fn settings_that_come_from_nowhere_get_no_mac() {
    let in_clear = |text: &str| -> String {
        let line =
            |line: &str| if line.starts_with("b: ") { "b: two\n".to_owned() } else { format!("{line}\n") };
        let text = text.replace("unencrypted_suffix: _unencrypted", "encrypted_regex: ^(a|fill.)$");
        text.lines().map(line).collect()
    };
    let half_checked =
        |text: &str| text.replace("    version:", "    mac_only_encrypted: true\n    version:");
    let by_hand =
        [("encrypted_regex", &in_clear as &dyn Fn(&str) -> String), ("mac_only_encrypted", &half_checked)];
    for (setting, by_hand) in by_hand {
        let repo = Repo::new(&[("s.yaml", TEXT)]);
        repo.branches(|| repo.set("s.yaml", "a", "ours"), || repo.set("s.yaml", "a", "theirs"));
        repo.without_key();
        let _ = repo.merge().code(1);
        repo.with_key();
        let text = by_hand(&mixed(&repo.test.read_text("s.yaml")));
        assert!(text.contains(setting) && !text.contains("<<<<<<<"), "{text}");
        repo.test.write("s.yaml", &text);
        let refused = repo.test.sealant(&["resolve", "s.yaml"]).run();
        assert!(refused.status != 0 && refused.stderr.contains(setting), "{refused}");
        assert_eq!(repo.test.read_text("s.yaml"), text);
    }
}

#[test]
fn the_weaker_settings_of_a_side_leave_nothing_in_plaintext() {
    let repo = Repo::new(&[("s.yaml", TEXT)]);
    repo.branches(
        || repo.set("s.yaml", "a", "ours"),
        || {
            // No key of ours: the settings of a file are in no MAC.
            repo.set("s.yaml", "a", "theirs");
            let text = repo.test.read_text("s.yaml");
            repo.test.write(
                "s.yaml",
                text.replace("unencrypted_suffix: _unencrypted", "encrypted_regex: ^(a|b|fill.)$"),
            );
        },
    );
    let _ = repo.merge().code(1);
    let text = repo.test.read_text("s.yaml");
    assert!(text.contains("unencrypted_suffix: _unencrypted"), "{text}");
    let text = mixed(&text).replace("unencrypted_suffix: _unencrypted", "encrypted_regex: ^(a|b|fill.)$");
    repo.test.write("s.yaml", &text);
    repo.sealant(&["resolve", "s.yaml"]);
    // By those settings what is typed would be in plaintext.
    repo.ok(&["checkout", "-m", "s.yaml"]);
    let _ = repo.test.sealant(&["resolve", "s.yaml"]).run().code(1);
    let text = repo
        .test
        .read_text("s.yaml")
        .replace("unencrypted_suffix: _unencrypted", "encrypted_regex: ^(a|b|fill.)$");
    repo.test.write("s.yaml", &text);
    let editor = repo
        .test
        .editor("sed -i '/^<<<<<<</d; /^=======/,/^>>>>>>>/d' \"$1\"; echo 'new: planted' >> \"$1\"");
    let edit = repo.test.sealant(&["resolve", "--edit", "s.yaml"]).env("EDITOR", editor).run().code(8);
    assert!(edit.stderr.contains("new would be in plaintext") || edit.stderr.contains("[\"new\"]"), "{edit}");
    assert_eq!(repo.test.read_text("s.yaml"), text);
    repo.holds_none_of(&["planted"]);
}

#[test]
fn settings_that_come_from_nowhere_leave_nothing_in_clear() {
    let repo = conflict("s.yaml");
    let text = repo.test.read_text("s.yaml");
    let text = text.replace("unencrypted_suffix: _unencrypted", "encrypted_regex: ^(b|fill.)$");
    repo.test.write("s.yaml", &text);
    let editor = repo.test.editor("sed -i '/^<<<<<<</d; /^=======/,/^>>>>>>>/d' \"$1\"");
    let edit = repo.test.sealant(&["resolve", "--edit", "s.yaml"]).env("EDITOR", editor).run();
    assert!(edit.status != 0 && edit.stderr.contains("encrypted_regex"), "{edit}");
    assert_eq!(repo.test.read_text("s.yaml"), text);
    let _ = repo.test.sealant(&["resolve", "--ours", "s.yaml"]).run().code(8);
    repo.holds_none_of(&["planted"]);
}

#[test]
fn one_side_as_it_was_is_no_merge() {
    let name = "s.yaml";
    let in_clear = |repo: &Repo| repo.test.write(name, TEXT.replace("two", "in plaintext"));
    let tampered_with = |repo: &Repo| {
        let text = repo.test.read_text(name).replace("lastmodified: \"20", "lastmodified: \"19");
        repo.test.write(name, text);
    };
    for theirs in [&in_clear as &dyn Fn(&Repo), &tampered_with] {
        let repo = Repo::new(&[(name, TEXT)]);
        repo.branches(|| repo.set(name, "b", "planted"), || theirs(&repo));
        let merge = repo.merge().code(1);
        assert!(merge.stderr.contains("Our side stays"), "{merge}");
        let ours = repo.test.read_text(name);
        let refused = repo.test.sealant(&["resolve", name]).run().code(1);
        assert!(refused.stderr.contains("this is our side, without any change of theirs"), "{refused}");
        assert_eq!(repo.test.read_text(name), ours);
        repo.ok(&["checkout", "--theirs", name]);
        let refused = repo.test.sealant(&["resolve", name]).run().code(1);
        assert!(refused.stderr.contains("this is their side, without any change of ours"), "{refused}");
        repo.sealant(&["resolve", "--ours", name]);
        assert_eq!(repo.plain(name), TEXT.replace("two", "planted"));
    }
    // Where the sides come together, they do, as far as they do.
    let repo = Repo::new(&[(name, TEXT)]);
    repo.branches(|| repo.set(name, "a", "ours"), || repo.set(name, "b", "theirs"));
    repo.without_key();
    let _ = repo.merge().code(1);
    repo.with_key();
    repo.ok(&["checkout", "--ours", name]);
    repo.sealant(&["resolve", name]);
    assert_eq!(repo.plain(name), TEXT.replace("one", "ours").replace("two", "theirs"));
    let repo = conflict(name);
    repo.ok(&["checkout", "--ours", name]);
    let refused = repo.test.sealant(&["resolve", name]).run().code(1);
    assert!(refused.stderr.contains("--ours") && refused.stderr.contains("git checkout -m"), "{refused}");
    assert!(!repo.test.read_text(name).contains("<<<<<<<"));
    repo.ok(&["checkout", "-m", name]);
    let _ = repo.test.sealant(&["resolve", name]).run().code(1);
    repo.sealant(&["resolve", "--ours", name]);
}

/// Git starts the driver once more to bring what ended the conflict before into it, by the file with the conflict.
#[test]
fn a_conflict_that_git_knows_again_is_told_as_it_is() {
    let name = "s.yaml";
    let repo = Repo::new(&[(name, TEXT)]);
    repo.ok(&["config", "rerere.enabled", "true"]);
    repo.branches(|| repo.set(name, "a", "ours"), || repo.set(name, "a", "theirs"));
    let first = repo.merge().code(1);
    repo.sealant(&["resolve", "--theirs", name]);
    repo.commit("merged");
    assert!(first.to_string().contains("Recorded preimage"), "{first}");
    repo.ok(&["reset", "-q", "--hard", "HEAD~1"]);
    let again = repo.merge().code(1);
    let text = again.to_string();
    assert!(
        text.contains("both sides changed") && text.contains(&format!("sealant resolve {name}")),
        "{again}"
    );
    assert!(!text.contains("common ancestors") && !text.contains("not merged"), "{again}");
    repo.sealant(&["resolve", "--ours", name]);
    assert_eq!(repo.plain(name), TEXT.replace("one", "ours"));
}

/// Each side lets somebody in, so the config is in conflict as well: that is what is said, at its own name.
#[test]
fn a_config_in_conflict_comes_before_the_files_of_its_rules() {
    let name = "s.yaml";
    let repo = Repo::new(&[(name, TEXT)]);
    let test = &repo.test;
    let joins = |who: &str, key: &str| {
        let more = new_identity(test, &test.home(format!("{who}.txt")));
        repo.rule(&format!("{},{more}", repo.recipient), "");
        repo.sealant(&["updatekeys", "--rotate", "--yes", name]);
        repo.set(name, key, who);
    };
    repo.branches(|| joins("ours", "a"), || joins("theirs", "b"));
    let said = repo.merge().code(1);
    // The driver may be asked before the config is in conflict.
    assert!(!said.stderr.contains(&format!("git checkout --ours {name}")), "{said}");
    let ours = test.read_text(name);
    assert!(test.read_text(".sops.yaml").contains("<<<<<<<"));
    for words in [&["resolve", name][..], &["resolve", "--ours", name], &["resolve", "--theirs", name]] {
        let output = test.sealant(words).run();
        let (is_of_config, is_of_file) =
            (output.stderr.contains(".sops.yaml:2: "), output.stderr.contains(&format!(" {name}")));
        assert!(output.status != 0 && is_of_config && !is_of_file, "{words:?}: {output}");
        assert!(output.stderr.contains("git checkout --ours") && test.read_text(name) == ours, "{output}");
    }
    let key = |who: &str| {
        let identity = fs::read_to_string(test.home(format!("{who}.txt"))).expect("an identity");
        let key = identity.lines().find_map(|line| line.strip_prefix("# public key: "));
        key.expect("its recipient").to_owned()
    };
    let theirs = &key("theirs");
    repo.rule(&format!("{},{},{theirs}", repo.recipient, key("ours")), "");
    repo.ok(&["add", ".sops.yaml"]);
    let told = test.sealant(&["resolve", name]).run();
    assert!(told.status != 0 && told.stderr.contains(theirs), "{told}");
    repo.sealant(&["resolve", "--allow-recipient", theirs, name]);
    assert_eq!(repo.plain(name), TEXT.replace("one", "ours").replace("two", "theirs"));
    // Once it is committed, what the index still knows of the conflict is in nobody's way.
    repo.commit("merged");
    repo.sealant(&["decrypt", "-i", name]);
    repo.sealant(&["encrypt", "-i", name]);
    assert!(test.read_text(name).contains(theirs));
}

/// All that are in conflict, one of which somebody has finished.
#[test]
fn a_side_takes_nothing_from_what_is_resolved() {
    let name = "s.yaml";
    let repo = Repo::new(&[(name, TEXT)]);
    repo.branches(
        || repo.set(name, "a", "ours"),
        || {
            repo.set(name, "a", "theirs");
            repo.set(name, "fill3", "only theirs");
        },
    );
    let _ = repo.merge().code(1);
    repo.sealant(&["resolve", "--ours", name]);
    let resolved = repo.test.read_text(name);
    for side in ["--ours", "--theirs"] {
        let again = repo.sealant(&["resolve", side, name]);
        assert!(
            again.stderr.contains("no conflict is left in it") && again.stderr.contains("git checkout -m"),
            "{again}"
        );
        assert_eq!(repo.test.read_text(name), resolved);
    }
    assert!(repo.plain(name).contains("only theirs"));
    repo.ok(&["checkout", "-m", name]);
    repo.sealant(&["resolve", "--theirs", name]);
    assert!(repo.plain(name).contains("a: theirs"));
}

/// As Git checks it out with other line ends, or as the advice has encrypted it again.
#[test]
fn one_side_is_no_merge_however_it_is_written() {
    let name = "s.yaml";
    for how in ["rotated", "other line ends"] {
        let repo = Repo::new(&[(name, TEXT)]);
        if how == "other line ends" {
            let said = repo.test.read_text(".gitattributes");
            repo.test.write(".gitattributes", format!("{said}*.yaml text eol=crlf\n"));
            repo.commit("line ends");
        }
        let in_clear = || repo.test.write(name, TEXT.replace("two", "in plaintext"));
        repo.branches(|| repo.set(name, "a", "planted"), in_clear);
        let _ = repo.merge().code(1);
        match how {
            "rotated" => drop(repo.sealant(&["rotate", "-i", name])),
            _ => drop(repo.ok(&["checkout", "--ours", name])),
        }
        let text = repo.test.read_text(name);
        assert_eq!(text.contains('\r'), how != "rotated", "{how}");
        let refused = repo.test.sealant(&["resolve", name]).run().code(1);
        assert!(
            refused.stderr.contains("this is our side, without any change of theirs"),
            "{how}: {refused}"
        );
        repo.sealant(&["resolve", "--ours", name]);
        assert!(repo.plain(name).contains("a: planted"), "{how}");
    }
}

/// Encrypted again, it verifies, and has nothing of the other side.
#[test]
fn a_side_that_was_encrypted_again_is_no_merge() {
    let name = "s.yaml";
    for how in ["conflict", "no driver"] {
        let repo = Repo::new(&[(name, TEXT)]);
        if how == "no driver" {
            repo.ok(&["config", "--remove-section", "merge.sealant"]);
        }
        let theirs = || {
            if how == "conflict" {
                repo.set(name, "a", "theirs");
            }
            repo.set(name, "fill3", "only theirs");
        };
        repo.branches(|| repo.set(name, "a", "ours"), theirs);
        let _ = repo.merge().code(1);
        repo.ok(&["checkout", "-q", "--ours", name]);
        repo.sealant(&["rotate", "-i", name]);
        let text = repo.test.read_text(name);
        let refused = repo.test.sealant(&["resolve", name]).run().code(1);
        assert!(
            refused.stderr.contains("this is our side, without any change of theirs"),
            "{how}: {refused}"
        );
        assert_eq!(repo.test.read_text(name), text, "{how}");
        repo.ok(&["checkout", "-q", "-m", name]);
        repo.sealant(&["resolve", "--ours", name]);
        assert!(repo.plain(name).contains("only theirs"), "{how}");
    }
}

/// It says nothing of a side that was changed without the key.
#[test]
fn a_marker_of_theirs_hides_no_change_without_the_key() {
    let name = "s.yaml";
    let text = "admin_unencrypted: alice\nh1_unencrypted: h\nh2_unencrypted: h\npw: one\nh3_unencrypted: h\ntok: old\n";
    let repo = Repo::new(&[(name, text)]);
    repo.ok(&["config", "--remove-section", "merge.sealant"]);
    let theirs = || {
        let text =
            repo.test.read_text(name).replace("admin_unencrypted: alice", "admin_unencrypted: mallory");
        let text = text.replace("h1_unencrypted: h\n", ">>>>>>> feature\nh1_unencrypted: h\n");
        repo.test.write(name, text.replace("lastmodified: \"20", "lastmodified: \"19"));
    };
    repo.branches(|| repo.set(name, "pw", "ours"), theirs);
    let _ = repo.merge().code(1);
    let merged = mixed(&repo.test.read_text(name)).replace(">>>>>>> feature\n", "");
    let without = merged.split_inclusive('\n').filter(|line| !line.starts_with(">>>>>>>"));
    repo.test.write(name, without.collect::<String>());
    let refused = repo.test.sealant(&["resolve", name]).run();
    assert!(refused.status != 0, "{refused}");
    assert!(!refused.stderr.contains("resolved"), "{refused}");
}

/// What Git has in conflict is where the links lead, and what is in the files is something else.
#[test]
#[cfg(unix)]
fn links_in_conflict_are_no_files() {
    let repo = Repo::new(&[("v1.yaml", TEXT), ("v2.yaml", TEXT), ("v3.yaml", TEXT)]);
    let leads = |to: &str| {
        let _ = std::fs::remove_file(repo.test.path("cur.yaml"));
        std::os::unix::fs::symlink(to, repo.test.path("cur.yaml")).expect("a link");
        repo.ok(&["add", "cur.yaml"]);
    };
    leads("v1.yaml");
    repo.commit("a link");
    repo.branches(|| leads("v3.yaml"), || leads("v2.yaml"));
    let _ = repo.merge().code(1);
    let before = ["v1.yaml", "v2.yaml", "v3.yaml"].map(|name| repo.test.read_text(name));
    for words in [
        &["resolve", "cur.yaml"][..],
        &["resolve", "--ours", "cur.yaml"],
        &["resolve", "--theirs", "cur.yaml"],
    ] {
        let refused = repo.test.sealant(words).run().code(8);
        assert!(
            refused.stderr.contains("symbolic link") && refused.stderr.contains("git checkout --ours"),
            "{refused}"
        );
    }
    assert_eq!(before, ["v1.yaml", "v2.yaml", "v3.yaml"].map(|name| repo.test.read_text(name)));
    repo.ok(&["checkout", "-q", "--ours", "cur.yaml"]);
    repo.ok(&["add", "cur.yaml"]);
    assert_eq!(std::fs::read_link(repo.test.path("cur.yaml")).expect("a link").to_str(), Some("v3.yaml"));
}

#[test]
fn wrong_arguments_are_no_conflict() {
    let repo = Repo::new(&[("s.yaml", TEXT)]);
    for words in [&["git", "merge"][..], &["git", "merge", "a", "b", "c", "--nonsense"]] {
        let _ = repo.test.sealant(words).run().code(129);
    }
    repo.sealant(&["git", "merge", "--help"]);
}

#[test]
fn all_formats_have_conflicts_that_can_be_resolved() {
    for (name, base, ours, theirs) in [
        (
            "s.json",
            "{\n  \"a\": \"1\",\n  \"b\": [1]\n}\n",
            "{\n  \"a\": \"2\",\n  \"b\": [1]\n}\n",
            "{\n  \"a\": \"3\",\n  \"b\": [1]\n}\n",
        ),
        ("s.env", "A=1\nB=1\n", "A=2\nB=1\n", "A=3\nB=1\n"),
        ("s.ini", "[x]\na = 1\n", "[x]\na = 2\n", "[x]\na = 3\n"),
        ("s.yaml", "a: |\n  x\n  y\nb: 1.10\n", "a: |\n  x\n  o\nb: 1.10\n", "a: |\n  x\n  t\nb: 1.10\n"),
        ("s.yaml", "a: 1\r\nb: 1\r\n", "a: 2\r\nb: 1\r\n", "a: 3\r\nb: 1\r\n"),
        ("s.yaml", "a: 1", "a: 2", "a: 3"),
        ("s.txt", "any text\n", "any text, ours\n", "any text, theirs\n"),
        // Numbers keep their spelling, though they do not have the same position on both sides.
        ("s.yaml", "a: x\nf: 1\ng: 1.10\n", "a: 0x1F\nf: 1\ng: 1.10\n", "a:\n- 2.50\n- 3\nf: 1\ng: 1.10\n"),
        // Whole files.
        ("s.yaml", "a: 1\n", "b: 1\nc: 1\n", "d: {e: 1}\n"),
    ] {
        for (side, expected) in [("--ours", ours), ("--theirs", theirs)] {
            let repo = Repo::new(&[(name, base)]);
            repo.branches(|| repo.edit(name, ours), || repo.edit(name, theirs));
            let _ = repo.merge().code(1);
            let conflict = repo.test.read_text(name);
            assert!(conflict.contains("<<<<<<< ours"));
            repo.sealant(&["resolve", side, name]);
            assert_eq!(repo.plain(name), expected, "{name} {side}");
            repo.test.write(name, &conflict);
            let delete = if side == "--ours" {
                "/^=======/,/^>>>>>>>/d; /^<<<<<<</d"
            } else {
                "/^<<<<<<</,/^=======/d; /^>>>>>>>/d"
            };
            let editor = repo.test.editor(&format!("sed -i '{delete}' \"$1\""));
            let _ = repo.test.sealant(&["resolve", "--edit", name]).env("EDITOR", editor).run().ok();
            if !expected.ends_with('3') && !expected.ends_with('2') {
                assert_eq!(repo.plain(name), expected, "{name} {side} --edit");
            }
        }
    }
}
