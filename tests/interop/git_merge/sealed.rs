//! SealedSecrets are merged item by item, with a key or without.

use super::repo::{Repo, new_identity};

const SECRET: &str = "apiVersion: v1\nkind: Secret\nmetadata: {name: db, namespace: shop}\nstringData:\n  a: planted-one\n  b: planted-two\n  c: planted-three\n";

/// A repository with a SealedSecret between two other documents.
fn repo() -> Repo {
    let repo = Repo::empty("");
    add_secret(&repo);
    repo
}

fn add_secret(repo: &Repo) {
    repo.test.write("../secret.yaml", SECRET);
    let sealed = repo.sealant(&["seal", "../secret.yaml"]).text().to_owned();
    let before = "# a map\napiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: config\ndata:\n  x: \"1\"\n---\n# the secret\n";
    repo.test.write(
        "s.yaml",
        format!("{before}{sealed}---\napiVersion: v1\nkind: Namespace\nmetadata: {{name: shop}}\n"),
    );
    repo.commit("base");
}

fn value(repo: &Repo, item: &str) -> String {
    repo.sealant(&["get", "s.yaml", &format!("[\"{item}\"]")]).text().to_owned()
}

#[test]
fn different_items_come_together_without_a_key() {
    for item in ["b", "new"] {
        let repo = repo();
        let sed = |expression: &str| _ = repo.test.program("sed", &["-i", expression, "s.yaml"]).run().ok();
        repo.branches(
            || {
                repo.set("s.yaml", "a", "planted-ours");
                sed("s/x: \"1\"/x: \"2\"/");
            },
            || {
                repo.set("s.yaml", item, "planted-theirs");
                sed("s/{name: shop}/{name: shop, labels: {l: m}}/");
            },
        );
        repo.without_key();
        let _ = repo.merge().ok();
        repo.with_key();
        assert_eq!(value(&repo, "a"), "planted-ours");
        assert_eq!(value(&repo, item), "planted-theirs");
        assert_eq!(value(&repo, "c"), "planted-three");
        let text = repo.test.read_text("s.yaml");
        for kept in ["# a map", "x: \"2\"", "# the secret", "labels: {l: m}"] {
            assert!(text.contains(kept), "{text}");
        }
        repo.holds_none_of(&["planted"]);
    }
}

#[test]
fn one_item_changed_by_both_is_a_conflict_that_either_side_resolves() {
    let repo = repo();
    repo.branches(|| repo.set("s.yaml", "a", "planted-ours"), || repo.set("s.yaml", "a", "planted-theirs"));
    repo.without_key();
    let merge = repo.merge().code(1);
    assert!(merge.stderr.contains("db: spec.encryptedData.a"), "{merge}");
    let text = repo.test.read_text("s.yaml");
    assert_eq!(text.matches("<<<<<<< ours\n").count(), 1, "{text}");
    let _ = repo.test.sealant(&["resolve", "s.yaml"]).run().code(1);
    for side in ["ours", "theirs"] {
        repo.test.write("s.yaml", &text);
        repo.sealant(&["resolve", &format!("--{side}"), "s.yaml"]);
        repo.with_key();
        assert_eq!(value(&repo, "a"), format!("planted-{side}"));
        assert_eq!(value(&repo, "b"), "planted-two");
        repo.without_key();
        assert_eq!(
            repo.test.read_text("s.yaml").matches("commitment: ").count(),
            2,
            "no data key is left over"
        );
    }
    repo.with_key();
    repo.holds_none_of(&["planted"]);
}

#[test]
fn a_rotation_and_an_edit_take_a_key() {
    let repo = repo();
    repo.branches(
        || _ = repo.sealant(&["rotate", "-i", "s.yaml"]),
        || repo.set("s.yaml", "a", "planted-theirs"),
    );
    repo.without_key();
    let _ = repo.merge().code(1);
    repo.ok(&["merge", "--abort"]);
    repo.with_key();
    let _ = repo.merge().ok();
    assert_eq!(value(&repo, "a"), "planted-theirs");
    assert_eq!(value(&repo, "b"), "planted-two");
}

