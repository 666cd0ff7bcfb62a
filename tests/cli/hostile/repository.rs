//! The hostile repository: what somebody could commit, or put into an archive, who writes and has no key of ours.
//!
//! Owns its files, and what is planted in them. It is made once; each case gets a copy.

// Tests are outside of the doors that the library has.
#![allow(clippy::disallowed_methods)]

use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use sealant_test_support::Sandbox;

use super::super::{IDENTITY, KEYS_TXT, RECIPIENT, sandbox};
use super::canaries::{Server, Trap};

/// Values that are in files in plaintext, where a rule calls them secret.
pub const IN_PLAINTEXT: &str = "planted-plaintext-51";
/// Values that are encrypted for us.
pub const ENCRYPTED: &str = "planted-encrypted-52";
/// Values that are encrypted for us and that the attacker, who is a reader of `dev/`, must not get at.
pub const PROD: &str = "planted-prod-53";
/// Values in files of which a MAC says that they are forged: nothing that is shown of them is true.
pub const FORGED: &str = "planted-forged-54";
/// A value that we give to commands.
pub const NEW: &str = "planted-new-55";
/// The token for Vault in our environment.
pub const TOKEN: &str = "planted-token-56";

/// Files that commands are given by name. Pipes and devices are not among them: one that a person names is theirs to read.
pub const FILES: &[&str] = &[
    "--help.yaml",
    "-h.yaml",
    "-rf",
    "apps/forged-namespace.yaml",
    "apps/forged-scope.yaml",
    "bombs/aliases.yaml",
    "bombs/deep.json",
    "bombs/deep.yaml",
    "dev/b.yaml",
    "dev/copy.yaml",
    "dev/listed.yaml",
    "dev/p/a.yaml",
    "dev/v1.yaml",
    "dev/v2.yaml",
    "env/loader.env",
    "forged/bad-mac.yaml",
    "forged/escapes.yaml",
    "forged/no-mac.yaml",
    "forged/selection.yaml",
    "huge/huge.yaml",
    "links/loop.yaml",
    "links/out.yaml",
    "marked/markers.yaml",
    "plugin/new.yaml",
    "secrets/a.yaml",
    "sub/new.yaml",
    "under-fifo/a.yaml",
    "vault/a.yaml",
    "vault/sealed.yaml",
    "weak/selection.yaml",
];

/// A file that encrypts less than a new one would, under a rule that says nothing of that.
pub const SILENT: &str = "forged/selection.yaml";

/// Files with plaintext that rules call secret. `check` names them all.
pub const HIDDEN: &[&str] = &[
    "secrets/.a.yaml.sealant-Ab3dEf9x.tmp",
    "secrets/behind-sealed.yaml",
    "secrets/comment.yaml",
    "secrets/deep/in/plain.yaml",
    "secrets/plain.yaml",
    "secrets/sops.env",
    "secrets/sops.ini",
    "secrets/sops.json",
    "secrets/sops.yaml",
    "unruled/list.yaml",
];

/// Names of programs that Sealant or Git start, here as files of the repository.
const PROGRAMS: &[&str] = &[
    "age-plugin-evil",
    "git",
    "gpg",
    "helm",
    "kubectl",
    "kustomize",
    "less",
    "sealant",
    "sops",
    "ssh",
    "vi",
];

pub struct Repository {
    pub test: Sandbox,
    pub attacker: Attacker,
}

/// Somebody who may write to the repository, and is one of the readers of `dev/`.
pub struct Attacker {
    pub identity: String,
    pub recipient: String,
    /// The metadata of `merged/db.yaml` of the branch `attacker`, with the wrap that they have kept for themselves.
    pub kept: String,
}

impl Repository {
    pub fn new(trap: &Trap, server: &Server) -> Self {
        let test = sandbox();
        test.write(test.home(KEYS_TXT), format!("{IDENTITY}\n"));
        test.write(test.home(".bashrc"), "# ours\n");
        test.write("../outside/target.yaml", "password: outside\n");
        test.write("../outside/notes.txt", "outside\n");
        let attacker = Attacker::new(&test);
        let new = Self { test, attacker };
        new.git(&["init", "-q", "-b", "main"]);
        new.git(&["config", "user.name", "Test"]);
        new.git(&["config", "user.email", "test@example.com"]);
        let _ = new.test.sealant(&["git", "install"]).run().ok();

        new.encrypted_files();
        new.forged_metadata();
        new.forged_markers();
        new.sealed_secrets(server);
        new.hidden_plaintext();
        new.rules(server);
        new.bombs();
        new.option_names("one");
        new.programs(trap);
        new.bare_repositories(trap);
        new.attributes();
        new.links();
        new.generators(trap);
        new.commit("one");
        new.option_names("two");
        new.commit("two");
        new.branch_of_attacker();
        new.what_git_cannot_carry(trap);
        new
    }

