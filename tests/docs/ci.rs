//! What CI systems of users take by one reference, `ci/github` and `ci/gitlab`, run as their runners do: with a release
//! in a folder, which holds the program under test.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use regex::{Captures, Regex};
use sealant_test_support::{Output, Run, Sandbox};
use serde_json::Value;

use super::{root, text_of};

const ACTION: &str = "ci/github/action.yml";
const COMPONENT: &str = "ci/gitlab/sealant.yml";
const VERSION: &str = env!("CARGO_PKG_VERSION");

/// What would run if an input were a part of a script.
const HOSTILE: &str = r#"$(touch executed)"; touch executed; "'; touch executed; '`touch executed`"#;

type Inputs<'a> = &'a [(&'a str, &'a str)];

/// How a job ended, and what it leaves to others.
struct Job {
    status: i32,
    said: String,
    outputs: BTreeMap<String, String>,
}

impl Job {
    fn add(&mut self, output: &Output) {
        self.status = output.status;
        self.said += output.text();
        self.said += &output.stderr;
    }

    #[track_caller]
    fn fails_with(&self, text: &str) {
        assert!(self.status != 0 && self.said.contains(text), "exit code {}\n{}", self.status, self.said);
    }

    #[track_caller]
    fn ends_with(&self, status: i32) -> &Self {
        assert_eq!(self.status, status, "{}", self.said);
        self
    }
}

/// A test with a release, and a repository whose branch has a secret in plaintext.
struct Setting {
    test: Sandbox,
    /// Where the release is.
    from: String,
    /// The SHA-256 of its SHA256SUMS.
    checksum: String,
}

fn archive() -> String {
    format!("sealant-{VERSION}-{}-linux.tar.gz", std::env::consts::ARCH)
}

impl Setting {
    fn new() -> Self {
        let test = Sandbox::new(env!("CARGO_BIN_EXE_sealant"));
        // As release/build packs it; but there it is built without symbols, and small.
        let pack = format!(
            "root=release/sealant-{VERSION}-$ARCH-linux\n\
             mkdir -p $root/bin && strip -o $root/bin/sealant \"$PROGRAM\"\n\
             mkdir -p $root/share/man/man1 && $root/bin/sealant man --dir $root/share/man/man1\n\
             tar -C release -cf - ${{root#release/}} | gzip -n -1 >$root.tar.gz && rm -r $root\n\
             \"$PIN\" release && sha256sum release/SHA256SUMS"
        );
        let packed = test
            .program("sh", &["-euc", &pack])
            .env("ARCH", std::env::consts::ARCH)
            .env("PROGRAM", env!("CARGO_BIN_EXE_sealant"))
            .env("PIN", root().join("release/pin"))
            .run()
            .ok();
        let checksum = packed.text().split_whitespace().next().expect("a sum").to_owned();
        let from = test.path("release").display().to_string();

        let setting = Self { test, from, checksum };
        setting.git("git init -q --bare -b main ../origin.git; git init -q -b main; git remote add origin ../origin.git");
        setting.test.sealant(&["init", "--no-git"]).cwd("shop").run().ok();
        // What is there already is not what a branch is asked about.
        let old = "apiVersion: v1\nkind: Secret\nmetadata: {name: a}\nstringData: {a: hunter2}\n";
        setting.test.write("shop/deploy/old.yaml", old);
        setting.git("git add .; git commit -qm 'Begin'; git push -q origin main; git checkout -qb feature");
        setting.test.write("shop/secrets/mail.env", "MAIL=hunter2\n");
        setting.git("git add .; git commit -qm 'Add mail'");
        setting
    }

    fn git(&self, commands: &str) {
        fs::create_dir_all(self.test.path("shop")).expect("a folder");
        let who = ["GIT_AUTHOR_NAME", "GIT_AUTHOR_EMAIL", "GIT_COMMITTER_NAME", "GIT_COMMITTER_EMAIL"];
        let run = self.test.program("sh", &["-euc", commands]).cwd("shop");
        let _ = who.into_iter().fold(run, |run, name| run.env(name, "anna@example.com")).run().ok();
    }

    fn encrypt(&self) {
        self.test.sealant(&["encrypt", "-i", "secrets/mail.env"]).cwd("shop").run().ok();
        self.git("git commit -qam 'Encrypt it'");
    }

