//! Who can decrypt what came of a merge, under which data key; and merges by those who cannot open all of it.

use sealant_test_support::{AGE_PLUGIN_TOY, Bao, Run};

use super::repo::{Repo, new_identity, tokens};

const TEXT: &str = "a: one\nb: two\nc: three\n";

fn recipients(repo: &Repo, name: &str) -> Vec<String> {
    let text = repo.test.read_text(name);
    let lines =
        text.lines().filter_map(|line| line.trim().trim_start_matches("- ").strip_prefix("recipient: "));
    lines.map(str::to_owned).collect()
}

/// The ciphertexts of a file at a commit.
fn tokens_at(repo: &Repo, commit: &str) -> Vec<(String, String)> {
    tokens(repo.ok(&["show", "--no-textconv", &format!("{commit}:s.yaml")]).text())
}

/// One side rotates, and the other does something else; in both directions, with the commit that rotated.
fn rotated_by_one_side(then: impl Fn(&Repo)) -> impl Iterator<Item = (Repo, &'static str)> {
    [true, false].into_iter().map(move |ours_rotates| {
        let repo = Repo::new(&[("s.yaml", TEXT)]);
        let rotate = || _ = repo.sealant(&["rotate", "-i", "s.yaml"]);
        match ours_rotates {
            true => repo.branches(rotate, || then(&repo)),
            false => repo.branches(|| then(&repo), rotate),
        }
        (repo, if ours_rotates { "main" } else { "theirs" })
    })
}

#[test]
fn a_data_key_that_one_side_changed_stays_where_nothing_comes_under_it() {
    for (repo, rotated) in rotated_by_one_side(|repo| _ = repo.sealant(&["unset", "s.yaml", "[\"b\"]"])) {
        let before = tokens_at(&repo, rotated);
        let merge = repo.merge().ok();
        assert!(!format!("{merge}").contains("new data key"), "{merge}");
        assert_eq!(repo.plain("s.yaml"), "a: one\nc: three\n");
        let merged = tokens(&repo.test.read_text("s.yaml"));
        assert!(merged.len() == 2 && merged.iter().all(|token| before.contains(token)), "{merged:?}");
    }
}

#[test]
fn a_data_key_that_one_side_changed_gets_nothing_of_the_other() {
    for expected in [TEXT.replace("two", "edited"), format!("# a note\n{TEXT}")] {
        for (repo, _) in rotated_by_one_side(|repo| repo.edit("s.yaml", &expected)) {
            let old = [tokens_at(&repo, "main"), tokens_at(&repo, "theirs")].concat();
            let merge = repo.merge().ok();
            assert!(format!("{merge}").contains("the file has a new data key"), "{merge}");
            assert_eq!(repo.plain("s.yaml"), expected);
            let merged = tokens(&repo.test.read_text("s.yaml"));
            assert!(!merged.iter().any(|token| old.contains(token)), "{merge}");
        }
    }
}

#[test]
fn sides_that_are_equal_but_for_their_data_keys_need_no_third() {
    let repo = Repo::empty("");
    repo.test.write("s.yaml", TEXT);
    repo.commit("in plaintext");
    let encrypt = || _ = repo.sealant(&["encrypt", "-i", "s.yaml"]);
    repo.branches(encrypt, encrypt);
    let ours = repo.test.read_text("s.yaml");
    let _ = repo.merge().ok();
    assert_eq!(repo.test.read_text("s.yaml"), ours);
}

