use std::path::{Path, PathBuf};
use std::process::ExitCode;

use serde_json::Value;

use crate::batch::{self, Opened, Parsed};
use crate::claims;
use crate::cli::args::{FormatArgs, IdentityArgs, Input};
use crate::cli::claims::paths;
use crate::cli::context::{Context, block_on};
use crate::cli::copies::Neighbours;
use crate::cli::merging;
use crate::cli::pipeline;
use crate::cli::repository;
use crate::config::{Configs, Destination, Policy, Selection, Target};
use crate::document::{self, Document};
use crate::encrypted_file::{EncryptedFile, OpenedFile};
use crate::error::{Error, Kind, Result};
use crate::host::Host;
use crate::journal::{self, Action, Entry};
#[cfg(feature = "aws")]
use crate::keys::aws;
#[cfg(feature = "gcp")]
use crate::keys::gcp;
use crate::keys::vault::Vault;
use crate::keys::{KeyService, StartedBy};
use crate::policy;
use crate::secret::{DataKey, SecretBytes};
use crate::sops::{Encrypted, MacCheck};

/// Send files to S3, GCS or Vault, by destination rules
///
/// A bucket of AWS S3 or Google Cloud Storage gets the encrypted file: as it is, or under a new data key for the
/// recipients that the rule's `recreation_rule` names. A key-value engine of Vault or OpenBao gets its values,
/// decrypted. A Vault server that only the rule names is not used unless you agree.
#[derive(Debug, Default, clap::Args)]
#[command(after_help = "\
Examples:
  sealant publish prod.enc.yaml
  sealant publish --recursive --yes secrets/

In .sops.yaml:
  destination_rules:
    - path_regex: ^prod/
      vault_path: shop/prod
      omit_extensions: true
    - s3_bucket: shop-secrets
      s3_prefix: encrypted/")]
pub struct Args {
    /// The encrypted file, or with --recursive a folder
    #[arg(value_name = "FILE", required = true)]
    pub file: Option<PathBuf>,

    /// Do not ask before something is sent
    #[arg(short, long)]
    pub yes: bool,

    /// Send values in plaintext that are encrypted in the file, where the recreation rule says so
    #[arg(long)]
    pub plaintext: bool,

    /// Leave out file name extensions
    #[arg(long)]
    pub omit_extensions: bool,

    /// Send all files in a folder and below it, under their paths in it
    #[arg(long)]
    pub recursive: bool,

    #[command(flatten)]
    pub identities: IdentityArgs,
}

pub fn run(args: Args, context: &Context) -> Result<ExitCode> {
    let root = args.file.clone().ok_or_else(|| Error::new(Kind::NoFile, "no file was given"))?;
    if root.is_dir() && !args.recursive {
        return Err(Error::new(Kind::Other, "is a folder").in_file(&root).advise("Add --recursive."));
    }
    let files = match root.is_dir() {
        true => repository::files_in(&root, context)?,
        false => vec![root.clone()],
    };
    merging::refuse_to_send(context, files.iter().map(PathBuf::as_path))?;
    let started_by = if context.is_sops() { StartedBy::Sops } else { StartedBy::Person };
    let publisher = Publisher {
        neighbours: Neighbours::of(context, files.iter().map(PathBuf::as_path))?,
        service: args.identities.key_service(context)?,
        vault: Vault::of_user(started_by),
        buckets: Buckets::of_user(started_by),
        configs: context.configs()?,
        context,
        root,
        args,
    };
    for file in files {
        publisher.publish(&file)?;
    }
    Ok(ExitCode::SUCCESS)
}

struct Publisher<'a> {
    context: &'a Context<'a>,
    args: Args,
    /// What was named, a file or a folder.
    root: PathBuf,
    configs: Configs,
    neighbours: Neighbours<'a>,
    service: KeyService<'a>,
    vault: Vault,
    buckets: Buckets,
}

/// Buckets of clouds, with the user's own credentials.
struct Buckets {
    #[cfg(feature = "aws")]
    aws: aws::Kms,
    #[cfg(feature = "gcp")]
    gcp: gcp::Kms,
}

#[cfg_attr(not(all(feature = "aws", feature = "gcp")), allow(unused_variables, clippy::unused_self))]
impl Buckets {
    fn of_user(started_by: StartedBy) -> Self {
        Self {
            #[cfg(feature = "aws")]
            aws: aws::Kms::of_user(started_by),
            #[cfg(feature = "gcp")]
            gcp: gcp::Kms::of_user(started_by),
        }
    }