    /// A copy of everything, to be spoilt.
    pub fn copy(&self) -> Sandbox {
        let copy = sandbox();
        for folder in ["work", "home", "outside"] {
            let (from, to) = (self.test.path("..").join(folder), copy.path("..").join(folder));
            fs::create_dir_all(&to).expect("a folder");
            let _ = copy.program("cp", &["-a"]).arg(from.join(".")).arg(to).run().ok();
        }
        // Holes take long to copy.
        for (name, megabytes) in [("huge/huge.yaml", 300), ("huge/huge.bin", 1100)] {
            copy.write(name, "");
            let file = fs::File::options().write(true).open(copy.path(name)).expect("the file");
            file.set_len(megabytes << 20).expect("a file with a hole");
        }
        copy
    }

    fn git(&self, args: &[&str]) {
        let args = [&["-c", "core.hooksPath=/dev/null"], args].concat();
        let _ = self.test.program("git", &args).run().ok();
    }

    fn commit(&self, message: &str) {
        self.git(&["add", "-A"]);
        self.git(&["commit", "-q", "-m", message]);
    }

    fn encrypted(&self, name: &str, text: &str, recipients: &[&str]) -> String {
        encrypted(&self.test, name, text, recipients)
    }

    fn encrypted_files(&self) {
        let text = format!("password: {PROD}\nuser: {PROD}\n");
        let _ = self.encrypted("prod/a.yaml", &text, &[RECIPIENT]);
        let text = format!("password: {ENCRYPTED}\nuser: {ENCRYPTED}\n");
        for name in ["secrets/a.yaml", "secrets/prod/db.yaml", "merged/db.yaml", "under-fifo/a.yaml"] {
            let _ = self.encrypted(name, &text, &[RECIPIENT]);
        }
        let _ = self.encrypted("dev/own.yaml", "note: theirs\n", &[RECIPIENT, &self.attacker.recipient]);
        let loader = "PATH=.\nBASH_ENV=./trap.sh\nENV=./trap.sh\n";
        let _ = self.encrypted("env/loader.env", loader, &[RECIPIENT]);
        self.test.write("encrypt/plain.yaml", format!("password: {NEW}\n"));
        self.test.write("merged/theirs.yaml", self.attacker.kept_file().0);
    }

    /// Metadata are under no MAC, but for the values.
    fn forged_metadata(&self) {
        let values = format!("password: {ENCRYPTED}\nuser: {ENCRYPTED}\n");
        let weaker = |name: &str| {
            let text = self.encrypted(name, &values, &[RECIPIENT]);
            let forged =
                text.replace("unencrypted_suffix: _unencrypted", "encrypted_regex: ^(password|user)$");
            assert_ne!(text, forged, "{text}");
            self.test.write(name, forged);
        };
        weaker(SILENT);
        weaker("weak/selection.yaml");

        let forged = format!("password: {FORGED}\nrole_unencrypted: user\n");
        let text = self.encrypted("forged/bad-mac.yaml", &forged, &[RECIPIENT]);
        self.test
            .write("forged/bad-mac.yaml", text.replace("role_unencrypted: user", "role_unencrypted: admin"));
        let text = self.encrypted("forged/no-mac.yaml", &forged, &[RECIPIENT]);
        self.test.write("forged/no-mac.yaml", without_line(&text, "mac: "));
        let text = self.encrypted("forged/escapes.yaml", &values, &[RECIPIENT]);
        let escapes = "\"age1\\e]0;pwned\\a\\e[2J\\u202e\\n::stop-commands::x\"";
        self.test.write("forged/escapes.yaml", text.replace(RECIPIENT, escapes));

        let prod = self.test.read_text("prod/a.yaml");
        let (_, block) = prod.split_once("\nsops:\n").expect("metadata");
        self.test.write("dev/v1.yaml", format!("note: harmless\nsops:\n{block}"));
        self.test.write("dev/v2.yaml", format!("note: harmless\nsops:\n{}", without_line(block, "mac: ")));
        self.test.write("dev/copy.yaml", &prod);
        self.test.write("dev/listed.yaml", listed_as_well(&prod, &self.attacker.recipient));
    }

