//! The commands in the documentation do what it says: each page is run, as [`Page`] says.
//!
//! | in a page here | is |
//! |---|---|
//! | `kubectl` | a real cluster, if it occurs |
//! | `git@git.example.com:shop/shop.git` | an empty repository |
//! | `https://gitlab.example.com` | a server that issues tokens, if it occurs, and `$JOB_TOKEN` is one of these; for GitHub's, too |
//! | the jobs of a page about CI | run where it says so |
//! | `ansible-playbook`, `ansible-vault`, `dotenvx`, `git-crypt` | the real one |
//! | `https://github.com/sealant-dev/sealant`, for Git | a repository on this machine: [`Forge`] |
//! | `pre-commit` | the real one |

// Tests are outside of the doors that the library has.
#![allow(clippy::disallowed_methods)]

mod ci;
mod issuer;
mod jobs;
mod schemastore;

use std::collections::BTreeSet;
use std::path::Path;

use issuer::Issuer;
use regex::Regex;
use sealant_test_support::{Cluster, Forge, Page, Peers, Sandbox};

/// Run by `controller/tests/cluster/docs.rs`, beside a controller, as `examples/README.md` is by `examples.rs`.
const WITH_A_CONTROLLER: [&str; 2] = ["docs/controller.md", "docs/install.md"];

/// Run by `release/test-verify`, beside a release that is signed.
const WITH_A_RELEASE: &str = "docs/verify.md";

/// Where a page pushes to, and where that is for Git.
const REMOTE: &str = "git@git.example.com:shop/shop.git";
const FORGE: &str = "https://git.example.com/shop/shop.git";

fn run_page(path: &Path) {
    let page = Page::read(path);
    if !page.runs() {
        return;
    }
    let cluster = page.calls("kubectl").then(Cluster::start);
    let forge = Forge::new();
    let issuer = page.text().contains(issuer::STANDS_FOR).then(|| Issuer::start("https://vault.example.com"));
    let page = match &cluster {
        Some(cluster) => page.on(cluster),
        None => page,
    };
    let page = match &issuer {
        Some(issuer) => {
            let script = page.text().contains(jobs::RUN_HERE).then(|| jobs::script(page.text(), "main"));
            let page = page.with(issuer::STANDS_FOR, issuer.address());
            let page = page.with(issuer::STANDS_FOR_GITHUB, issuer.address());
            let page = page.env("JOB_TOKEN", issuer.token()).env("JOB_TOKEN_URL", &issuer.token_url());
            page.with(jobs::RUN_HERE, &script.unwrap_or_default())
        }
        None => page,
    };
    let page = if page.calls("git") { committing(page, &forge) } else { page };
    let page = match page.text().contains(REMOTE) {
        true => {
            forge.add_empty(FORGE);
            page.with(REMOTE, FORGE)
        }
        false => page,
    };
    let is_of_ansible = ["ansible-playbook", "ansible-vault"].iter().any(|name| page.calls(name));
    let page = if is_of_ansible { with_ansible(page) } else { page };
    page.run(Path::new(env!("CARGO_BIN_EXE_sealant")));
}

/// Lets Git find repositories, and `pre-commit` our hooks in ours.
fn committing(page: Page, forge: &Forge) -> Page {
    let framework = Peers::get().directory().join("pre-commit").display().to_string();
    page.with_forge(forge)
        .with("rev: COMMIT", "rev: v0.1.0")
        .env("PYTHONPATH", &framework)
        .env("PYTHONDONTWRITEBYTECODE", "1")
        // A function that bash finds in its environment.
        .env("BASH_FUNC_pre-commit%%", "() { python3 -m pre_commit \"$@\"; }")
}

/// Lets `ansible-playbook` and `ansible-vault` be those of the peers.
fn with_ansible(page: Page) -> Page {
    let peers = Peers::get().directory();
    let python = std::env::join_paths(["ansible", "pre-commit", "moto"].map(|name| peers.join(name)))
        .expect("folders");
    page.env("PYTHONPATH", &python.display().to_string())
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .env("ANSIBLE_COLLECTIONS_PATH", &peers.join("ansible").display().to_string())
        .env("BASH_FUNC_ansible-playbook%%", "() { python3 -m ansible playbook \"$@\"; }")
        .env("BASH_FUNC_ansible-vault%%", "() { python3 -m ansible vault \"$@\"; }")
}

/// A test for each page, and their names.
macro_rules! pages {
    ($($test:ident: $page:literal,)*) => {
        const PAGES: &[&str] = &[$($page),*];
        $(
            #[test]
            fn $test() {
                run_page(&root().join($page));
            }
        )*
    };
}