    /// The inputs that a job needs, after these.
    fn with<'a>(&'a self, inputs: Inputs<'a>) -> Vec<(&'a str, &'a str)> {
        [inputs, &[("from", self.from.as_str()), ("checksum", &self.checksum)]].concat()
    }

    /// Runs the action: the runner's shell for each step, until one fails.
    fn on_github(&self, inputs: Inputs, base: &str) -> Job {
        let action: Value = serde_yaml::from_str(&text_of(ACTION)).expect("YAML");
        let known = action["inputs"].as_object().expect("inputs");
        assert!(inputs.iter().all(|(name, _)| known.contains_key(*name)), "{inputs:?}");
        let input = |name: &str| given(inputs, name).or(known[name]["default"].as_str()).unwrap_or_default();
        let place = Regex::new(r"\$\{\{ inputs\.([\w-]+) \}\}").unwrap();

        let _ = fs::remove_dir_all(self.test.path("runner"));
        self.test.write("runner/path", "");
        let mut job = Job { status: 0, said: String::new(), outputs: BTreeMap::new() };
        let mut of_steps = BTreeMap::new();
        for step in action["runs"]["steps"].as_array().expect("steps") {
            assert_eq!(step["shell"], "bash");
            if let Some(condition) = step["if"].as_str() {
                assert_eq!(condition, "inputs.check != 'false'");
                if input("check") == "false" {
                    continue;
                }
            }
            self.test.write("runner/outputs", "");
            let added = self.test.read_text("runner/path");
            let before = std::env::var("PATH").unwrap_or_default();
            let path = added.lines().fold(before, |path, first| format!("{first}:{path}"));
            let mut run = self
                .script(
                    step["run"].as_str().expect("a script"),
                    &["bash", "--noprofile", "--norc", "-eo", "pipefail"],
                )
                .env("PATH", path)
                .env("GITHUB_ACTIONS", "true")
                .env("GITHUB_BASE_REF", base)
                .env("GITHUB_ACTION_PATH", root().join("ci/github"))
                .env("GITHUB_PATH", self.test.path("runner/path"))
                .env("GITHUB_OUTPUT", self.test.path("runner/outputs"))
                .env("RUNNER_TEMP", self.test.path("runner"));
            for (key, value) in step["env"].as_object().expect("variables") {
                let value = value.as_str().expect("a text");
                run = run.env(key, place.replace_all(value, |found: &Captures| input(&found[1])).as_ref());
            }
            job.add(&run.run());
            for line in self.test.read_text("runner/outputs").lines() {
                let (name, value) = line.split_once('=').expect("an output");
                let id = step["id"].as_str().expect("an id");
                of_steps.insert(format!("${{{{ steps.{id}.outputs.{name} }}}}"), value.to_owned());
            }
            if job.status != 0 {
                break;
            }
        }
        for (name, output) in action["outputs"].as_object().expect("outputs") {
            let value = of_steps.get(output["value"].as_str().expect("a text")).cloned();
            job.outputs.insert(name.clone(), value.unwrap_or_default());
        }
        job
    }

    /// Runs the component's job, or one that extends `.sealant` and does this: all of it in one shell.
    fn on_gitlab(&self, shell: &[&str], inputs: Inputs, target: &str, own: Option<&str>) -> Job {
        let (inputs_of, jobs) = component();
        assert!(inputs.iter().all(|(name, _)| inputs_of.get(*name).is_some()), "{inputs:?}");
        let place = Regex::new(r"\$\[\[ inputs\.([\w-]+) \]\]").unwrap();
        let fill = |text: &Value| {
            let value = |found: &Captures| {
                let default = &inputs_of[&found[1]]["default"];
                let default =
                    default.as_str().map(str::to_owned).or_else(|| Some(default.as_bool()?.to_string()));
                given(inputs, &found[1]).map(str::to_owned).or(default).expect("an input without a default")
            };
            place.replace_all(text.as_str().expect("a text"), value).into_owned()
        };

        let (base, job) = (&jobs[".sealant"], &jobs["sealant"]);
        assert_eq!(job["extends"], ".sealant");
        let lines = |script: &Value| -> Vec<String> {
            let lines = script.as_array().expect("a script").iter();
            lines.map(|line| line.as_str().expect("a line").to_owned()).collect()
        };
        let script = own.map_or_else(|| lines(&job["script"]), |own| vec![own.to_owned()]);
        let script = [lines(&base["before_script"]), script].concat().join("\n");
        let mut run = self
            .script(&script, shell)
            .env("GITLAB_CI", "true")
            .env("CI_MERGE_REQUEST_TARGET_BRANCH_NAME", target);
        let own_variables = if own.is_some() { &Value::Null } else { &job["variables"] };
        for (key, value) in
            [&base["variables"], own_variables].into_iter().filter_map(Value::as_object).flatten()
        {
            if value.is_object() {
                assert_eq!(value["expand"], false, "{key}");
            }
            run = run.env(key, fill(if value.is_object() { &value["value"] } else { value }));
        }
        let mut ended = Job { status: 0, said: String::new(), outputs: BTreeMap::new() };
        ended.add(&run.run());
        ended.outputs.insert("sarif-file".to_owned(), fill(&job["artifacts"]["paths"][0]));
        ended.outputs.insert("never".to_owned(), fill(&job["rules"][0]["if"]));
        assert_eq!(
            (&job["rules"][0]["when"], &job["artifacts"]["when"]),
            (&"never".into(), &"always".into())
        );
        ended
    }

    /// A script as a runner has it: in a file, and without an input in it.
    fn script(&self, script: &str, shell: &[&str]) -> Run {
        assert!(!script.contains("${{") && !script.contains("$[["), "{script}");
        self.test.write("script", script);
        self.test.program("bash", &["-n", "script"]).run().ok();
        self.test.program(shell[0], &shell[1..]).arg(self.test.path("script")).cwd("shop")
    }

    /// The files that a report has findings for.
    #[track_caller]
    fn reported(&self, file: &str) -> Vec<String> {
        let report: Value = serde_json::from_str(&self.test.read_text(format!("shop/{file}"))).expect("JSON");
        assert_eq!(report["version"], "2.1.0");
        let run = &report["runs"][0];
        assert_eq!(
            (&run["tool"]["driver"]["name"], &run["tool"]["driver"]["version"]),
            (&"sealant".into(), &VERSION.into())
        );
        let results = run["results"].as_array().expect("results").iter();
        let uri = |result: &Value| {
            result["locations"][0]["physicalLocation"]["artifactLocation"]["uri"]
                .as_str()
                .expect("a file")
                .to_owned()
        };
        results.map(uri).collect()
    }

    /// Nothing that an input said was done, anywhere.
    #[track_caller]
    fn nothing_was_executed(&self, what: &str) {
        let found = self.test.program("find", &[".", "-name", "executed"]).run().ok();
        assert_eq!(found.text(), "", "{what}");
    }
}

