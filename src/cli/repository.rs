//! The files of a repository, for commands that look through all of it.

use std::collections::HashSet;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use crate::cli::Context;
use crate::cli::args::{Input, InputArgs, Inputs};
use crate::error::Result;
use crate::repo::git::Git;
use crate::secret::SecretBytes;

/// The inputs that are meant; without any, the folder that one is in. What Git ignores is left out.
pub(super) fn inputs(mut args: InputArgs, context: &Context) -> Result<Inputs> {
    if args.files.is_empty() {
        args.files.push(PathBuf::from("."));
    }
    let mut inputs = args.inputs()?;
    leave_out_ignored(&mut inputs.inputs, &args.files, context)?;
    Ok(inputs)
}

/// Leaves out what Git ignores of what was found in folders: results of builds, a plaintext beside its ciphertext. What
/// is in the index stays, ignored or not. Where there is no repository, nothing is ignored.
fn leave_out_ignored(inputs: &mut Vec<Input>, paths: &[PathBuf], context: &Context) -> Result<()> {
    let working_dir = context.lookup()?.working_dir;
    let is_in_repository =
        |folder: &Path| working_dir.join(folder).ancestors().any(|above| above.join(".git").exists());
    let mut ignored = HashSet::new();
    for folder in paths.iter().filter(|path| path.is_dir() && is_in_repository(path)) {
        let args =
            ["ls-files", "-z", "--others", "--ignored", "--exclude-standard", "--directory", "--", "."];
        let names = Git::in_folder(context.host, folder).run(args).unwrap_or_else(|error| {
            context
                .ui
                .warning(format!("Git does not tell what it ignores, so that is checked, too: {error}"));
            SecretBytes::default()
        });
        // A folder that is ignored as a whole was named all the same.
        let names = names.split(|byte| *byte == 0).filter(|name| !matches!(*name, [] | [b'.', b'/']));
        ignored.extend(names.map(|name| folder.join(OsStr::from_bytes(name))));
    }
    let is_ignored = |path: &Path| path.ancestors().any(|above| ignored.contains(above));
    inputs.retain(|input| input.named || !input.path.as_deref().is_some_and(is_ignored));
    Ok(())
}

/// The path without the `./` that comes from looking through the folder that one is in.
pub(super) fn plain_path(path: &Path) -> PathBuf {
    path.strip_prefix(".").unwrap_or(path).to_path_buf()
}
