//! Programs that call sops and read what it prints: with ours under its name they give the same.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use sealant_test_support::{Peers, Run, Sandbox};

const IDENTITY: &str = "AGE-SECRET-KEY-1HH3WRGUCZXCVP9K8YU02L8FPZVSW77S3CPH6S4VA0EGEX2VRPAJQ6CFT2G";
const RECIPIENT: &str = "age1yh642fmrn40k5e2xj8kfk9v0zctt8xx9ft2pwjltqr6uxd3x4euskwqtdy";

/// What sopsy's functions give with the sops at this path, one line each.
const SOPSY: &str = r#"
import json, sys
from pathlib import Path
from sopsy import Sops, SopsyError, SopsyInOutType, SopsyInputSource

sops = lambda file, **more: Sops(file, binary_path=sys.argv[1], **more)

def show(what, result):
    print(what, json.dumps(result.decode() if isinstance(result, bytes) else result))

# As sops lays it out: ours keeps what was there.
Path("plain.json").write_text(json.dumps({"a": {"b": [1, 2.5, True, None, "x"]}, "n": "1"}, indent="\t") + "\n")
Path("plain.env").write_text("A=1\nB=two words\n")
for name in ["secret.yaml", "secret.json", "secret.env", "secret.ini", "secret.bin"]:
    is_tree = name.endswith(("yaml", "json"))
    show(name, sops(Path(name)).decrypt(to_dict=is_tree))
    if is_tree:
        show("get", sops(Path(name)).get("password", default="none"))
        show("extract", sops(Path(name), extract='["db"]["port"]').decrypt(to_dict=False))
for kind in [SopsyInOutType.JSON, SopsyInOutType.YAML]:
    show("as", sops("secret.yaml", output_type=kind).decrypt())
text = Path("secret.yaml").read_text()
source = dict(input_source=SopsyInputSource.STDIN, input_type=SopsyInOutType.YAML)
show("stdin", sops(text, **source).decrypt())
encrypted = sops(Path("plain.json")).encrypt()
show("keys", sorted(encrypted) + sorted(encrypted["sops"]))
for name in ["plain.json", "plain.env"]:
    show("in place", sops(Path(name), in_place=True).encrypt())
    show("rotate", sops(Path(name), in_place=True).rotate())
    show("again", sops(Path(name)).decrypt(to_dict=False))
    show("output", sops(Path(name), output="out-" + name).decrypt(to_dict=False))
    show("written", Path("out-" + name).read_text())
for broken in ["nowhere.yaml", "plain.yaml"]:
    try:
        show("broken", sops(Path(broken)).decrypt())
    except SopsyError as error:
        print("broken", type(error).__name__)
"#;

/// Runs what `client` makes of a sandbox with encrypted files and one of the two programs by the name `sops`.
fn by_both(client: impl Fn(&Sandbox, &Path) -> String) -> [String; 2] {
    let peers = Peers::get();
    [true, false].map(|is_ours| {
        let test = Sandbox::new(env!("CARGO_BIN_EXE_sealant"));
        let yaml = "password: hunter2\ndb:\n    port: 5432\n";
        test.write("plain.yaml", yaml);
        for (name, text) in [
            ("secret.yaml", yaml),
            ("secret.json", "{\n\t\"password\": \"hunter2\",\n\t\"db\": {\n\t\t\"port\": 5432\n\t}\n}"),
            ("secret.env", "A=1\nB=two words\n"),
            ("secret.ini", "[s]\na = 1\n"),
            ("secret.bin", "any\ntext"),
            ("group_vars/all.sops.yaml", "from_vars: swordfish\n"),
        ] {
            test.write(name, text);
            test.sops(&["encrypt", "-i", "--age", RECIPIENT, name]).run().ok();
        }
        test.write(".sops.yaml", format!("creation_rules:\n  - age: {RECIPIENT}\n"));
        let bin = test.path("bin");
        std::fs::create_dir(&bin).expect("a folder");
        let program =
            if is_ours { PathBuf::from(env!("CARGO_BIN_EXE_sealant")) } else { peers.program("sops") };
        std::os::unix::fs::symlink(program, bin.join("sops")).expect("a link");
        client(&test, &bin)
    })
}

