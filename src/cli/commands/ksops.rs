use std::io::{self, IsTerminal};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use crate::cli::args::{IdentityArgs, Input};
use crate::cli::context::{Context, block_on};
use crate::document::MAX_SOURCE;
use crate::error::{Error, Kind, Result};
use crate::fs;
use crate::host::Host;
use crate::integrations::ksops::{Generator, Request, failure};
use crate::integrations::{Place, joined};
use crate::keys::KeyService;
use crate::keys::StartedBy;

/// What the program is called where it stands for KSOPS.
const NAME: &str = "ksops";

const INSTALL: &str = "install";

/// Generate Secrets in a kustomize build, as KSOPS does
///
/// kustomize runs it: as a KRM function (`exec: {path: sealant, args: [ksops]}`, with a ResourceList on standard
/// input), or as a legacy plugin with the generator's file. A link to sealant named `ksops` does the same. With
/// `output: sealedsecret` in the generator no key is needed: SealedSecrets are passed on unchanged.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  kustomize build --enable-alpha-plugins --enable-exec overlays/prod
  sealant ksops generator.yaml
  sealant ksops install /custom-tools   # a copy of itself, named ksops")]
pub struct Args {
    /// The generator's file; or `install` and a folder
    #[arg(value_name = "FILE")]
    words: Vec<PathBuf>,

    /// With install: put kustomize there, too
    #[arg(long)]
    with_kustomize: bool,
}

pub fn run(args: Args, context: &Context) -> Result<ExitCode> {
    match &args.words[..] {
        [word, folder] if word == Path::new(INSTALL) => install(folder, args.with_kustomize, context)?,
        _ if args.with_kustomize => {
            return Err(Error::new(Kind::Conflict, "--with-kustomize is for `ksops install`"));
        }
        [] if io::stdin().is_terminal() => {
            return Err(Error::new(
                Kind::Usage,
                "kustomize runs this program, with a ResourceList on standard input",
            )
            .advise("To see what a generator makes: `sealant ksops GENERATOR.yaml`."));
        }
        [] => return function(context),
        [file] => plugin(file, context)?,
        _ => return Err(Error::new(Kind::Usage, "one generator is expected")),
    }
    Ok(ExitCode::SUCCESS)
}

/// Answers as a KRM function. What fails is told in the answer, too.
fn function(context: &Context) -> Result<ExitCode> {
    let answer = || {
        let request = Request::parse(Input::of(Path::new("-")).read(MAX_SOURCE)?)?;
        with_service(context, |place, service| block_on(request.answer(place, service)))
    };
    match answer() {
        Ok((list, warnings)) => {
            warnings.iter().for_each(|warning| context.ui.warning(warning));
            context.ui.out(&list)?;
            Ok(ExitCode::SUCCESS)
        }
        Err(error) => {
            context.ui.out(failure(&error).as_bytes())?;
            context.ui.error(&error);
            Ok(Kind::Other.exit_code().into())
        }
    }
}

/// Prints manifests, as a legacy plugin does.
fn plugin(file: &Path, context: &Context) -> Result<()> {
    let generator = fs::read_found(file, MAX_SOURCE as u64).and_then(Generator::parse);
    let generator = generator.map_err(|error| error.in_file(file))?;
    let made = with_service(context, |place, service| block_on(generator.generate(place, service)))?;
    made.warnings.iter().for_each(|warning| context.ui.warning(warning));
    context.ui.out(&joined(made.manifests.iter().map(|text| text.as_str())))
}

/// A program starts us: nobody is asked, and only servers are that are allowed.
fn with_service<T>(context: &Context, work: impl FnOnce(&Place, &KeyService<'_>) -> Result<T>) -> Result<T> {
    let host = context.host.asking_nobody();
    let service = IdentityArgs::default().key_service_of(&host, StartedBy::Program)?;
    work(&Place::of(Path::new("."), &host)?, &service)
}

/// Puts this program into a folder, for an init container that has no shell to copy it.
fn install(folder: &Path, with_kustomize: bool, context: &Context) -> Result<()> {
    let ours = std::env::current_exe()
        .map_err(|error| Error::new(Kind::Read, "this program cannot be found").caused_by(error))?;
    let mut programs = vec![(ours, NAME)];
    if with_kustomize {
        programs.push((on_path("kustomize", context)?, "kustomize"));
    }
    for (program, name) in programs {
        let place = folder.join(name);
        fs::install(&program, &place)?;
        context.ui.say(format!("installed {}", place.display()));
    }
    Ok(())
}

fn on_path(name: &str, context: &Context) -> Result<PathBuf> {
    let path = context.host.env("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path).map(|folder| folder.join(name)).find(|file| file.is_file());
    found.ok_or_else(|| Error::new(Kind::NoFile, format!("there is no `{name}` on the PATH")))
}
