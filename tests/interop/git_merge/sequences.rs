//! Rebases and cherry-picks of several commits: one new data key for all of them, and no memory of it afterwards.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Child;
use std::{fs, io};

use jiff::Timestamp;
use sealant::cli::host::Terminal;
use sealant::cli::ui::{ColorWhen, Ui};
use sealant::error::Result;
use sealant::host::{Command, Host};
use sealant::repo::git::sequence::Sequence;
use sealant::secret::{DataKey, SecretBytes, SecretString};

use super::repo::{Repo, tokens};

const TEXT: &str = "a: one\nb: two\nc: three\nd: four\ne: five\n";

/// A branch `theirs` of three commits, and `main` with another data key and another value.
fn three_commits() -> Repo {
    let repo = Repo::new(&[("s.yaml", TEXT)]);
    repo.ok(&["checkout", "-q", "-b", "theirs"]);
    for (key, value) in [("a", "1st"), ("b", "2nd"), ("c", "3rd")] {
        repo.set("s.yaml", key, value);
        repo.commit(key);
    }
    repo.ok(&["checkout", "-q", "main"]);
    repo.sealant(&["rotate", "-i", "s.yaml"]);
    repo.set("s.yaml", "e", "upstream");
    repo.commit("upstream");
    repo
}

const AFTER: &str = "a: 1st\nb: 2nd\nc: 3rd\nd: four\ne: upstream\n";

/// How many lines each of the last three commits has changed.
fn changed_lines(repo: &Repo) -> Vec<usize> {
    let lines = |commit: &str| {
        let range = [&format!("{commit}~1"), commit];
        let stat = repo.ok(&["diff", "--no-textconv", "--numstat", range[0], range[1]]);
        stat.text().split('\t').next().and_then(|count| count.parse().ok()).expect("a number")
    };
    ["HEAD~2", "HEAD~1", "HEAD"].map(lines).to_vec()
}

/// Asserts that the first of the last three commits has made a data key, and that the others have kept it.
#[track_caller]
fn has_one_new_key(repo: &Repo) {
    assert_eq!(repo.plain("s.yaml"), AFTER);
    let changed = changed_lines(repo);
    // The value, the MAC, and the time if a second has passed.
    assert!(changed[0] > 9 && changed[1..].iter().all(|lines| (2..=3).contains(lines)), "{changed:?}");
    let at = |commit: &str| tokens(repo.ok(&["show", "--no-textconv", &format!("{commit}:s.yaml")]).text());
    let (first, last, upstream) = (at("HEAD~2"), at("HEAD"), at("HEAD~3"));
    assert_eq!(last.iter().filter(|token| first.contains(token)).count(), 3);
    assert!(!last.iter().any(|token| upstream.contains(token)));
}

#[test]
fn a_rebase_makes_one_data_key_and_forgets_it() {
    let repo = three_commits();
    repo.ok(&["checkout", "-q", "theirs"]);
    let look = "stat -c 'mode %a' \"$(git rev-parse --git-path rebase-merge)/sealant-data-keys\"";
    let rebase = repo.ok(&["rebase", "--exec", look, "main"]);
    assert_eq!(rebase.text().matches("mode 600").count(), 3, "{rebase}");
    has_one_new_key(&repo);
    assert!(!repo.test.path(".git/rebase-merge").exists());
    // Once more, and there is another one: what an older rebase has made counts for nothing.
    let before = tokens(&repo.test.read_text("s.yaml"));
    repo.ok(&["checkout", "-q", "-b", "again", "main"]);
    repo.set("s.yaml", "d", "4th");
    repo.commit("again");
    repo.ok(&["rebase", "-q", "theirs"]);
    let after = tokens(&repo.test.read_text("s.yaml"));
    assert!(!after.iter().any(|token| before.contains(token)));
}

