use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

use anyhow::{Context as _, Result, ensure};
use clap::builder::styling::Style;

use crate::cli::context::Context;
use crate::cli::host::Terminal;
use crate::cli::ui::Ui;
use crate::document::MAX_SOURCE;
use crate::error::{Error, Kind};
use crate::fs::{self, Mode};

/// Show what Sealant does, on a real file in a temporary folder
///
/// Nothing outside that folder is read or written: every program that it runs has it as its home.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  sealant demo
  sealant demo --keep ~/sealant-demo")]
pub struct Args {
    /// Work in this new folder and leave it there, to look around in
    #[arg(long, value_name = "DIR")]
    keep: Option<PathBuf>,
}

const MANIFEST: &str = include_str!("../../../fixtures/demo/database.yaml");
const FILE: &str = "secrets/database.yaml";
const SEALED: &str = "secrets/sealed.yaml";

pub fn run(args: Args, context: &Context) -> Result<ExitCode> {
    let temporary = tempfile::tempdir().context("no temporary folder can be made")?;
    let folder = match &args.keep {
        Some(folder) if folder.exists() => {
            let exists = Error::new(Kind::Conflict, "the folder exists already").in_file(folder);
            return Err(exists.advise("Name one that is not there yet.").into());
        }
        Some(folder) => folder.clone(),
        None => temporary.path().to_path_buf(),
    };
    let program = std::env::current_exe().context("this program cannot find its own path")?;
    let tour = Tour { ui: context.ui, host: context.host, folder, program };
    tour.run()?;
    Ok(ExitCode::SUCCESS)
}

struct Tour<'a> {
    ui: &'a Ui,
    host: &'a Terminal<'a>,
    folder: PathBuf,
    program: PathBuf,
}

