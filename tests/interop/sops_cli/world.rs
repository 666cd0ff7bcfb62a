//! What each command line finds: its files, its environment, and the one or the other program by the name `sops`.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::sync::LazyLock;
use std::time::Duration;

use sealant_test_support::{Bao, Output, Peers, Run, Sandbox};

/// Opens everything that is encrypted for `$ME`, who runs the lines.
pub const MY_IDENTITY: &str = "AGE-SECRET-KEY-1HH3WRGUCZXCVP9K8YU02L8FPZVSW77S3CPH6S4VA0EGEX2VRPAJQ6CFT2G";
const ME: &str = "age1yh642fmrn40k5e2xj8kfk9v0zctt8xx9ft2pwjltqr6uxd3x4euskwqtdy";

/// Opens everything that is encrypted for `$OTHER`. Lines have it where they ask for it.
pub const OTHER_IDENTITY: &str = "AGE-SECRET-KEY-1QH88PUE2TXGG6HCKR8T8CHCM6MXCT8990300PQQGPN4ASJN3ZH8Q5C3MFQ";
const OTHER: &str = "age19lztpzgfctte3v0g6kf4gyfl3lxtzppxh2damhrcxj3hy0ljme3sms49l0";

/// A server with the transit key `team`, for all lines.
static BAO: LazyLock<Bao> = LazyLock::new(|| {
    let bao = Bao::start();
    bao.transit_key("transit", "team");
    bao.transit_key("transit", "next");
    bao
});

/// The most that a line takes. sops waits for ever where it wants to ask and nobody is there.
const LIMIT: Duration = Duration::from_secs(20);

/// Whose program `sops` is.
#[derive(Debug, Clone, Copy)]
pub enum Which {
    Real,
    Ours,
}

/// A file: what is in it, and who may do what with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct File {
    pub bytes: Vec<u8>,
    pub mode: u32,
}

/// Files by their paths below the working directory, or below `TMPDIR` with `tmp:` in front.
pub type Files = BTreeMap<String, File>;

/// A place with all files in which one line is run by one program.
pub struct World {
    pub sandbox: Sandbox,
}

impl World {
    /// With the files that the line names, or whose folder it names.
    pub fn new(which: Which, line: &str) -> Self {
        static FILES: LazyLock<Files> = LazyLock::new(encrypted_by_sops);
        let world = Self { sandbox: Sandbox::new(env!("CARGO_BIN_EXE_sealant")) };
        let first = |name: &str| name.split('/').next().is_some_and(|first| line.contains(first));
        for (name, file) in FILES.iter().filter(|(name, _)| first(name)) {
            world.sandbox.write(name, &file.bytes);
        }
        let program = match which {
            Which::Real => Peers::get().program("sops"),
            Which::Ours => env!("CARGO_BIN_EXE_sealant").into(),
        };
        let bin = world.sandbox.home("bin");
        fs::create_dir(&bin).expect("a folder");
        symlink(program, bin.join("sops")).expect("a link");
        world
    }

    /// Runs a line in a shell.
    pub fn run(&self, line: &str) -> Output {
        self.shell(line).run()
    }

    /// A line in a shell, to be run.
    pub fn shell(&self, line: &str) -> Run {
        let bin = self.sandbox.home("bin");
        let mut path = OsString::from(&bin);
        path.push(":/usr/bin:/bin");
        let run = self.sandbox.program("/bin/sh", &["-c", line]);
        let run = if line.contains("$VAULT") { with_vault(run) } else { run };
        run.env("PATH", path)
            .env("BIN", bin)
            .env("EDITOR", "false")
            .env("REAL", Peers::get().program("sops"))
            .env("SOPS_AGE_KEY", MY_IDENTITY)
            .env("SOPS_DISABLE_VERSION_CHECK", "1")
            .env("ME", ME)
            .env("OTHER", OTHER)
            .env("MY_IDENTITY", MY_IDENTITY)
            .env("OTHER_IDENTITY", OTHER_IDENTITY)
            .limit(LIMIT)
    }

    /// What is there now.
    pub fn files(&self) -> Files {
        let mut files = Files::new();
        collect(&self.sandbox.path("."), "", &mut files);
        collect(&self.sandbox.tmp(), "tmp:", &mut files);
        files
    }

    /// What the real sops makes of an encrypted text with the identities of everybody.
    pub fn decrypted(&self, bytes: &[u8], kind: &str) -> Output {
        let types = ["decrypt", "--input-type", kind, "--output-type", kind];
        let run = self.sandbox.sops(&types).stdin(bytes);
        let run = if contains(bytes, b"hc_vault") { with_vault(run) } else { run };
        run.env("SOPS_AGE_KEY", format!("{MY_IDENTITY}\n{OTHER_IDENTITY}")).run()
    }
}

