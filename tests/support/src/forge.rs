use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use tempfile::TempDir;

use crate::{Run, server};

/// Takes the place of the web: Git, and what starts Git, find the repositories of this folder at
/// `https://`, and nothing else. Ours is among them, with `deploy/`, `examples/` and the hooks for pre-commit as they are
/// in this working tree, and with the tag `v0.1.0`.
///
/// ```no_run
/// use sealant_test_support::{Forge, Page};
///
/// let forge = Forge::new();
/// forge.add_empty("https://git.example.com/shop/shop.git");
/// Page::read("examples/README.md".as_ref()).with_forge(&forge).run("target/debug/sealant".as_ref());
/// let pushed = forge.checkout("https://git.example.com/shop/shop.git", "main");
/// ```
pub struct Forge {
    folder: TempDir,
    checkouts: AtomicUsize,
}

/// What others take from us by the address of our repository.
const TAKEN: [&str; 3] = ["deploy", "examples", ".pre-commit-hooks.yaml"];

impl Forge {
    #[allow(clippy::new_without_default, reason = "it makes repositories")]
    #[track_caller]
    pub fn new() -> Self {
        let forge = Self { folder: server::folder("forge"), checkouts: AtomicUsize::new(0) };
        let ours = format!("{}.git", env!("CARGO_PKG_REPOSITORY"));
        forge.add_empty(&ours);
        let tree = forge.folder.path().join("ours");
        fs::create_dir(&tree).expect("a folder in the temporary directory");
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let commit = r#"cp -r -- "$@" .; git init -q -b main; git add -A; git commit -qm ours; git tag v0.1.0
                        git push -q "$0" main v0.1.0"#;
        let push = Run::new(Path::new("sh"), &["-euc", commit, &ours], tree);
        let push = TAKEN.iter().fold(push, |push, name| push.arg(root.join(name)));
        forge.tell(push).run().ok();
        forge
    }

    /// Writes a file in our repository, as a new commit on `main`.
    #[track_caller]
    pub fn commit(&self, file: &str, bytes: &[u8]) {
        let tree = self.folder.path().join("ours");
        fs::write(tree.join(file), bytes).expect("a file of the repository");
        let commit = r#"git add -- "$1"; git commit -qm "$1"; git push -q "$0" main"#;
        let ours = format!("{}.git", env!("CARGO_PKG_REPOSITORY"));
        self.tell(Run::new(Path::new("sh"), &["-euc", commit, &ours, file], tree)).run().ok();
    }

    /// An empty repository at an address that begins with `https://`.
    #[track_caller]
    pub fn add_empty(&self, address: &str) {
        let path = self.path(address);
        let init = ["init", "-q", "--bare", "-b", "main"];
        let init = Run::new(Path::new("git"), &init, self.folder.path().to_owned()).arg(path);
        self.tell(init).run().ok();
    }

    /// A folder with what a branch has, without `.git`, as programs get it that deploy.
    #[track_caller]
    pub fn checkout(&self, address: &str, branch: &str) -> PathBuf {
        let number = self.checkouts.fetch_add(1, Ordering::Relaxed);
        let folder = self.folder.path().join(format!("checkout-{number}"));
        let clone = ["clone", "-q", "--depth", "1", "--branch", branch, address];
        let clone = Run::new(Path::new("git"), &clone, self.folder.path().to_owned()).arg(&folder);
        self.tell(clone).run().ok();
        fs::remove_dir_all(folder.join(".git")).expect("a clone has this folder");
        folder
    }

    /// What makes Git find the repositories, know who commits, and print no colours.
    pub fn env(&self) -> Vec<(String, String)> {
        let here = format!("url.file://{}/.insteadOf", self.folder.path().display());
        let config = [(&*here, "https://"), ("color.ui", "never")];
        let people = ["GIT_AUTHOR_NAME", "GIT_AUTHOR_EMAIL", "GIT_COMMITTER_NAME", "GIT_COMMITTER_EMAIL"];
        let people = people.map(|name| (name.to_owned(), "anna@example.com".to_owned()));
        let config = config.iter().enumerate().flat_map(|(index, (key, value))| {
            [(format!("GIT_CONFIG_KEY_{index}"), key), (format!("GIT_CONFIG_VALUE_{index}"), value)]
                .map(|(name, text)| (name, (*text).to_owned()))
        });
        // Nobody is there to leave a pager.
        let rest =
            [("GIT_CONFIG_COUNT", "2"), ("GIT_PAGER", "cat")].map(|(a, b)| (a.to_owned(), b.to_owned()));
        config.chain(people).chain(rest).collect()
    }

    fn path(&self, address: &str) -> PathBuf {
        self.folder.path().join(address.strip_prefix("https://").expect("an address of the web"))
    }

    fn tell(&self, run: Run) -> Run {
        let path = std::env::var_os("PATH").unwrap_or_else(|| "/usr/local/bin:/usr/bin:/bin".into());
        let run = run.env("PATH", path).env("HOME", self.folder.path());
        self.env().iter().fold(run, |run, (key, value)| run.env(key, value))
    }
}
