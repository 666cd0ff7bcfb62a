//! SealedSecrets of `bitnami.com/v1alpha1`: what `kubeseal` makes, and the controller of sealed-secrets opens.
//!
//! Seals for the certificate of that controller, reads them, opens them with its private keys, and makes such keys. Knows neither files nor
//! a Kubernetes client, and decides nothing about the Secret: whoever calls it brings keys and object. An item is
//!
//! ```text
//! base64( length of R, two bytes || R || G )
//! R = RSA-OAEP-SHA256(K, label)          K = 32 random bytes
//! G = AES-GCM(K, nonce of zeros)         label = "namespace/name", "namespace" or "", by the scope
//! ```
//!
//! Names of items, the template and the scope are authenticated by nothing.

mod base64;
mod certificate;
mod generate;
mod item;
mod key;
mod object;
mod seal;

pub use base64::decode as decode_base64;
pub use certificate::{BadCertificate, Certificate};
pub use generate::{NewKey, generate};
pub use item::{Fault, NotOpened, open, start_of, starts_in};
pub use key::{BadKey, Print, SealingKey};
pub use object::{Scope, SealedSecret, Template};
pub use seal::seal;

use ::base64::Engine;
use ::base64::engine::general_purpose::STANDARD;

use crate::secret::SecretString;

/// The group of their resources.
pub const GROUP: &str = "bitnami.com";

/// Group, version and kind.
pub const API_VERSION: &str = "bitnami.com/v1alpha1";
pub const KIND: &str = "SealedSecret";

/// How their labels and annotations begin.
pub const PREFIX: &str = "sealedsecrets.bitnami.com/";

/// On a SealedSecret: an item opens under any name in its namespace, or anywhere.
pub const NAMESPACE_WIDE: &str = "sealedsecrets.bitnami.com/namespace-wide";
pub const CLUSTER_WIDE: &str = "sealedsecrets.bitnami.com/cluster-wide";

/// On a Secret: a SealedSecret of its name takes it, or adds to it.
pub const MANAGED: &str = "sealedsecrets.bitnami.com/managed";
pub const PATCH: &str = "sealedsecrets.bitnami.com/patch";

/// In a template: the Secret does not go with its SealedSecret.
pub const SKIP_OWNER: &str = "sealedsecrets.bitnami.com/skip-set-owner-references";

/// On a Secret with a private key, with the value `active`.
pub const KEY_LABEL: &str = "sealedsecrets.bitnami.com/sealed-secrets-key";

/// Bytes as PEM has them.
fn pem(label: &str, bytes: &[u8]) -> SecretString {
    let text = SecretString::new(STANDARD.encode(bytes));
    // It never grows, so that no copy is left behind.
    let mut pem =
        SecretString::new(String::with_capacity(text.len() + text.len() / 64 + 2 * label.len() + 40));
    pem.extend(["-----BEGIN ", label, "-----\n"]);
    for at in (0..text.len()).step_by(64) {
        pem.extend([&text[at..text.len().min(at + 64)], "\n"]);
    }
    pem.extend(["-----END ", label, "-----\n"]);
    pem
}

/// Whether these are a `kind` and `apiVersion` of theirs.
pub fn is_theirs(kind: &str, version: &str) -> bool {
    kind == KIND && version.split_once('/').is_some_and(|(group, _)| group == GROUP)
}

#[cfg(test)]
mod tests;