fn given<'a>(inputs: Inputs<'a>, name: &str) -> Option<&'a str> {
    inputs.iter().find(|(input, _)| *input == name).map(|(_, value)| *value)
}

/// The inputs of the component, and its jobs.
fn component() -> (Value, Value) {
    let text = text_of(COMPONENT);
    let (spec, jobs) = text.split_once("\n---\n").expect("two documents");
    let spec: Value = serde_yaml::from_str(spec).expect("YAML");
    (spec["spec"]["inputs"].clone(), serde_yaml::from_str(jobs).expect("YAML"))
}

const BASH: [&str; 3] = ["bash", "-eo", "pipefail"];
/// In an image without bash.
const SH: [&str; 2] = ["sh", "-e"];

#[test]
fn a_job_on_github_is_red_with_findings_and_green_without() {
    let setting = Setting::new();
    let red = setting.on_github(&setting.with(&[]), "main");
    red.ends_with(1).fails_with("secrets/mail.env:1: a value is in plaintext");
    assert!(!red.said.contains("old.yaml"), "{}", red.said);
    assert_eq!(setting.reported("sealant.sarif"), ["secrets/mail.env"]);
    let outputs = |job: &Job| ["version", "findings", "sarif-file"].map(|name| job.outputs[name].clone());
    assert_eq!(outputs(&red), [VERSION, "true", "sealant.sarif"]);

    let tag = format!("v{VERSION}");
    let named = [("version", tag.as_str()), ("sarif-file", "a report.sarif"), ("args", "deploy --quiet")];
    let named = setting.on_github(&setting.with(&named), "main");
    named.ends_with(1).fails_with("deploy/old.yaml:4: a Kubernetes Secret");
    assert_eq!(setting.reported("a report.sarif"), ["deploy/old.yaml"]);
    assert_eq!(outputs(&named), [VERSION, "true", "a report.sarif"]);

    setting.encrypt();
    let green = setting.on_github(&setting.with(&[]), "main");
    assert_eq!(outputs(green.ends_with(0)), [VERSION, "false", "sealant.sarif"]);
    assert_eq!(setting.reported("sealant.sarif"), [""; 0]);
    // A push is about the whole repository.
    setting.on_github(&setting.with(&[]), "").fails_with("deploy/old.yaml:4: ");

    let broken = setting.on_github(&setting.with(&[]), "gone");
    assert!(broken.status > 1, "{}", broken.said);
    assert_eq!(outputs(&broken), [VERSION, "", ""]);
    let installed = setting.on_github(&setting.with(&[("check", "false")]), "gone");
    assert_eq!(outputs(installed.ends_with(0)), [VERSION, "", ""]);
    let path = setting.test.read_text("runner/path");
    setting.test.program(format!("{}/sealant", path.trim_end()), &["--version"]).run().ok();
}

