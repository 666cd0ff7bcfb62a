use std::env::consts::EXE_SUFFIX;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::ValueEnum;

use crate::cli::context::Context;
use crate::cli::pipeline::refuse_outside;
use crate::error::{Error, Kind, Result};
use crate::fs;
use crate::host::Host;
use crate::os;
use crate::shown::typed;

/// Let sealant answer as kubeseal, sops or ksops
///
/// Makes a link of that name to this program in a folder. Called by it, sealant takes the flags of that program. What is
/// already there is replaced only if it is such a link.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  sealant link kubeseal ~/.local/bin
  sealant link sops /usr/local/bin")]
pub struct Args {
    /// kubeseal, sops or ksops
    #[arg(value_enum, hide_possible_values = true)]
    name: Name,

    /// A folder, which should be in your PATH
    dir: PathBuf,
}

/// What sealant can be called.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum Name {
    #[cfg(feature = "bitnami")]
    Kubeseal,
    Sops,
    Ksops,
}

impl Name {
    fn text(self) -> &'static str {
        match self {
            #[cfg(feature = "bitnami")]
            Self::Kubeseal => "kubeseal",
            Self::Sops => "sops",
            Self::Ksops => "ksops",
        }
    }
}

pub fn run(Args { name, dir }: Args, context: &Context) -> Result<ExitCode> {
    if !dir.is_dir() {
        let advice = format!("Make it: `{}`.", os::how_to_make_folder(&typed(&dir)));
        return Err(Error::new(Kind::NoFile, "there is no such folder").in_file(dir).advise(advice));
    }
    refuse_outside(&dir, context)?;
    let (place, program) = (dir.join(name.text().to_owned() + EXE_SUFFIX), program(context)?);
    let is_there = place.symlink_metadata().is_ok();
    if is_there && !is_ours(&place, &program) {
        return Err(not_ours(&place));
    }
    match place.read_link() {
        Ok(target) if target == program => context.ui.say(format!("{} is there already", place.display())),
        _ => {
            fs::stand_in(&program, &place, is_there)?;
            context.ui.say(format!("{} is now {} {}", place.display(), os::STAND_IN, program.display()));
        }
    }
    tell_of_path(name.text(), &dir, &place, context);
    Ok(ExitCode::SUCCESS)
}

/// This program by the name that it keeps when it is updated: the one in the PATH, if that is a link to it.
fn program(context: &Context) -> Result<PathBuf> {
    let cannot = |error| Error::new(Kind::Read, "this program cannot be found").caused_by(error);
    let ours = std::env::current_exe().and_then(os::real_path).map_err(cannot)?;
    let is_it = |path: &PathBuf| path.is_absolute() && os::real_path(path).is_ok_and(|path| path == ours);
    let named = in_path("sealant", context).into_iter().find(is_it);
    Ok(named.unwrap_or(ours))
}

/// The files of this name in the folders of the PATH, in their order.
fn in_path(name: &str, context: &Context) -> Vec<PathBuf> {
    let path = context.host.env("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .map(|folder| folder.join(name.to_owned() + EXE_SUFFIX))
        .filter(|file| file.is_file())
        .collect()
}

/// Whether there is a link to this program, or to one of its name that has been removed. A copy is like any other program.
fn is_ours(place: &Path, program: &Path) -> bool {
    match (place.read_link(), os::real_path(place)) {
        (Ok(_), Ok(target)) => os::real_path(program).is_ok_and(|program| program == target),
        (Ok(target), Err(_)) => target.file_name() == Some("sealant".as_ref()),
        (Err(_), _) => false,
    }
}

fn not_ours(place: &Path) -> Error {
    let (shown, before) = (typed(place), typed(&place.with_added_extension("before")));
    Error::new(Kind::Conflict, "this is not a link to sealant, and was left alone").in_file(place).advise(
        format!(
            "Name another folder, or give it another name first: `{}`.",
            os::how_to_move(&shown, &before)
        ),
    )
}

/// Says what the shell will find by that name, unless it is the link.
fn tell_of_path(name: &str, dir: &Path, place: &Path, context: &Context) {
    let real = |path: &Path| os::real_path(path).ok();
    let path = context.host.env("PATH").unwrap_or_default();
    if !std::env::split_paths(&path).any(|folder| folder.is_absolute() && real(&folder) == real(dir)) {
        let dir = os::real_path(dir).unwrap_or_else(|_| dir.to_path_buf());
        context.ui.warning(format!(
            "{} is not in your PATH, so a shell does not find {name} there: `{}`",
            dir.display(),
            os::how_to_find_in(&typed(&dir))
        ));
        return;
    }
    match in_path(name, context).first() {
        Some(first) if real(first) != real(place) => context.ui.warning(format!(
            "a shell finds {} first, which is another program: put {} before it in your PATH",
            first.display(),
            dir.display()
        )),
        _ => {}
    }
}
