//! Documents in the library alone: generated ones, the fixtures, and files that real versions of sops wrote.

#[path = "../common/mod.rs"]
mod common;

mod fixtures;
mod properties;
mod vectors;
