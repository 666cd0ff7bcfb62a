//! The table: what each command is run with besides what all are, and what it is asked for.
//!
//! A command that is not in it is run all the same, without arguments and with folders, and may do nothing that is to be
//! seen from outside.

use super::canaries::May::{self, Call, ChangeHome, Name, Print, StartPlugins, Wrap, Write};

/// Stands for each of the files that are tried.
pub const FILE: &str = "{file}";

pub struct Entry {
    pub command: &'static str,
    /// Command lines behind the command, one shell-like word each.
    pub lines: &'static [&'static str],
    pub may: &'static [May],
}

const fn entry(command: &'static str, lines: &'static [&'static str], may: &'static [May]) -> Entry {
    Entry { command, lines, may }
}

/// Commands that go on until they are stopped, and look at nothing in a repository: they are run with their lines alone.
pub const SERVING: [&str; 2] = ["keyservice", "sops keyservice"];

/// By command.
pub const TABLE: &[Entry] = &[
    entry("argocd discover", &["generators", "chart", "apps"], &[]),
    entry("argocd generate", &["generators", "chart", "apps", "--decrypt secrets"], &[Print]),
    entry("blast-radius", &["--recipient R", "--recipient R --compare", "--recipient R --head secrets"], &[]),
    entry(
        "check",
        &["--verify", "--verify secrets", "--base HEAD", "--base HEAD secrets", "--format json", FILE],
        &[],
    ),
    entry("check", &["--fix", "--fix secrets", "--fix --verify ."], &[]),
    entry("completion", &["bash"], &[]),
    entry(
        "decrypt",
        &["--output-dir out secrets", "--output-dir out2 notes", "-i secrets", FILE],
        &[Print, Write, StartPlugins],
    ),
    entry(
        "diff",
        &["--from HEAD~1", "--from HEAD~1 --names-only", "merged/db.yaml", FILE],
        &[Print, StartPlugins],
    ),
    entry("edit", &[FILE], &[Name, StartPlugins]),
    entry("encrypt", &["-i .", "-i plugin", "-i dev/p/new.yaml", "-i sub", FILE], &[StartPlugins]),
    entry("encrypt", &["--onto merged/theirs.yaml --output merged/theirs.yaml encrypt/plain.yaml"], &[]),
    entry(
        "exec-env",
        &["env/loader.env kubectl", "env/loader.env kubectl version", "secrets/a.yaml true", "{file} true"],
        &[StartPlugins],
    ),
    entry("exec-file", &["secrets/a.yaml true", "{file} true"], &[StartPlugins]),
    entry("explain", &["secrets/new.yaml dev/p/a.yaml", FILE], &[]),
    entry("filestatus", &[FILE], &[]),
    entry("get", &["{file} [\"password\"]", "{file} [\"admin\"]"], &[Print, StartPlugins]),
    entry("git install", &["--uninstall"], &[]),
    entry(
        "git merge",
        &[
            "--path secrets/a.yaml merged/db.yaml merged/db.yaml merged/theirs.yaml",
            "--path dev/p/a.yaml dev/v1.yaml dev/v2.yaml prod/a.yaml",
        ],
        &[],
    ),
    entry("git textconv", &["-- {file}"], &[Print]),
    entry(
        "groups add",
        &[
            "-i -f secrets/a.yaml --age R",
            "-i -f dev/copy.yaml --age R",
            "-i -f dev/v1.yaml --age R",
            "-i -f {file} --age R",
        ],
        &[StartPlugins],
    ),
    entry("groups delete", &["-i -f {file} 0", "-f {file} 1"], &[StartPlugins]),
    entry("init", &["--git"], &[ChangeHome]),
    entry("inspect", &[FILE], &[]),
    entry("keygen", &["--default", "-y forged/escapes.yaml"], &[ChangeHome, Print]),
    entry("keyservice", &["--network udp"], &[]),
    entry(
        "ksops",
        &[
            "generators/pipe.yaml",
            "generators/links.yaml",
            "generators/outside.yaml",
            "generators/vault.yaml",
            "--with-kustomize generators",
        ],
        &[Print],
    ),
    entry("man", &["check"], &[]),
    entry(
        "migrate ansible-vault",
        &["--vault-password-file keys/controller.pem .", "--vault-password-file keys/controller.pem {file}"],
        &[StartPlugins],
    ),
    entry(
        "migrate sealed-secrets",
        &["--key keys/controller.pem .", "--key keys/controller.pem {file}", "--live-secrets ."],
        &[StartPlugins],
    ),
    entry("publish", &["--yes {file}", "--yes --recursive secrets"], &[StartPlugins]),
    entry("resolve", &["secrets/x.yaml", "marked/markers.yaml", FILE], &[StartPlugins]),
    entry("rewrap", &[FILE], &[StartPlugins]),
    entry("rotate", &["-i .", "-i secrets", "-i {file}"], &[StartPlugins]),
    entry(
        "seal",
        &[
            "encrypt/secret.yaml",
            "--merge-into apps/forged-namespace.yaml encrypt/secret.yaml",
            "--merge-into apps/forged-scope.yaml encrypt/secret.yaml",
            "--onto apps/forged-namespace.yaml --output apps/forged-namespace.yaml encrypt/secret.yaml",
        ],
        &[StartPlugins],
    ),
    entry(
        "set",
        &[
            "{file} [\"token\"] \"planted-new-55\"",
            "--value-stdin apps/forged-namespace.yaml token",
            "--value-stdin apps/forged-scope.yaml token",
            "{file} [\"token\"] --planted-new-55",
        ],
        &[StartPlugins],
    ),
    entry("sops completion", &["bash"], &[]),
    entry(
        "sops decrypt",
        &["--output out/secrets/new.txt secrets/notes.txt", FILE],
        &[Print, StartPlugins, Call],
    ),
    entry("sops edit", &[FILE], &[StartPlugins, Call, Write]),
    entry("sops encrypt", &[FILE], &[StartPlugins, Call]),
    entry("sops exec-env", &["{file} true"], &[StartPlugins, Call]),
    entry("sops exec-file", &["{file} true"], &[StartPlugins, Call]),
    entry("sops filestatus", &[FILE], &[]),
    entry("sops groups add", &["-i -f {file} --age R"], &[StartPlugins, Call, Wrap]),
    entry("sops groups delete", &["-i -f {file} 0"], &[StartPlugins, Call, Wrap]),
    entry("sops keyservice", &["--network udp"], &[]),
    entry("sops publish", &["--yes {file}"], &[StartPlugins, Call]),
    entry("sops rotate", &[FILE], &[StartPlugins, Call, Wrap]),
    entry("sops set", &["{file} [\"token\"] \"planted-new-55\""], &[StartPlugins, Call, Write]),
    entry("sops unset", &["{file} [\"user\"]"], &[StartPlugins, Call]),
    entry("sops updatekeys", &["-y {file}"], &[StartPlugins, Call, Wrap]),
    entry("status", &["--values", "--values secrets", FILE], &[]),
    entry("unseal", &["apps", FILE], &[Print, StartPlugins]),
    entry("unset", &["{file} [\"user\"]", "apps/forged-scope.yaml password"], &[StartPlugins]),
    entry(
        "updatekeys",
        &[
            "--yes .",
            "--yes --rotate .",
            "--yes dev/b.yaml dev/copy.yaml dev/listed.yaml dev/p dev/v1.yaml dev/v2.yaml",
            "--yes {file}",
        ],
        &[StartPlugins],
    ),
    entry("who-can-decrypt", &["--recipient R", FILE], &[]),
];
