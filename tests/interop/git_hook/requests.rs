//! Somebody asks for access by a commit, and somebody who has it gives it: two homes, two clones, and the real Git.

use sealant_test_support::Output;

use super::*;

const SEALANT: &str = env!("CARGO_BIN_EXE_sealant");
const VALUE: &str = "pw: hunter2\n";

/// Ann has a secret, and Nina a clone and a key of her own.
struct World {
    test: Sandbox,
    nina: String,
}

impl World {
    fn new() -> Self {
        let test = Sandbox::new(SEALANT);
        test.write("ann/home/.config/sops/age/keys.txt", IDENTITY);
        program(&test, "git", &["init", "-q", "-b", "main", "ann/work"]).run().ok();
        test.write("ann/work/.sops.yaml", config(RECIPIENT, &[("Ann", RECIPIENT)]));
        test.write("ann/work/secrets/a.yaml", VALUE);
        test.write("ann/work/secrets/b.yaml", VALUE);
        let world = Self { test, nina: String::new() };
        world.run("ann", SEALANT, &["encrypt", "-i", "secrets/a.yaml", "secrets/b.yaml"]).ok();
        world.run("ann", "git", &["add", "."]).ok();
        world.run("ann", "git", &["commit", "-qm", "first"]).ok();
        program(&world.test, "git", &["clone", "-q", "ann/work", "nina/work"]).run().ok();
        let keys = world.test.path("nina/home/.config/sops/age/keys.txt");
        std::fs::create_dir_all(keys.parent().unwrap()).unwrap();
        world.run("nina", SEALANT, &["keygen", "-o", keys.to_str().unwrap()]).ok();
        let nina = world.run("nina", SEALANT, &["keygen", "-y", keys.to_str().unwrap()]).ok();
        let nina = nina.text().trim().to_owned();
        world.run("nina", SEALANT, &["git", "install"]).ok();
        world.run("ann", SEALANT, &["git", "install"]).ok();
        Self { nina, ..world }
    }

    fn run(&self, who: &str, name: &str, args: &[&str]) -> Output {
        let home = self.test.path(format!("{who}/home"));
        let run = program(&self.test, name, args).cwd(self.test.path(format!("{who}/work")));
        run.env("XDG_CONFIG_HOME", home.join(".config")).env("HOME", home).run()
    }

    /// Commits what Nina has written, on a branch.
    fn commits(&self, who: &str, config: &str) -> Output {
        self.test.write(format!("{who}/work/.sops.yaml"), config);
        self.run(who, "git", &["commit", "-qam", "access"])
    }

    fn asks(&self) -> String {
        let both = format!("{RECIPIENT},{}", self.nina);
        config(&both, &[("Ann", RECIPIENT), ("Nina", &self.nina)])
    }
}

fn config(keys: &str, names: &[(&str, &str)]) -> String {
    let names: String = names.iter().map(|(name, key)| format!("    {key}: {name}\n")).collect();
    format!("creation_rules:\n  - path_regex: ^secrets/\n    age: {keys}\nsealant:\n  recipients:\n{names}")
}

#[test]
fn somebody_asks_by_a_commit_and_somebody_who_has_access_gives_it() {
    let world = World::new();
    world.run("nina", SEALANT, &["decrypt", "secrets/a.yaml"]).code(128);
    world.run("nina", "git", &["checkout", "-qb", "access"]).ok();
    let output = world.commits("nina", &world.asks()).ok().to_string();
    assert!(output.contains("warning: this commit asks for access for"), "{output}");
    let helper = format!("Ann (...{})", &RECIPIENT[RECIPIENT.len() - 16..]);
    assert!(output.contains(&helper) && output.contains("[access-request]"), "{output}");

    // In CI it is an error, which says who asks and what lets them in.
    world.run("nina", "git", &["push", "-q", "origin", "access"]).ok();
    world.run("ann", "git", &["checkout", "-q", "access"]).ok();
    let output = world.run("ann", SEALANT, &["check", "--base", "main"]).code(1);
    assert_eq!(output.text().matches("[recipients]").count(), 2, "{output}");
    let says = &output.stderr;
    for expected in [
        &format!("{} asks for access to 2 of the files:", world.nina),
        "named by .sops.yaml:3, which a <a@example.com> wrote in commit ",
        "called `Nina` there",
        &helper,
        "Verify this key with its owner through another channel.",
    ] {
        assert!(says.contains(expected), "{expected}: {says}");
    }
    assert!(!output.to_string().contains("--yes"), "{output}");
    let command =
        says.lines().map(str::trim).find(|line| line.starts_with("sealant updatekeys --add ")).unwrap();
    let words: Vec<&str> = command.split_whitespace().skip(1).chain(["--yes"]).collect();
    world.run("ann", SEALANT, &words).ok();
    world.run("ann", SEALANT, &["check", "--base", "main"]).ok();
    world.run("ann", "git", &["commit", "-qam", "let Nina in"]).ok();
    world.run("nina", "git", &["pull", "-q", "origin", "access"]).ok();
    assert_eq!(world.run("nina", SEALANT, &["decrypt", "secrets/a.yaml"]).ok().text(), VALUE);
}

#[test]
fn a_commit_goes_through_that_does_nothing_else() {
    let world = World::new();
    let asks = world.asks();
    for (change, id) in [
        (asks.replace("^secrets/", "^secrets"), "[recipients]"),
        (asks.replace("path_regex", "encrypted_regex: ^x$\n    path_regex"), "[recipients]"),
        (asks.replace("sealant:\n", "sealant:\n  check: {exclude: [c]}\n"), "[recipients]"),
        (asks.replace(&format!("{RECIPIENT},"), ""), "[recipients]"),
        (format!("{asks}stores: {{yaml: {{indent: 2}}}}\n"), "[recipients]"),
        // The name of somebody else.
        (asks.replace("Ann", "Annabel").replace("Nina", "ann"), "[renamed]"),
    ] {
        let output = world.commits("nina", &change).code(1).to_string();
        assert!(output.contains(id), "{change}\n{output}");
        world.run("nina", "git", &["checkout", "-q", "HEAD", "--", ".sops.yaml"]).ok();
    }
    // Other findings of the commit refuse it all the same.
    world.test.write("nina/work/secrets/c.yaml", VALUE);
    world.run("nina", "git", &["add", "secrets/c.yaml"]).ok();
    let output = world.commits("nina", &asks).code(1).to_string();
    assert!(output.contains("[plaintext]") && output.contains("[access-request]"), "{output}");
    // Who has access lets people in, and does not ask.
    let output = world.commits("ann", &asks).code(1).to_string();
    assert!(output.contains("[recipients]") && !output.contains("[access-request]"), "{output}");
}

#[test]
fn a_rule_that_lacked_somebody_before_goes_on_being_refused() {
    let world = World::new();
    world.test.write("nina/work/.sops.yaml", world.asks());
    world.run("nina", "git", &["commit", "-qam", "asked before", "--no-verify"]).ok();
    let keys = [RECIPIENT, &world.nina, super::STRANGER].join(",");
    let third = config(&keys, &[("Ann", RECIPIENT), ("Nina", &world.nina)]);
    let output = world.commits("nina", &third).code(1).to_string();
    assert!(output.contains("[recipients]") && !output.contains("[access-request]"), "{output}");
}
