//! How other programs encrypt files and values: found in bytes, taken apart, opened with their keys.
//!
//! Pure: knows neither where keys are kept nor what becomes of a plaintext.

pub mod ansible_vault;
pub mod dotenvx;
pub mod git_crypt;
