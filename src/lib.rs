//! Sealant: secrets in Git, encrypted, byte for byte.
//!
//! [`decrypt`], [`encrypt`] and [`unseal`] are what most programs want. The library takes bytes and values and returns values
//! and typed errors. What the outside gives comes in through [`host`] and [`fs`] alone. Dependencies point down, from the last
//! layer below to the first.

// What is unsafe is to call Windows, which `os` does.
#![cfg_attr(not(windows), forbid(unsafe_code))]
#![cfg_attr(windows, deny(unsafe_code))]
#![cfg_attr(not(test), deny(clippy::unwrap_used, clippy::expect_used, clippy::panic))]
// Fuzz targets take whole repositories, and no command line.
#![cfg_attr(all(feature = "repository", not(feature = "cli")), allow(dead_code, unused_imports))]

// What every layer has: errors, secrets, the two doors to the outside.
pub mod error;
pub mod fs;
mod hints;
pub mod host;
pub mod journal;
pub mod names;
mod os;
#[cfg_attr(not(feature = "cli"), allow(dead_code))]
mod programs;
pub mod secret;
pub mod shown;
pub mod template;

// Master keys; documents and rules; what a rule says of a document; the two formats.
#[cfg(feature = "bitnami")]
pub mod bitnami;
pub mod config;
pub mod document;
mod facade;
pub mod keys;
pub mod policy;
pub mod sealed_secret;
pub mod sops;

// Many files, whichever format each has, and for whom.
#[cfg(feature = "repository")]
mod batch;
#[cfg(feature = "repository")]
mod claims;
#[cfg(feature = "repository")]
mod diff;
#[cfg(feature = "repository")]
mod encrypted_file;
#[cfg(feature = "repository")]
mod foreign;
#[cfg(feature = "repository")]
mod rekey;
#[cfg(feature = "repository")]
mod rule_edit;

// Whole repositories, and the programs that deploy them.
#[cfg(feature = "repository")]
pub mod integrations;
#[cfg(feature = "repository")]
pub mod repo;

#[cfg(feature = "cli")]
pub mod cli;

pub use error::{Error, Kind, Result};
pub use facade::{decrypt, encrypt, unseal};
