//! The shapes that histories have: renames, deletes, rebases, cherry-picks, reverts, stashes, and bases of all kinds.

use super::repo::Repo;

const TEXT: &str = "a: one\nb: two\nc: three\nd: four\ne: five\nf: six\n";

#[test]
fn a_rename_on_one_side_goes_with_an_edit_on_the_other() {
    let repo = Repo::new(&[("s.yaml", TEXT)]);
    repo.branches(
        || {
            repo.ok(&["mv", "s.yaml", "moved.yaml"]);
            repo.set("moved.yaml", "a", "ours-a");
        },
        || repo.set("s.yaml", "b", "theirs-b"),
    );
    let _ = repo.merge().ok();
    assert_eq!(repo.plain("moved.yaml"), TEXT.replace("one", "ours-a").replace("two", "theirs-b"));
}

#[test]
fn a_delete_on_one_side_is_a_conflict_that_git_knows() {
    let repo = Repo::new(&[("s.yaml", TEXT)]);
    repo.branches(|| _ = repo.ok(&["rm", "-q", "s.yaml"]), || repo.set("s.yaml", "b", "theirs-b"));
    let _ = repo.merge().code(1);
    repo.sealant(&["resolve", "s.yaml"]);
    let refused = repo.test.sealant(&["resolve", "--ours", "s.yaml"]).run();
    assert!(refused.status != 0 && refused.stderr.contains("this side has deleted the file"), "{refused}");
    repo.ok(&["add", "s.yaml"]);
    repo.ok(&["commit", "-q", "-m", "merged"]);
    assert_eq!(repo.plain("s.yaml"), TEXT.replace("two", "theirs-b"));
}

#[test]
fn a_file_that_both_add_has_no_base() {
    for (theirs, code) in [("a: 1\nb: 2\n", 0), ("a: 1\nt: 2\n", 0), ("a: 2\n", 1)] {
        let repo = Repo::new(&[]);
        repo.branches(|| repo.encrypted("s.yaml", "a: 1\nb: 2\n"), || repo.encrypted("s.yaml", theirs));
        let _ = repo.merge().code(code);
        if code == 0 {
            let expected = if theirs.contains('t') { "a: 1\nb: 2\nt: 2\n" } else { theirs };
            assert_eq!(repo.plain("s.yaml"), expected);
        }
    }
}

#[test]
fn unrelated_histories_have_no_base() {
    let repo = Repo::new(&[("s.yaml", "a: 1\n")]);
    repo.ok(&["checkout", "-q", "--orphan", "theirs"]);
    repo.encrypted("s.yaml", "b: 1\n");
    repo.commit("theirs");
    repo.ok(&["checkout", "-q", "main"]);
    repo.ok(&["merge", "--allow-unrelated-histories", "-m", "merged", "theirs"]);
    assert_eq!(repo.plain("s.yaml"), "a: 1\nb: 1\n");
}

#[test]
fn rebase_cherry_pick_revert_and_stash() {
    let repo = Repo::new(&[("s.yaml", TEXT)]);
    repo.branches(|| repo.set("s.yaml", "a", "ours-a"), || repo.set("s.yaml", "c", "theirs-c"));
    repo.ok(&["cherry-pick", "theirs"]);
    let both = TEXT.replace("one", "ours-a").replace("three", "theirs-c");
    assert_eq!(repo.plain("s.yaml"), both);
    repo.set("s.yaml", "e", "later");
    repo.commit("later");
    repo.ok(&["revert", "--no-edit", "HEAD~1"]);
    assert_eq!(repo.plain("s.yaml"), TEXT.replace("one", "ours-a").replace("five", "later"));
    repo.set("s.yaml", "f", "stashed");
    repo.ok(&["stash"]);
    repo.set("s.yaml", "b", "meanwhile");
    repo.commit("meanwhile");
    repo.ok(&["stash", "pop"]);
    let plain = repo.plain("s.yaml");
    assert!(plain.contains("f: stashed") && plain.contains("b: meanwhile"), "{plain}");
    repo.commit("stashed");
    repo.ok(&["checkout", "-q", "theirs"]);
    repo.ok(&["rebase", "-q", "main"]);
    assert_eq!(repo.plain("s.yaml"), plain.replace("three", "theirs-c"));
    // A conflict on the way, resolved as a person would, with HEAD detached.
    repo.ok(&["checkout", "-q", "--detach", "main"]);
    repo.set("s.yaml", "c", "detached");
    repo.commit("detached");
    let _ = repo.git(&["rebase", "theirs"]).run().code(1);
    repo.sealant(&["resolve", "--theirs", "s.yaml"]);
    repo.ok(&["add", "s.yaml"]);
    let _ = repo.git(&["rebase", "--continue"]).env("GIT_EDITOR", "true").run().ok();
    assert_eq!(repo.plain("s.yaml"), plain.replace("three", "detached"));
}

