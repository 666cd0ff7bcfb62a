use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

use anyhow::{Context as _, Result, ensure};
use clap::builder::styling::Style;

use crate::cli::{Context, ui::Ui};
use crate::document::MAX_SOURCE;
use crate::error::{Error, Kind};
use crate::fs::{self, Mode};

/// Show what Sealant does, on a real file in a temporary folder
///
/// Nothing outside of that folder is read or written: it is the home of everything that runs in it.
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

const MANIFEST: &str = include_str!("../../fixtures/demo/database.yaml");
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
    let program = std::env::current_exe().context("this program does not know where it stands")?;
    let tour = Tour { ui: context.ui, folder, program };
    tour.run()?;
    Ok(ExitCode::SUCCESS)
}

struct Tour<'a> {
    ui: &'a Ui,
    folder: PathBuf,
    program: PathBuf,
}

impl Tour<'_> {
    fn run(&self) -> Result<()> {
        let file = self.folder.join(FILE);
        fs::create_parent(&file)?;
        fs::write_atomic(&file, MANIFEST.as_bytes(), Mode::Private)?;

        self.say("A manifest with secrets in it, as its author likes it:")?;
        self.show_file("cat", MANIFEST)?;

        self.say("One step makes an identity, a config, and says who can decrypt:")?;
        self.sealant(&["init"], &[])?;

        self.say("Encrypted for Git. Only values have changed, and the lines with metadata are new:")?;
        self.sealant(&["encrypt", "-i", FILE], &[])?;
        let encrypted = self.read(&file)?;
        self.show_diff(MANIFEST, &encrypted)?;

        self.say("Edited, here by a script for an editor. Nothing else gets another ciphertext:")?;
        let editor = "sed -i s/correct-horse/battery-staple/";
        self.sealant(&["edit", FILE], &[("EDITOR", editor)])?;
        let edited = self.read(&file)?;
        self.show_diff(&encrypted, &edited)?;

        self.say("Decrypted. The bytes came back, comments and blank lines and quotes included:")?;
        self.sealant(&["decrypt", "--output", "plain.yaml", FILE], &[])?;
        let plain = self.read(&self.folder.join("plain.yaml"))?;
        let expected = MANIFEST.replace("correct-horse", "battery-staple");
        self.show_diff(MANIFEST, &plain)?;
        ensure!(plain == expected, "the bytes did not come back: this is a bug, please report it");
        let bytes = plain.len();
        self.ui.line(format!("All {bytes} bytes are as they were but for the one word that was edited."))?;
        self.seal()
    }

    fn seal(&self) -> Result<()> {
        self.say("For Kubernetes: the Secret sealed, to be committed and applied. The cluster's controller opens it:")?;
        self.sealant(&["seal", "--output", SEALED, "plain.yaml"], &[])?;
        self.sealant(&["inspect", SEALED], &[])?;

        self.say("One value replaced in it, without any key:")?;
        fs::write_atomic(&self.folder.join("password"), b"tr0ub4dor", Mode::Private)?;
        let before = self.read(&self.folder.join(SEALED))?;
        self.sealant(&["seal", "--merge-into", SEALED, "--from-file", "password"], &[])?;
        self.show_diff(&before, &self.read(&self.folder.join(SEALED))?)?;

        self.say("And unsealed by whoever has the identity:")?;
        self.sealant(&["unseal", SEALED], &[])
    }

    fn say(&self, text: &str) -> Result<()> {
        self.ui.line(format!("\n{}", self.ui.styled_out(Style::new().bold(), &format!("# {text}"))))?;
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

    /// Runs this program as a person would, with the folder as home.
    fn sealant(&self, args: &[&str], env: &[(&str, &str)]) -> Result<()> {
        let prefix: String = env.iter().map(|(name, value)| format!("{name}='{value}' ")).collect();
        self.command(&format!("{prefix}sealant {}", args.join(" ")))?;
        let mut command = Command::new(&self.program);
        command.args(args).current_dir(&self.folder).env_clear().stdin(Stdio::null());
        if let Some(path) = crate::cli::host::variable("PATH") {
            command.env("PATH", path);
        }
        command.env("HOME", self.folder.join("home")).envs(env.iter().copied());
        let status = command.status().context("this program cannot be started again")?;
        ensure!(status.success(), "`sealant {}` failed ({status})", args.join(" "));
        Ok(())
    }

    fn read(&self, path: &Path) -> Result<String> {
        let bytes = fs::read(path, MAX_SOURCE as u64)?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }
}
