//! What the history of a real repository tells: how old values are, and what somebody could ever decrypt.

mod ages;
mod blast_radius;
mod odd;

use std::time::{SystemTime, UNIX_EPOCH};

use sealant_test_support::{Output, Run, Sandbox};
use serde_json::Value;

/// Stands in values, and must not be shown.
const PLANTED: &str = "hunter2";

/// A repository, and the keys of two people.
struct Repo {
    test: Sandbox,
    me: String,
    anna: String,
}

impl Repo {
    fn new() -> Self {
        let test = Sandbox::new(env!("CARGO_BIN_EXE_sealant"));
        let key = |name: &str| {
            let file = test.home(name).display().to_string();
            test.sealant(&["keygen", "-o", &file]).run().ok();
            test.sealant(&["keygen", "-y", &file]).run().ok().text().trim().to_owned()
        };
        let (me, anna) = (key("me.txt"), key("anna.txt"));
        let repo = Self { test, me, anna };
        repo.git(&["init", "-q", "-b", "main"]);
        repo
    }

    /// Runs Git as somebody, so many days ago.
    fn git_at(&self, days: u64, args: &[&str]) -> Output {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
        // An hour more, so that the days are over however long the test takes.
        let date = format!("@{} +0000", now - days * 24 * 60 * 60 - 60 * 60);
        let run =
            self.test.program("git", args).env("GIT_AUTHOR_DATE", &date).env("GIT_COMMITTER_DATE", &date);
        let who = ["AUTHOR", "COMMITTER"];
        let run = who.iter().fold(run, |run, who| {
            run.env(&format!("GIT_{who}_NAME"), "A").env(&format!("GIT_{who}_EMAIL"), "a@example.com")
        });
        run.run()
    }

    #[track_caller]
    fn git(&self, args: &[&str]) -> Output {
        self.git_at(0, args).ok()
    }

    /// Commits all there is, so many days ago.
    #[track_caller]
    fn commit(&self, days: u64) {
        self.git(&["add", "-A"]);
        self.git_at(days, &["commit", "-q", "-m", "a change"]).ok();
    }

    fn sealant(&self, args: &[&str]) -> Run {
        self.test.sealant(args).env("SOPS_AGE_KEY_FILE", self.test.home("me.txt"))
    }

    fn sops(&self, args: &[&str]) -> Run {
        self.test.sops(args).env("SOPS_AGE_KEY_FILE", self.test.home("me.txt"))
    }

    /// Says for whom files are encrypted.
    fn rule(&self, recipients: &[&str]) {
        let recipients = recipients.join(",");
        self.test.write(".sops.yaml", format!("creation_rules:\n  - age: {recipients}\n"));
    }

    /// Writes a file and encrypts it for those of the rule.
    #[track_caller]
    fn encrypt(&self, file: &str, text: &str) {
        self.test.write(file, text);
        self.sealant(&["encrypt", "-i", file]).run().ok();
    }

    #[track_caller]
    fn set(&self, file: &str, path: &str, value: &str) {
        self.sealant(&["set", file, path, &format!("\"{value}\"")]).run().ok();
    }

    /// Each value's name and age in days.
    #[track_caller]
    fn ages(&self, file: &str) -> Vec<(String, i64)> {
        let output = self.sealant(&["status", "--values", "--format", "json", file]).run().ok();
        let found: Value = serde_json::from_slice(&output.stdout).unwrap();
        let values = found[0]["values"].as_array().unwrap().iter();
        values.map(|v| (v["value"].as_str().unwrap().to_owned(), v["age_days"].as_i64().unwrap())).collect()
    }

    /// What Anna could ever read: `STATE FILE VALUE: WAY` for each value.
    #[track_caller]
    fn radius(&self, args: &[&str]) -> Vec<String> {
        let args = [&["blast-radius", "--recipient", &self.anna, "--format", "json"], args].concat();
        let output = self.sealant(&args).run().ok();
        assert!(!output.text().contains(PLANTED) && !output.stderr.contains(PLANTED), "{output}");
        rows(&output)
    }
}

fn rows(output: &Output) -> Vec<String> {
    let found: Vec<Value> = serde_json::from_slice(&output.stdout).unwrap();
    let text = |row: &Value, key: &str| row[key].as_str().unwrap().to_owned();
    let row = |row: &Value| {
        format!("{} {} {}: {}", text(row, "state"), text(row, "file"), text(row, "value"), text(row, "way"))
    };
    found.iter().map(row).collect()
}
