//! The same command lines run by the real sops and by ours under its name, on the same files: they end with the same
//! exit code, and what they print and write means the same.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::sync::OnceLock;

use rayon::prelude::*;
use sealant_test_support::{Output, Peers, Sandbox};
use serde_json::Value;

const IDENTITY: &str = "AGE-SECRET-KEY-1HH3WRGUCZXCVP9K8YU02L8FPZVSW77S3CPH6S4VA0EGEX2VRPAJQ6CFT2G";
const ME: &str = "age1yh642fmrn40k5e2xj8kfk9v0zctt8xx9ft2pwjltqr6uxd3x4euskwqtdy";
const OTHER: &str = "age1y7vjqnlnw64gvpkcpjawve7el6gesg7f6wvyjanexwqke20yssss4yshtd";

/// What standard output has to have in common.
#[derive(Debug, Clone, Copy)]
enum Stdout {
    /// Every byte.
    Bytes,
    /// The values of a file of this name, decrypted if it is encrypted.
    Of(&'static str),
    /// Nothing; what fails prints no half of a result.
    Any,
    /// It is for people, and each says it in its own words.
    Plan,
}

use Stdout::{Any, Bytes, Of, Plan};

/// Lines for a shell in which `sops` is the one or the other. `$ME` and `$OTHER` are recipients.
const LINES: &[(&str, Stdout)] = &[
    // As helm-secrets calls it, standard error along with standard output.
    ("sops --decrypt --input-type yaml --output-type yaml e.yaml 2>&1", Bytes),
    ("sops --decrypt --input-type yaml --output-type yaml --in-place e.yaml 2>&1", Bytes),
    ("sops --decrypt --input-type yaml --output-type yaml --output out.yaml e.yaml 2>&1", Bytes),
    ("sops --decrypt --input-type json --output-type json --output out.json e.json 2>&1", Bytes),
    ("sops --decrypt --input-type binary --output-type binary e.txt 2>&1", Bytes),
    ("cat e.json | sops --decrypt --input-type json --output-type json /dev/stdin 2>&1", Bytes),
    ("cd repo && sops --encrypt --input-type yaml --output-type yaml secrets.yaml 2>&1", Of("x.yaml")),
    ("cd repo && sops --encrypt --input-type yaml --output-type yaml --in-place secrets.yaml 2>&1", Bytes),
    ("cd repo && sops --encrypt --input-type yaml --output-type yaml --output out.yaml secrets.yaml", Bytes),
    ("cd repo && sops --encrypt --input-type binary --output-type binary secrets.txt", Of("x.json")),
    ("EDITOR='sed -i s/swordfish/correct-horse/' sops --input-type yaml --output-type yaml e.yaml", Bytes),
    // As Ansible's community.sops calls it.
    ("cat e.yaml | sops --input-type yaml --output-type json --decrypt /dev/stdin", Of("x.json")),
    (
        "cd repo && cat secrets.yaml | sops --age $ME --input-type yaml --output-type yaml --encrypt /dev/stdin",
        Any,
    ),
    ("cat p.yaml | sops --age $ME --input-type yaml --output-type yaml --encrypt /dev/stdin", Of("x.yaml")),
    // Decrypting.
    ("sops -d e.yaml", Bytes),
    ("sops -decrypt e.yaml", Bytes),
    ("sops --d=true e.yaml", Bytes),
    ("sops -d -- e.yaml", Bytes),
    ("sops -d e.yaml e.json", Bytes),
    ("sops -d -i e.yaml", Bytes),
    ("sops -d e.json", Of("x.json")),
    ("sops -d e.env", Bytes),
    ("sops -d e.ini", Bytes),
    ("sops -d e.txt", Bytes),
    ("sops -d --output out.yaml e.yaml", Bytes),
    ("sops -d --output-type json e.yaml", Of("x.json")),
    ("sops -d --output-type yaml e.env", Of("x.yaml")),
    ("sops -d --input-type nonsense e.yaml 2>&1", Bytes),
    ("sops --indent 2 --verbose=false -d e.yaml", Of("x.yaml")),
    ("sops decrypt e.yaml", Bytes),
    ("sops -i --input-type json decrypt e.yaml", Bytes),
    ("sops -d decrypt e.yaml", Bytes),
    ("sops decrypt -i e.yaml", Bytes),
    ("sops decrypt --output out.env e.env", Bytes),
    ("sops decrypt < e.txt", Bytes),
    ("sops decrypt --filename-override x.yaml < e.yaml", Bytes),
    ("sops decrypt --input-type yaml --output-type yaml < e.yaml", Bytes),
    ("sops -d changed.yaml", Any),
    ("sops -d --ignore-mac changed.yaml", Bytes),
    ("sops decrypt --ignore-mac changed.yaml", Bytes),
    ("sops -d moved.yaml", Any),
    ("sops -d cut.yaml", Any),
    ("sops -d p.yaml", Any),
    ("sops -d bad.yaml", Any),
    ("sops -d empty.yaml", Any),
    ("sops -d folder", Any),
    ("sops -d nowhere.yaml", Any),
    ("sops decrypt nowhere.yaml", Any),
    ("sops -d other.yaml", Any),
    ("SOPS_AGE_KEY= sops -d e.yaml", Any),
    ("sops -d --output out.yaml -i e.yaml", Any),
    ("sops decrypt --output out.yaml -i e.yaml", Any),
    ("sops decrypt -i < e.yaml", Any),
    ("sops -d --output nowhere/out.yaml e.yaml", Any),
    ("sops -d --decryption-order age,age e.yaml", Any),
    ("SOPS_DECRYPTION_ORDER=pgp,age sops -d e.yaml", Bytes),
    ("sops --config nowhere.yaml -d e.yaml", Any),
    ("sops -d --nonsense e.yaml", Any),
    ("sops -r -i --ignore-mac changed.yaml", Bytes),
    ("sops -d --input-type", Any),
    ("sops", Any),
    ("sops -d", Any),
    ("sops -e -d -a $ME e.yaml", Bytes),
    // One value.
    ("sops -d --extract '[\"user\"]' e.yaml", Bytes),
    ("sops -d --extract '[\"password\"]' e.yaml", Bytes),
    ("sops -d --extract '[\"port\"]' e.yaml", Bytes),
    ("sops -d --extract '[\"hosts\"]' e.yaml", Bytes),
    ("sops -d --extract '[\"hosts\"][1]' e.yaml", Bytes),
    ("sops -d --extract \"['deep']['down']\" e.yaml", Bytes),
    ("sops -d --extract '[\"ratio\"]' e.yaml", Bytes),
    ("sops -d --extract '[\"on\"]' e.yaml", Bytes),
    ("sops decrypt --extract '[\"deep\"]' e.yaml", Bytes),
    ("sops decrypt --extract '[\"user\"]' e.json", Bytes),
    ("sops decrypt --extract '[\"port\"]' e.json", Bytes),
    ("sops decrypt --extract '[\"USER_NAME\"]' e.env", Bytes),
    ("sops decrypt --extract '[\"db\"][\"user\"]' e.ini", Bytes),
    ("sops -d --output-type json --extract '[\"deep\"]' e.yaml", Of("x.json")),
    ("sops -d --extract '[\"nowhere\"]' e.yaml", Any),
    ("sops -d --extract '[\"hosts\"][9]' e.yaml", Any),
    ("sops -d --extract nonsense e.yaml", Any),
    // Encrypting.
    ("sops -e -a $ME p.yaml", Of("x.yaml")),
    ("sops -e --age $ME,$OTHER p.json", Of("x.json")),
    ("sops -e --age $OTHER --age $ME -i p.env", Bytes),
    ("sops -e -a $ME p.ini", Of("x.ini")),
    ("sops -e -a $ME p.txt", Of("x.json")),
    ("sops -e -a $ME --output out.yaml p.yaml", Bytes),
    ("sops -e -a $ME --output-type json p.yaml", Of("x.json")),
    ("sops encrypt -a $ME p.yaml", Of("x.yaml")),
    ("sops encrypt -a $ME -i p.yaml", Bytes),
    ("sops encrypt -a $ME --encrypted-regex '^pass' p.yaml", Of("x.yaml")),
    ("sops -e -a $ME --encrypted-suffix word p.yaml", Of("x.yaml")),
    ("sops --mac-only-encrypted encrypt -a $ME --unencrypted-regex '^user$' p.yaml", Of("x.yaml")),
    ("SOPS_AGE_RECIPIENTS=$ME sops encrypt --filename-override x.yaml < p.yaml", Of("x.yaml")),
    ("sops encrypt -a $ME secret.yaml", Of("x.yaml")),
    ("sops encrypt -a $ME applied.yaml", Of("x.yaml")),
    ("cd repo && sops encrypt secrets.yaml", Of("x.yaml")),
    ("cd repo && sops encrypt other.yaml", Any),
    ("cd repo && sops encrypt -a $ME other.yaml", Any),
    ("cd repo && sops -e --filename-override secrets.yaml other.yaml", Of("x.yaml")),
    ("sed -i s/age1.*/nonsense/ repo/.sops.yaml && cd repo && sops encrypt secrets.yaml", Any),
    ("cd repo/below && sops -e ../secrets.yaml", Of("x.yaml")),
    ("sops -e repo/secrets.yaml", Any),
    ("sops --config repo/.sops.yaml -e repo/secrets.yaml", Of("x.yaml")),
    ("SOPS_CONFIG=repo/.sops.yaml sops encrypt repo/secrets.yaml", Of("x.yaml")),
    ("sops encrypt < p.yaml", Any),
    ("sops encrypt -i < p.yaml", Any),
    ("sops -e p.yaml", Any),
    ("sops -e -a nonsense p.yaml", Any),
    ("sops -e -a $ME e.yaml", Any),
    ("sops -e -a $ME bad.yaml", Any),
    ("sops -e -a $ME empty.yaml", Any),
    ("sops -e -a $ME folder", Any),
    ("sops -e -a $ME nowhere.yaml", Any),
    ("sops -e -a $ME --encrypted-regex a --encrypted-suffix b p.yaml", Any),
    ("sops -e -a $ME --shamir-secret-sharing-threshold x p.yaml >/dev/null", Any),
    ("sops --config nowhere.yaml -e -a $ME p.yaml", Any),
    // Editing.
    ("EDITOR='sed -i s/swordfish/correct-horse/' sops e.yaml", Bytes),
    ("SOPS_EDITOR='sed -i s/swordfish/correct-horse/' EDITOR=false sops edit e.yaml", Bytes),
    ("EDITOR=\"sed -i 's/5432/1234/'\" sops edit e.json", Bytes),
    ("EDITOR=\"sh -c 'echo \\\"a: 1\\\" > \\$0'\" sops -a $ME new.yaml", Bytes),
    ("EDITOR=true sops e.yaml", Any),
    ("EDITOR=true sops edit e.yaml", Any),
    ("EDITOR=false sops edit e.yaml", Any),
    ("EDITOR=/nowhere sops edit e.yaml", Any),
    ("EDITOR=true sops new.yaml", Any),
    ("EDITOR=true sops edit new.yaml", Any),
    ("EDITOR=true sops edit p.yaml", Any),
    ("sops edit", Any),
    ("cd repo && cp ../e.yaml other.yaml && EDITOR='sed -i s/swordfish/x/' sops other.yaml", Any),
    ("cd repo && cp ../e.yaml other.yaml && EDITOR='sed -i s/swordfish/x/' sops edit other.yaml", Bytes),
    // Setting and removing values.
    ("sops --set '[\"password\"] \"correct horse\"' e.yaml", Bytes),
    ("sops --set '[\"new\"] {\"a\": [1, true, null]}' e.yaml", Bytes),
    ("sops set e.yaml '[\"port\"]' 1234", Bytes),
    ("sops set e.yaml '[\"port\"]' -5", Bytes),
    ("sops set e.json '[\"deep\"][\"down\"]' '\"x\"'", Bytes),
    ("sops set e.env '[\"USER_NAME\"]' '\"x\"'", Bytes),
    ("sops set e.txt '[\"data\"]' '\"a\\nb\"'", Bytes),
    ("sops unset e.txt '[\"nowhere\"]'", Any),
    ("sops unset --idempotent e.txt '[\"nowhere\"]'", Bytes),
    ("sops set --idempotent e.yaml '[\"user\"]' '\"admin\"'", Bytes),
    ("printf '\"x\"' | sops set --value-stdin e.yaml '[\"user\"]'", Bytes),
    ("printf '\"x\"' > value && sops set --value-file e.yaml '[\"user\"]' value", Bytes),
    ("sops set --value-file --value-stdin e.yaml '[\"user\"]'", Any),
    ("sops set e.yaml '[\"user\"]' nonsense", Any),
    ("sops set e.yaml user '\"x\"'", Any),
    ("sops set e.yaml '[\"user\"]'", Any),
    ("sops set e.yaml", Any),
    ("sops set nowhere.yaml '[\"user\"]' 1", Any),
    ("sops set p.yaml '[\"user\"]' 1", Any),
    ("sops --set '[\"user\"] nonsense' e.yaml", Any),
    ("sops --set '[\"user\"]' e.yaml", Any),
    ("sops --set '[\"user\"] 1' nowhere.yaml", Any),
    ("sops unset e.yaml '[\"user\"]'", Bytes),
    ("sops unset e.yaml '[\"hosts\"][0]'", Bytes),
    ("sops unset --idempotent e.yaml '[\"nowhere\"]'", Bytes),
    ("sops unset e.yaml '[\"nowhere\"]'", Any),
    ("sops unset e.yaml", Any),
    ("sops unset nowhere.yaml '[\"user\"]'", Any),
    // Rotating.
    ("sops -r e.yaml", Of("x.yaml")),
    ("sops -r -i e.yaml", Bytes),
    ("sops -r -i --add-age $OTHER e.yaml", Bytes),
    ("sops -r -i --rm-age $OTHER both.yaml", Bytes),
    ("sops rotate e.yaml", Of("x.yaml")),
    ("sops rotate -i both.yaml", Bytes),
    ("sops rotate --input-type yaml --output-type yaml -i e.yaml", Bytes),
    ("sops rotate --output out.yaml --add-age $OTHER --rm-age $ME both.yaml", Bytes),
    ("cd repo && sops rotate -i ../both.yaml", Bytes),
    ("cd repo && cp ../both.yaml secrets.yaml && sops -r -i secrets.yaml", Bytes),
    ("cd repo && cp ../both.yaml secrets.yaml && sops rotate -i secrets.yaml", Bytes),
    ("sops rotate --rm-age $ME e.yaml", Any),
    ("sops rotate --add-age nonsense e.yaml", Any),
    ("sops rotate p.yaml", Any),
    ("sops rotate changed.yaml", Any),
    ("sops rotate", Any),
    ("sops -r nowhere.yaml", Any),
    ("sops rotate nowhere.yaml", Any),
    ("sops rotate --add-age $OTHER nowhere.yaml", Any),
    ("sops -r --add-age $OTHER nowhere.yaml", Any),
    // Recipients by the config.
    ("cd repo && cp ../both.yaml secrets.yaml && sops updatekeys -y secrets.yaml", Plan),
    ("cd repo && cp ../both.yaml secrets.yaml && echo y | sops updatekeys secrets.yaml", Plan),
    ("cd repo && cp ../both.yaml secrets.yaml && echo n | sops updatekeys secrets.yaml", Plan),
    ("cd repo && cp ../both.yaml secrets.yaml && sops updatekeys secrets.yaml", Plan),
    (
        "cd repo && cp ../both.yaml secrets.yaml && cp ../e.yaml secrets.2.yaml && sops updatekeys --yes secrets*.yaml",
        Plan,
    ),
    ("cd repo && cp ../e.yaml secrets.yaml && sops updatekeys --yes secrets.yaml", Plan),
    ("cd repo && cp ../e.yaml secrets.yaml && sops updatekeys --yes secrets.yaml nowhere.yaml", Plan),
    ("cd repo && cp ../both.yaml secrets.yaml && SOPS_AGE_KEY= sops updatekeys -y secrets.yaml", Plan),
    ("cd repo && sops updatekeys -y secrets.yaml", Plan),
    ("cd repo && sops updatekeys -y other.yaml", Plan),
    ("cd repo && sops updatekeys -y below", Plan),
    ("cd repo && sops updatekeys", Plan),
    ("sops updatekeys -y e.yaml", Plan),
    // What is a file?
    ("sops filestatus e.yaml", Bytes),
    ("sops filestatus p.yaml", Bytes),
    ("sops filestatus e.json", Bytes),
    ("sops filestatus e.env", Bytes),
    ("sops filestatus --input-type yaml e.txt", Bytes),
    ("sops filestatus changed.yaml", Bytes),
    ("sops filestatus bad.yaml", Any),
    ("sops filestatus nowhere.yaml", Any),
    ("sops filestatus folder", Any),
    ("sops filestatus", Any),
    // Commands with secrets.
    ("sops exec-env e.env 'echo $USER_NAME:$PORT'", Bytes),
    ("sops exec-env e.env 'exit 7'", Bytes),
    (
        "sops exec-env --pristine e.env '/usr/bin/env | grep -v ^PWD= | grep -v ^_= | grep -v ^SHLVL= | sort'",
        Bytes,
    ),
    ("sops exec-env --same-process e.env 'echo $PASSWORD; exit 3'", Bytes),
    ("sops exec-env flat.yaml 'echo $port $ratio $on $user'", Bytes),
    ("sops exec-env e.yaml true", Any),
    ("sops exec-env e.env", Any),
    ("sops exec-env nowhere.env true", Any),
    ("sops exec-env p.env true", Any),
    ("sops exec-file e.env 'cat {}'", Bytes),
    ("sops exec-file --no-fifo --filename x.env e.env 'cat {}; basename {}; exit 9'", Bytes),
    ("sops exec-file --output-type json e.yaml 'cat {}'", Of("x.json")),
    ("sops exec-file e.env", Any),
    ("sops exec-file nowhere.env 'cat {}'", Any),
];

#[test]
fn the_same_command_line_does_the_same() {
    let problems: Vec<String> =
        LINES.par_iter().filter_map(|(line, stdout)| differs(line, *stdout)).collect();
    assert!(
        problems.is_empty(),
        "{} of {} command lines:\n\n{}",
        problems.len(),
        LINES.len(),
        problems.join("\n\n")
    );
}

/// How the two differ in what they make of a command line.
fn differs(line: &str, stdout: Stdout) -> Option<String> {
    let [theirs, ours] = [Which::Real, Which::Ours].map(|which| {
        let test = filled(which);
        let output = shell(&test, line);
        (test, output)
    });
    let found = compare(&theirs, &ours, stdout).err()?;
    Some(format!("{line}\n{found}\n=== sops: {}\n=== ours: {}", theirs.1, ours.1))
}

fn compare(theirs: &(Sandbox, Output), ours: &(Sandbox, Output), stdout: Stdout) -> Result<(), String> {
    if theirs.1.status != ours.1.status {
        return Err(format!("exit code {} instead of {}", ours.1.status, theirs.1.status));
    }
    let same = match stdout {
        Bytes => theirs.1.stdout == ours.1.stdout,
        Of(name) => meaning(&theirs.0, name, &theirs.1.stdout) == meaning(&ours.0, name, &ours.1.stdout),
        Any => theirs.1.status == 0 || ours.1.stdout.is_empty(),
        Plan => true,
    };
    if !same {
        return Err("standard output is another".to_owned());
    }
    let [before, after] = [files(&theirs.0), files(&ours.0)];
    let names = |files: &Files| files.keys().cloned().collect::<Vec<_>>();
    if names(&before) != names(&after) {
        return Err(format!("files {:?} instead of {:?}", names(&after), names(&before)));
    }
    for (name, expected) in &before {
        let found = &after[name];
        if found != expected && meaning(&ours.0, name, found) != meaning(&theirs.0, name, expected) {
            return Err(format!("{name} is another:\n{}", String::from_utf8_lossy(found)));
        }
    }
    Ok(())
}

/// What is in a file, whatever it looks like and whether it is encrypted; and who can decrypt it.
#[derive(Debug, PartialEq)]
enum Meaning {
    Values(Value, BTreeSet<String>),
    Text(String, BTreeSet<String>),
    /// It is not for us: nobody of whom we have the identity can decrypt it.
    Sealed(BTreeSet<String>),
}

fn meaning(test: &Sandbox, name: &str, bytes: &[u8]) -> Meaning {
    let text = String::from_utf8_lossy(bytes).into_owned();
    let extension = Path::new(name).extension().unwrap_or_default().to_string_lossy().into_owned();
    let kind = match &*extension {
        "env" => "dotenv",
        "txt" => "binary",
        other => other,
    };
    let words = text.split(|c: char| !c.is_ascii_alphanumeric());
    let recipients: BTreeSet<_> = words.filter(|word| word.starts_with("age1")).map(str::to_owned).collect();
    let mut plain = text.clone();
    if text.contains("ENC[AES256_GCM") {
        let types = ["decrypt", "--input-type", kind, "--output-type", kind];
        let decrypted = test.sops(&types).env("SOPS_AGE_KEY", IDENTITY).stdin(bytes).run();
        match decrypted.status {
            0 => plain = decrypted.text().to_owned(),
            128 => return Meaning::Sealed(recipients),
            _ => panic!("{name}: {decrypted}"),
        }
    }
    let values = match kind {
        "yaml" => serde_yaml::from_str::<Value>(&plain).ok(),
        "json" => serde_json::from_str(&plain).ok(),
        _ => None,
    };
    match values {
        Some(values) => Meaning::Values(values, recipients),
        None => Meaning::Text(plain, recipients),
    }
}

type Files = BTreeMap<String, Vec<u8>>;

/// All files of the working directory by their paths.
fn files(test: &Sandbox) -> Files {
    let mut files = Files::new();
    let mut folders = vec![test.path(".")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("a folder") {
            let path = entry.expect("a file").path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let name = path.strip_prefix(test.path(".")).expect("below it").to_string_lossy().into_owned();
            files.insert(name, fs::read(&path).expect("a file"));
        }
    }
    files
}

#[derive(Debug, Clone, Copy)]
enum Which {
    Real,
    Ours,
}

/// A sandbox with the files, and the one or the other `sops`.
fn filled(which: Which) -> Sandbox {
    static FILES: OnceLock<Files> = OnceLock::new();
    let test = Sandbox::new(env!("CARGO_BIN_EXE_sealant"));
    for (name, bytes) in FILES.get_or_init(encrypted_files) {
        test.write(name, bytes);
    }
    let program = match which {
        Which::Real => Peers::get().program("sops"),
        Which::Ours => env!("CARGO_BIN_EXE_sealant").into(),
    };
    let bin = test.home("bin");
    fs::create_dir(&bin).expect("a folder");
    symlink(program, bin.join("sops")).expect("a link");
    test
}

fn shell(test: &Sandbox, line: &str) -> Output {
    let mut path = OsString::from(test.home("bin"));
    path.push(":/usr/bin:/bin");
    test.program("/bin/sh", &["-c", line])
        .env("PATH", path)
        .env("SOPS_AGE_KEY", IDENTITY)
        .env("SOPS_DISABLE_VERSION_CHECK", "1")
        .env("ME", ME)
        .env("OTHER", OTHER)
        .run()
}

const YAML: &str = "\
user: admin
password: swordfish
port: 5432
ratio: 0.5
\"on\": true
hosts:
    - a.example.com
    - \"1\"
deep:
    down: here
";

const JSON: &str = r#"{"user": "admin", "password": "swordfish", "port": 5432, "deep": {"down": "here"}}"#;

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

/// The files that all lines start from, encrypted by the real sops.
fn encrypted_files() -> Files {
    let test = Sandbox::new(env!("CARGO_BIN_EXE_sealant"));
    let env = "USER_NAME=admin\nPASSWORD=swordfish\nPORT=5432\n";
    let flat = YAML.split("hosts:").next().unwrap_or_default();
    test.write("p.yaml", YAML);
    test.write("p.json", JSON);
    test.write("p.env", env);
    test.write("p.ini", "[db]\nuser = admin\nport = 5432\n");
    test.write("p.txt", "swordfish\n");
    test.write("secret.yaml", SECRET);
    test.write("applied.yaml", APPLIED);
    test.write("bad.yaml", "a: [\n");
    test.write("empty.yaml", "");
    test.write("folder/x.yaml", "a: 1\n");
    test.write(
        "repo/.sops.yaml",
        format!("nonsense: 1\ncreation_rules:\n  - path_regex: secrets\n    age: {ME}\n"),
    );
    test.write("repo/secrets.yaml", YAML);
    test.write("repo/secrets.txt", "swordfish\n");
    test.write("repo/other.yaml", YAML);
    test.write("repo/below/x.yaml", "a: 1\n");
    let encrypt = |from: &str, to: &str, recipients: &str| {
        test.sops(&["encrypt", "--age", recipients, "--output", to, from]).run().ok();
    };
    for extension in ["yaml", "json", "env", "ini", "txt"] {
        encrypt(&format!("p.{extension}"), &format!("e.{extension}"), ME);
    }
    test.write("flat.yaml", flat);
    test.sops(&["encrypt", "--age", ME, "-i", "flat.yaml"]).run().ok();
    encrypt("p.yaml", "both.yaml", &format!("{ME},{OTHER}"));
    encrypt("p.yaml", "other.yaml", OTHER);
    let encrypted = test.read_text("e.yaml");
    let without = |start: &str| -> String {
        encrypted.lines().filter(|line| !line.starts_with(start)).map(|line| format!("{line}\n")).collect()
    };
    test.write("changed.yaml", without("user:"));
    test.write("moved.yaml", encrypted.replacen("user:", "resu:", 1));
    test.write("cut.yaml", encrypted.replacen(",iv:", ",vi:", 1));
    files(&test)
}