fn with_vault(run: Run) -> Run {
    run.env("VAULT", format!("{}/v1/transit/keys/team", BAO.address()))
        .env("VAULT_NEXT", format!("{}/v1/transit/keys/next", BAO.address()))
        .env("VAULT_ADDR", BAO.address())
        .env("VAULT_TOKEN", BAO.root_token())
}

fn contains(bytes: &[u8], what: &[u8]) -> bool {
    bytes.windows(what.len()).any(|window| window == what)
}

fn collect(root: &Path, prefix: &str, files: &mut Files) {
    let mut folders = vec![root.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("a folder") {
            let path = entry.expect("a file").path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let below = path.strip_prefix(root).expect("below it").to_string_lossy();
            let mode = path.metadata().expect("a file").permissions().mode() & 0o777;
            let bytes = fs::read(&path).expect("a file");
            files.insert(format!("{prefix}{below}"), File { bytes, mode });
        }
    }
}

const YAML: &str = "\
user: admin
password: swordfish
port: 5432
ratio: 0.5
\"on\": true
none: null
empty: \"\"
text: |
    one
    two
hosts:
    - a.example.com
    - \"1\"
deep:
    down: here
    # Who is behind it.
    owner_unencrypted: ops
";

/// What sops writes in another way than it was.
const COMMENTED: &str = "\
# who
user:   admin  # not root
hosts: [a, 'b']

list:
- one   # the first
# the second
- two
";

const FLAT: &str = "user: admin\npassword: swordfish\nport: 5432\nratio: 0.5\n\"on\": true\n";

const JSON: &str = r#"{"user": "admin", "password": "swordfish", "port": 5432, "ratio": 0.5, "on": true, "none": null,
 "hosts": ["a.example.com", "1"], "deep": {"down": "here", "owner_unencrypted": "ops"}}"#;

const DOTENV: &str = "# who\nUSER_NAME=admin\nPASSWORD=swordfish\nPORT=5432\nEMPTY=\nTEXT=one\\ntwo\n";

const INI: &str = "[db]\nuser = admin\nport = 5432\n\n[web]\n; which\nhost = example.com\n";

const SECRET: &str = "\
apiVersion: v1
kind: Secret
metadata:
    name: db
stringData:
    password: swordfish
";

const APPLIED: &str = "\
apiVersion: v1
kind: Secret
metadata:
    name: db
    annotations:
        kubectl.kubernetes.io/last-applied-configuration: '{\"data\": {\"password\": \"c3dvcmRmaXNo\"}}'
data:
    password: c3dvcmRmaXNo
";

/// A config with a rule for each of the names that lines use.
fn config() -> String {
    format!(
        "nonsense: 1
creation_rules:
  - path_regex: secrets
    age: {ME}
  - path_regex: both
    age: [{ME}, {OTHER}]
  - path_regex: regex
    encrypted_regex: ^pass
    age: {ME}
  - path_regex: suffix
    unencrypted_suffix: word
    age: {ME}
  - path_regex: comment
    encrypted_comment_regex: behind
    age: {ME}
  - path_regex: mac
    mac_only_encrypted: true
    encrypted_suffix: word
    age: {ME}
  - path_regex: shares
    shamir_threshold: 2
    key_groups:
      - age: [{ME}]
      - age: [{OTHER}]
      - age: [{ME}, {OTHER}]
  - path_regex: broken
    age: nonsense
  - path_regex: nobody
  - path_regex: twice
    encrypted_regex: a
    encrypted_suffix: b
    age: {ME}
"
    )
}