/// Two branches that have merged each other: each sets a value before that. `theirs` is checked out.
fn criss_cross(ours: (&str, &str), theirs: (&str, &str)) -> Repo {
    let repo = Repo::new(&[("s.yaml", TEXT)]);
    repo.branches(|| repo.set("s.yaml", ours.0, ours.1), || repo.set("s.yaml", theirs.0, theirs.1));
    repo.ok(&["branch", "main-1"]);
    repo.ok(&["merge", "-q", "-m", "one way", "theirs"]);
    repo.ok(&["checkout", "-q", "theirs"]);
    repo.ok(&["merge", "-q", "-m", "the other way", "main-1"]);
    repo
}

#[test]
fn criss_cross_merges_have_a_base_of_their_own() {
    let repo = criss_cross(("a", "ours-a"), ("c", "theirs-c"));
    repo.set("s.yaml", "e", "theirs-e");
    repo.commit("theirs");
    repo.ok(&["checkout", "-q", "main"]);
    repo.set("s.yaml", "f", "ours-f");
    repo.commit("ours");
    assert_eq!(repo.ok(&["merge-base", "--all", "main", "theirs"]).text().lines().count(), 2);
    let merged = repo.merge();
    if merged.status != 0 {
        // Two bases that were at odds have none that says what changed.
        repo.sealant(&["resolve", "--ours", "s.yaml"]);
    }
    let plain = repo.plain("s.yaml");
    assert!(
        plain.contains("a: ours-a") && plain.contains("c: theirs-c") && plain.contains("f: ours-f"),
        "{plain}"
    );
}

/// Both bases have it, and their own base has not.
#[test]
fn what_one_side_takes_out_does_not_come_back_by_criss_cross_merges() {
    let repo = criss_cross(("a", "ours-a"), ("leaked", "planted"));
    repo.set("s.yaml", "e", "theirs-e");
    repo.commit("theirs");
    repo.ok(&["checkout", "-q", "main"]);
    repo.sealant(&["unset", "s.yaml", "leaked"]);
    repo.set("s.yaml", "a", "one");
    repo.commit("ours");
    assert_eq!(repo.ok(&["merge-base", "--all", "main", "theirs"]).text().lines().count(), 2);
    repo.merge().ok();
    let plain = repo.plain("s.yaml");
    assert!(!plain.contains("planted") && plain.contains("a: one") && plain.contains("theirs-e"), "{plain}");
    // The other way as well.
    repo.ok(&["checkout", "-q", "theirs"]);
    repo.ok(&["merge", "-q", "-m", "back", "main~1"]);
    let plain = repo.plain("s.yaml");
    assert!(!plain.contains("planted") && plain.contains("theirs-e"), "{plain}");
}

/// Nobody can tell what has changed since: that is for a person.
#[test]
fn bases_that_are_at_odds_are_told() {
    let repo = Repo::new(&[("s.yaml", TEXT)]);
    repo.branches(|| repo.set("s.yaml", "c", "ours-c"), || repo.set("s.yaml", "c", "theirs-c"));
    repo.ok(&["branch", "main-1"]);
    let resolved = |onto: &str, with: &str| {
        repo.ok(&["checkout", "-q", onto]);
        let _ = repo.git(&["merge", "-q", "-m", "x", with]).run().code(1);
        repo.sealant(&["resolve", "--ours", "s.yaml"]);
        repo.commit("resolved");
    };
    resolved("main", "theirs");
    resolved("theirs", "main-1");
    repo.set("s.yaml", "e", "theirs-e");
    repo.commit("theirs");
    repo.ok(&["checkout", "-q", "main"]);
    let merged = repo.merge().code(1);
    assert!(merged.stderr.contains("several common ancestors, which are at odds"), "{merged}");
    assert!(merged.stderr.contains("make the other side's changes again"), "{merged}");
}

