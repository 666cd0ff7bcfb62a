//! `sealant migrate`, on what the real programs wrote.

mod sealed_secrets;
