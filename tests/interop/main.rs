//! Sealant beside the real programs: what one side writes the other reads, and both do the same.
//!
//! One program for all, since each test program links all of Sealant. To run a part: `cargo test --test interop git_merge`.

#![allow(clippy::disallowed_methods, reason = "tests are outside of the doors that the library has")]

#[path = "../common/mod.rs"]
mod common;

mod deploy;
mod documents;
mod edit;
mod git_history;
mod git_hook;
mod git_merge;
mod gitops;
mod keys;
mod kubeseal;
mod migrate;
mod seal_commands;
mod sealed;
mod sops_cli;
mod templates;
mod vault;
mod vault_commands;