/// The name of the report is known to whoever opens a pull request.
#[test]
fn a_job_writes_its_report_through_no_link() {
    let setting = Setting::new();
    let profile = setting.test.path("profile");
    setting.git("ln -s ../profile sealant.sarif; git add .; git commit -qm 'A link'");
    let jobs = [
        setting.on_github(&setting.with(&[]), "main"),
        setting.on_gitlab(&SH, &setting.with(&[]), "main", None),
    ];
    for job in jobs {
        job.fails_with("is a link of this repository");
        assert!(!profile.exists(), "{}", job.said);
    }
    // Nor does a link take the secret out of sight of the check.
    setting.git("ln -sf deploy/old.yaml sealant.sarif; git add .; git commit -qm 'Another link'");
    setting.on_github(&setting.with(&[]), "").fails_with("is a link of this repository");
    assert!(setting.test.read_text("shop/deploy/old.yaml").contains("hunter2"));
}

#[test]
fn a_job_on_gitlab_is_red_with_findings_and_green_without() {
    let setting = Setting::new();
    for shell in [&BASH[..], &SH] {
        let red = setting.on_gitlab(shell, &setting.with(&[]), "main", None);
        red.ends_with(1).fails_with("secrets/mail.env:1: a value is in plaintext");
        assert!(!red.said.contains("old.yaml"), "{}", red.said);
        assert_eq!(setting.reported(&red.outputs["sarif-file"]), ["secrets/mail.env"]);
        assert_eq!(red.outputs["never"], r#""true" == "false""#);
        fs::remove_file(setting.test.path("shop/sealant.sarif")).expect("the report");
    }
    setting.encrypt();
    setting.on_gitlab(&SH, &setting.with(&[]), "main", None).ends_with(0);
    assert_eq!(setting.reported("sealant.sarif"), [""; 0]);
    let tag = format!("v{VERSION}");
    let named = [("version", tag.as_str()), ("sarif-file", "a report.sarif"), ("args", "deploy --quiet")];
    let named = setting.on_gitlab(&SH, &setting.with(&named), "main", None);
    named.ends_with(1).fails_with("deploy/old.yaml:4: a Kubernetes Secret");
    assert_eq!(setting.reported(&named.outputs["sarif-file"]), ["deploy/old.yaml"]);

    let own = setting.on_gitlab(
        &SH,
        &setting.with(&[("check", "false")]),
        "",
        Some("sealant get secrets/mail.env MAIL"),
    );
    assert!(own.ends_with(0).said.contains("hunter2"), "{}", own.said);
    assert_eq!(own.outputs["never"], r#""false" == "false""#);
}

#[test]
fn what_is_not_the_release_is_not_installed() {
    let setting = Setting::new();
    let both = |inputs: Inputs, text: &str| {
        setting.on_github(&setting.with(inputs), "main").fails_with(text);
        assert!(!setting.test.path("runner/sealant/bin/sealant").exists());
        setting.on_gitlab(&SH, &setting.with(inputs), "main", None).fails_with(text);
    };
    let other = "0".repeat(64);
    both(&[("checksum", &other)], &format!("SHA256SUMS from {} ", setting.from));
    both(&[("checksum", &other)], &setting.checksum);
    both(&[("version", "9.9.9")], "is not that of version 9.9.9");
    both(&[("version", "../9")], "../9");
    let none = setting.on_github(&[("from", &setting.from)], "main");
    none.fails_with("--checksum takes the SHA-256 of SHA256SUMS");
    for from in ["http://127.0.0.1:1", "/none"] {
        setting.on_github(&setting.with(&[("from", from)]), "main").fails_with(from);
        setting.on_gitlab(&SH, &setting.with(&[("from", from)]), "main", None).fails_with(from);
    }

    let append = |name: &str| {
        let mut bytes = setting.test.read(format!("release/{name}"));
        bytes.push(b'\n');
        setting.test.write(format!("release/{name}"), bytes);
    };
    let name = archive();
    append(&name);
    both(&[], &format!("{name} from {} is not the one of this release", setting.from));
    append("install.sh");
    let job = setting.on_gitlab(&SH, &setting.with(&[]), "main", None);
    job.fails_with(&format!("install.sh from {} is not the one of this release", setting.from));
    append("SHA256SUMS");
    both(&[], &format!("SHA256SUMS from {} ", setting.from));
}

#[test]
fn nothing_of_the_inputs_is_executed() {
    let setting = Setting::new();
    for input in ["version", "checksum", "from", "args", "sarif-file"] {
        let hostile = [(input, HOSTILE)];
        let inputs = setting.with(&hostile);
        let ended = [
            setting.on_github(&inputs, "main"),
            setting.on_gitlab(&SH, &inputs, "main", None),
            setting.on_gitlab(&BASH, &inputs, "main", None),
        ];
        assert!(ended.iter().all(|job| job.status != 0), "{input}");
        setting.nothing_was_executed(input);
    }
    // As a name of a file, it is one.
    assert_eq!(setting.reported(HOSTILE), ["secrets/mail.env"]);
    // Words are no patterns, and a line is no other output.
    setting.on_github(&setting.with(&[("args", "dep*")]), "main").fails_with("dep*");
    setting.on_gitlab(&SH, &setting.with(&[("args", "dep*")]), "main", None).fails_with("dep*");
    let lines = setting.on_github(&setting.with(&[("sarif-file", "a\nversion=9")]), "main");
    lines.fails_with("control characters");
    assert_eq!((lines.outputs["version"].as_str(), lines.outputs["sarif-file"].as_str()), (VERSION, ""));
}

/// Where a release is, and which one, is said in `Cargo.toml`.
#[test]
fn both_install_what_is_released_from_here() {
    let address = format!("{}/releases/download/v", env!("CARGO_PKG_REPOSITORY"));
    for file in [ACTION, COMPONENT] {
        assert_eq!(text_of(file).matches(&address).count(), 1, "{file}");
        assert_eq!(text_of(file).matches("https://github.com").count(), 1, "{file}");
    }
    let action: Value = serde_yaml::from_str(&text_of(ACTION)).expect("YAML");
    assert_eq!(action["inputs"]["version"]["default"], VERSION);
    assert_eq!(component().0["version"]["default"], VERSION);
}

/// The examples of the page name both by a commit, and an input that there is; and Renovate would find them.
#[test]
fn the_page_names_both_as_they_are() {
    let page = text_of("docs/ci.md");
    let blocks = |language: &str| -> Vec<String> {
        let start = format!("```{language}\n");
        let blocks = page.split(&start).skip(1);
        blocks.map(|rest| rest.split("```\n").next().unwrap_or_default().to_owned()).collect()
    };
    let place = env!("CARGO_PKG_REPOSITORY").trim_start_matches("https://github.com/");
    let uses = format!("uses: {place}/ci/github@COMMIT\n");
    let remote = format!("remote: https://raw.githubusercontent.com/{place}/COMMIT/{COMPONENT}\n");
    let renovate: Value = serde_json::from_str(&blocks("json")[0]).expect("JSON");
    let renovate = renovate["customManagers"][0]["matchStrings"][0].as_str().expect("a pattern");
    let renovate = Regex::new(renovate).expect("a pattern");
    let action: Value = serde_yaml::from_str(&text_of(ACTION)).expect("YAML");
    let key = Regex::new(r"(?m)^ +([\w-]+): ").unwrap();
    for (reference, inputs) in [(uses, &action["inputs"]), (remote, &component().0)] {
        let example =
            blocks("yaml").into_iter().find(|block| block.contains(&reference)).expect("an example");
        let given = example.split(&reference).nth(1).expect("inputs");
        let given: Vec<&str> = key.captures_iter(given).map(|found| found.get(1).unwrap().as_str()).collect();
        assert_eq!(given, ["version", "checksum"]);
        assert!(given.iter().all(|name| inputs.get(*name).is_some()), "{given:?}");
        let found = renovate.captures(&example).expect("what Renovate looks for");
        assert_eq!((&found["depName"], &found["currentValue"]), (place, format!("v{VERSION}").as_str()));
        assert_eq!(&found["currentDigest"], "SHA256");
    }
    // Each input has a row, and there are no others.
    let rows = page.split_once("| input | is | without it |\n|---|---|---|\n").expect("the table").1;
    let rows = rows
        .lines()
        .take_while(|line| line.starts_with('|'))
        .map(|row| row.split('`').nth(1).expect("a name"));
    let inputs = component().0;
    let known = inputs.as_object().expect("inputs").keys().map(String::as_str);
    assert_eq!(rows.collect::<BTreeSet<_>>(), known.collect::<BTreeSet<_>>());
    assert!(action["inputs"].as_object().expect("inputs").keys().all(|name| inputs.get(name).is_some()));
}
