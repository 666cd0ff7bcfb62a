//! What every kind needs that asks servers: proxies, the cryptography of TLS, requests, and why they failed.
//!
//! Knows no kind and no token. Vault's client makes its own requests.

#![cfg_attr(not(feature = "cli"), allow(dead_code, unused_imports, reason = "no kind alone uses all of it"))]

#[cfg(feature = "cloud")]
mod cloud;
#[cfg(feature = "cloud")]
mod consent;
#[cfg(feature = "cloud")]
mod jwt;
#[cfg(feature = "cloud")]
mod kept;
#[cfg(feature = "cloud")]
mod many;
#[cfg(feature = "cloud")]
pub(crate) mod oauth;
#[cfg(feature = "cloud")]
mod problem;
mod proxy;
#[cfg(feature = "cloud")]
mod requests;
#[cfg(any(feature = "aws", feature = "gcp"))]
mod sigv4;

use rustls::crypto::CryptoProvider;

pub use self::proxy::PROXY_VARIABLES;
pub(crate) use self::proxy::Proxies;
#[cfg(any(feature = "cli", feature = "cloud"))]
pub(crate) use self::proxy::is_here;

/// What kinds use whose servers are those of a cloud.
#[cfg(feature = "cloud")]
mod for_clouds {
    pub(crate) use super::cloud::{Cloud, InCloud};
    pub(crate) use super::consent::Consent;
    pub(crate) use super::jwt::{Algorithm, signed};
    pub(crate) use super::kept::{Kept, Lasting, Made};
    pub(crate) use super::oauth::Token;
    pub(crate) use super::problem::{Cause, Operation, Problem};
    pub(crate) use super::requests::{
        Answer, Manner, Refused, Requests, Secret, address, authority, escaped, form, token_in,
    };
    #[cfg(any(feature = "aws", feature = "gcp"))]
    pub(crate) use super::sigv4::{AccessKey, ToSign, hash, hex};
}
#[cfg(feature = "cloud")]
pub(crate) use self::for_clouds::*;

/// Gives TLS its cryptography: clients are built without one of their own, so that there is one in the program, and
/// take the process's.
pub(crate) fn install_cryptography() {
    if CryptoProvider::get_default().is_none() {
        // Somebody else may have been faster, which is as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
    }
}
