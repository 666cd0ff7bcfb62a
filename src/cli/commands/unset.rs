use std::process::ExitCode;

use crate::cli::change::{Change, ChangeArgs};
use crate::cli::context::Context;
use crate::cli::typed_path::refuse_swapped;
use crate::document::{Document, Edits, TreePath};
use crate::error::{Error, Kind, Result};
use crate::keys::KeyService;
use crate::rekey::Wish;
use crate::sealed_secret::{self, ItemPath, NewDataKey, SealedFile, SealedSecret};

/// Remove one value from an encrypted file
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  sealant unset secrets.enc.yaml database.password
  sealant unset --idempotent secrets.enc.yaml 'hosts[0]'
  sealant unset sealedsecret.yaml password")]
pub struct Args {
    #[command(flatten)]
    pub change: ChangeArgs,
}

pub fn run(args: Args, context: &Context) -> Result<ExitCode> {
    refuse_swapped("unset", &args.change.file, &args.change.path)?;
    args.change.run(context, Wish::default(), Removal { args: &args.change, context })
}

struct Removal<'a> {
    args: &'a ChangeArgs,
    context: &'a Context<'a>,
}

impl Change for Removal<'_> {
    fn of_document(self, path: &TreePath, document: &dyn Document) -> Result<Option<Edits>> {
        let edits = path.unset(document, self.args.copies())?;
        self.args.tell_copies(path, document, edits.is_some(), self.context)?;
        if edits.is_none() && !self.args.idempotent {
            path.find(document).map_err(or_idempotent)?;
        }
        Ok(edits)
    }

    fn of_sealed(
        self,
        path: &ItemPath,
        file: &SealedFile,
        _: &KeyService<'_>,
        _: &dyn Fn(&SealedSecret) -> Result<NewDataKey>,
    ) -> Result<Option<(usize, SealedSecret)>> {
        match path.find(file) {
            Err(error) if error.kind() == Kind::TreePath && self.args.idempotent => Ok(None),
            Err(error) => Err(or_idempotent(error)),
            Ok(at) => Ok(Some((at, sealed_secret::unset(&file.objects[at].1, &[&path.item])?))),
        }
    }
}

fn or_idempotent(error: Error) -> Error {
    let hint = error.advice().map(|hint| format!("{hint} ")).unwrap_or_default();
    error.with_kind(Kind::Other).advise(format!("{hint}With --idempotent, a missing value is not an error."))
}