#[test]
fn a_rebase_of_patches_does_so_too() {
    let repo = three_commits();
    repo.ok(&["checkout", "-q", "theirs"]);
    repo.ok(&["rebase", "-q", "--apply", "main"]);
    has_one_new_key(&repo);
    assert!(!repo.test.path(".git/rebase-apply").exists());
}

#[test]
fn cherry_picks_make_one_data_key_and_forget_it() {
    let repo = three_commits();
    repo.ok(&["cherry-pick", "main~1..theirs"]);
    has_one_new_key(&repo);
    assert!(!repo.test.path(".git/sequencer").exists());
}

#[test]
fn a_conflict_on_the_way_makes_no_further_one() {
    let repo = three_commits();
    repo.set("s.yaml", "a", "upstream");
    repo.commit("upstream");
    repo.ok(&["checkout", "-q", "theirs"]);
    let _ = repo.git(&["rebase", "main"]).run().code(1);
    repo.sealant(&["resolve", "--theirs", "s.yaml"]);
    repo.ok(&["add", "s.yaml"]);
    let _ = repo.git(&["rebase", "--continue"]).env("GIT_EDITOR", "true").run().ok();
    has_one_new_key(&repo);
}

#[test]
fn a_conflict_without_a_key_is_resolved_under_one() {
    let repo = three_commits();
    repo.ok(&["checkout", "-q", "theirs"]);
    repo.without_key();
    let _ = repo.git(&["rebase", "main"]).run().code(1);
    repo.with_key();
    repo.sealant(&["resolve", "s.yaml"]);
    repo.ok(&["add", "s.yaml"]);
    let _ = repo.git(&["rebase", "--continue"]).env("GIT_EDITOR", "true").run().ok();
    has_one_new_key(&repo);
}

#[test]
fn a_worktree_has_a_sequence_of_its_own() {
    let repo = three_commits();
    repo.ok(&["worktree", "add", "-q", "../linked", "theirs"]);
    repo.ok(&["-C", "../linked", "rebase", "-q", "main"]);
    repo.ok(&["checkout", "-q", "--detach", "theirs"]);
    has_one_new_key(&repo);
}

#[test]
fn a_data_key_of_another_path_is_none_of_this_one() {
    let repo = Repo::new(&[("p.yaml", TEXT), ("s.yaml", TEXT)]);
    repo.ok(&["checkout", "-q", "-b", "theirs"]);
    for (file, key) in [("p.yaml", "a"), ("s.yaml", "b")] {
        repo.set(file, key, "theirs");
        repo.commit(file);
    }
    repo.ok(&["checkout", "-q", "main"]);
    for file in ["p.yaml", "s.yaml"] {
        repo.sealant(&["rotate", "-i", file]);
        repo.set(file, "e", "upstream");
    }
    repo.commit("upstream");
    repo.ok(&["checkout", "-q", "theirs"]);
    // Between the steps somebody carries the new data key of `p.yaml` over.
    let carry = "cp p.yaml s.yaml && git commit -q --allow-empty -a -m carried";
    let rebase = repo.git(&["rebase", "-q", "--exec", carry, "main"]).run();
    let carried = tokens(repo.ok(&["show", "--no-textconv", "theirs@{0}:p.yaml"]).text());
    assert_eq!(rebase.status, 0, "{rebase}");
    let merged = tokens(repo.ok(&["show", "--no-textconv", "HEAD~1:s.yaml"]).text());
    assert!(merged.len() == 5 && !merged.iter().any(|token| carried.contains(token)), "{merged:?}");
}

/// Whoever is at the terminal, with settings of their own.
struct Person<'a> {
    terminal: Terminal<'a>,
    settings: PathBuf,
}