/// The files that all lines start from, encrypted by the real sops.
fn encrypted_by_sops() -> Files {
    let world = World { sandbox: Sandbox::new(env!("CARGO_BIN_EXE_sealant")) };
    let test = &world.sandbox;
    let plain = [("yaml", YAML), ("json", JSON), ("env", DOTENV), ("ini", INI), ("txt", "swordfish\n")];
    for (extension, text) in plain {
        test.write(format!("p.{extension}"), text);
        test.write(format!("repo/secrets.{extension}"), text);
    }
    for rule in ["other", "both", "regex", "suffix", "comment", "mac", "shares", "broken", "nobody", "twice"]
    {
        test.write(format!("repo/{rule}.yaml"), YAML);
    }
    test.write("repo/.sops.yaml", config());
    test.write("repo/below/x.yaml", "a: 1\n");
    test.write(
        "indented/.sops.yaml",
        "stores:\n    yaml:\n        indent: 2\n    json:\n        indent: 2\n",
    );
    test.write("unreadable/.sops.yaml", "creation_rules: [\n");
    test.write("secret.yaml", SECRET);
    test.write("applied.yaml", APPLIED);
    test.write("stream.yaml", "a: 1\n---\nb: 2\n");
    test.write("commented.yaml", COMMENTED);
    test.write("bad.yaml", "a: [\n");
    test.write("bad.json", "{\"a\": ");
    test.write("bad.env", "nonsense\n");
    test.write("list.yaml", "- a\n");
    test.write("reserved.yaml", "a: 1\nsops:\n    enabled: true\n");
    for extension in ["yaml", "json", "env", "ini", "txt"] {
        test.write(format!("empty.{extension}"), "");
    }
    test.write("folder/x.yaml", "a: 1\n");
    test.write("flat.yaml", FLAT);
    let ssh = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/age/ssh");
    for (from, to) in [("open", "id"), ("open.pub", "id.pub")] {
        test.write(to, fs::read(ssh.join(from)).expect("a fixture"));
    }
    test.write("me.key", format!("# public key: {ME}\n{MY_IDENTITY}\n"));
    test.write("other.key", format!("{OTHER_IDENTITY}\n"));

    let encrypt = |from: &str, to: &str, flags: &[&str]| {
        let run = test.sops(&["encrypt", "--output", to]).args(flags).arg(from);
        run.run().ok();
    };
    for (extension, _) in plain {
        encrypt(&format!("p.{extension}"), &format!("e.{extension}"), &["--age", ME]);
        encrypt(
            &format!("p.{extension}"),
            &format!("both.{extension}"),
            &["--age", &format!("{ME},{OTHER}")],
        );
    }
    encrypt("flat.yaml", "eflat.yaml", &["--age", ME]);
    encrypt("stream.yaml", "estream.yaml", &["--age", ME]);
    encrypt("commented.yaml", "ecommented.yaml", &["--age", ME]);
    encrypt("p.yaml", "eother.yaml", &["--age", OTHER]);
    encrypt("p.yaml", "eregex.yaml", &["--age", ME, "--encrypted-regex", "^pass"]);
    let shares = ["--config", "repo/.sops.yaml", "encrypt", "--output", "eshares.yaml", "repo/shares.yaml"];
    test.sops(&shares).run().ok();
    // Names that say something else than the content, or nothing.
    for name in ["e.conf", "e", ".env.production", "e.yaml.enc", "e.YAML", "e.yml", "e.json.bak"] {
        test.write(name, test.read("e.yaml"));
    }
    test.write("json.conf", test.read("e.json"));
    test.write("flat.json", "{\"user\": \"admin\", \"port\": 5432}\n");
    encrypt("flat.json", "flat.conf", &["--age", ME]);
    test.write(
        "web.json",
        "{\"html\": \"<a href='x'>&amp;</a>\", \"line\": \"\u{2028}\\u0001\", \"list\": [\"<\"]}\n",
    );
    encrypt("web.json", "eweb.json", &["--age", ME]);
    test.write("env.conf", test.read("e.env"));
    test.write("ini.conf", test.read("e.ini"));
    test.write("p.conf", YAML);
    test.write("p.yml", YAML);
    test.write("p.YAML", YAML);
    test.write("p", JSON);
    test.write(".env.local", DOTENV);

    let encrypted = test.read_text("e.yaml");
    let without = |start: &str| -> String {
        encrypted.lines().filter(|line| !line.starts_with(start)).map(|line| format!("{line}\n")).collect()
    };
    test.write(
        "wide.yaml",
        format!("\u{feff}{encrypted}").encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<u8>>(),
    );
    test.write("changed.yaml", without("user:"));
    test.write("moved.yaml", encrypted.replacen("user:", "resu:", 1));
    test.write("cut.yaml", encrypted.replacen(",iv:", ",vi:", 1));
    test.write("nomac.yaml", without("    mac:"));
    test.write("noversion.yaml", without("    version:"));
    test.write("nolastmodified.yaml", without("    lastmodified:"));
    test.write("future.yaml", encrypted.replacen("version: 3.", "version: 99.", 1));
    test.write("doubled.yaml", encrypted.replacen("port:", "user:", 1));
    test.write("conflict.yaml", format!("<<<<<<< ours\n{encrypted}=======\n>>>>>>> theirs\n"));
    world.files()
}
