//! Files of ours in programs that deploy: the real Helm, and Flux's real controller on a real API server.

#![allow(clippy::disallowed_methods, reason = "tests are outside of the doors that the library has")]

#[path = "interop_gitops/flux.rs"]
mod flux;
#[path = "interop_gitops/helm.rs"]
mod helm;
