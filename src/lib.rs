//! Sealant: secrets in Git, encrypted, byte for byte.
//!
//! The library takes bytes and values and returns values and typed errors. What the outside gives comes in through
//! [`host`] and `fs` alone. Dependencies point down:
//! `cli -> {repo, integrations} -> encrypted_file -> {sops, sealed_secret} -> {document, config} -> keys`.

#![forbid(unsafe_code)]
#![cfg_attr(not(test), deny(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

pub mod batch;
#[cfg(feature = "bitnami")]
pub mod bitnami;
pub mod claims;
#[cfg(feature = "cli")]
pub mod cli;
pub mod config;
pub mod diff;
pub mod document;
pub mod encrypted_file;
pub mod error;
mod facade;
pub mod fs;
mod hints;
pub mod host;
pub mod integrations;
pub mod journal;
pub mod keys;
pub mod names;
pub mod policy;
pub mod rekey;
pub mod repo;
pub mod rule_edit;
pub mod sealed_secret;
pub mod secret;
pub mod shown;
pub mod sops;

pub use error::{Error, Kind, Result};
pub use facade::{decrypt, encrypt, unseal};
