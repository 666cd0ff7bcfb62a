//! The jobs of CI systems that a page shows, as commands for a shell: what a runner would do, as far as it is said there.

use std::fmt::Write;

use serde_json::Value;

/// Where a page wants them to be run.
pub const RUN_HERE: &str = "<!-- The test of this page runs the jobs here. -->";

/// The blocks marked `yaml` whose first line names the file in which they stand.
fn files(page: &str) -> Vec<(&str, Value)> {
    let blocks = page.split("```yaml\n").skip(1).filter_map(|rest| rest.split("```\n").next());
    blocks
        .filter_map(|block| {
            let name = block.lines().next()?.strip_prefix("# .")?;
            let parsed = serde_yaml::from_str(block).unwrap_or_else(|error| panic!("{name}: {error}"));
            Some((name, parsed))
        })
        .collect()
}

/// A block for the page that runs every job in a shell of its own, with the variables that its runner gives it: those
/// that check once more when there is something to find. `base` is the branch that the checked one comes from.
pub fn script(page: &str, base: &str) -> String {
    // Nothing but its own token lets a job in.
    let mut script = String::from("```sh\nunset VAULT_TOKEN\ngit checkout -qb feature\n");
    let (mut jobs, mut checks) = (0, Vec::new());
    for (name, file) in files(page) {
        let is_github = name.starts_with("github/");
        let all = if is_github { &file["jobs"] } else { &file };
        for (job, settings) in all.as_object().expect("jobs") {
            jobs += 1;
            let lines = commands(settings, is_github);
            assert!(!lines.is_empty(), "{job} of .{name} does nothing");
            if lines.iter().any(|line| line.starts_with("sealant check ")) {
                checks.push(jobs);
            }
            let _ = writeln!(script, ": the job {job} of .{name}\njob{jobs}() (");
            let _ = match is_github {
                true => writeln!(script, "export GITHUB_ACTIONS=true GITHUB_BASE_REF={base}"),
                false => writeln!(script, "export GITLAB_CI=true CI_MERGE_REQUEST_TARGET_BRANCH_NAME={base}"),
            };
            if settings["id_tokens"]["VAULT_ID_TOKEN"].is_object() {
                script += "export VAULT_ID_TOKEN=$JOB_TOKEN\n";
            }
            if settings["permissions"]["id-token"] == "write" {
                script +=
                    "export ACTIONS_ID_TOKEN_REQUEST_URL=$JOB_TOKEN_URL ACTIONS_ID_TOKEN_REQUEST_TOKEN=x\n";
            }
            let variables = &settings[if is_github { "env" } else { "variables" }];
            for (key, value) in variables.as_object().into_iter().flatten() {
                let value = value.as_str().expect("a text");
                let value = value.replace("https://vault.example.com", "http://127.0.0.1:8200");
                let _ = writeln!(script, "export {key}='{value}'");
            }
            // What installs the program under test would take minutes, and is not what is shown.
            for line in lines.iter().filter(|line| !line.starts_with("cargo install ")) {
                let _ = writeln!(script, "{line}");
            }
            let _ = writeln!(script, ")\njob{jobs} 2>&1 | tee -a ../jobs.log");
        }
    }
    assert!(jobs > 0 && !checks.is_empty(), "the page shows no jobs");
    script += "printf 'MAIL=hunter2\\n' > secrets/mail.env\n\
               git add secrets && git commit -qm 'In clear' --no-verify\n";
    for check in checks {
        let _ =
            writeln!(script, "job{check}   # fails\ngrep secrets/mail.env sealant.sarif; rm sealant.sarif");
    }
    // In what both deployments print, and in nothing that they do.
    script += "test \"$(grep -c 'deploying with \\[redacted\\]' ../jobs.log)\" = 2\n\
               grep -q '^::add-mask::correct-horse-battery$' ../jobs.log\n\
               test -z \"$(grep -v '^::add-mask::' ../jobs.log | grep correct-horse)\"\n";
    script + "```\n"
}

fn commands(settings: &Value, is_github: bool) -> Vec<&str> {
    let steps = settings[if is_github { "steps" } else { "script" }].as_array().expect("steps");
    steps.iter().filter_map(|step| if is_github { step["run"].as_str() } else { step.as_str() }).collect()
}
