//! Somebody else's data key, brought in by a branch: it never opens what is ours. It takes no key to make one: Mallory
//! encrypts for the right recipient and themselves, takes their own entry out of the file and keeps it.

use super::repo::{Repo, new_identity};

const TEXT: &str = "a: one\nb: two\nc: three\n";

/// The file in question, and what Mallory has kept.
struct Attack {
    repo: Repo,
    mallory: String,
}

impl Attack {
    fn new() -> Self {
        let repo = Repo::new(&[("s.yaml", TEXT)]);
        let mallory = new_identity(&repo.test, &repo.test.home("mallory.txt"));
        repo.ok(&["branch", "before"]);
        Self { repo, mallory }
    }

    /// The file as Mallory makes it, and the entry by which they can open it.
    fn forge(&self, text: &str) -> String {
        self.repo.test.write("s.yaml", text);
        let both = format!("{},{}", self.repo.recipient, self.mallory);
        self.repo.sealant(&["encrypt", "-i", "--age", &both, "s.yaml"]);
        let file = self.repo.test.read_text("s.yaml");
        let (forged, entry) = without_entry(&file, &self.mallory);
        self.repo.test.write("s.yaml", forged);
        assert_eq!(self.repo.plain("s.yaml"), text);
        assert!(opens(&self.repo, &entry, "mallory.txt"), "they can open what they made");
        entry
    }

    /// A branch of Mallory's with their file, and a commit of ours on `main`, which is checked out.
    fn branches(&self) -> String {
        let mut entry = String::new();
        self.repo.branches(
            || self.repo.set("s.yaml", "c", "planted"),
            || entry = self.forge("a: one\nb: evil\nc: three\n"),
        );
        entry
    }

    /// Asserts that ours and theirs came together, and that Mallory reads nothing.
    #[track_caller]
    fn has_failed(&self, entry: &str, expected: &str) {
        assert_eq!(self.repo.plain("s.yaml"), expected);
        assert!(!opens(&self.repo, entry, "mallory.txt"), "their data key opens the file");
    }
}

/// A file without the entry of a recipient, and that entry.
fn without_entry(file: &str, recipient: &str) -> (String, String) {
    const BEGIN: &str = "        - enc: |";
    let start = file.find(BEGIN).expect("recipients");
    let end = start + file[start..].find("    lastmodified").expect("their end");
    let entries: Vec<String> =
        file[start..end].split(BEGIN).skip(1).map(|entry| format!("{BEGIN}{entry}")).collect();
    let (theirs, others): (Vec<_>, Vec<_>) = entries.into_iter().partition(|entry| entry.contains(recipient));
    (format!("{}{}{}", &file[..start], others.concat(), &file[end..]), theirs.concat())
}

/// Whether somebody opens the file in the working tree by an entry that they have kept, with the real sops.
fn opens(repo: &Repo, entry: &str, identity: &str) -> bool {
    let file = repo.test.read_text("s.yaml");
    let at = file.find("        - enc: |").expect("recipients");
    repo.test.write("../stolen.yaml", format!("{}{entry}{}", &file[..at], &file[at..]));
    let run = repo.test.sops(&["decrypt", "--ignore-mac", "../stolen.yaml"]);
    let run = run.env("SOPS_AGE_KEY_FILE", repo.test.home(identity)).env("XDG_CONFIG_HOME", repo.test.tmp());
    run.run().status == 0
}

const TOGETHER: &str = "a: one\nb: evil\nc: planted\n";

#[test]
fn a_merge_in_either_direction() {
    let attack = Attack::new();
    let entry = attack.branches();
    let merge = attack.repo.merge().ok();
    assert!(merge.stderr.contains("the file has a new data key"), "{merge}");
    attack.has_failed(&entry, TOGETHER);
    attack.repo.ok(&["checkout", "-q", "theirs"]);
    attack.repo.ok(&["merge", "-m", "merged", "main~1"]);
    attack.has_failed(&entry, TOGETHER);
}