/// A number so large that the longer markers of common ancestors have none, and Git asks for a negative one.
#[test]
fn what_one_side_takes_out_does_not_come_back_by_the_length_of_markers() {
    for has_inner in [true, false] {
        let repo = criss_cross(("a", "ours-a"), ("leaked", "planted"));
        if !has_inner {
            repo.ok(&["config", "--unset", "merge.sealant.recursive"]);
        }
        repo.ok(&["checkout", "-q", "main"]);
        repo.test.write(".git/info/attributes", "s.yaml conflict-marker-size=2147483647\n");
        repo.sealant(&["unset", "s.yaml", "leaked"]);
        repo.commit("taken out");
        repo.ok(&["checkout", "-q", "theirs"]);
        repo.set("s.yaml", "e", "theirs-e");
        repo.commit("theirs");
        repo.ok(&["checkout", "-q", "main"]);
        let merged = repo.merge();
        assert!(!repo.ok(&["show", ":s.yaml"]).text().contains("leaked"), "{has_inner}: {merged}");
        assert!(merged.status == 0 && repo.plain("s.yaml").contains("e: theirs-e"), "{has_inner}: {merged}");
    }
}

/// The base that is older has it, and attributes that only we have say how long markers are.
#[test]
fn attributes_of_one_side_do_not_hide_that_bases_are_merged() {
    let repo = Repo::new(&[("s.yaml", TEXT)]);
    repo.test.write(".git/info/attributes", repo.test.read_text(".gitattributes"));
    repo.branches(
        || repo.set("s.yaml", "leaked", "planted"),
        || repo.test.write("s.yaml", "a: one\nb: two\n"),
    );
    let base = repo.ok(&["rev-parse", "main"]).text().trim().to_owned();
    let _ = repo.merge().code(1);
    repo.sealant(&["resolve", "--ours", "s.yaml"]);
    repo.commit("resolved");
    repo.sealant(&["unset", "s.yaml", "leaked"]);
    let said = repo.test.read_text(".gitattributes");
    repo.test.write(".gitattributes", format!("{said}s.yaml conflict-marker-size=100\n"));
    repo.commit("taken out");
    repo.ok(&["checkout", "-q", "theirs"]);
    repo.ok(&["merge", "-q", "-s", "ours", "--no-verify", "-m", "the other way", &base]);
    repo.ok(&["checkout", "-q", &base, "--", "s.yaml"]);
    repo.ok(&["commit", "-q", "--no-verify", "--amend", "-m", "the other way"]);
    repo.ok(&["checkout", "-q", "main"]);
    repo.ok(&["sparse-checkout", "set", "--no-cone", "/*", "!/.gitattributes"]);
    let merged = repo.merge();
    assert!(merged.status != 0, "{merged}");
    assert!(!repo.ok(&["show", ":2:s.yaml"]).text().contains("leaked"));
}

/// Git takes what the driver leaves for what both sides come from, though it was not merged.
#[test]
fn what_one_side_takes_out_does_not_come_back_by_bases_that_cannot_be_merged() {
    let plain = "a: one\nb: two\nc: three\n";
    // How long markers are tells the driver that it merges what both sides come from.
    let attributes =
        ["", "conflict-marker-size=3", "conflict-marker-size=4294967299", "conflict-marker-size=12a"];
    for (theirs, attribute) in [("", "")].into_iter().chain(attributes.map(|attribute| (plain, attribute))) {
        let repo = Repo::new(&[("s.yaml", TEXT)]);
        let said = repo.test.read_text(".gitattributes");
        repo.test.write(".gitattributes", format!("{said}*.yaml {attribute}\n"));
        repo.commit("attributes");
        repo.branches(|| repo.set("s.yaml", "leaked", "planted"), || repo.test.write("s.yaml", theirs));
        let base = repo.ok(&["rev-parse", "main"]).text().trim().to_owned();
        let _ = repo.merge().code(1);
        repo.sealant(&["resolve", "--ours", "s.yaml"]);
        repo.commit("resolved");
        repo.sealant(&["unset", "s.yaml", "leaked"]);
        repo.commit("taken out");
        repo.ok(&["checkout", "-q", "theirs"]);
        repo.ok(&["merge", "-q", "-s", "ours", "--no-verify", "-m", "the other way", &base]);
        repo.ok(&["checkout", "-q", &base, "--", "s.yaml"]);
        repo.ok(&["commit", "-q", "--no-verify", "--amend", "-m", "the other way"]);
        repo.ok(&["checkout", "-q", "main"]);
        assert_eq!(repo.ok(&["merge-base", "--all", "main", "theirs"]).text().lines().count(), 2);
        let merged = repo.merge().code(1);
        assert!(merged.stderr.contains("several common ancestors"), "{theirs:?} {attribute}: {merged}");
        if repo.test.read_text("s.yaml").starts_with("<<<") {
            repo.sealant(&["resolve", "--ours", "s.yaml"]);
        }
        assert!(!repo.plain("s.yaml").contains("planted"), "{theirs:?} {attribute}");
    }
}
