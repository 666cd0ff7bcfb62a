//! Key services of others, and ours for others: the gRPC of sops (`keyservice/keyservice.proto` of getsops/sops).
//!
//! Owns how a master key travels, which is as the entry of a file: no kind is known here. Which services are asked the user
//! says, with a flag or a variable; nothing in a repository can name one. There is no encryption and no password in the
//! protocol: what travels is for sockets, this machine and tunnels.

mod client;
mod others;
mod proto;
mod server;

pub use self::client::Remote;
pub use self::others::Others;
pub use self::server::{Listening, serve};

/// The longest message. Entries of a file are some thousand bytes.
const LONGEST_MESSAGE: usize = 1 << 20;

/// How many others may be connected at once: each connection takes memory, whatever comes over it.
const MOST_CONNECTIONS: usize = 64;

/// How many requests are worked on at once.
const AT_ONCE: usize = 16;