#[test]
fn a_rebase_in_either_direction() {
    for (from, onto) in [("main", "theirs"), ("theirs", "main")] {
        let attack = Attack::new();
        let entry = attack.branches();
        attack.repo.ok(&["checkout", "-q", from]);
        attack.repo.ok(&["rebase", "-q", onto]);
        attack.has_failed(&entry, TOGETHER);
    }
}

#[test]
fn a_rebase_of_patches() {
    let attack = Attack::new();
    let entry = attack.branches();
    attack.repo.ok(&["rebase", "-q", "--apply", "theirs"]);
    attack.has_failed(&entry, TOGETHER);
}

#[test]
fn a_cherry_pick_in_either_direction() {
    for (on, pick) in [("main", "theirs"), ("theirs", "main")] {
        let attack = Attack::new();
        let entry = attack.branches();
        attack.repo.ok(&["checkout", "-q", on]);
        attack.repo.ok(&["cherry-pick", pick]);
        attack.has_failed(&entry, TOGETHER);
    }
}

#[test]
fn a_stash_in_either_direction() {
    let attack = Attack::new();
    let entry = attack.branches();
    let repo = &attack.repo;
    repo.ok(&["reset", "-q", "--soft", "before"]);
    repo.ok(&["stash"]);
    repo.ok(&["merge", "-q", "theirs"]);
    repo.ok(&["stash", "pop"]);
    attack.has_failed(&entry, TOGETHER);

    let attack = Attack::new();
    let repo = &attack.repo;
    let entry = attack.forge("a: one\nb: evil\nc: three\n");
    repo.ok(&["stash"]);
    repo.set("s.yaml", "c", "planted");
    repo.commit("ours");
    repo.ok(&["stash", "pop"]);
    attack.has_failed(&entry, TOGETHER);
}

#[test]
fn a_revert() {
    let attack = Attack::new();
    let repo = &attack.repo;
    let entry = attack.forge("a: one\nb: evil\nc: three\n");
    repo.commit("evil");
    repo.set("s.yaml", "c", "planted");
    repo.commit("ours");
    repo.ok(&["revert", "--no-edit", "HEAD~1"]);
    attack.has_failed(&entry, "a: one\nb: two\nc: planted\n");
    // Back to what was there before, nothing is new: that is the old file.
    let attack = Attack::new();
    let repo = &attack.repo;
    let before = repo.test.read_text("s.yaml");
    attack.forge("a: one\nb: evil\nc: three\n");
    repo.commit("evil");
    repo.ok(&["revert", "--no-edit", "HEAD"]);
    assert_eq!(repo.test.read_text("s.yaml"), before);
}

#[test]
fn a_conflict_in_which_one_value_is_ours() {
    let attack = Attack::new();
    let repo = &attack.repo;
    let mut entry = String::new();
    repo.branches(
        || repo.set("s.yaml", "b", "planted"),
        || entry = attack.forge("a: one\nb: evil\nc: three\n"),
    );
    let _ = repo.merge().code(1);
    let conflict = repo.test.read_text("s.yaml");
    repo.sealant(&["resolve", "--ours", "s.yaml"]);
    attack.has_failed(&entry, "a: one\nb: planted\nc: three\n");
    repo.test.write("s.yaml", conflict);
    let editor = repo.test.editor("sed -i '/^<<<<<<</d; /^=======/,/^>>>>>>>/d; s/planted/typed/' \"$1\"");
    let _ = repo.test.sealant(&["resolve", "--edit", "s.yaml"]).env("EDITOR", editor).run().ok();
    attack.has_failed(&entry, "a: one\nb: typed\nc: three\n");
}

#[test]
fn a_conflict_in_which_nothing_is_ours_until_something_is_typed() {
    // Ours has only deleted what theirs has changed: their data key may stay, and gets nothing that is typed.
    let attack = Attack::new();
    let repo = &attack.repo;
    let mut entry = String::new();
    let delete = || _ = repo.sealant(&["unset", "s.yaml", "[\"b\"]"]);
    repo.branches(delete, || entry = attack.forge("a: one\nb: evil\nc: three\n"));
    let _ = repo.merge().code(1);
    assert!(repo.test.read_text("s.yaml").contains("<<<<<<<"));
    let editor = repo.test.editor("sed -i '/^<<<<<<</d; /^=======/d; /^>>>>>>>/d; s/evil/planted/' \"$1\"");
    let edit = repo.test.sealant(&["resolve", "--edit", "s.yaml"]).env("EDITOR", editor).run().ok();
    assert!(edit.stderr.contains("the file has a new data key"), "{edit}");
    attack.has_failed(&entry, "a: one\nb: planted\nc: three\n");
}