pages! {
    the_readme_runs: "README.md",
    access_runs: "docs/access.md",
    argocd_runs: "docs/argocd.md",
    ci_runs: "docs/ci.md",
    compliance_runs: "docs/compliance.md",
    config_runs: "docs/config.md",
    editors_runs: "docs/editors.md",
    flux_runs: "docs/flux.md",
    getting_started_runs: "docs/getting-started.md",
    git_runs: "docs/git.md",
    helm_runs: "docs/helm.md",
    keys_runs: "docs/keys.md",
    kustomize_runs: "docs/kustomize.md",
    local_development_runs: "docs/local-development.md",
    moving_over_runs: "docs/moving-over.md",
    pre_commit_runs: "docs/pre-commit.md",
    security_runs: "docs/security.md",
    terraform_ansible_runs: "docs/terraform-ansible.md",
    vault_runs: "docs/vault.md",
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The pages under `docs/`, by their names in the repository.
fn pages() -> Vec<String> {
    let names = std::fs::read_dir(root().join("docs")).expect("the folder").flatten();
    let names = names.map(|entry| format!("docs/{}", entry.file_name().display()));
    let mut names: Vec<String> = names.filter(|name| name.ends_with(".md")).collect();
    names.sort();
    names
}

#[test]
fn every_page_with_commands_is_run() {
    let runs = |name: &String| Page::read(&root().join(name)).runs();
    let elsewhere = [&WITH_A_CONTROLLER[..], &[WITH_A_RELEASE]].concat();
    let expected: Vec<String> =
        pages().into_iter().filter(|name| !elsewhere.contains(&name.as_str())).filter(runs).collect();
    assert_eq!(PAGES[1..], expected);
    assert!(runs(&PAGES[0].to_owned()));
}

#[test]
fn the_demo_ends_with_the_bytes_that_it_began_with() {
    let test = Sandbox::new(env!("CARGO_BIN_EXE_sealant"));
    let output = test.sealant(&["demo", "--keep", "tour"]).run().ok();
    let lines = output.text();
    for step in [
        "sealant init",
        "sealant encrypt -i",
        "sealant edit",
        "sealant decrypt",
        "sealant seal",
        "sealant unseal",
    ] {
        assert!(lines.contains(step), "{step} is missing:\n{lines}");
    }
    let manifest = include_str!("../../fixtures/demo/database.yaml");
    assert_eq!(test.read_text("tour/plain.yaml"), manifest.replace("correct-horse", "battery-staple"));
    assert!(test.read_text("tour/secrets/database.yaml").contains("ENC[AES256_GCM,"));
    assert!(lines.contains("    -----END CERTIFICATE-----\n  username: shop\n"), "{lines}");
    assert!(
        output.stderr.contains("plain.yaml:12: a Kubernetes Secret has 4 values in plaintext"),
        "{output}"
    );
    assert!(lines.contains("Merge made by the 'ort' strategy."), "{lines}");
    assert!(lines.ends_with(
        "Both values are there, every other byte is as it was, and nothing had to be resolved.\n"
    ));
}

/// Where we are is said once, in `Cargo.toml`: whoever moves the project does not leave an address of somebody else.
#[test]
fn every_address_of_ours_is_the_one_in_cargo_toml() {
    let repository = env!("CARGO_PKG_REPOSITORY");
    let owner = repository.rsplit('/').nth(1).expect("an owner");
    let images = [format!("ghcr.io/{owner}/"), format!("{repository}/")];
    let address =
        Regex::new(r"(?:https://(?:[\w-]+\.)*(?:github|gitlab)\.com|ghcr\.io)/[\w.-]+/sealant[\w-]*")
            .unwrap();
    let listed =
        Sandbox::new("").program("git", &["-C", env!("CARGO_MANIFEST_DIR"), "ls-files", "-z"]).run().ok();
    let mut seen = 0;
    for name in listed.text().split_terminator('\0').filter(|name| !name.starts_with("fuzz/corpus/")) {
        // Some are not text, and some were deleted and are not committed yet.
        let Ok(text) = std::fs::read_to_string(root().join(name)) else { continue };
        for found in address.find_iter(&text) {
            let is_ours = images.iter().any(|ours| format!("{}/", found.as_str()).starts_with(ours));
            assert!(is_ours, "{name} names {}, and Cargo.toml {repository}", found.as_str());
            seen += 1;
        }
    }
    assert!(seen > 20, "{seen}");
}

/// A table of attacks is worth as much as the tests that it names.
#[test]
fn tests_that_the_page_on_security_names_are_there() {
    let page = text_of("docs/security.md");
    let attacks = page.split_once("## Attacks that were tried").expect("the table").1;
    let attacks = attacks.split_once("\n## ").map_or(attacks, |(table, _)| table);
    let is_of_test = |line: &&str| *line == "#[test]" || line.starts_with("fn ");
    let mut functions = String::new();
    for source in ["src", "tests", "controller"].into_iter().flat_map(sources) {
        let lines = source.lines().map(str::trim_start).filter(is_of_test);
        lines.for_each(|line| functions.extend([line, "\n"]));
    }
    let rows = attacks.lines().filter(|line| line.starts_with("| ") && !line.ends_with("| tests |"));
    for row in rows {
        let tests = row.trim_end_matches(" |").rsplit_once(" | ").expect("two columns").1;
        for test in tests.split(", ") {
            let name = test.strip_prefix('`').and_then(|test| test.strip_suffix('`'));
            let name = name.unwrap_or_else(|| panic!("{test} is no name of a test"));
            assert!(functions.contains(&format!("#[test]\nfn {name}(")), "there is no test {name}");
        }
    }
}

/// A key of a config, or a variable, that the page does not name is one that nobody can know.
#[test]
fn the_page_on_settings_has_all_keys_and_variables() {
    let page = text_of("docs/config.md");
    let names: BTreeSet<&str> =
        Regex::new(r"[A-Za-z_]\w*").unwrap().find_iter(&page).map(|name| name.as_str()).collect();
    let missing = |found: BTreeSet<String>| -> Vec<String> {
        found.into_iter().filter(|name| !names.contains(name.as_str())).collect()
    };

    let schema = config_schema();
    let keys = keys_of(&serde_json::from_str(&schema).expect("JSON"));
    assert!(
        ["creation_rules", "merge", "vaultUrl", "exclude", "scope"].iter().all(|key| keys.contains(*key))
    );
    assert_eq!(missing(keys), Vec::<String>::new());

    let own =
        text_of("src/keys/kinds/hc_vault/user_file.rs") + &text_of("src/keys/kinds/hc_vault/settings.rs");
    let structs = Regex::new(r"struct (UserFile|UserAudit|UserVault|ServerEntry|Auth) \{([^}]*)\}").unwrap();
    let fields = Regex::new(r"(?m)^    (?:pub(?:\(\w+\))? )?(\w+):").unwrap();
    let found: Vec<String> = structs
        .captures_iter(&own)
        .flat_map(|one| {
            fields
                .captures_iter(one.get(2).unwrap().as_str())
                .map(|field| field[1].to_owned())
                .collect::<Vec<_>>()
        })
        .collect();
    assert!(found.len() > 12, "{found:?}");
    assert_eq!(missing(found.into_iter().collect()), Vec::<String>::new());

    assert_eq!(missing(variables()), Vec::<String>::new());
}

/// Each variable of the clients of Vault and OpenBao is taken, or is said not to be, and what is said is so.
#[test]
fn the_page_on_vault_says_which_variables_count() {
    let page = text_of("docs/vault.md");
    let names = |text: &str| -> BTreeSet<String> {
        let name = Regex::new(r"\b(?:VAULT|BAO)_[A-Z_]*[A-Z]\b").unwrap();
        name.find_iter(text).map(|name| name.as_str().to_owned()).collect()
    };
    let table = |head: &str| {
        let rows = page.split_once(&format!("{head}\n|---|---|\n")).expect("the table").1;
        let first = rows.lines().take_while(|line| line.starts_with('|')).map(|row| row.split('|').nth(1));
        names(&first.flatten().collect::<Vec<_>>().join("\n"))
    };
    let (taken, ignored) = (table("| variable | does |"), table("| variable | because |"));
    let read: BTreeSet<String> = variables()
        .into_iter()
        .filter(|name| name.starts_with("VAULT_") || name.starts_with("BAO_"))
        .collect();
    assert_eq!(taken.difference(&read).collect::<Vec<_>>(), [""; 0], "nobody reads these");
    assert_eq!(ignored.intersection(&read).collect::<Vec<_>>(), [""; 0], "these have an effect");
    // How one logs in is said elsewhere on the page; a key or a role can be in a file.
    let said: BTreeSet<String> = names(&page).difference(&ignored).cloned().collect();
    assert_eq!(read.difference(&said).collect::<Vec<_>>(), [""; 0], "these are not on the page");
}

/// The names of all properties in a JSON schema.
fn keys_of(schema: &serde_json::Value) -> BTreeSet<String> {
    let properties = schema.get("properties").and_then(|properties| properties.as_object());
    let names = properties.into_iter().flat_map(|properties| properties.keys().cloned());
    let definitions = schema.get("definitions").and_then(|definitions| definitions.as_object());
    names.chain(definitions.into_iter().flat_map(|all| all.values()).flat_map(keys_of)).collect()
}

fn config_schema() -> String {
    let test = Sandbox::new(env!("CARGO_BIN_EXE_sealant"));
    test.sealant(&["help", "config-schema"]).run().ok().text().to_owned()
}

/// What makes `docs/config.schema.json` again.
const RENEW_SCHEMA: &str = "RENEW=1 cargo test --test docs schema";

#[test]
fn the_schema_for_editors_is_that_of_the_program() {
    let schema = config_schema();
    if std::env::var_os("RENEW").is_some() {
        return std::fs::write(root().join("docs/config.schema.json"), schema)
            .expect("the file can be written");
    }
    assert!(
        schema == text_of("docs/config.schema.json"),
        "docs/config.schema.json is out of date: {RENEW_SCHEMA}"
    );
}

/// The environment variables that the sources read, but for those of Git, which only say where a repository is.
fn variables() -> BTreeSet<String> {
    let known = "(?:SOPS|SEALANT|VAULT|BAO|AWS|AZURE|AZD|HUAWEICLOUD|IDENTITY|IMDS|MSI|DEFAULT|GOOGLE|GCE|CLOUDSDK|ARGOCD|KUBE|XDG|ACTIONS|PRE_COMMIT)_[A-Z][A-Z0-9_]*";
    let others = "KUBECONFIG|TMPDIR|EDITOR|HTTPS?_PROXY|NO_PROXY|NO_COLOR|REQUEST_METHOD|GITHUB_ACTIONS";
    let whole = Regex::new(&format!(r#""({known}|{others})""#)).unwrap();
    let of_vault =
        Regex::new(r#"(?:var|path|variable|needed|optional|is_set)\((?:host, )?"([A-Z][A-Z_]+)""#).unwrap();
    let asked = Regex::new(r#"\.env(?:_text)?\(\s*"([A-Z][A-Z0-9_]+)"\s*\)"#).unwrap();
    let mut found = BTreeSet::new();
    for source in sources("src") {
        let code = source.split("#[cfg(test)]\nmod tests").next().unwrap_or_default();
        // What `exec-env` refuses is read by others.
        if !code.contains("pub const LOADERS") {
            let names =
                whole.captures_iter(code).chain(asked.captures_iter(code)).map(|name| name[1].to_owned());
            // What ends in `_` is only how names begin.
            let names = names.filter(|name| !name.ends_with('_'));
            // Some are for tests, one for whoever builds a release.
            let is_ours = |name: &String| {
                !["SEALANT_COMMIT", "SEALANT_VECTORS"].contains(&name.as_str()) && !name.starts_with("GIT_")
            };
            found.extend(names.filter(|name| !name.starts_with("SEALANT_TEST_") && is_ours(name)));
        }
        if code.contains("format!(\"VAULT_{name}\")") || code.contains("settings::{") {
            let names = of_vault.captures_iter(code).map(|name| name[1].to_owned());
            found.extend(names.filter(|name| !name.contains("VAULT")).map(|name| match name.as_str() {
                "TOKEN_PATH" => format!("BAO_{name}"),
                _ => format!("VAULT_{name}"),
            }));
        }
    }
    assert!(
        ["SOPS_CONFIG", "VAULT_CACERT", "AWS_PROFILE"].iter().all(|name| found.contains(*name)),
        "{found:?}"
    );
    found
}

/// What makes `docs/commands.md` again.
const RENEW_COMMANDS: &str = "RENEW=1 cargo test --test docs commands";

/// The page is the help of all commands, one behind the other.
#[test]
fn the_page_of_commands_is_their_help() {
    let page = page_of_commands();
    let path = root().join("docs/commands.md");
    if std::env::var_os("RENEW").is_some() {
        return std::fs::write(path, page).expect("the page can be written");
    }
    let old = text_of("docs/commands.md");
    let differing = old.lines().zip(page.lines()).find(|(old, new)| old != new);
    assert!(old == page, "docs/commands.md is out of date: {RENEW_COMMANDS}\n{differing:?}");
}

fn page_of_commands() -> String {
    let test = Sandbox::new(env!("CARGO_BIN_EXE_sealant"));
    let help = |words: &[&str]| test.sealant(words).arg("-h").run().ok().text().to_owned();
    // `-h` without a command shows the common ones alone.
    let all = test.sealant(&["--help"]).run().ok().text().to_owned();
    assert!(all.contains("\nStart:\n"), "{all}");
    let mut page = format!(
        "# Commands\n\n<!-- Made of the program's own help; to make it again: {RENEW_COMMANDS} -->\n\n\
         What `sealant COMMAND -h` prints, for all commands. `sealant COMMAND --help` says more, and lists the flags\n\
         for PGP keys and keys in clouds (`--pgp`, `--add-kms` and so on).\n\n\
         ```text\n{}```\n",
        all,
    );
    for command in names_in(&all, "Start:") {
        // That of sops is in the documentation of sops.
        if command == "sops" {
            continue;
        }
        let text = help(&[&command]);
        add_command(&mut page, "##", &command, &text);
        for part in names_in(&text, "Commands:") {
            add_command(&mut page, "###", &format!("{command} {part}"), &help(&[&command, &part]));
        }
    }
    let codes = test.sealant(&["help", "exit-codes"]).run().ok();
    add_command(&mut page, "##", "help exit-codes", codes.text());
    page
}

fn add_command(page: &mut String, level: &str, name: &str, help: &str) {
    let global = Regex::new(r"(?m)^Global options:\n(?: .*\n|\n)*").expect("a pattern");
    let help = global.replace(help, "");
    page.extend(["\n", level, " sealant ", name, "\n\n```text\n", help.trim_end(), "\n```\n"]);
}

/// The commands that a help lists from this line on.
fn names_in(help: &str, from: &str) -> Vec<String> {
    let list = help.lines().skip_while(|line| *line != from).take_while(|line| !line.ends_with("ptions:"));
    let name = |line: &str| {
        line.strip_prefix("  ")?.split(' ').next().filter(|name| !name.is_empty()).map(str::to_owned)
    };
    list.filter_map(name).collect()
}

/// Whoever has an error looks for its text.
#[test]
fn texts_of_the_page_on_troubleshooting_are_in_the_sources() {
    let line_ends = Regex::new(r"\\\n\s*").unwrap();
    let all: String = ["src", "controller/src"].into_iter().flat_map(sources).collect();
    let all = line_ends.replace_all(&all, "").replace("\\\"", "\"");
    let page = text_of("docs/troubleshooting.md");
    let texts: Vec<&str> =
        page.lines().filter_map(|line| line.strip_prefix("### `")?.strip_suffix('`')).collect();
    assert!(texts.len() > 20);
    for text in texts {
        for part in text.split("...").filter(|part| part.trim().len() > 3) {
            assert!(all.contains(part), "no message of the sources says {part:?}");
        }
    }
}

/// A link leads to a page that is there, and to a heading of it.
#[test]
fn links_of_the_pages_lead_somewhere() {
    let link = Regex::new(r"\]\(([^()\s]+)\)").unwrap();
    let mut broken = Vec::new();
    let others = ["README.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md", "examples/README.md"]
        .map(str::to_owned);
    for name in pages().into_iter().chain(others) {
        let folder = Path::new(&name).parent().expect("a folder").to_owned();
        for found in link.captures_iter(&text_of(&name)) {
            let (file, heading) = found[1].split_once('#').unwrap_or((&found[1], ""));
            let target = if file.is_empty() { name.clone() } else { folder.join(file).display().to_string() };
            let is_there = file.contains("://")
                || root().join(&target).exists()
                    && (heading.is_empty() || headings(&text_of(&target)).contains(heading));
            if !is_there {
                broken.push(format!("{name}: {}", &found[1]));
            }
        }
    }
    assert_eq!(broken, Vec::<String>::new());
}

/// What links call the headings of a page.
fn headings(page: &str) -> BTreeSet<String> {
    let heading = page.lines().filter(|line| line.starts_with('#'));
    let heading = heading.map(|line| line.trim_start_matches('#').trim().to_lowercase().replace(' ', "-"));
    heading.map(|name| name.chars().filter(|c| c.is_alphanumeric() || "-_".contains(*c)).collect()).collect()
}

fn text_of(name: &str) -> String {
    let path = root().join(name);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The sources below a folder.
fn sources(folder: &str) -> Vec<String> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(root().join(folder)).expect("a folder").flatten() {
        let path = entry.path();
        if path.is_dir() {
            found.extend(sources(&path.display().to_string()));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(std::fs::read_to_string(path).expect("a source"));
        }
    }
    found
}