#[test]
fn data_keys_that_both_changed_make_a_third() {
    let repo = Repo::new(&[("s.yaml", TEXT)]);
    // Whom both sides name needs no rule.
    repo.ok(&["rm", "-q", ".sops.yaml"]);
    repo.commit("no rule");
    let change = |key: &str| {
        repo.sealant(&["rotate", "-i", "s.yaml"]);
        repo.set("s.yaml", key, "edited");
    };
    repo.branches(|| change("a"), || change("c"));
    let old = ["main", "theirs"]
        .map(|side| tokens(repo.ok(&["show", "--no-textconv", &format!("{side}:s.yaml")]).text()))
        .concat();
    let _ = repo.merge().ok();
    assert_eq!(repo.plain("s.yaml"), "a: edited\nb: two\nc: edited\n");
    assert!(!tokens(&repo.test.read_text("s.yaml")).iter().any(|token| old.contains(token)));
}

#[test]
fn recipients_come_together_and_nobody_is_brought_back() {
    let repo = Repo::empty("");
    let [bob, carol] = ["bob.txt", "carol.txt"].map(|name| new_identity(&repo.test, &repo.test.home(name)));
    let me = repo.recipient.clone();
    repo.rule(&format!("{me},{bob}"), "");
    repo.encrypted("s.yaml", TEXT);
    repo.commit("base");
    // Ours: Bob leaves, and with him the data key. Theirs: Carol comes, under the old one.
    let rule = |who: &str| {
        repo.rule(who, "");
        repo.sealant(&["updatekeys", "-y", "s.yaml"]);
    };
    repo.branches(
        || {
            rule(&me);
            repo.sealant(&["rotate", "-i", "s.yaml"]);
        },
        || {
            rule(&format!("{me},{bob},{carol}"));
            repo.set("s.yaml", "c", "for carol");
        },
    );
    // The rule in the working tree does not name Carol.
    let refused = repo.merge().code(1);
    assert!(refused.stderr.contains(&carol) || refused.text().contains(&carol), "{refused}");
    repo.ok(&["merge", "--abort"]);
    repo.rule(&format!("{me},{carol}"), "");
    repo.commit("Carol is named");
    let merge = repo.merge().code(1);
    assert!(!merge.text().contains("CONFLICT (content): Merge conflict in s.yaml"), "{merge}");
    repo.ok(&["checkout", "--ours", ".sops.yaml"]);
    let merged = recipients(&repo, "s.yaml");
    assert!(merged.contains(&me) && merged.contains(&carol) && !merged.contains(&bob), "{merged:?}");
    assert_eq!(repo.plain("s.yaml"), TEXT.replace("three", "for carol"));
    for (name, code) in [("carol.txt", 0), ("bob.txt", 128)] {
        let keys = repo.test.home(name);
        let _ = repo
            .test
            .sops(&["decrypt", "s.yaml"])
            .env("SOPS_AGE_KEY_FILE", keys)
            .env("XDG_CONFIG_HOME", repo.test.tmp())
            .run()
            .code(code);
    }
}

#[test]
fn who_was_removed_and_knows_the_new_data_key_is_named() {
    let repo = Repo::empty("");
    let bob = new_identity(&repo.test, &repo.test.home("bob.txt"));
    let me = repo.recipient.clone();
    repo.rule(&format!("{me},{bob}"), "");
    repo.encrypted("s.yaml", TEXT);
    repo.commit("base");
    repo.branches(
        || _ = repo.sealant(&["rotate", "-i", "s.yaml"]),
        || {
            repo.rule(&me, "");
            repo.sealant(&["updatekeys", "-y", "s.yaml"]);
        },
    );
    let merge = repo.merge().ok();
    assert_eq!(recipients(&repo, "s.yaml"), [me]);
    let note = format!("{bob} was removed, but still knows the data key");
    assert_eq!(format!("{merge}").matches(&note).count(), 1, "{merge}");
}