impl Host for Person<'_> {
    fn env(&self, name: &str) -> Option<OsString> {
        match name {
            "XDG_CONFIG_HOME" => Some(self.settings.clone().into()),
            _ => self.terminal.env(name),
        }
    }

    fn home(&self) -> Option<PathBuf> {
        self.terminal.home()
    }

    fn ask_passphrase(&self, prompt: &str) -> Result<SecretString> {
        self.terminal.ask_passphrase(prompt)
    }

    fn ask_line(&self, prompt: &str) -> Result<String> {
        self.terminal.ask_line(prompt)
    }

    fn confirm(&self, question: &str) -> Result<bool> {
        self.terminal.confirm(question)
    }

    fn output_of(&self, command: &Command) -> Result<SecretBytes> {
        self.terminal.output_of(command)
    }

    fn start(&self, command: &Command) -> io::Result<Child> {
        self.terminal.start(command)
    }

    fn may_run_plugins(&self) -> bool {
        self.terminal.may_run_plugins()
    }

    fn note(&self, message: &str) {
        self.terminal.note(message);
    }

    fn now(&self) -> Timestamp {
        self.terminal.now()
    }

    fn write_private(&self, path: &Path, bytes: &[u8]) -> Result<()> {
        self.terminal.write_private(path, bytes)
    }
}

/// A clone out of somebody's archive can have any list.
#[test]
fn what_somebody_else_has_marked_counts_for_nothing() {
    let repo = Repo::new(&[("s.yaml", TEXT)]);
    let ui = Ui::new(ColorWhen::Never, true, true);
    let person = |settings: &str| Person {
        terminal: Terminal::new(&ui).asking_nobody(),
        settings: repo.test.home(settings),
    };
    let (them, us, file) = (person("them"), person("us"), repo.test.path("s.yaml"));
    let has_made = |host: &dyn Host, key: &DataKey| Sequence::of_file(host, &file).has_made(key);
    fs::create_dir(repo.test.path(".git/sequencer")).expect("a folder");
    let key = DataKey::generate();
    Sequence::of_file(&them, &file).remember(&them, &key).expect("is written");
    assert!(has_made(&them, &key) && !has_made(&us, &key));
    Sequence::of_file(&us, &file).remember(&us, &DataKey::generate()).expect("is written");
    assert!(has_made(&them, &key) && !has_made(&us, &key));
}

#[test]
fn what_a_sequence_has_made_is_bound_to_its_path_and_to_the_sequence() {
    let repo = Repo::new(&[("d/s.yaml", TEXT)]);
    let ui = Ui::new(ColorWhen::Never, true, true);
    let host = Person { terminal: Terminal::new(&ui).asking_nobody(), settings: repo.test.home("settings") };
    let (file, other) = (repo.test.path("d/s.yaml"), repo.test.path("s.yaml"));
    let (key, unknown) = (DataKey::generate(), DataKey::generate());
    let has_made = |file: &Path, key: &DataKey| Sequence::of_file(&host, file).has_made(key);
    // Nothing is under way, nothing is kept.
    Sequence::of_file(&host, &file).remember(&host, &key).expect("nothing to do");
    assert!(!has_made(&file, &key));
    for folder in ["rebase-merge", "rebase-apply", "sequencer"] {
        let state = repo.test.path(".git").join(folder);
        fs::create_dir(&state).expect("a folder");
        assert!(!has_made(&file, &key));
        Sequence::of_file(&host, &file).remember(&host, &unknown).expect("is written");
        Sequence::of_file(&host, &file).remember(&host, &key).expect("is written");
        assert!(has_made(&file, &key) && has_made(&file, &unknown));
        assert!(!has_made(&other, &key) && !has_made(&file, &DataKey::generate()));
        let kept = fs::read(state.join("sealant-data-keys")).expect("a file");
        assert!(!kept.windows(8).any(|bytes| key.as_bytes().windows(8).any(|part| part == bytes)));
        // A working tree may hold anything, and says nothing.
        fs::rename(&state, repo.test.path(folder)).expect("moves");
        fs::create_dir_all(repo.test.path("d").join(folder)).expect("a folder");
        fs::write(repo.test.path("d").join(folder).join("sealant-data-keys"), &kept).expect("is written");
        assert!(!has_made(&file, &key));
    }
}
