//! What extensions of editors run of sops: with ours under its name they get the same, down to the byte that they show, the
//! exit code that they go by, the text that they look for, and a standard error that is as empty.
//!
//! What each runs was read in its source. [`docs/editors.md`](../../../docs/editors.md) names them all.

use std::fmt::Write;
use std::path::Path;

use rayon::prelude::*;
use regex::Regex;

use sealant_test_support::Peers;

use super::outcome::{Kind, Outcome, differences, shown};
use super::world::{Which, World};

struct Extension {
    /// As the page names it.
    name: &'static str,
    /// The repository and the commit that was read, and the version that it is.
    read: &'static str,
    /// What it makes before each call.
    makes: &'static str,
    calls: &'static [Call],
}

struct Call {
    /// For a shell, as in [`lines`](super::lines).
    line: &'static str,
    /// The exit code, which is also that of sops.
    ends: i32,
    /// What the extension looks for in what is printed.
    finds: Option<&'static str>,
    /// In what ours differs, and the extension gets along.
    but: &'static [Kind],
}

const fn call(line: &'static str) -> Call {
    Call { line, ends: 0, finds: None, but: &[] }
}

impl Call {
    const fn ends(self, ends: i32) -> Self {
        Self { ends, ..self }
    }

    const fn finding(self, finds: &'static str) -> Self {
        Self { finds: Some(finds), ..self }
    }

    const fn but(self, but: &'static [Kind]) -> Self {
        Self { but, ..self }
    }
}

/// They want the first number to be 3.9 or more, or 3.10; ours also says whose program it is.
const VERSION: Call = call("sops --version").finding(r"^\D*3\.[1-9]\d\.\d+\b").but(&[Kind::Output]);