    fn put_into_s3(&self, host: &dyn Host, bucket: &str, name: &str, content: &[u8]) -> Result<()> {
        #[cfg(feature = "aws")]
        return block_on(self.aws.put_object(host, bucket, name, content));
        #[cfg(not(feature = "aws"))]
        Err(Error::new(Kind::Other, "this program was built without AWS"))
    }

    fn put_into_gcs(&self, host: &dyn Host, bucket: &str, name: &str, content: &[u8]) -> Result<()> {
        #[cfg(feature = "gcp")]
        return block_on(self.gcp.put_object(host, bucket, name, content));
        #[cfg(not(feature = "gcp"))]
        Err(Error::new(Kind::Other, "this program was built without Google Cloud"))
    }
}

impl Publisher<'_> {
    fn publish(&self, file: &Path) -> Result<()> {
        let in_file = |error: Error| error.in_file(file);
        let formats = FormatArgs::default().formats(self.context);
        let source = pipeline::read(&Input::of(file), formats)?;
        let is_found = *file != self.root && !self.context.is_sops();
        if is_found && crate::encrypted_file::meant(source.format, &source.bytes).is_none() {
            return Ok(());
        }
        let Some(destination) = self.configs.destination_for(file)? else {
            let message = "no destination rule matches this file";
            return Err(Error::new(Kind::Other, message).in_file(file).advise(
                "Add one to the `destination_rules` of .sops.yaml, as `sealant publish --help` shows.",
            ));
        };
        let name = self.name_of(file, destination.omit_extensions);
        let bytes = source.bytes.clone();
        let parsed = batch::parse_one(pipeline::as_taken(source, self.context))?;
        // Where it goes is for readers, too: they get no copy of what another place sends elsewhere.
        let readers = self.neighbours.readers(file, &parsed.file);
        if let Some(readers) = &readers {
            self.neighbours.refuse(file, &parsed.file, readers)?;
        }
        let open = || {
            let (opened, key) = self.open(parsed)?;
            let refused = readers.map_or(Ok(()), |readers| self.neighbours.refuse_key(file, &key, &readers));
            refused.map(|()| (opened, key)).map_err(in_file)
        };
        let content = match (&destination.target, &destination.recreation) {
            (Target::Vault(_), _) => {
                let (file, key) = open()?;
                values(&file, &key).map_err(in_file)?
            }
            (_, Some(rule)) => {
                let (file, key) = open()?;
                self.recreated(&file, &key, rule).map_err(in_file)?
            }
            (_, None) => bytes,
        };
        let place = self.place(&destination, &name)?;
        if !self.may_go_on(file, &place, &destination)? {
            return Ok(());
        }
        journal::record(self.context.host, Entry::new(Action::Write, Path::new(&place)))?;
        self.send(file, &destination.target, &name, &place, &content)
    }

    /// What a file is called where it goes.
    fn name_of(&self, file: &Path, omits_extensions: bool) -> String {
        let below = if self.args.recursive { file.strip_prefix(&self.root).ok() } else { None };
        let below = below.filter(|below| !below.as_os_str().is_empty());
        let name = below.or_else(|| file.file_name().map(Path::new)).unwrap_or(file);
        let name = name.to_string_lossy().into_owned();
        let start = name.rfind('/').map_or(0, |slash| slash + 1);
        match name[start..].rfind('.') {
            Some(dot) if omits_extensions || self.args.omit_extensions => name[..start + dot].to_owned(),
            _ => name,
        }
    }

    fn open(&self, parsed: Parsed) -> Result<(Box<Encrypted>, DataKey)> {
        if let EncryptedFile::Sealed(_) = parsed.file {
            return Err(
                Error::new(Kind::Other, "this is a SealedSecret, not a SOPS document").in_file(parsed.path)
            );
        }
        let Opened { path, file, .. } = block_on(batch::open_one_parsed(&self.service, parsed))?;
        let OpenedFile::Document(file, key) = file else {
            return Err(Error::new(Kind::Other, "this is not a SOPS document").in_file(path));
        };
        Ok((file, key))
    }

    /// The file under a new data key, for whom a rule names, with the values encrypted that it says.
    fn recreated(&self, file: &Encrypted, key: &DataKey, rule: &Policy) -> Result<SecretBytes> {
        let document = file.open(key, MacCheck::Verify)?;
        let keys =
            policy::key_set(rule)?.ok_or_else(|| Error::new(Kind::Other, "the rule names no recipients"))?;
        let made = block_on(self.service.new_data_keys(&[&keys])).pop();
        let (new_key, wrapped) = made.unwrap_or_else(|| Err(Error::new(Kind::Other, "no data key")))?;
        let metadata = file.metadata.for_keys(wrapped);
        let metadata = match &rule.selection {
            Some(selection) => {
                self.refuse_plaintext(&file.metadata.selection, selection, &*document)?;
                metadata.for_selection(selection.clone())
            }
            None => metadata,
        };
        let written = file.write(&*document, metadata, key, Some(&new_key), self.context.host.now())?;
        Ok(SecretBytes::new(written.bytes))
    }

    /// Refuses to send values in plaintext that are encrypted here, as long as nobody has asked for that.
    fn refuse_plaintext(&self, own: &Selection, asked: &Selection, document: &dyn Document) -> Result<()> {
        if self.args.plaintext {
            return Ok(());
        }
        let exposed = claims::change_of_selection(document, own, asked)?.exposed;
        if exposed.is_empty() {
            return Ok(());
        }
        let message = format!(
            "{} would be sent in plaintext, as the recreation rule says (`{asked}`); the file encrypts them (`{own}`)",
            paths(&exposed, document)
        );
        Err(Error::new(Kind::Conflict, message).advise("If they are not secrets, add --plaintext."))
    }

    /// Where a file goes, for people.
    fn place(&self, destination: &Destination, name: &str) -> Result<String> {
        Ok(match &destination.target {
            Target::S3 { bucket, prefix } => format!("s3://{bucket}/{prefix}{name}"),
            Target::Gcs { bucket, prefix } => format!("gcs://{bucket}/{prefix}{name}"),
            Target::Vault(place) => {
                format!("{}/v1/{}", self.vault.address_of(self.context.host, place)?, place.secret(name))
            }
        })
    }

    fn may_go_on(&self, file: &Path, place: &str, destination: &Destination) -> Result<bool> {
        if self.args.yes {
            return Ok(true);
        }
        let how = match &destination.recreation {
            _ if destination.target.takes_plaintext() => ", decrypted".to_owned(),
            Some(rule) => {
                let keys = rule.key_groups.concat();
                format!(", encrypted for {}", policy::all_named(&keys, &rule.names))
            }
            None => String::new(),
        };
        let go_on = self.context.host.confirm(&format!("Send {} to {place}{how}?", file.display()));
        let go_on = go_on.map_err(|error| {
            Error::new(error.kind(), error.to_string()).advise("Add --yes to go on without being asked.")
        })?;
        match (go_on, self.args.recursive) {
            (true, _) => Ok(true),
            (false, true) => {
                self.context.ui.say(format!("{}: not sent", file.display()));
                Ok(false)
            }
            (false, false) => Err(Error::new(Kind::Other, "was not sent").in_file(file)),
        }
    }

    fn send(
        &self,
        file: &Path,
        target: &Target,
        name: &str,
        place: &str,
        content: &SecretBytes,
    ) -> Result<()> {
        let host = self.context.host;
        let sent = match target {
            Target::S3 { bucket, prefix } => {
                self.buckets.put_into_s3(host, bucket, &format!("{prefix}{name}"), content).map(|()| true)
            }
            Target::Gcs { bucket, prefix } => {
                self.buckets.put_into_gcs(host, bucket, &format!("{prefix}{name}"), content).map(|()| true)
            }
            Target::Vault(kv) => block_on(self.vault.put_secret(host, kv, name, content)),
        };
        let (ui, file) = (self.context.ui, file.display());
        match sent.map_err(|error| error.in_file(file.to_string()))? {
            true => ui.say(format!("{file}: sent to {place}")),
            false => ui.say(format!("{file}: already at {place}")),
        }
        Ok(())
    }
}

/// The values of all documents as one JSON object; of those with one name the last counts, as in sops.
fn values(file: &Encrypted, key: &DataKey) -> Result<SecretBytes> {
    let plaintext = file.decrypt_to_convert(key, MacCheck::Verify)?.bytes;
    let document = document::parse_any(file.format(), plaintext, false)?;
    let mut values = serde_json::Map::new();
    for root in document.tree().documents() {
        match document::to_data(&*document, *root)? {
            Value::Object(map) => values.extend(map),
            _ => {
                return Err(Error::new(
                    Kind::Emit,
                    "its top level is not a map, so its values have no names",
                ));
            }
        }
    }
    let json = serde_json::to_vec(&values).map_err(|error| Error::new(Kind::Emit, error.to_string()))?;
    Ok(SecretBytes::new(json))
}
