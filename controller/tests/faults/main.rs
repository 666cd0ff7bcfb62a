//! What goes wrong around the controller: everybody in a cluster feels it, so each test has a cluster of its own.

#![allow(clippy::disallowed_methods, reason = "tests are outside of the doors that the library has")]

#[path = "../common/mod.rs"]
mod common;

mod outages;
mod soak;