#[test]
fn a_stranger_who_wrote_himself_into_a_file_gets_nothing() {
    let repo = Repo::new(&[("s.yaml", TEXT)]);
    let mallory = new_identity(&repo.test, &repo.test.home("mallory.txt"));
    let stranger = |name: &str| {
        let text = repo.test.read_text(name);
        let (before, entry) = text.split_once("        - enc: |").expect("a recipient");
        let end = entry.find("    lastmodified").expect("its end");
        let mine = entry[..end].replace(&repo.recipient, &mallory);
        let text = format!("{before}        - enc: |{mine}        - enc: |{entry}");
        repo.test.write(name, text);
    };
    repo.branches(|| _ = repo.sealant(&["rotate", "-i", "s.yaml"]), || stranger("s.yaml"));
    let ours = repo.test.read_text("s.yaml");
    let refused = repo.merge().code(1);
    assert!(format!("{refused}").contains(&mallory), "{refused}");
    assert_eq!(repo.test.read_text("s.yaml"), ours);
}

#[test]
fn a_side_that_was_tampered_with_is_not_made_valid() {
    for ours_is_tampered in [false, true] {
        let repo = Repo::empty("    encrypted_regex: ^secret\n");
        repo.encrypted("s.yaml", "secret: one\nclear: good\nsecret2: two\n");
        repo.commit("base");
        let tamper =
            || repo.test.write("s.yaml", repo.test.read_text("s.yaml").replace("clear: good", "clear: evil"));
        let edit = || repo.set("s.yaml", "secret2", "edited");
        if ours_is_tampered {
            repo.branches(tamper, edit)
        } else {
            repo.branches(edit, tamper)
        }
        let ours = repo.test.read_text("s.yaml");
        let refused = repo.merge().code(1);
        let side = if ours_is_tampered { "our side: MAC mismatch" } else { "their side: MAC mismatch" };
        assert!(format!("{refused}").contains(side), "{refused}");
        assert_eq!(repo.test.read_text("s.yaml"), ours);
        assert!(repo.ok(&["status", "--porcelain"]).text().starts_with("UU s.yaml"));
        // Nor by a detour over the conflict.
        let (good, bad) = if ours_is_tampered { ("--theirs", "--ours") } else { ("--ours", "--theirs") };
        let refused = repo.test.sealant(&["resolve", bad, "s.yaml"]).run();
        assert!(refused.status != 0 && refused.stderr.contains("MAC mismatch"), "{refused}");
        repo.test.write("s.yaml", ours.replace("clear: good", "clear: evil"));
        let refused = repo.test.sealant(&["resolve", "s.yaml"]).run();
        assert!(refused.status != 0 && refused.stderr.contains(side), "{refused}");
        repo.sealant(&["resolve", good, "s.yaml"]);
        assert!(repo.plain("s.yaml").contains("clear: good"));
    }
}

#[test]
fn a_rule_of_one_side_leaves_nothing_of_the_other_in_clear() {
    // The rule is in no MAC: this takes no key.
    let repo = Repo::new(&[("s.yaml", "a: one\n")]);
    let relax = || {
        let text = repo.test.read_text("s.yaml");
        assert!(text.contains("unencrypted_suffix: _unencrypted"));
        repo.test.write("s.yaml", text.replace("unencrypted_suffix: _unencrypted", "encrypted_regex: ^a$"));
    };
    repo.branches(|| repo.set("s.yaml", "new", "planted-new"), relax);
    let merge = repo.merge().ok();
    assert!(merge.stderr.contains("`unencrypted_suffix: _unencrypted` encrypts more"), "{merge}");
    assert_eq!(repo.plain("s.yaml"), "a: one\nnew: planted-new\n");
    repo.holds_none_of(&["planted"]);
}

#[test]
fn of_two_choices_of_values_the_merge_has_the_stronger() {
    for ours_is_weaker in [false, true] {
        let repo = Repo::new(&[("s.yaml", TEXT)]);
        let edit = || repo.set("s.yaml", "b", "planted");
        let weaken = || {
            repo.rule(&repo.recipient, "    encrypted_regex: ^a$\n");
            repo.encrypted("s.yaml", TEXT);
        };
        if ours_is_weaker {
            repo.branches(weaken, edit)
        } else {
            repo.branches(edit, weaken)
        }
        let _ = repo.merge().ok();
        assert_eq!(repo.plain("s.yaml"), TEXT.replace("two", "planted"));
        assert_eq!(tokens(&repo.test.read_text("s.yaml")).len(), 3);
        repo.holds_none_of(&["planted"]);
    }
}

