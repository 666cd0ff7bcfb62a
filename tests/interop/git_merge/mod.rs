//! Merges, diffs and resolved conflicts in real repositories, by the real git. Results are read by the real sops, too.

mod beside;
mod documents;
mod forged;
mod histories;
mod keys;
mod moved;
mod property;
mod repo;
mod resolve;
mod sealed;
mod sequences;
mod submodule_places;
mod submodules;
mod worktrees;