/// Python with folders of the peers.
fn python(test: &Sandbox, args: &[&str], folders: &[&str]) -> Run {
    let folders: Vec<_> = folders.iter().map(|name| Peers::get().directory().join(name)).collect();
    let run = test.program("python3", args).env("SOPS_AGE_KEY", IDENTITY);
    run.env("PYTHONPATH", std::env::join_paths(folders).expect("folders"))
}

#[test]
fn sopsy_gives_the_same_with_ours() {
    let [ours, theirs] = by_both(|test, bin| {
        let run = python(test, &["-c", SOPSY], &["sopsy", "pre-commit"]).arg(bin.join("sops"));
        run.run().ok().text().to_owned()
    });
    assert!(theirs.contains("hunter2") && theirs.lines().count() > 20, "{theirs}");
    assert_eq!(ours, theirs);
}

/// All of the collection community.sops: lookup, vars plugin, filter and both modules.
const PLAYBOOK: &str = r#"
- hosts: localhost
  connection: local
  gather_facts: false
  tasks:
    - debug: msg="{{ lookup('community.sops.sops', item) }}"
      loop: [secret.yaml, secret.json, secret.env, secret.ini]
    - debug: msg="{{ lookup('community.sops.sops', 'secret.bin', base64=true) }}"
    - debug: msg="{{ lookup('community.sops.sops', 'secret.yaml', extract='[\"db\"][\"port\"]') }}"
    - debug: msg="{{ lookup('community.sops.sops', 'secret.yaml', output_type='json') | from_json }}"
    - debug: msg="{{ lookup('community.sops.sops', 'secret.env', input_type='dotenv', output_type='dotenv') }}"
    - debug: msg="{{ lookup('community.sops.sops', 'nowhere.yaml', empty_on_not_exist=true) }}"
    - debug: msg="{{ lookup('file', 'secret.yaml') | community.sops.decrypt }}"
    - debug: var=from_vars
    - community.sops.load_vars: {file: secret.yaml, name: loaded}
    - debug: var=loaded
    - community.sops.sops_encrypt: {path: text.txt, content_text: "any text"}
    - community.sops.sops_encrypt: {path: new.yaml, content_yaml: {a: {b: 1}, c: "<&>"}}
    - community.sops.sops_encrypt: {path: new.yaml, content_yaml: {a: {b: 1}, c: "<&>"}}
    - community.sops.sops_encrypt: {path: new.yaml, content_yaml: {a: {b: 2}}}
    - community.sops.sops_encrypt: {path: new.json, content_json: {a: {b: 1}, c: "<&>"}}
    - debug: msg="{{ lookup('community.sops.sops', item) | from_yaml }}"
      loop: [new.yaml, new.json, text.txt]
    - debug: msg="{{ lookup('community.sops.sops', 'plain.yaml') }}"
      ignore_errors: true
    - community.sops.sops_encrypt: {path: no.yaml, content_yaml: {a: 1}, age: [nonsense]}
      ignore_errors: true
"#;

/// What went wrong is said in the words of each program.
fn without_errors(told: &str) -> String {
    let mut is_error = false;
    let is_kept = |line: &&str| {
        is_error = (is_error || line.starts_with("[ERROR]")) && *line != "...ignoring";
        !is_error
    };
    told.lines().filter(is_kept).map(|line| line.to_owned() + "\n").collect()
}

#[test]
fn the_collection_of_ansible_gives_the_same_with_ours() {
    let [ours, theirs] = by_both(|test, bin| {
        test.write("play.yaml", PLAYBOOK);
        test.write("ansible.cfg", "[defaults]\nvars_plugins_enabled = host_group_vars,community.sops.sops\n");
        let mut path = OsString::from(bin);
        path.push(":/usr/bin:/bin");
        let run = python(test, &["-m", "ansible", "playbook", "play.yaml"], &["ansible", "pre-commit"]);
        let run = run.env("ANSIBLE_COLLECTIONS_PATH", Peers::get().directory().join("ansible"));
        let told = run.env("ANSIBLE_HOME", test.home("ansible")).env("PATH", path).run().ok();
        without_errors(told.text())
    });
    assert!(theirs.contains("hunter2") && theirs.contains("ignored=2"), "{theirs}");
    assert_eq!(ours, theirs);
}