impl Tour<'_> {
    fn run(&self) -> Result<()> {
        let file = self.folder.join(FILE);
        fs::create_parent(&file)?;
        fs::write_atomic(&file, MANIFEST.as_bytes(), Mode::Private)?;

        self.say("A manifest with secrets in it, formatted the way its author likes:")?;
        self.show_file("cat", MANIFEST)?;

        self.say("One command makes an identity and a config, which says who can decrypt:")?;
        self.sealant(&["init"], &[])?;

        self.say("Encrypted for Git. Only values have changed, and metadata is added at the end:")?;
        self.sealant(&["encrypt", "-i", FILE], &[])?;
        let encrypted = self.read(&file)?;
        self.show_diff(MANIFEST, &encrypted)?;

        self.say("Edited, here with a script as the editor. All other ciphertexts stay the same:")?;
        let editor = "sed -i s/correct-horse/battery-staple/";
        self.sealant(&["edit", FILE], &[("EDITOR", editor)])?;
        let edited = self.read(&file)?;
        self.show_diff(&encrypted, &edited)?;

        self.say("Decrypted. The original bytes are back, including comments, blank lines and quotes:")?;
        self.sealant(&["decrypt", "--output", "plain.yaml", FILE], &[])?;
        let plain = self.read(&self.folder.join("plain.yaml"))?;
        let expected = MANIFEST.replace("correct-horse", "battery-staple");
        self.show_diff(MANIFEST, &plain)?;
        ensure!(plain == expected, "the bytes did not come back: this is a bug, please report it");
        let bytes = plain.len();
        self.ui
            .line(format!("All {bytes} bytes are as they were, except for the one word that was edited."))?;
        self.seal()
    }

    fn seal(&self) -> Result<()> {
        self.say(
            "For Kubernetes: the Secret, sealed, to commit and apply. The cluster's controller opens it:",
        )?;
        self.sealant(&["seal", "--output", SEALED, "plain.yaml"], &[])?;
        self.sealant(&["inspect", SEALED], &[])?;

        self.say("One value replaced in it, without any key:")?;
        fs::write_atomic(&self.folder.join("password"), b"tr0ub4dor", Mode::Private)?;
        let before = self.read(&self.folder.join(SEALED))?;
        self.sealant(&["seal", "--merge-into", SEALED, "--from-file", "password"], &[])?;
        self.show_diff(&before, &self.read(&self.folder.join(SEALED))?)?;

        self.say("And unsealed by somebody who has the identity:")?;
        self.sealant(&["unseal", SEALED], &[])?;
        self.commit()
    }

    fn commit(&self) -> Result<()> {
        if !super::git::install::is_found("git".as_ref(), self.host) {
            self.say("The part about Git is skipped: there is no `git` on the PATH.")?;
            return Ok(());
        }
        self.say("In Git. One command sets up the hook, and how Git shows and merges encrypted files:")?;
        self.git(&["init", "--quiet", "--initial-branch=main"])?;
        self.sealant(&["git", "install"], &[])?;

        self.say("A commit with the Secret in plaintext is refused:")?;
        self.git(&["add", ".sops.yaml", ".gitattributes", "secrets", "plain.yaml"])?;
        let commit = ["commit", "--quiet", "--message", "Add the database"];
        let refused = !self.run_command("git", &commit, &[])?;
        ensure!(refused, "plaintext could be committed: this is a bug, please report it");

        self.say("Without it, the commit goes through:")?;
        self.git(&["rm", "--quiet", "--cached", "plain.yaml"])?;
        self.git(&commit)?;
        self.merge()
    }

    fn merge(&self) -> Result<()> {
        self.say("Two people change two values of the same encrypted file:")?;
        self.git(&["switch", "--quiet", "--create", "colleague"])?;
        self.sealant(&["set", FILE, r#"["stringData"]["username"]"#, r#""clerk""#], &[])?;
        self.git(&["commit", "--quiet", "--all", "--message", "Another user"])?;
        self.git(&["switch", "--quiet", "main"])?;
        self.sealant(&["set", FILE, r#"["stringData"]["port"]"#, r#""6432""#], &[])?;
        self.git(&["commit", "--quiet", "--all", "--message", "Another port"])?;

        self.say(
            "The MAC and the time differ, so Git alone would stop with a conflict. Instead it calls Sealant, \
                  which merges values:",
        )?;
        self.git(&["merge", "--no-edit", "colleague"])?;
        self.git(&["diff", "HEAD~2", "--", FILE])?;
        self.sealant(&["decrypt", "--output", "merged.yaml", FILE], &[])?;
        let merged = self.read(&self.folder.join("merged.yaml"))?;
        let plain = self.read(&self.folder.join("plain.yaml"))?;
        let expected = plain.replace("username: shop", "username: clerk").replace("5432", "6432");
        ensure!(merged == expected, "the merge lost one of the values: this is a bug, please report it");
        self.ui
            .line("Both values are there, every other byte is as it was, and nothing had to be resolved.")?;
        Ok(())
    }

    fn say(&self, text: &str) -> Result<()> {
        self.ui.line("")?;
        self.ui.styled_line(&[(Style::new().bold(), &format!("# {text}"))])?;
        Ok(())
    }

    fn command(&self, line: &str) -> Result<()> {
        self.ui.line(format!("$ {line}"))?;
        Ok(())
    }

    fn show_file(&self, command: &str, text: &str) -> Result<()> {
        self.command(&format!("{command} {FILE}"))?;
        self.ui.out(text.as_bytes())?;
        Ok(())
    }

    /// The lines that differ, long ones cut.
    fn show_diff(&self, old: &str, new: &str) -> Result<()> {
        let diff = similar::TextDiff::from_lines(old, new);
        for group in diff.grouped_ops(1) {
            for change in group.iter().flat_map(|op| diff.iter_changes(op)) {
                let line = change.value().trim_end();
                let cut = line.char_indices().nth(96).map_or(line, |(at, _)| &line[..at]);
                let dots = if cut.len() < line.len() { "..." } else { "" };
                self.ui.line(format!("{}{cut}{dots}", change.tag()))?;
            }
        }
        Ok(())
    }

    fn sealant(&self, args: &[&str], env: &[(&str, &str)]) -> Result<()> {
        ensure!(self.run_command("sealant", args, env)?, "`sealant {}` failed", args.join(" "));
        Ok(())
    }

    fn git(&self, args: &[&str]) -> Result<()> {
        ensure!(self.run_command("git", args, &[])?, "`git {}` failed", args.join(" "));
        Ok(())
    }

    /// Runs a program as a person would, with the folder as home and this program on the `PATH`. Whether it succeeded.
    fn run_command(&self, program: &str, args: &[&str], env: &[(&str, &str)]) -> Result<bool> {
        let prefix: String = env.iter().map(|(name, value)| format!("{name}='{value}' ")).collect();
        let quoted = args.iter().map(|arg| match arg.contains([' ', '[', '"']) {
            true => format!("'{arg}'"),
            false => (*arg).to_owned(),
        });
        self.command(&format!("{prefix}{program} {}", quoted.collect::<Vec<_>>().join(" ")))?;
        let mut command = match program {
            "sealant" => Command::new(&self.program),
            other => Command::new(other),
        };
        let path = crate::cli::host::variable("PATH").unwrap_or_default();
        let own = self.program.parent().into_iter().map(Path::to_path_buf);
        let path = std::env::join_paths(own.chain(std::env::split_paths(&path))).context("PATH")?;
        command.args(args).current_dir(&self.folder).env_clear().stdin(Stdio::null());
        command.env("PATH", path).env("HOME", self.folder.join("home")).env("GIT_CONFIG_NOSYSTEM", "1");
        command.env("GIT_PAGER", "cat");
        for role in ["AUTHOR", "COMMITTER"] {
            command
                .env(format!("GIT_{role}_NAME"), "You")
                .env(format!("GIT_{role}_EMAIL"), "you@example.com");
        }
        let done = command.envs(env.iter().copied()).status();
        let status = done.with_context(|| format!("`{program}` cannot be started"))?;
        Ok(status.success())
    }

    fn read(&self, path: &Path) -> Result<String> {
        let bytes = fs::read(path, MAX_SOURCE as u64)?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }
}