#[test]
fn a_merge_that_has_only_text_until_somebody_resolves_it() {
    let attack = Attack::new();
    let entry = attack.branches();
    attack.repo.without_key();
    let _ = attack.repo.merge().code(1);
    attack.repo.with_key();
    attack.repo.sealant(&["resolve", "s.yaml"]);
    attack.has_failed(&entry, TOGETHER);
}

#[test]
fn an_older_data_key_of_ours_is_not_brought_back() {
    for ours_is_checked_out in [true, false] {
        let repo = Repo::empty("");
        let bob = new_identity(&repo.test, &repo.test.home("bob.txt"));
        let me = repo.recipient.clone();
        repo.rule(&format!("{me},{bob}"), "");
        repo.encrypted("s.yaml", TEXT);
        repo.commit("with Bob");
        let with_bob = repo.test.read_text("s.yaml");
        let (without_bob, entry) = without_entry(&with_bob, &bob);
        repo.rule(&me, "");
        repo.sealant(&["updatekeys", "-y", "--rotate", "s.yaml"]);
        repo.commit("Bob has left");
        // A branch has the file as it was, without Bob's entry: nothing that a review of recipients would find.
        repo.branches(|| repo.set("s.yaml", "c", "planted"), || repo.test.write("s.yaml", without_bob));
        if !ours_is_checked_out {
            repo.ok(&["checkout", "-q", "theirs"]);
        }
        repo.ok(&["rebase", "-q", if ours_is_checked_out { "theirs" } else { "main" }]);
        assert_eq!(repo.plain("s.yaml"), TEXT.replace("three", "planted"));
        assert!(!opens(&repo, &entry, "bob.txt"), "Bob is back");
    }
}

/// Three states of a file that only we read, carried to where Mallory reads, too, with them in the list. A merge of them
/// would make a new data key, for all whom that place names.
#[test]
fn states_of_a_file_of_other_readers_are_not_brought_together() {
    let attack = Attack::new();
    let Attack { repo, mallory } = &attack;
    let both = format!("{},{mallory}", repo.recipient);
    let rule = |path: &str, who: &str| format!("  - path_regex: ^{path}\n    age: {who}\n");
    let rules = [rule("dev/", &both), rule("", &repo.recipient)].concat();
    repo.test.write(".sops.yaml", format!("creation_rules:\n{rules}"));
    let state = || listed(&repo.test.read_text("s.yaml"), &repo.recipient, mallory);
    let base = state();
    repo.set("s.yaml", "b", "two-b");
    let ours = state();
    repo.test.write("s.yaml", base.replacen(&entry_of(&base, mallory), "", 1));
    repo.set("s.yaml", "c", "three-c");
    repo.sealant(&["rotate", "-i", "s.yaml"]);
    let theirs = state();
    repo.test.write("dev/c.yaml", base);
    repo.commit("a copy");
    repo.branches(|| repo.test.write("dev/c.yaml", &ours), || repo.test.write("dev/c.yaml", &theirs));

    let merge = repo.merge().code(1);
    let is_told =
        |text: &str| text.contains(" with s.yaml") && text.contains(", whose creation rule does not name");
    assert!(is_told(&merge.stderr), "{merge}");
    assert_eq!(repo.test.read_text("dev/c.yaml"), ours);
    let resolve = repo.test.sealant(&["resolve", "dev/c.yaml"]).run().code(1);
    assert!(is_told(&resolve.stderr), "{resolve}");
    assert_eq!(repo.test.read_text("dev/c.yaml"), ours);
}

/// A file with somebody in its list, whose entry is a copy of another.
fn listed(file: &str, recipient: &str, more: &str) -> String {
    let entry = entry_of(file, recipient);
    file.replacen(&entry, &format!("{entry}{}", entry.replace(recipient, more)), 1)
}