    /// Markers as a merge leaves them, committed: one side is an older value, whose MAC is long gone.
    fn forged_markers(&self) {
        let name = "marked/markers.yaml";
        let old = self.encrypted(name, &format!("admin: {FORGED}\nnote: x\n"), &[RECIPIENT]);
        let _ = self.test.sealant(&["set", name, r#"["admin"]"#, r#""no""#]).run().ok();
        let new = self.test.read_text(name);
        let admin = |text: &str| text.lines().next().expect("a line").to_owned();
        let (ours, theirs) = (admin(&new), admin(&old));
        let marked = format!("<<<<<<< ours\n{ours}\n=======\n{theirs}\n>>>>>>> theirs");
        self.test.write(name, new.replace(&ours, &marked));
    }

    /// Scope, namespace and name are claims until an item is opened.
    fn sealed_secrets(&self, server: &Server) {
        let args = ["seal", "--age", RECIPIENT, "--namespace", "shop", "--name", "db", "--from-file"];
        let seal = self.test.sealant(&args).args(&["password=-", "--scope", "strict"]).stdin(ENCRYPTED);
        let sealed = seal.run().ok().text().to_owned();
        self.test.write("apps/db.yaml", &sealed);
        self.test.write("apps/forged-scope.yaml", replaced(&sealed, "scope: strict", "scope: cluster"));
        self.test
            .write("apps/forged-namespace.yaml", replaced(&sealed, "namespace: shop", "namespace: evil"));
        let secret = format!(
            "apiVersion: v1\nkind: Secret\nmetadata: {{name: db, namespace: shop}}\nstringData: {{token: {NEW}}}\n"
        );
        self.test.write("encrypt/secret.yaml", secret);

        let (head, rest) = sealed.split_once("      age:\n").expect("wraps for age");
        let (_, items) = rest.split_once("  encryptedData:\n").expect("items");
        let wrap =
            format!("address: {}, enginePath: transit, keyName: k, enc: 'vault:v1:AAAA'", server.address());
        let vault = format!("{head}      hcVault:\n        - {{{wrap}}}\n  encryptedData:\n{items}");
        self.test.write("vault/sealed.yaml", vault);
        let file = self.encrypted("vault/a.yaml", &format!("password: {ENCRYPTED}\n"), &[RECIPIENT]);
        let (head, rest) = file.split_once("    age:\n").expect("wraps for age");
        let (_, tail) = rest.split_once("    lastmodified:").expect("the time");
        let wrap = format!(
            "        - vault_address: {}\n          engine_path: transit\n          key_name: k\n          \
             created_at: '2026-01-01T00:00:00Z'\n          enc: vault:v1:AAAA\n",
            server.address()
        );
        self.test.write("vault/a.yaml", format!("{head}    hc_vault:\n{wrap}    lastmodified:{tail}"));
    }

    fn hidden_plaintext(&self) {
        let sealed = "apiVersion: sealant.dev/v1alpha1\nkind: SealedSecret\nmetadata: {name: a}\nspec: {dataKeys: [], \
                      encryptedData: {}}\n---\n";
        let text = |name: &str| match name {
            "secrets/behind-sealed.yaml" => format!("{sealed}password: {IN_PLAINTEXT}\n"),
            "secrets/comment.yaml" => format!("# password: {IN_PLAINTEXT}\n"),
            "secrets/sops.env" => format!("sops_pw={IN_PLAINTEXT}\n"),
            "secrets/sops.ini" => format!("[sops]\npw = {IN_PLAINTEXT}\n"),
            "secrets/sops.json" => format!("{{\"sops\": {{\"pw\": \"{IN_PLAINTEXT}\"}}}}\n"),
            "secrets/sops.yaml" => format!("sops:\n  password: {IN_PLAINTEXT}\n"),
            "unruled/list.yaml" => format!(
                "apiVersion: v1\nkind: SecretList\nitems:\n  - metadata: {{name: a}}\n    stringData: {{p: \
                 {IN_PLAINTEXT}}}\n"
            ),
            _ => format!("password: {IN_PLAINTEXT}\n"),
        };
        for name in HIDDEN {
            self.test.write(name, text(name));
        }
    }

    fn rules(&self, server: &Server) {
        let attacker = &self.attacker.recipient;
        let plugin = plugin_recipient();
        let mut rules = "creation_rules:\n".to_owned();
        for (folder, rule) in [
            ("dev", format!("age: {RECIPIENT},{attacker}")),
            ("plugin", format!("age: {RECIPIENT},{plugin}")),
            ("vault", format!("hc_vault_transit_uri: {}/v1/transit/keys/k", server.address())),
            ("weak", format!("age: {RECIPIENT}\n    encrypted_regex: ^(password|user|token)$")),
            ("(apps|prod|secrets|merged|forged|marked|env|encrypt|under-fifo)", format!("age: {RECIPIENT}")),
        ] {
            rules.push_str(&format!("  - path_regex: ^{folder}/\n    {rule}\n"));
        }
        self.test.write(".sops.yaml", rules);
        // A nearer config wins, as it does in sops.
        let nearer = format!(
            "creation_rules:\n  - age: {attacker},{plugin}\n    hc_vault_transit_uri: \
             {0}/v1/transit/keys/k\ndestination_rules:\n  - vault_address: {0}\n    vault_path: stolen/\n",
            server.address()
        );
        self.test.write("sub/.sops.yaml", nearer);
        for name in ["sub/new.yaml", "plugin/new.yaml", "vault/new.yaml"] {
            self.test.write(name, format!("password: {IN_PLAINTEXT}\n"));
        }
    }

    fn bombs(&self) {
        let mut aliases = "a0: &a0 [x, x]\n".to_owned();
        for level in 1..30 {
            let below = level - 1;
            aliases.push_str(&format!("a{level}: &a{level} [*a{below}, *a{below}, *a{below}]\n"));
        }
        self.test.write("bombs/aliases.yaml", aliases);
        self.test.write("bombs/deep.yaml", "[".repeat(50_000));
        self.test.write("bombs/deep.json", "{\"a\":".repeat(50_000));
        self.test.write("bombs/binary.yaml", (0..=255).cycle().take(100_000).collect::<Vec<u8>>());
    }

    /// Names that look like options, commands, or other names.
    fn option_names(&self, value: &str) {
        let names: [&[u8]; 9] = [
            b"--help.yaml",
            b"--identity=q.yaml",
            b"-h.yaml",
            b"-rf",
            b"names/a\nb\x1b[31m.yaml",
            "names/\u{202e}lmay.yaml".as_bytes(),
            b"names/$(touch pwned).yaml",
            b"names/;touch pwned;.yaml",
            b"names/\xff.yaml",
        ];
        for name in names {
            let path = Path::new(std::ffi::OsStr::from_bytes(name));
            self.test.write(path, format!("name: {value}\n"));
        }
    }

    /// Programs that somebody would run who looks for them in the repository instead of on the `PATH`.
    fn programs(&self, trap: &Trap) {
        for name in PROGRAMS {
            for folder in ["", "secrets/", "plugin/", "generators/"] {
                trap.write(&self.test.path(format!("{folder}{name}")), name);
            }
        }
        trap.write(&self.test.path("trap.sh"), "BASH_ENV");
        trap.write(&self.test.path("hooks/pre-commit"), "a hook of the repository");
        trap.write(&self.test.path("true"), "PATH of a file");
    }

    /// Folders of ordinary files that Git takes for repositories. Their config names programs.
    fn bare_repositories(&self, trap: &Trap) {
        for folder in ["secrets", "secrets/prod", "secrets/deep/in", "apps", "names"] {
            self.test.write(format!("{folder}/HEAD"), "ref: refs/heads/main\n");
            self.test.write(format!("{folder}/refs/keep"), "");
            self.test.write(format!("{folder}/objects/keep"), "");
            self.test.write(format!("{folder}/info/exclude"), "*\n");
            self.test.write(format!("{folder}/config"), git_config(trap, &format!("bare {folder}")));
        }
    }

    fn attributes(&self) {
        let own = self.test.read_text(".gitattributes");
        let evil = "*.txt filter=evil diff=evil merge=evil\n";
        self.test.write(".gitattributes", format!("{own}{evil}*.yaml filter=evil\n"));
        self.test.write("secrets/.gitattributes", "* filter=evil diff=evil merge=evil\n");
        self.test.write("secrets/info/attributes", "* filter=evil diff=evil merge=evil\n");
    }

    fn links(&self) {
        let links = [
            ("dev/b.yaml", "../prod/a.yaml"),
            ("dev/p", "../prod"),
            ("links/loop.yaml", "loop.yaml"),
            ("links/out.yaml", "../../outside/target.yaml"),
            ("links/zero.yaml", "/dev/zero"),
            ("out/secrets/notes.txt", "../../../home/.bashrc"),
            ("out2/notes", "../../home"),
        ];
        for (link, target) in links {
            let link = self.test.path(link);
            fs::create_dir_all(link.parent().expect("a folder")).expect("a folder");
            symlink(target, link).expect("a link");
        }
        // What is decrypted into these folders must not get there.
        for name in ["secrets/notes.txt", "notes/.profile"] {
            let _ = self.encrypted(name, "echo pwned\n", &[RECIPIENT]);
        }
    }

    fn generators(&self, trap: &Trap) {
        let generator = |files: &str| {
            format!(
                "apiVersion: viaduct.ai/v1\nkind: ksops\nmetadata:\n  name: g\n  annotations:\n    \
                 config.kubernetes.io/function: |\n      exec: {{path: ./sops}}\nfiles: [{files}]\n"
            )
        };
        self.test.write("generators/pipe.yaml", generator("../fifo/pipe.yaml"));
        self.test.write("generators/links.yaml", generator("../links/out.yaml, ../links/zero.yaml"));
        self.test.write("generators/outside.yaml", generator("../../outside/target.yaml, /etc/hostname"));
        self.test.write("generators/vault.yaml", generator("../vault/a.yaml"));
        let kustomization =
            "generators: [pipe.yaml, links.yaml, vault.yaml]\nhelmGlobals: {chartHome: ../../outside}\n";
        self.test.write("generators/kustomization.yaml", kustomization);
        self.test.write("chart/Chart.yaml", "apiVersion: v2\nname: c\nversion: 0.1.0\n");
        self.test.write("chart/templates/a.yaml", "kind: ConfigMap\n");
        trap.write(&self.test.path("chart/post-renderer"), "a post-renderer");
    }

    /// On the branch `attacker` a file was made again under a data key that they have kept. On `main` there is a new
    /// value since.
    fn branch_of_attacker(&self) {
        self.git(&["checkout", "-q", "-b", "attacker"]);
        let (merged, _) = self.attacker.kept_file();
        self.test.write("merged/db.yaml", merged);
        self.commit("by the attacker");
        self.git(&["checkout", "-q", "main"]);
        let value = format!("\"{NEW}\"");
        let _ = self.test.sealant(&["set", "merged/db.yaml", r#"["api_token"]"#, &value]).run().ok();
        self.commit("three");
    }

    fn what_git_cannot_carry(&self, trap: &Trap) {
        let pipes = ["fifo/pipe.yaml", "under-fifo/.sops.yaml"];
        for pipe in pipes {
            self.test.write(format!("{pipe}.beside"), "");
            let _ = self.test.program("mkfifo", &[pipe]).run().ok();
        }
        // Not committed: the hook would rightly stop at it, and never come to what else it must not let by.
        self.test.write("bombs/.sops.yaml", "creation_rules: &a [*a, *a]\n");
        // An archive can hold such a file: below it, the top of the working tree is here.
        self.test.write("vendor/.git", "gitdir: ../vendored\n");
        self.test.write("vendor/plain.yaml", "note: x\n");
        let bare = self.test.path("vendored").display().to_string();
        self.git(&["init", "-q", "--bare", &bare]);
        self.test.write("vendored/config", git_config(trap, "vendored").replace("worktree = .\n", ""));
        for hook in ["pre-commit", "post-index-change", "post-checkout"] {
            trap.write(&self.test.path(format!("vendored/hooks/{hook}")), hook);
        }
    }
}

impl Attacker {
    fn new(test: &Sandbox) -> Self {
        let identity = test.sealant(&["keygen"]).run().ok().text().to_owned();
        let recipient = test.sealant(&["keygen", "-y"]).stdin(identity.as_bytes()).run().ok();
        let recipient = recipient.text().trim().to_owned();
        let kept = encrypted(test, "merged/db.yaml", "password: x\nuser: x\n", &[RECIPIENT, &recipient]);
        Self { identity, recipient, kept }
    }

    /// The file without their own wrap, and its metadata with it.
    pub fn kept_file(&self) -> (String, &str) {
        let (head, rest) = self.kept.rsplit_once("        - enc: |\n").expect("a wrap");
        let (_, tail) = rest.split_once(&format!("recipient: {}\n", self.recipient)).expect("its end");
        let (_, metadata) = self.kept.split_once("\nsops:\n").expect("metadata");
        (format!("{head}{tail}"), metadata)
    }
}

/// The recipient of a plugin that an attacker would have started.
pub fn plugin_recipient() -> String {
    "age1evil1qqqsyqcyq5rqwzqfpg9scrgwpugpzysnzs23v9ccrydpk8qarc0scfcyv3".to_owned()
}

fn encrypted(test: &Sandbox, name: &str, text: &str, recipients: &[&str]) -> String {
    test.write(name, text);
    let _ = test.sealant(&["encrypt", "-i", "--age", &recipients.join(","), name]).run().ok();
    test.read_text(name)
}

fn replaced(text: &str, old: &str, new: &str) -> String {
    assert!(text.contains(old), "{old} is not in\n{text}");
    text.replace(old, new)
}

fn without_line(text: &str, with: &str) -> String {
    let lines = text.lines().filter(|line| !line.trim_start().starts_with(with));
    lines.flat_map(|line| [line, "\n"]).collect()
}

/// A file with one more reader in its list, whose wrap is a copy of ours.
fn listed_as_well(text: &str, recipient: &str) -> String {
    let (head, rest) = text.split_once("    age:\n").expect("wraps for age");
    let end = format!("recipient: {RECIPIENT}\n");
    let (wrap, tail) = rest.split_once(&end).expect("its end");
    format!("{head}    age:\n{wrap}{end}{wrap}recipient: {recipient}\n{tail}")
}

/// Every setting of Git that names a program.
fn git_config(trap: &Trap, name: &str) -> String {
    let run = |what: &str| trap.command(&format!("{what} of {name}"));
    let mut config = "[core]\nrepositoryformatversion = 0\nbare = false\nworktree = .\n".to_owned();
    for setting in
        ["fsmonitor", "editor", "pager", "sshCommand", "askPass", "gitProxy", "alternateRefsCommand"]
    {
        config.push_str(&format!("{setting} = {}\n", run(setting)));
    }
    config.push_str(&format!("hooksPath = {}\n", trap.hooks().display()));
    config.push_str(&format!("[diff]\nexternal = {}\n", run("diff.external")));
    for (section, settings) in [
        ("diff \"evil\"", &["textconv", "command"][..]),
        ("diff \"sealant\"", &["textconv", "command"]),
        ("merge \"evil\"", &["driver"]),
        ("filter \"evil\"", &["clean", "smudge", "process"]),
        ("credential", &["helper"]),
        ("gpg", &["program"]),
        ("sequence", &["editor"]),
        ("uploadpack", &["packObjectsHook"]),
        ("pager", &["ls-files", "log", "diff", "show", "status"]),
    ] {
        config.push_str(&format!("[{section}]\n"));
        for setting in settings {
            config.push_str(&format!(
                "{setting} = {}\n",
                run(&format!("{section}.{setting}").replace('"', ""))
            ));
        }
    }
    config.push_str("[alias]\n");
    for alias in ["ls-files", "rev-parse", "log", "diff", "show", "status", "cat-file", "config"] {
        config.push_str(&format!("{alias} = !{}\n", run("alias")));
    }
    config
}

/// All files and links below a folder, with their paths there.
pub fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut open = vec![folder.to_owned()];
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(&folder).into_iter().flatten().flatten() {
            match entry.file_type() {
                Ok(kind) if kind.is_dir() => open.push(entry.path()),
                _ => found.push(entry.path()),
            }
        }
    }
    found
}

/// Makes a script.
pub fn script(path: &Path, text: &str) {
    fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
    fs::write(path, text).expect("a script");
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).expect("the script becomes executable");
}