#[test]
fn a_rule_that_became_stricter_stops_no_merge() {
    let repo = Repo::empty("    encrypted_regex: ^a$\n");
    repo.encrypted("s.yaml", TEXT);
    repo.commit("base");
    repo.branches(
        || {
            repo.rule(&repo.recipient, "    encrypted_regex: ^(a|b)$\n");
            repo.set("s.yaml", "a", "ours");
        },
        || repo.set("s.yaml", "c", "theirs"),
    );
    let _ = repo.merge().ok();
    assert_eq!(repo.plain("s.yaml"), "a: ours\nb: two\nc: theirs\n");
}

#[test]
fn choices_of_values_of_which_none_is_the_stronger_are_a_conflict() {
    let repo = Repo::empty("");
    let encrypt = |name: &str| {
        repo.test.write("s.yaml", TEXT);
        repo.sealant(&["encrypt", "-i", "--encrypted-regex", name, "s.yaml"]);
    };
    repo.commit("base");
    repo.branches(|| encrypt("a"), || encrypt("b"));
    let merge = repo.merge().code(1);
    assert!(format!("{merge}").contains("do not agree on which values are encrypted"), "{merge}");
}

#[test]
fn without_a_key_git_merges_text_and_resolve_finishes_it() {
    for (ours, theirs, code) in [("a", "c", 0), ("a", "a", 1)] {
        let repo = Repo::new(&[("s.yaml", TEXT)]);
        repo.branches(|| repo.set("s.yaml", ours, "planted-1"), || repo.set("s.yaml", theirs, "planted-2"));
        repo.without_key();
        let merge = repo.merge().code(1);
        assert!(format!("{merge}").contains("sealant resolve s.yaml"), "{merge}");
        assert!(repo.test.read_text("s.yaml").contains("<<<<<<< ours"));
        let _ = repo.test.sealant(&["resolve", "s.yaml"]).run().code(128);
        repo.with_key();
        let _ = repo.test.sealant(&["resolve", "s.yaml"]).run().code(code);
        if code == 1 {
            repo.sealant(&["resolve", "--theirs", "s.yaml"]);
        }
        repo.commit("merged");
        let plain = repo.plain("s.yaml");
        assert_eq!(plain.matches("planted").count(), if code == 0 { 2 } else { 1 }, "{plain}");
        repo.holds_none_of(&["planted"]);
    }
}

#[test]
fn what_git_starts_starts_no_plugin_and_asks_nobody() {
    let repo = Repo::new(&[("s.yaml", TEXT)]);
    repo.branches(|| repo.set("s.yaml", "a", "ours"), || repo.set("s.yaml", "b", "theirs"));
    repo.without_key();
    // Stands beside the editors, and says that it was started.
    let plugin = repo.test.editor(&format!("touch '{}'; exit 1", repo.test.home("started").display()));
    let folder = plugin.parent().expect("a folder");
    std::fs::rename(&plugin, folder.join("age-plugin-toy")).expect("it is there");
    let with_plugin = |run: Run| {
        let path = format!("{}:{}", folder.display(), std::env::var("PATH").unwrap_or_default());
        let sealant = std::path::Path::new(env!("CARGO_BIN_EXE_sealant")).parent().expect("a folder");
        let path = format!("{}:{path}", sealant.display());
        run.env("PATH", path).env("SOPS_AGE_KEY", "AGE-PLUGIN-TOY-1W3HHJUEP2JSC72")
    };
    let shown = with_plugin(repo.git(&["show", "theirs:s.yaml", "--textconv"])).on_terminal().finish();
    assert!(shown.text().contains("ENC[AES256_GCM"), "{shown}");
    let merge = with_plugin(repo.git(&["merge", "theirs"])).on_terminal().finish();
    assert!(merge.text().contains("sealant resolve s.yaml"), "{merge}");
    assert!(!repo.test.home("started").exists());
    // A person who resolves is another matter.
    assert!(with_plugin(repo.test.sealant(&["resolve", "s.yaml"])).run().status != 0);
    assert!(repo.test.home("started").exists());
}