fn entry_of(file: &str, recipient: &str) -> String {
    without_entry(file, recipient).1
}

#[test]
fn what_is_typed_into_a_conflict_is_in_no_weaker_place() {
    for (rule, forged) in [
        ("    unencrypted_comment_regex: public\n", ("\nsops:\n", "\n# public\nsops:\n")),
        (
            "    unencrypted_suffix: _unencrypted\n",
            ("unencrypted_suffix: _unencrypted", "encrypted_regex: ^(a|b)$"),
        ),
    ] {
        let repo = Repo::empty(rule);
        repo.encrypted("s.yaml", "a: x\nb: y\n");
        let text = repo.test.read_text("s.yaml");
        assert!(text.contains(forged.0), "{text}");
        repo.test.write("s.yaml", text.replace(forged.0, forged.1));
        repo.commit("forged");
        repo.branches(|| repo.set("s.yaml", "a", "ours"), || repo.set("s.yaml", "a", "theirs"));
        let _ = repo.merge().code(1);
        let typed = |more: &str| {
            let commands =
                format!("sed -i '/^[<=>]\\{{7\\}}/d; /^a: theirs/d' \"$1\"; printf '{more}' >> \"$1\"");
            repo.test
                .sealant(&["resolve", "--edit", "s.yaml"])
                .env("EDITOR", repo.test.editor(&commands))
                .run()
        };
        let output = typed("token: planted-new\\n").code(8);
        assert!(output.stderr.contains("token would be in plaintext"), "{output}");
        assert!(output.stderr.contains("When the merge is done"), "{output}");
        let _ = typed("").ok();
        assert!(repo.plain("s.yaml").starts_with("a: ours\nb: y\n"), "{}", repo.plain("s.yaml"));
    }
}

#[test]
fn where_a_commit_cannot_be_read_nothing_comes_together() {
    for rules in ["", "  - path_regex: ^prod/\n    age: {R}\n", "  - path_regex: ^dev/\n    age: {M}\n"] {
        let repo = Repo::new(&[("s.yaml", "a: one\nb: two\n")]);
        let mallory = new_identity(&repo.test, &repo.test.home("mallory.txt"));
        let rules = rules.replace("{R}", &repo.recipient).replace("{M}", &mallory);
        repo.test.write(".sops.yaml", format!("creation_rules:\n{rules}  - age: {}\n", repo.recipient));
        repo.test.write("note", "x");
        repo.commit("rules");
        repo.branches(|| repo.set("s.yaml", "a", "ours"), || _ = repo.sealant(&["rotate", "-i", "s.yaml"]));
        // A branch that nobody can read.
        let commit = format!(
            "tree {}\nauthor a <a> 9999999999 +0000\ncommitter a <a> 9999999999 +0000\n\nx\n",
            "1".repeat(40)
        );
        let id = repo
            .git(&["hash-object", "-t", "commit", "-w", "--literally", "--stdin"])
            .stdin(commit)
            .run()
            .ok();
        repo.test.write(".git/refs/heads/broken", id.text());
        let merge = repo.merge();
        assert!(merge.code(1).stderr.contains("git"), "{rules}");
    }
}

#[test]
fn a_file_that_was_moved_under_a_rule_is_merged() {
    let repo = Repo::new(&[]);
    let rule = format!("creation_rules:\n  - path_regex: ^prod/\n    age: {}\n", repo.recipient);
    repo.test.write(".sops.yaml", rule);
    repo.test.write("s.yaml", "a: one\nb: two\n");
    repo.sealant(&["encrypt", "-i", "--age", &repo.recipient, "s.yaml"]);
    repo.commit("no rule matches it");
    repo.branches(
        || {
            std::fs::create_dir(repo.test.path("prod")).expect("a folder");
            repo.ok(&["mv", "s.yaml", "prod/s.yaml"]);
            repo.set("prod/s.yaml", "b", "ours");
        },
        || _ = repo.sealant(&["rotate", "-i", "s.yaml"]),
    );
    let _ = repo.merge().ok();
    assert_eq!(repo.plain("prod/s.yaml"), "a: one\nb: ours\n");
}
