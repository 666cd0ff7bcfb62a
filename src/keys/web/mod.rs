//! What every kind needs that asks servers: the proxies of the environment, and the cryptography of TLS.
//!
//! Knows no kind, no token and no request.

mod proxy;

use rustls::crypto::CryptoProvider;

pub use self::proxy::PROXY_VARIABLES;
pub(crate) use self::proxy::Proxies;
#[cfg(feature = "cli")]
pub(crate) use self::proxy::is_here;

/// Gives TLS its cryptography: clients are built without one of their own, so that there is one in the program, and
/// take the process's.
pub(crate) fn install_cryptography() {
    if CryptoProvider::get_default().is_none() {
        // Somebody else may have been faster, which is as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
    }
}
