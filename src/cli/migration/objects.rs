//! Objects of other programs in manifests, which become SealedSecrets of ours, one by one.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use super::sealing::{self, Opened, Prepared, Sealing, Target};
use super::{Copied, CopyArgs, FileArgs, Origin, named_file};
use crate::batch::Source;
use crate::cli::args::{Input, plain_path};
use crate::cli::context::Context;
use crate::cli::manifests;
use crate::cli::pipeline::{Item, Taken};
use crate::document::{self, Document, Format, NodeId};
use crate::error::{Error, Kind, Result};
use crate::repo::copies::Foreign;
use crate::sealed_secret;
use crate::shown::typed;
use crate::sops;

/// Something that is migrated from, object by object.
pub trait Objects: Origin {
    /// Whether a file may hold some of its objects, without parsing it.
    fn may_be_in(&self, bytes: &[u8]) -> bool;

    /// Its objects in a document.
    fn objects(&self, document: &dyn Document) -> Vec<NodeId>;

    /// Opens one of them. `path` is that of the file.
    fn open(&self, document: &dyn Document, object: NodeId, path: &Path) -> Result<Opened>;

    /// What of them may be in other files, too.
    fn ciphertexts(&self, _: &dyn Document) -> Foreign {
        Foreign::default()
    }

    /// Whether a file of sops has none of them, whatever is in it.
    fn leaves_sops(&self) -> bool {
        false
    }

    /// Says what is good to know of files that were migrated, or would be.
    fn tell(&self, _: &[PathBuf], _: &Context) {}
}

/// Migrates the files that were named.
pub fn run(origin: &dyn Objects, args: &FileArgs, copies: CopyArgs, context: &Context) -> Result<ExitCode> {
    let tell = |done: &[PathBuf]| {
        origin.tell(done, context);
        Ok(())
    };
    sealing::run(origin, args, copies, context, |sealing, item| prepare(origin, sealing, item), tell)
}

/// Opens what is in a file, unless there is nothing of the source in it.
fn prepare(
    origin: &dyn Objects,
    sealing: &Sealing<'_>,
    Item { input, source }: Item,
) -> Result<Taken<Prepared>> {
    let path = named_file(&input)?;
    let in_file = |error: Error| error.in_file(&path);
    let document = read(origin, sealing.tools.context, &input, source).map_err(in_file)?;
    let Some(document) = document else { return sealing.tools.passed(&input, false).map_err(in_file) };
    let found = origin.objects(&*document);
    if found.is_empty() {
        let is_ours = !sealed_secret::objects(&*document).is_empty();
        return sealing.tools.passed(&input, is_ours).map_err(in_file);
    }
    let keys = sealing.keys(&path)?;
    sealing.tools.refuse_copies(&path, Copied::Foreign(&origin.ciphertexts(&*document)), &keys)?;
    let open = |node: &NodeId| {
        origin.open(&*document, *node, &path).map_err(|error| error.on_line(document.line(*node)))
    };
    let opened = found.iter().map(open).collect();
    let target = |numbers: Vec<usize>| {
        let nodes = numbers.into_iter().filter_map(|number| found.get(number).copied()).collect();
        Target::Objects(document, nodes)
    };
    sealing.prepared(path, target, keys, opened).map(Taken::On)
}

/// Reads a manifest; `None` for any other file, and for a template of one.
fn read(
    origin: &dyn Objects,
    context: &Context,
    input: &Input,
    source: Source,
) -> Result<Option<Box<dyn Document>>> {
    let Source { format, bytes, .. } = source;
    let utf8 = document::of_utf16(&bytes);
    let text = utf8.as_ref().unwrap_or(&bytes);
    let by_name = format;
    let may_be_in = origin.may_be_in(text);
    let Some(format) = manifests::format_in(format, &bytes) else { return Ok(None) };
    if !may_be_in && !sealed_secret::looks_sealed(text) {
        return Ok(None);
    }
    let is_template = memchr::memmem::find(text, b"{{").is_some();
    match document::parse(format, bytes.clone(), false) {
        Ok(document) if sops::is_encrypted(&*document) && origin.leaves_sops() => Ok(None),
        Ok(document) if sops::is_encrypted(&*document) && may_be_in => {
            let error = Error::new(Kind::AlreadyEncrypted, "it is encrypted with sops, too");
            Err(error.advise(format!(
                "Decrypt it first: `sealant decrypt -i {}`.",
                typed(&plain_path(input.shown()))
            )))
        }
        Ok(document) => Ok(Some(document)),
        // A file whose name is not that of a manifest is left alone, whatever it quotes.
        Err(_) if !input.named && (!may_be_in || by_name == Format::Binary) => Ok(None),
        Err(_) if manifests::parse(format, bytes).is_ok_and(|parts| parts.len() > 1) => Err(Error::new(
            Kind::Read,
            "it holds several JSON objects one after the other",
        )
        .advise(
            "Put them into a List: `jq -s '{apiVersion: \"v1\", kind: \"List\", items: .}' FILE > NEW.json`.",
        )),
        Err(error) if is_template && !input.named => {
            let error = error.in_file(plain_path(input.shown()));
            context.ui.note(format!("skipped, because it is a template and not a manifest yet: {error}"));
            Ok(None)
        }
        Err(error) => Err(error),
    }
}
