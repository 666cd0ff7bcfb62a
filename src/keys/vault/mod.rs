//! Transit keys of Vault and OpenBao.
//!
//! Owns the requests to transit engines, many data keys in one, and the servers they go to. Where a token may go is
//! decided by [`Settings`], which come from the user and never from a file of a repository. Never puts a token, a
//! credential or a data key into an error.

mod transit_key;

#[cfg(not(feature = "vault"))]
mod absent;
#[cfg(feature = "vault")]
mod allow;
#[cfg(feature = "vault")]
mod connection;
#[cfg(feature = "vault")]
mod login;
#[cfg(feature = "vault")]
mod problem;
#[cfg(feature = "vault")]
mod proxy;
#[cfg(feature = "vault")]
mod server;
#[cfg(feature = "vault")]
mod servers;
#[cfg(feature = "vault")]
mod settings;
#[cfg(feature = "vault")]
mod tls;
#[cfg(feature = "vault")]
mod transit;
#[cfg(feature = "vault")]
mod user_file;

#[cfg(not(feature = "vault"))]
pub use self::absent::Vault;
#[cfg(feature = "vault")]
pub use self::login::token_path;
#[cfg(feature = "vault")]
pub use self::proxy::PROXY_VARIABLES;
#[cfg(feature = "cli")]
pub(crate) use self::proxy::{Proxies, is_here};
#[cfg(feature = "vault")]
pub use self::servers::{Access, Vault, WhoAmI};
#[cfg(feature = "vault")]
pub use self::settings::{Auth, Method, Settings, StartedBy};
#[cfg(feature = "cli")]
pub(crate) use self::tls::install_cryptography;
#[cfg(feature = "vault")]
pub use self::transit::KeyVersions;
pub use self::transit_key::{TransitKey, version_of};
#[cfg(feature = "vault")]
pub use self::user_file::{settings_file, user_audit_log};
