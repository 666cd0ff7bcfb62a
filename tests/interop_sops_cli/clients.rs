//! Programs that call sops and read what it prints: with ours under its name they give the same.

use sealant_test_support::{Peers, Sandbox};

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

#[test]
fn sopsy_gives_the_same_with_ours() {
    let peers = Peers::get();
    let run = |is_ours: bool| {
        let test = Sandbox::new(env!("CARGO_BIN_EXE_sealant"));
        let yaml = "password: hunter2\ndb:\n    port: 5432\n";
        test.write("plain.yaml", yaml);
        for (name, text) in [
            ("secret.yaml", yaml),
            ("secret.json", "{\n\t\"password\": \"hunter2\",\n\t\"db\": {\n\t\t\"port\": 5432\n\t}\n}"),
            ("secret.env", "A=1\nB=two words\n"),
            ("secret.ini", "[s]\na = 1\n"),
            ("secret.bin", "any\ntext"),
        ] {
            test.write(name, text);
            test.sops(&["encrypt", "-i", "--age", RECIPIENT, name]).run().ok();
        }
        test.write(".sops.yaml", format!("creation_rules:\n  - age: {RECIPIENT}\n"));
        std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_sealant"), test.path("ours")).expect("a link");
        std::fs::create_dir(test.path("bin")).expect("a folder");
        std::os::unix::fs::symlink(test.path("ours"), test.path("bin/sops")).expect("a link");
        let sops = if is_ours { test.path("bin/sops") } else { peers.program("sops") };
        let python = [peers.directory().join("sopsy"), peers.directory().join("pre-commit")];
        let run = test.program("python3", &["-c", SOPSY]).arg(sops).env("SOPS_AGE_KEY", IDENTITY);
        run.env("PYTHONPATH", std::env::join_paths(python).expect("folders")).run().ok().text().to_owned()
    };
    let (ours, theirs) = (run(true), run(false));
    assert!(theirs.contains("hunter2") && theirs.lines().count() > 20, "{theirs}");
    assert_eq!(ours, theirs);
}
