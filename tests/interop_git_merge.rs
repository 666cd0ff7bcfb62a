//! Merges, diffs and resolved conflicts in real repositories, by the real git. Results are read by the real sops, too.

#![allow(clippy::disallowed_methods, reason = "tests are outside of the doors that the library has")]

#[path = "git_merge/documents.rs"]
mod documents;
#[path = "git_merge/forged.rs"]
mod forged;
#[path = "git_merge/histories.rs"]
mod histories;
#[path = "git_merge/keys.rs"]
mod keys;
#[path = "git_merge/moved.rs"]
mod moved;
#[path = "git_merge/property.rs"]
mod property;
#[path = "git_merge/repo.rs"]
mod repo;
#[path = "git_merge/resolve.rs"]
mod resolve;
#[path = "git_merge/sealed.rs"]
mod sealed;
#[path = "git_merge/sequences.rs"]
mod sequences;