#[test]
fn values_that_a_vault_key_wraps_are_merged_where_the_address_is_ones_own() {
    let bao = Bao::start();
    bao.transit_key("transit", "shop");
    let repo = Repo::empty("");
    let uri = format!("{}/v1/transit/keys/shop", bao.address());
    repo.test.write(".sops.yaml", format!("creation_rules:\n  - hc_vault_transit_uri: {uri}\n"));
    let vault = |args: &[&str]| {
        let run = repo.test.sealant(args).env("VAULT_TOKEN", bao.root_token());
        run.env("VAULT_ADDR", bao.address()).run().ok()
    };
    repo.test.write("s.yaml", TEXT);
    vault(&["encrypt", "-i", "s.yaml"]);
    repo.commit("base");
    repo.branches(
        || _ = vault(&["set", "s.yaml", "[\"a\"]", "\"ours\""]),
        || _ = vault(&["set", "s.yaml", "[\"b\"]", "\"theirs\""]),
    );
    // A token, and no word of whose server this is: it is not sent there.
    let before = bao.requests().len();
    let merge = repo.git(&["merge", "theirs"]).env("VAULT_TOKEN", bao.root_token()).run().code(1);
    assert!(format!("{merge}").contains("sealant resolve"), "{merge}");
    assert_eq!(bao.requests().len(), before);
    repo.ok(&["merge", "--abort"]);
    let merge = repo.git(&["merge", "-m", "merged", "theirs"]).env("VAULT_TOKEN", bao.root_token());
    let _ = merge.env("VAULT_ADDR", bao.address()).run().ok();
    assert_eq!(vault(&["decrypt", "s.yaml"]).text(), "a: ours\nb: theirs\nc: three\n");
}

/// One side rotates, the other sets a value: that takes a new data key.
fn takes_a_new_key(repo: &Repo, sealant: &dyn Fn(&[&str])) {
    repo.test.write("s.yaml", TEXT);
    sealant(&["encrypt", "-i", "s.yaml"]);
    repo.commit("base");
    repo.branches(
        || sealant(&["set", "s.yaml", "[\"a\"]", "\"ours\""]),
        || sealant(&["rotate", "-i", "s.yaml"]),
    );
}

#[test]
fn a_recipient_whose_plugin_git_may_not_start_is_a_conflict_that_resolve_ends() {
    let repo = Repo::empty("");
    const TOY: &str = "age1toy1w3hhjuepg65rsf";
    repo.rule(&format!("{},{TOY}", repo.recipient), "");
    let started = repo.test.home("started");
    let plugin = AGE_PLUGIN_TOY.replacen('\n', &format!("\ntouch '{}'\n", started.display()), 1);
    // Beside the editors, which can be run.
    let folder = repo.test.editor("true").parent().expect("a folder").to_owned();
    let file = folder.join("age-plugin-toy");
    std::fs::copy(repo.test.editor("true"), &file).expect("it is copied");
    std::fs::write(&file, plugin).expect("it is written");
    let with_plugin = |run: Run| {
        let sealant = std::path::Path::new(env!("CARGO_BIN_EXE_sealant")).parent().expect("a folder");
        let path = std::env::var("PATH").unwrap_or_default();
        run.env("PATH", format!("{}:{}:{path}", sealant.display(), folder.display()))
    };
    takes_a_new_key(&repo, &|args| _ = with_plugin(repo.test.sealant(args)).run().ok());
    let ours = repo.test.read_text("s.yaml");
    std::fs::remove_file(&started).expect("it was started");
    let merge = with_plugin(repo.git(&["merge", "-m", "merged", "theirs"])).run().code(1);
    assert!(merge.stderr.contains(TOY) && merge.stderr.contains("`sealant resolve s.yaml`"), "{merge}");
    assert!(!started.exists());
    assert_eq!(repo.test.read_text("s.yaml"), ours, "the old data key is no way out");
    let _ = with_plugin(repo.test.sealant(&["resolve", "s.yaml"])).run().ok();
    assert!(started.exists());
    assert_eq!(repo.plain("s.yaml"), TEXT.replace("one", "ours"));
    assert!(recipients(&repo, "s.yaml").contains(&TOY.to_owned()));
}