#[test]
fn objects_come_and_go() {
    let repo = repo();
    let more = |name: &str| {
        repo.test.write("../more.yaml", SECRET.replace("name: db", &format!("name: {name}")));
        repo.sealant(&["seal", "../more.yaml"]).text().to_owned()
    };
    let text = repo.test.read_text("s.yaml");
    repo.branches(
        || repo.test.write("s.yaml", format!("{}---\n{text}", more("first"))),
        || {
            repo.test.write("s.yaml", format!("{text}---\n{}", more("last")));
            repo.sealant(&["unset", "s.yaml", "db/c"]);
        },
    );
    let _ = repo.merge().ok();
    let secrets = repo.sealant(&["unseal", "s.yaml"]);
    for (part, count) in [("name: first", 1), ("name: db", 1), ("name: last", 1), ("planted-three", 2)] {
        assert_eq!(secrets.text().matches(part).count(), count, "{part} in {secrets}");
    }
}

#[test]
fn one_side_in_clear_is_not_merged() {
    let repo = repo();
    let ours = |text: &str| repo.test.write("s.yaml", text);
    repo.branches(|| repo.set("s.yaml", "a", "ours"), || ours(&SECRET.replace("planted-one", "in-clear")));
    let before = repo.test.read_text("s.yaml");
    let merge = repo.merge().code(1);
    assert!(merge.stderr.contains("one is in plaintext"), "{merge}");
    assert_eq!(repo.test.read_text("s.yaml"), before);
}

#[test]
fn who_was_taken_out_does_not_come_back_by_a_conflict() {
    for (both_change_an_item, remove, flag) in [
        (false, &["updatekeys", "-y", "s.yaml"][..], None),
        (false, &["updatekeys", "-y", "s.yaml"], Some("--ours")),
        (false, &["updatekeys", "--rotate", "-y", "s.yaml"], None),
        (true, &["updatekeys", "-y", "s.yaml"], Some("--ours")),
        (true, &["updatekeys", "-y", "s.yaml"], Some("--theirs")),
    ] {
        let repo = Repo::empty("");
        let bob = new_identity(&repo.test, &repo.test.home("bob.txt"));
        let me = repo.recipient.clone();
        repo.rule(&format!("{me},{bob}"), "");
        add_secret(&repo);
        repo.branches(
            || {
                repo.set("s.yaml", "a", "planted-new");
                if both_change_an_item {
                    repo.set("s.yaml", "b", "planted-ours");
                }
            },
            || {
                repo.rule(&me, "");
                repo.sealant(remove);
                if both_change_an_item {
                    repo.set("s.yaml", "b", "planted-theirs");
                }
            },
        );
        let merge = repo.merge().code(1);
        assert!(merge.stderr.contains("db: spec.dataKeys."), "{merge}");
        let words: Vec<_> = ["resolve"].into_iter().chain(flag).chain(["s.yaml"]).collect();
        let refused = repo.test.sealant(&words).run().code(1);
        assert!(refused.stderr.contains(&bob) && !refused.stderr.contains("resolved."), "{refused}");
        assert!(refused.stderr.contains("sealant updatekeys --rotate"), "{refused}");
        repo.sealant(&["updatekeys", "--rotate", "-y", "s.yaml"]);
        let resolved = repo.sealant(&["resolve", "s.yaml"]);
        assert!(resolved.stderr.contains("resolved."), "{resolved}");
        assert_eq!(value(&repo, "a"), "planted-new");
        assert!(!repo.test.read_text("s.yaml").contains(&bob));
        repo.holds_none_of(&["planted"]);
    }
}

#[test]
fn diffs_show_the_secret() {
    let repo = repo();
    repo.set("s.yaml", "b", "planted-new");
    let diff = repo.ok(&["diff"]);
    assert!(diff.text().contains("-  b: planted-two\n+  b: planted-new\n"), "{diff}");
}
