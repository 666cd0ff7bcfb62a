//! Transit keys of a real OpenBao server, beside the real sops: what one wraps the other unwraps, however we log in,
//! and what happens when the server does not do what it was asked for.

mod place;
mod relay;

mod batches;
mod certificates;
mod environment;
mod faults;
mod groups;
mod logins;
mod named;
mod proxies;
mod redirects;
mod sessions;
mod sops;
mod stand_ins;
mod words;