#[test]
fn a_recipient_at_a_server_that_git_may_not_ask_is_a_conflict_that_resolve_ends() {
    let bao = Bao::start();
    bao.transit_key("transit", "shop");
    let repo = Repo::empty("");
    let uri = format!("{}/v1/transit/keys/shop", bao.address());
    repo.rule(&repo.recipient, &format!("    hc_vault_transit_uri: {uri}\n"));
    let vault = |run: Run| run.env("VAULT_TOKEN", bao.root_token()).env("VAULT_ADDR", bao.address());
    takes_a_new_key(&repo, &|args| _ = vault(repo.test.sealant(args)).run().ok());
    let (ours, before) = (repo.test.read_text("s.yaml"), bao.requests().len());
    let merge = repo.git(&["merge", "theirs"]).env("VAULT_TOKEN", bao.root_token()).run().code(1);
    assert!(merge.stderr.contains("transit") && merge.stderr.contains("`sealant resolve s.yaml`"), "{merge}");
    assert!(merge.stderr.contains(bao.address()), "{merge}");
    assert_eq!((repo.test.read_text("s.yaml"), bao.requests().len()), (ours, before));
    let _ = vault(repo.test.sealant(&["resolve", "s.yaml"])).run().ok();
    assert_eq!(repo.plain("s.yaml"), TEXT.replace("one", "ours"));
}

#[test]
fn a_recipient_of_a_kind_that_only_sops_speaks_is_a_conflict() {
    const PGP: &str = "    pgp:\n        - created_at: \"2026-01-01T00:00:00Z\"\n          enc: x\n          fp: 85D77543B3D624B63CEA9E6DBC17301B491B3F21\n";
    let with_pgp = |text: &str| text.replace("    lastmodified", &format!("{PGP}    lastmodified"));
    let repo = Repo::empty("");
    repo.rule(&repo.recipient, "    pgp: 85D77543B3D624B63CEA9E6DBC17301B491B3F21\n");
    let encrypt = |text: &str| {
        repo.test.write("s.yaml", text);
        repo.sealant(&["encrypt", "-i", "--age", &repo.recipient, "s.yaml"]);
        repo.test.write("s.yaml", with_pgp(&repo.test.read_text("s.yaml")));
    };
    encrypt(TEXT);
    repo.commit("base");
    repo.branches(|| repo.set("s.yaml", "a", "ours"), || encrypt(TEXT));
    let ours = repo.test.read_text("s.yaml");
    let merge = repo.merge().code(1);
    assert!(merge.stderr.contains("pgp 85D77543B3D624B63CEA9E6DBC17301B491B3F21"), "{merge}");
    let resolve = repo.test.sealant(&["resolve", "s.yaml"]).run();
    assert!(resolve.status != 0 && resolve.stderr.contains("pgp 85D77543"), "{resolve}");
    assert_eq!(repo.test.read_text("s.yaml"), ours);
    repo.sealant(&["resolve", "--theirs", "s.yaml"]);
    assert_eq!(repo.plain("s.yaml"), TEXT);
}
