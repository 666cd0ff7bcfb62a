//! What most programs want of the library, in one call each: a file opened, a file encrypted, a SealedSecret opened.
//!
//! Owns nothing: it puts the layers together, which do more when they are used by themselves. Many files are opened in few
//! requests by [`KeyService::unwrap_many`] and [`OpenedKeys::open`].

use crate::config::Policy;
use crate::document::{self, Format};
use crate::error::{Error, Kind, Result};
use crate::keys::KeyService;
use crate::policy::{self, Overrides, Recipe};
use crate::sealed_secret::{self, OpenedKeys, SealedFile, Secret};
use crate::secret::SecretBytes;
use crate::sops::{self, Encrypted, MacCheck, Metadata};

/// The plaintext of a file in SOPS's format: byte for byte what was encrypted, if all of it is what its MAC says.
///
/// ```
/// use sealant::config::{Config, Dialect};
/// use sealant::document::Format;
/// use sealant::host::Closed;
/// use sealant::keys::{Identities, KeyService, generate_identity};
/// use sealant::secret::SecretBytes;
///
/// # pollster::block_on(async {
/// let identity = generate_identity(false, "2026-01-31T12:00:00Z".parse().unwrap());
/// let rules = format!("creation_rules:\n  - age: {}\n", identity.recipient);
/// let config = Config::parse(&rules, "/repo/.sops.yaml", Dialect::Sealant)?;
/// let policy = config.policy_for("/repo/app.yaml".as_ref())?.expect("a rule");
///
/// let own = SecretBytes::new(identity.file.as_bytes().to_vec());
/// let keys = KeyService::new(&Closed, Identities::none().with_text("mine", own));
/// let plaintext = || SecretBytes::new(b"# kept\npassword: hunter2\n".to_vec());
/// let encrypted = sealant::encrypt(&keys, Format::Yaml, plaintext(), &policy).await?;
/// assert!(!String::from_utf8_lossy(&encrypted).contains("hunter2"));
///
/// let opened = sealant::decrypt(&keys, Format::Yaml, SecretBytes::new(encrypted)).await?;
/// assert_eq!(opened, plaintext());
/// # Ok::<_, sealant::Error>(())
/// # }).unwrap();
/// ```
pub async fn decrypt(keys: &KeyService<'_>, format: Format, file: SecretBytes) -> Result<SecretBytes> {
    let file = Encrypted::parse(format, file)?;
    let key = keys.unwrap_many(&[&file.metadata.keys]).await.pop().unwrap_or_else(no_answer)?;
    Ok(file.decrypt(&key, MacCheck::Verify)?.bytes)
}

/// A plaintext file, encrypted under a new data key for those whom a creation rule names, and as it says. An error for a file
/// that is encrypted already. [`decrypt`] has an example.
pub async fn encrypt(
    keys: &KeyService<'_>,
    format: Format,
    plaintext: SecretBytes,
    rule: &Policy,
) -> Result<Vec<u8>> {
    let document = document::parse(format, plaintext, false)?;
    let Recipe { keys: set, selection, mac_only_encrypted, .. } =
        policy::recipe(&*document, &Overrides::default(), Some(rule))?;
    let (key, wrapped) = keys.new_data_keys(&[&set]).await.pop().unwrap_or_else(no_answer)?;
    let metadata = Metadata::new(wrapped, selection, mac_only_encrypted);
    Ok(sops::encrypt(&*document, metadata, &key, keys.host().now(), None)?.bytes)
}

/// The Secrets that the SealedSecrets of a manifest make, in its order.
///
/// ```
/// use sealant::document::Format;
/// use sealant::host::Closed;
/// use sealant::keys::{Identities, KeyService, KeySet, MasterKey, generate_identity};
/// use sealant::sealed_secret::{NewDataKey, Options, Secret, manifest, seal};
/// use sealant::secret::SecretBytes;
///
/// # pollster::block_on(async {
/// let identity = generate_identity(false, "2026-01-31T12:00:00Z".parse().unwrap());
/// let own = SecretBytes::new(identity.file.as_bytes().to_vec());
/// let keys = KeyService::new(&Closed, Identities::none().with_text("mine", own));
///
/// let mut secret = Secret { name: "db".to_owned(), namespace: Some("shop".to_owned()), ..Secret::default() };
/// secret.items.insert("password".to_owned(), SecretBytes::new(b"hunter2".to_vec()));
/// let recipients = KeySet::any_of(vec![MasterKey::Age(identity.recipient.clone())]);
/// let data_key = NewDataKey::make(&keys, &[&recipients]).await.remove(0)?;
/// let sealed = manifest(&seal(&secret, &Options::default(), data_key)?, Format::Yaml)?;
///
/// let opened = sealant::unseal(&keys, Format::Yaml, SecretBytes::new(sealed.into_bytes())).await?;
/// assert_eq!(opened, [secret]);
/// # Ok::<_, sealant::Error>(())
/// # }).unwrap();
/// ```
pub async fn unseal(keys: &KeyService<'_>, format: Format, manifest: SecretBytes) -> Result<Vec<Secret>> {
    let file = SealedFile::parse(format, manifest)?;
    let specs: Vec<_> = file.objects.iter().map(|(_, sealed)| &sealed.spec).collect();
    let opened = OpenedKeys::open(keys, &specs).await;
    let open = |((_, sealed), opened): (&(_, sealed_secret::SealedSecret), Result<OpenedKeys>)| {
        sealed_secret::unseal(sealed, &opened?)
    };
    file.objects.iter().zip(opened).map(open).collect()
}

fn no_answer<T>() -> Result<T> {
    Err(Error::new(Kind::NoDataKey, "the key service gave no answer"))
}