const EXTENSIONS: &[Extension] = &[
    Extension {
        name: "signageos.signageos-vscode-sops",
        read: "signageos/vscode-sops 9cc9a3f (0.9.2)",
        // A copy without an ending in the temporary folder, and an editor that copies what is in the window.
        makes: r#"
            T=$TMPDIR/0cc175b9c0f1b6a831c399e269772661 N=$TMPDIR/92eb5ffee6ae2fec3ad71c777531578f
            export EDITOR=$TMPDIR/4a8a08f09d37b73795649038408b5f33 VSCODE_SOPS_DECRYPTED_FILE_PATH=$TMPDIR/8277e0910d750195b448797616e091ad
            printf '#!/bin/sh\ncat $VSCODE_SOPS_DECRYPTED_FILE_PATH > $1\n' > $EDITOR; chmod 755 $EDITOR"#,
        calls: &[
            call(
                "cp e.yaml $T; cd repo; sops --config /dev/null --output-type yaml --input-type yaml --decrypt $T",
            ),
            call(
                "cp e.json $T; cd repo; sops --config /dev/null --output-type json --input-type json --decrypt $T",
            ),
            call(
                "cp e.env $T; cd repo; sops --config /dev/null --output-type dotenv --input-type dotenv --decrypt $T",
            ),
            call(
                "cp e.ini $T; cd repo; sops --config /dev/null --output-type ini --input-type ini --decrypt $T",
            ),
            call(
                "cp e.txt $T; cd repo; sops --config /dev/null --output-type binary --input-type binary --decrypt $T",
            ),
            call(
                "cp e.txt $T; cd repo; sops --config /dev/null --output-type plaintext --input-type plaintext --decrypt $T",
            ),
            call(
                "cp estream.yaml $T; sops --config /dev/null --output-type yaml --input-type yaml --decrypt $T",
            ),
            call(
                "cp changed.yaml $T; sops --config /dev/null --output-type yaml --input-type yaml --decrypt $T",
            ).ends(51),
            call(
                "cp changed.yaml $T; sops --ignore-mac --config /dev/null --output-type yaml --input-type yaml --decrypt $T",
            ),
            call(
                "cp eother.yaml $T; sops --config /dev/null --output-type yaml --input-type yaml --decrypt $T",
            ).ends(128),
            call(
                "SOPS_AGE_KEY= SOPS_AGE_KEY_FILE=$PWD/me.key; export SOPS_AGE_KEY SOPS_AGE_KEY_FILE; \
                 cp e.yaml $T; sops --config /dev/null --output-type yaml --input-type yaml --decrypt $T",
            ),
            call(
                "cp e.yaml $T; sed s/swordfish/x/ p.yaml > $VSCODE_SOPS_DECRYPTED_FILE_PATH; cd repo; \
                 sops --config /dev/null --output-type yaml --input-type yaml $T",
            ),
            call(
                "cp e.json $T; sed s/swordfish/x/ p.json > $VSCODE_SOPS_DECRYPTED_FILE_PATH; cd repo; \
                 sops --config /dev/null --output-type json --input-type json $T",
            ),
            call(
                "cp e.env $T; sed s/swordfish/x/ p.env > $VSCODE_SOPS_DECRYPTED_FILE_PATH; cd repo; \
                 sops --config /dev/null --output-type dotenv --input-type dotenv $T",
            ),
            call(
                "cp e.ini $T; sed s/5432/1/ p.ini > $VSCODE_SOPS_DECRYPTED_FILE_PATH; cd repo; \
                 sops --config /dev/null --output-type ini --input-type ini $T",
            ),
            call(
                "cp e.yaml $T; sops -d e.yaml > $VSCODE_SOPS_DECRYPTED_FILE_PATH; \
                 sops --config /dev/null --output-type yaml --input-type yaml $T",
            ).ends(200),
            call(
                "mkdir $N; cp repo/.sops.yaml $N; cp p.yaml $N/secrets.yaml; cd repo; sops --config /dev/null \
                 --config $N/.sops.yaml --output-type yaml --input-type yaml --encrypt $N/secrets.yaml",
            ),
            call(
                "mkdir $N; cp repo/.sops.yaml $N; cp p.yaml $N/values.yaml; cd repo; sops --config /dev/null \
                 --config $N/.sops.yaml --output-type yaml --input-type yaml --encrypt $N/values.yaml",
            ).ends(1)
            .finding("no matching creation rules found"),
            call(
                "mkdir $N; cp p.yaml $N/values.yaml; cd $HOME; \
                 sops --config /dev/null --output-type yaml --input-type yaml --encrypt $N/values.yaml",
            ).ends(1),
        ],
    },
    Extension {
        name: "ShipitSmarter.sops-edit",
        read: "ShipitSmarter/vscode-sops-edit 8079a15 (1.0.0)",
        makes: "",
        calls: &[
            call("sops --decrypt e.yaml > e.tmp.yaml"),
            call("sops --decrypt e.env > e.tmp.env"),
            call("sops --decrypt eother.yaml > eother.tmp.yaml").ends(128),
            call("cd repo; sops --in-place --encrypt secrets.yaml"),
            call("cd repo; sops --in-place --encrypt secrets.ini"),
            call("cd repo; sops --in-place --encrypt both.yaml; sops --in-place --decrypt both.yaml"),
            call("sops --in-place --decrypt e.json"),
        ],
    },
    Extension {
        name: "javierlopez.simple-sops",
        read: "muniter/simple-sops afb6741 (0.0.3)",
        makes: r#"
            D=$TMPDIR/vscode-sops-a1b2c3; mkdir $D; export EDITOR=$D/editor.sh
            printf '#!/bin/sh\ncat "$TMPDIR/vscode-sops-a1b2c3/content" > "$1"\n' > $EDITOR; chmod 755 $EDITOR"#,
        calls: &[
            call("sops --help > /dev/null"),
            call("sops decrypt $PWD/e.yaml"),
            call("sops decrypt $PWD/e.env"),
            call("sops decrypt $PWD/eother.yaml").ends(128),
            call("sed s/swordfish/x/ p.yaml > $D/content; sops edit $PWD/e.yaml"),
            call("sops -d e.ini > $D/content; sops edit $PWD/e.ini").ends(200),
        ],
    },
    Extension {
        name: "eh5.vscode-sops-fs",
        read: "EHfive/vscode-sops-fs dd02f4c (1.0.0)",
        makes: "",
        calls: &[
            call("cp e.yaml $TMPDIR/0a1b.yaml; sops --decrypt $TMPDIR/0a1b.yaml"),
            call("cp e.yaml $TMPDIR/0a1b.yaml; sops --output-type json --decrypt $TMPDIR/0a1b.yaml"),
            call("cp e.ini $TMPDIR/0a1b.ini; sops --output-type json --decrypt $TMPDIR/0a1b.ini"),
            call("cp e.txt $TMPDIR/0a1b.sops; sops --decrypt $TMPDIR/0a1b.sops"),
            call(r#"sops --set '["deep"]["down"] "x"' e.yaml"#),
            call(r#"sops --set '["hosts"][1] "x"' e.yaml"#),
            call(r#"sops --set '["new"] {}' e.json"#),
            call("sed s/swordfish/x/ p.yaml > $TMPDIR/c; EDITOR=\"cp '$TMPDIR/c'\" sops e.yaml"),
            call("sops -d e.yaml > $TMPDIR/c; EDITOR=\"cp '$TMPDIR/c'\" sops e.yaml").ends(200),
        ],
    },
    Extension {
        name: "SOPSifier",
        read: "hierynomus/vscode-sopsifier 802c338 (0.0.1)",
        makes: "",
        calls: &[
            call("sops --input-type yaml --output-type yaml -d /dev/stdin < e.yaml"),
            call("sops --input-type json --output-type json -d /dev/stdin < e.json"),
            call("sops --input-type properties --output-type properties -d /dev/stdin < e.env").ends(1),
            call("sops --input-type yaml --output-type yaml -e /dev/stdin < p.yaml").ends(1),
            call("SOPS_AGE_RECIPIENTS=$ME sops --input-type yaml --output-type yaml -e /dev/stdin < p.yaml"),
        ],
    },
    Extension {
        name: "Simple Sops Edit",
        read: "DaPutzy/intellij-sops-plugin cee1920 (3.0.1)",
        makes: JETBRAINS_EDITOR,
        calls: &[
            VERSION,
            call("cd repo; sops decrypt --filename-override e.yaml < ../e.yaml"),
            call("sops decrypt --filename-override e.txt < e.txt"),
            call("sops decrypt --filename-override e.env < e.env"),
            call("sops decrypt --filename-override eother.yaml < eother.yaml").ends(128),
            call("sops decrypt --filename-override p.yaml < p.yaml").ends(1),
            call("cd repo; sops encrypt --in-place secrets.yaml"),
            call("cd repo; cp secrets.yaml values.yaml; sops encrypt --in-place values.yaml").ends(1),
            call("sed s/swordfish/x/ p.yaml | sops edit e.yaml"),
            // No value of a binary file stays in plaintext, so ours has no suffix for that.
            call("sed s/swordfish/x/ p.txt | sops edit e.txt").but(&[Kind::Metadata]),
            call("sops -d e.json | sops edit e.json").ends(200),
        ],
    },
    Extension {
        name: "SOPS",
        read: "Blarc/sops-intellij-plugin 3816873 (1.4.1)",
        makes: JETBRAINS_EDITOR,
        calls: &[
            VERSION,
            call("sops decrypt e.yaml"),
            call("sops decrypt --in-place e.ini"),
            call(
                "cp e.env $TMPDIR/sopsIntellijPlugin123.env; sops decrypt $TMPDIR/sopsIntellijPlugin123.env",
            ),
            call(
                "printf '' > $TMPDIR/sopsIntellijPlugin123.yaml; sops decrypt $TMPDIR/sopsIntellijPlugin123.yaml",
            ).ends(1),
            call("cd repo; sops encrypt --in-place secrets.json"),
            call("cd repo; sops encrypt secrets.json"),
            call("sed s/swordfish/x/ p.yaml | sops e.yaml"),
            call("sops -d e.yaml | sops e.yaml").ends(200),
            call("sed s/swordfish/x/ p.yaml | sops eother.yaml").ends(128),
        ],
    },
    Extension {
        name: "SOPS Editor",
        read: "0skater0/sops-editor-plugin 76aa130 (1.0.0)",
        makes: "",
        calls: &[
            VERSION,
            call("sops --decrypt $PWD/e.yaml"),
            call(
                "cp e.json $TMPDIR/sops-editor-1.json; cd $TMPDIR; sops --decrypt $TMPDIR/sops-editor-1.json",
            ),
            call("sops --decrypt --in-place $PWD/e.env"),
            call("cd repo; sops --encrypt --in-place $PWD/secrets.env"),
            call(
                "cd repo; cp secrets.yaml secrets.sops-editor-tmp-1.yaml; sops --encrypt $PWD/secrets.sops-editor-tmp-1.yaml",
            ),
            call(
                "cd repo; cp secrets.yaml .sops-editor-tmp-1.yaml; sops --encrypt $PWD/.sops-editor-tmp-1.yaml",
            ).ends(1),
        ],
    },
    Extension {
        name: "Sops Support",
        read: "spetriuk/sops-intellij-plugin c8aa45d",
        makes: "",
        calls: &[call("sops -d -i e.yaml"), call("cd repo; AWS_PROFILE=dev sops -e -i secrets.yaml")],
    },
    Extension {
        name: "djgoku/sops",
        read: "djgoku/sops 7cce0d6 (0.1.8)",
        makes: "",
        calls: &[
            VERSION,
            call("sops -d $PWD/e.yaml"),
            call("sops -d $PWD/eother.yaml").ends(128),
            call(
                "cd repo; sops --filename-override $PWD/secrets.yaml --encrypt /dev/stdin < secrets.yaml 2>&1",
            ),
            call(
                "cd repo; sops --filename-override $PWD/secrets.env --encrypt /dev/stdin < secrets.env 2>&1",
            ),
            call(
                "cd repo; sops --filename-override $PWD/values.yaml --encrypt /dev/stdin < secrets.yaml > /dev/null",
            ).ends(1),
        ],
    },
    Extension {
        name: "sops-file.el",
        read: "ajarara/sops-file.el 1b06454 (0.0.1)",
        makes: "",
        calls: &[
            call("sops filestatus $PWD/e.yaml"),
            call("sops filestatus $PWD/p.yaml"),
            call("sops decrypt --filename-override $PWD/e.yaml --output /dev/stderr < e.yaml 2>&1 | cat"),
            call("sops decrypt --filename-override $PWD/eother.yaml --output /dev/stderr < eother.yaml").ends(128),
            call("cd repo; sops encrypt --filename-override $PWD/secrets.yaml < secrets.yaml 2>&1"),
        ],
    },
    Extension {
        name: "sops-mode",
        read: "augustfengd/sops-mode f6d7d65 (0.1)",
        makes: "",
        calls: &[call("sops -d $PWD/e.json 2>&1"), call("cd repo; sops -e $PWD/secrets.json 2>&1")],
    },
    Extension {
        name: "lemarsu/sops.nvim",
        read: "lemarsu/sops.nvim a8fe266 (0.2.0)",
        // It passes on only what it is told to.
        makes: r#"
            export SOPS_AGE_KEY_FILE=$PWD/me.key; printf 'sed -i s/swordfish/x/ "$1"\n' > ed
            S="env -i PATH=$PATH HOME=$HOME SOPS_AGE_KEY_FILE=$SOPS_AGE_KEY_FILE""#,
        calls: &[
            call("$S sops -d e.yaml"),
            call("$S sops -d $PWD/e.env"),
            call("cd repo; $S sops -e secrets.yaml"),
            call("$S EDITOR='sh ed' SOPS_NVIM_SOCKET=/tmp/nvim.0 SOPS_NVIM_BUFNR=1 sops $PWD/e.yaml"),
            call("$S EDITOR=true sops $PWD/e.yaml").ends(200),
        ],
    },
    Extension {
        name: "trixnz/sops.nvim",
        read: "trixnz/sops.nvim dacb68c",
        makes: r#"
            export SOPS_EDITOR=$TMPDIR/sops-editor.sh SOPS_NVIM_TEMP_FILE=$TMPDIR/nvim.0
            printf '#!/bin/sh\ncat "$SOPS_NVIM_TEMP_FILE" >"$1"\n' > $SOPS_EDITOR; chmod 755 $SOPS_EDITOR"#,
        calls: &[
            call("sops --decrypt --input-type yaml --output-type yaml $PWD/e.yaml"),
            call("sops --decrypt --input-type yaml.helm-values --output-type yaml.helm-values $PWD/e.yaml"),
            call("sops --decrypt --input-type json --output-type json $PWD/json.conf"),
            call("sed s/swordfish/x/ p.yaml > $SOPS_NVIM_TEMP_FILE; sops edit $PWD/e.yaml"),
            call("sops -d e.json > $SOPS_NVIM_TEMP_FILE; sops edit $PWD/e.json").ends(200),
        ],
    },
    Extension {
        name: "lucidph3nx/nvim-sops",
        read: "lucidph3nx/nvim-sops cb22095",
        makes: "",
        calls: &[
            call("AWS_PROFILE=x SOPS_AGE_KEY_FILE=$PWD/me.key sops --decrypt --in-place $PWD/e.yaml"),
            call("cd repo; SOPS_AGE_KEY_FILE=../me.key sops --encrypt --in-place $PWD/secrets.yaml"),
        ],
    },
    Extension {
        name: "Thrimbda/sops.nvim",
        read: "Thrimbda/sops.nvim d90f049",
        // It writes into a pipe, by a name beside the file.
        makes: "F=$PWD/.sops.nvim-stdin-1-1.fifo; mkfifo $F; trap 'rm $F' EXIT",
        calls: &[
            call("cp e.yaml a.enc.yaml; sops --decrypt --input-type yaml --output-type yaml $PWD/a.enc.yaml"),
            call("cp e.txt a.enc; sops --decrypt --input-type binary --output-type binary $PWD/a.enc"),
            call(
                "cat p.yaml > $F & sops --encrypt --input-type yaml --output-type yaml --filename-override $PWD/a.enc.yaml \
                 --age $ME --encrypted-regex ^pass --mac-only-encrypted $F",
            ),
            call(
                "cat p.txt > $F & sops --encrypt --input-type binary --output-type binary --filename-override $PWD/a.enc \
                 --age $ME,$OTHER $F",
            ),
            call(
                "cat p.env > $F & cd repo; sops --encrypt --input-type dotenv --output-type dotenv \
                 --filename-override $PWD/secrets.enc.env $F",
            ),
        ],
    },
    Extension {
        name: "anokfireball/sops-edit.nvim",
        read: "anokfireball/sops-edit.nvim 379c79d",
        makes: "",
        calls: &[
            call("sops -d $PWD/e.yaml 2>&1"),
            call("sops -d $PWD/e.ini 2>&1"),
            call(
                "cat p.yaml | cat | sops --config /dev/null --encrypt --input-type yaml --output-type yaml --age $ME /dev/stdin 2>&1",
            ),
            call(
                "cat p.env | cat | sops --config /dev/null --encrypt --input-type dotenv --output-type dotenv \
                 --age $ME,$OTHER /dev/stdin 2>&1",
            ),
            call(
                "cd repo; cat secrets.ini | cat | sops --encrypt --input-type ini --output-type ini \
                 --filename-override $PWD/secrets.ini /dev/stdin 2>&1",
            ),
        ],
    },
    Extension {
        name: "jsecchiero/vim-sops",
        read: "jsecchiero/vim-sops 1e4d497",
        // To encrypt when one saves, and not only when one closes, it looks for the file among those that sops has open. The
        // real one has not had it open since 3.8, either.
        makes: r#"
            printf 'for f in /proc/$PPID/fd/*; do readlink $f; done | grep -cxF "$1"; sed -i s/swordfish/x/ "$1"\n' > ed"#,
        calls: &[
            call("sops -d e.yaml 2>&1"),
            call("sops -d p.yaml > /dev/null").ends(1),
            call("EDITOR='sh ed' sops e.yaml & echo -n $! > pid; wait $(cat pid); rm pid").finding("(?m)^0$"),
        ],
    },
    Extension {
        name: "tabmadi/sops-lsp",
        read: "tabmadi/sops-lsp 78707cd",
        makes: "",
        calls: &[call("sops decrypt $PWD/e.yaml"), call("sops decrypt $PWD/eother.yaml").ends(128)],
    },
];

/// Both say in what they print that they are ready for the text, and take anything on standard error for a failure.
const JETBRAINS_EDITOR: &str = r#"
    mkdir "$TMPDIR/simple sops"; export EDITOR="$TMPDIR/simple\ sops/1.sh"
    printf '#!/usr/bin/env sh\nset -eu\nprintf 8aa203fd-cc7d-4e00-9c2f-af32b872e4c3\ncat - > "$1"\n' > "$TMPDIR/simple sops/1.sh"
    chmod 755 "$TMPDIR/simple sops/1.sh""#;

#[test]
fn what_extensions_of_editors_run_does_the_same() {
    let calls: Vec<_> =
        EXTENSIONS.iter().flat_map(|one| one.calls.iter().map(move |call| (one, call))).collect();
    let problems: Vec<_> =
        calls.par_iter().filter_map(|(extension, call)| problem(extension, call)).collect();
    assert!(
        problems.is_empty(),
        "{} of {} calls differ:\n\n{}",
        problems.len(),
        calls.len(),
        problems.join("\n")
    );
}

/// In what a call does not do the same, if it does not.
fn problem(extension: &Extension, call: &Call) -> Option<String> {
    let line = format!("{}\n{}", extension.makes, call.line);
    let [theirs, ours] = [Which::Real, Which::Ours].map(|which| Outcome::of(&line, which));
    let mut found: Vec<String> = Vec::new();
    let differences = differences(&theirs, &ours);
    found.extend(differences.iter().filter(|one| !call.but.contains(&one.kind())).map(|one| one.to_string()));
    let needed = |kind: &Kind| differences.iter().any(|difference| difference.kind() == *kind);
    found.extend(
        call.but.iter().filter(|kind| !needed(kind)).map(|kind| format!("it no longer differs in {kind:?}")),
    );
    let finds = call.finds.map(|finds| Regex::new(finds).expect("a regular expression"));
    for (which, outcome) in [("sops", &theirs), ("ours", &ours)] {
        if outcome.output.status != call.ends {
            found.push(format!("{which} ends with {}", outcome.output.status));
        }
        let printed = String::from_utf8_lossy(&outcome.output.stdout).into_owned() + &outcome.output.stderr;
        if finds.as_ref().is_some_and(|finds| !finds.is_match(&printed)) {
            found.push(format!("{which} does not print what it looks for"));
        }
    }
    if found.is_empty() {
        return None;
    }
    let mut report = format!("### {}: {}\n", extension.name, call.line);
    for difference in found {
        writeln!(report, "- {difference}").expect("a text");
    }
    Some(report + &shown(&theirs, &ours))
}

/// `sops-file.el` answers what it is asked on the terminal that it gives.
#[test]
fn an_extension_finds_the_question_for_a_passphrase() {
    let line = "age-keygen -o key.txt 2> /dev/null; age -e -j batchpass -o key.age key.txt; \
        sops -e -a $(age-keygen -y key.txt) p.yaml > new.yaml; export SOPS_AGE_KEY= SOPS_AGE_KEY_FILE=key.age; \
        sops decrypt --filename-override $PWD/new.yaml --output /dev/stderr < new.yaml 2>&1 > /dev/null | cat";
    for which in [Which::Real, Which::Ours] {
        let world = World::new(which, line);
        let mut path = std::ffi::OsString::from(world.sandbox.home("bin"));
        path.push(":");
        path.push(Peers::get().directory());
        path.push(":/usr/bin:/bin");
        let run = world.shell(line).env("AGE_PASSPHRASE", "correct horse").env("PATH", path);
        let mut terminal = run.on_terminal();
        terminal.wait_for("Enter passphrase for identity");
        terminal.send_hidden_line("correct horse");
        assert!(terminal.finish().ok().text().contains("password: swordfish"), "{which:?}");
    }
}

/// The real sops would start the extension's editor again for ever, since nobody is there to press a key.
#[test]
fn a_text_that_does_not_parse_ends_the_save() {
    let line = "EDITOR=\"sh -c 'echo \\\"a: [\\\" > \\$0'\" sops --config /dev/null --output-type yaml --input-type yaml e.yaml";
    let world = World::new(Which::Ours, line);
    let before = world.files();
    let output = world.run(line).code(1);
    assert!(output.stderr.contains("broken YAML") && world.files() == before, "{output}");
}

/// Whoever reads the page finds all of them there, each with what was read of it, and no others.
#[test]
fn the_page_on_editors_names_these_extensions() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/editors.md");
    let page = std::fs::read_to_string(page).expect("the page");
    let section = page.split_once("## Extensions for sops").expect("the section").1;
    let rows = section.lines().skip_while(|line| !line.starts_with("|---")).skip(1);
    let rows: Vec<Vec<&str>> = rows
        .take_while(|line| line.starts_with('|'))
        .map(|row| row.split('|').map(|cell| cell.trim().trim_matches('`')).collect())
        .collect();
    let named: Vec<_> = rows.iter().map(|row| (row[2], row[4])).collect();
    let ours: Vec<_> = EXTENSIONS.iter().map(|one| (one.name, one.read)).collect();
    assert_eq!(named, ours);
}
