//! What every kind needs that asks servers: proxies, the cryptography of TLS, requests, and why they failed.
//!
//! Knows no kind and no token. Vault's client makes its own requests.

#[cfg(any(feature = "aws", feature = "gcp"))]
mod many;
#[cfg(any(feature = "aws", feature = "gcp"))]
mod problem;
mod proxy;
#[cfg(any(feature = "aws", feature = "gcp"))]
mod requests;

use rustls::crypto::CryptoProvider;

#[cfg(any(feature = "aws", feature = "gcp"))]
pub(crate) use self::many::{open_each, wrap_each};
#[cfg(any(feature = "aws", feature = "gcp"))]
pub(crate) use self::problem::{Cause, Operation, Problem};
pub use self::proxy::PROXY_VARIABLES;
pub(crate) use self::proxy::Proxies;
#[cfg(any(feature = "cli", feature = "gcp"))]
pub(crate) use self::proxy::is_here;
#[cfg(feature = "aws")]
pub(crate) use self::requests::authority;
#[cfg(any(feature = "aws", feature = "gcp"))]
pub(crate) use self::requests::{Answer, Manner, Refused, Requests, Secret, address, form, token_in};

/// Gives TLS its cryptography: clients are built without one of their own, so that there is one in the program, and
/// take the process's.
pub(crate) fn install_cryptography() {
    if CryptoProvider::get_default().is_none() {
        // Somebody else may have been faster, which is as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
    }
}
