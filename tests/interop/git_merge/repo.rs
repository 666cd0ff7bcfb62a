//! A repository whose encrypted files are shown and merged by Sealant, as `git install` sets it up.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use sealant_test_support::{Output, Run, Sandbox};

pub struct Repo {
    pub test: Sandbox,
    /// Of the person whose repository it is.
    pub recipient: String,
}

impl Repo {
    /// A repository of a person with an identity, a config, and these files encrypted at the branch `main`.
    pub fn new(files: &[(&str, &str)]) -> Self {
        let repo = Self::empty("");
        for (name, text) in files {
            repo.encrypted(name, text);
        }
        repo.commit("base");
        repo
    }

    /// With `more` at the end of the creation rule.
    pub fn empty(more: &str) -> Self {
        let test = Sandbox::new(env!("CARGO_BIN_EXE_sealant"));
        let recipient = new_identity(&test, &test.home(".config/sops/age/keys.txt"));
        let repo = Self { test, recipient };
        let _ = repo.git(&["init", "-q", "-b", "main"]).run().ok();
        for (key, value) in [("user.name", "Test"), ("user.email", "test@example.com")] {
            let _ = repo.git(&["config", key, value]).run().ok();
        }
        repo.sealant(&["git", "install"]);
        // The hook has tests of its own, and would rightly refuse some of what is committed here.
        let _ = repo.git(&["config", "core.hooksPath", "/dev/null"]).run().ok();
        let attributes = repo.test.read_text(".gitattributes") + "*.txt diff=sealant merge=sealant\n";
        repo.test.write(".gitattributes", attributes);
        repo.rule(&repo.recipient, more);
        repo
    }

    /// The creation rule of all files.
    pub fn rule(&self, recipients: &str, more: &str) {
        self.test.write(".sops.yaml", format!("creation_rules:\n  - age: {recipients}\n{more}"));
    }

    /// Git, with Sealant on its `PATH`.
    pub fn git(&self, args: &[&str]) -> Run {
        let folder = Path::new(env!("CARGO_BIN_EXE_sealant")).parent().expect("a program is in a folder");
        let mut path = OsString::from(folder);
        path.push(":");
        path.push(std::env::var_os("PATH").unwrap_or_default());
        self.test.program("git", args).env("PATH", path)
    }

    #[track_caller]
    pub fn ok(&self, args: &[&str]) -> Output {
        self.git(args).run().ok()
    }

    #[track_caller]
    pub fn sealant(&self, args: &[&str]) -> Output {
        self.test.sealant(args).run().ok()
    }

    #[track_caller]
    pub fn encrypted(&self, name: &str, text: &str) {
        self.test.write(name, text);
        self.sealant(&["encrypt", "-i", name]);
    }

    #[track_caller]
    pub fn set(&self, name: &str, key: &str, value: &str) {
        self.sealant(&["set", name, &format!("[\"{key}\"]"), &format!("\"{value}\"")]);
    }

    /// Changes the plaintext of a file as in an editor.
    #[track_caller]
    pub fn edit(&self, name: &str, text: &str) {
        self.test.write("../plain", text);
        let editor = self.test.editor(&format!("cat '{}' > \"$1\"", self.test.path("../plain").display()));
        let _ = self.test.sealant(&["edit", name]).env("EDITOR", editor).run().ok();
    }

    #[track_caller]
    pub fn commit(&self, message: &str) {
        self.ok(&["add", "-A"]);
        self.ok(&["commit", "-q", "--allow-empty", "-m", message]);
    }

    /// A change on a branch `theirs`, and another on `main`, where it ends.
    #[track_caller]
    pub fn branches(&self, ours: impl FnOnce(), theirs: impl FnOnce()) {
        self.ok(&["checkout", "-q", "-b", "theirs"]);
        theirs();
        self.commit("theirs");
        self.ok(&["checkout", "-q", "main"]);
        ours();
        self.commit("ours");
    }

    #[track_caller]
    pub fn merge(&self) -> Output {
        self.git(&["merge", "-m", "merged", "theirs"]).run()
    }

    /// What both programs decrypt.
    #[track_caller]
    pub fn plain(&self, name: &str) -> String {
        let ours = self.sealant(&["decrypt", name]);
        let json = ["decrypt", "--output-type", "json", name];
        let keys = self.test.home(".config/sops/age/keys.txt");
        let theirs = self.test.sops(&json).env("SOPS_AGE_KEY_FILE", keys).run().ok();
        let data = |output: &Output| {
            let mut data: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
            // What sops makes of an INI file without entries outside of sections.
            data.as_object_mut().expect("a map").retain(|key, _| key != "DEFAULT");
            data
        };
        assert_eq!(data(&self.sealant(&json)), data(&theirs));
        ours.text().to_owned()
    }

    /// Takes the person's identity away; gives it back with [`Self::with_key`].
    pub fn without_key(&self) {
        fs::rename(self.test.home(".config/sops"), self.test.home("hidden")).expect("it is there");
    }

    pub fn with_key(&self) {
        fs::rename(self.test.home("hidden"), self.test.home(".config/sops")).expect("it is there");
    }

    /// Asserts that nothing below the repository holds one of these values: not the working tree, not Git's files, not
    /// its objects. What was not planted at all would never be found, so `planted` counts the decryptions that hold it.
    #[track_caller]
    pub fn holds_none_of(&self, values: &[&str]) {
        let objects = self.ok(&["cat-file", "--batch-all-objects", "--batch", "--buffer"]).stdout;
        let mut files = vec![(PathBuf::from("objects"), objects)];
        collect(&self.test.path(""), &mut files);
        collect(&self.test.tmp(), &mut files);
        for (path, bytes) in files {
            for value in values {
                let found = bytes.windows(value.len()).any(|window| window == value.as_bytes());
                assert!(!found, "{value} is in {}", path.display());
            }
        }
    }
}

fn collect(folder: &Path, files: &mut Vec<(PathBuf, Vec<u8>)>) {
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        match path.is_dir() {
            true => collect(&path, files),
            false => files.push((path.clone(), fs::read(&path).expect("a file"))),
        }
    }
}

/// Writes an identity file and returns its recipient.
pub fn new_identity(test: &Sandbox, file: &Path) -> String {
    fs::create_dir_all(file.parent().expect("a folder")).expect("a folder");
    let made = test.age_keygen(&["-o"]).arg(file).run().ok();
    made.stderr.trim().strip_prefix("Public key: ").expect("a recipient").to_owned()
}

/// The ciphertexts of a file, by the texts before them in their lines.
pub fn tokens(file: &str) -> Vec<(String, String)> {
    let body = file.split("\nsops:").next().unwrap_or_default();
    let line = |line: &str| {
        let at = line.find("ENC[")?;
        let end = at + line[at..].find(']')?;
        Some((line[..at].to_owned(), line[at..end].to_owned()))
    };
    body.lines().filter_map(line).collect()
}
