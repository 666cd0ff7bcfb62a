//! Whom we believe to be a server, and who we are to it: certificates, and the names that they have to be for.
//!
//! Owns what the user's settings say about TLS. A certificate is checked as Vault's own client checks it, which takes one
//! that the user has named itself even if it says that it is an authority's. Makes no connection.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{WebPkiServerVerifier, verify_server_name};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};

use super::problem::{Cause, Problem};
use super::settings::{Pem, Route, Tls};
use crate::error::{Error, Kind};
use crate::host::Host;
use crate::secret::SecretBytes;

/// Whether a certificate is an authority's, and so none for a server.
pub(super) fn is_of_an_authority(error: &CertificateError) -> bool {
    let CertificateError::Other(other) = error else { return false };
    matches!(other.0.downcast_ref(), Some(webpki::Error::CaUsedAsEndEntity))
}

/// What the user's settings say about TLS on a route. `None` where nothing is encrypted, and so nothing checked:
/// loading the certificates of the operating system takes longer than a request.
pub(super) fn config(host: &dyn Host, route: &Route, tls: &Tls) -> Result<Option<ClientConfig>, Problem> {
    let named = named_certificates(host, route, tls)?;
    if named.is_empty() && route.url.starts_with("http://") {
        return Ok(None);
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let trust = Trust::new(tls, named, &provider).map_err(unusable)?;
    let verifier = Verifier { trust, names: route.names.clone(), provider: Arc::clone(&provider) };
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(unusable)?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier));
    let Some((shown, certificates, key)) = own_certificate(host, tls)? else {
        return Ok(Some(builder.with_no_client_auth()));
    };
    builder.with_client_auth_cert(certificates, key).map(Some).map_err(|_| not_a_pair(&shown))
}

/// The certificates that replace the authorities of the operating system.
fn named_certificates(
    host: &dyn Host,
    route: &Route,
    tls: &Tls,
) -> Result<Vec<CertificateDer<'static>>, Problem> {
    let of_server = route.ca_cert.clone().map(Pem::File);
    let mut pems = Vec::new();
    for pem in of_server.iter().chain(&tls.authorities) {
        match pem {
            Pem::Folder(path) => {
                for file in files_at(path)? {
                    pems.push(text_of(host, &Pem::File(file))?);
                }
            }
            pem => pems.push(text_of(host, pem)?),
        }
    }
    let mut certificates = Vec::new();
    for (name, pem) in &pems {
        let found: Vec<_> = CertificateDer::pem_slice_iter(pem).collect::<Result<_, _>>().unwrap_or_default();
        if found.is_empty() {
            return Err(Problem::new(Cause::Other, format!("{name}: it contains no certificate")));
        }
        certificates.extend(found);
    }
    Ok(certificates)
}

/// Our own certificate with its key, and where it is from.
type OwnCertificate = (String, Vec<CertificateDer<'static>>, PrivateKeyDer<'static>);

fn own_certificate(host: &dyn Host, tls: &Tls) -> Result<Option<OwnCertificate>, Problem> {
    let (certificate, key) = match (&tls.client_cert, &tls.client_key) {
        (None, None) => return Ok(None),
        (Some(certificate), Some(key)) => (certificate, key),
        _ => {
            let message =
                "VAULT_CLIENT_CERT and VAULT_CLIENT_KEY must be set together, and one of them is not";
            return Err(Problem::new(Cause::Other, message));
        }
    };
    let ((shown, certificate), (_, key)) = (text_of(host, certificate)?, text_of(host, key)?);
    let certificates = CertificateDer::pem_slice_iter(&certificate).collect::<Result<Vec<_>, _>>();
    match (certificates, PrivateKeyDer::from_pem_slice(&key)) {
        (Ok(certificates), Ok(key)) if !certificates.is_empty() => Ok(Some((shown, certificates, key))),
        _ => Err(not_a_pair(&shown)),
    }
}

fn not_a_pair(certificate: &str) -> Problem {
    let message = format!("{certificate}: not a certificate with its key (VAULT_CLIENT_CERT, _KEY)");
    Problem::new(Cause::Other, message)
}

fn unusable(error: rustls::Error) -> Problem {
    Problem::new(Cause::Other, format!("TLS cannot be used: {error}"))
}

/// A file, or all files of a folder and of those in it. What Kubernetes mounts has links to folders, which are passed over.
fn files_at(path: &Path) -> Result<Vec<PathBuf>, Problem> {
    if path.is_file() {
        return Ok(vec![path.to_owned()]);
    }
    let (mut files, mut folders) = (Vec::new(), vec![path.to_owned()]);
    while let Some(folder) = folders.pop() {
        let entries = std::fs::read_dir(&folder).map_err(|error| unreadable(&folder, &error))?;
        for entry in entries.flatten() {
            match entry.file_type() {
                Ok(kind) if kind.is_dir() => folders.push(entry.path()),
                _ => files.extend(Some(entry.path()).filter(|path| path.is_file())),
            }
        }
    }
    Ok(files)
}

/// What is in it, and what it is called.
fn text_of(host: &dyn Host, pem: &Pem) -> Result<(String, SecretBytes), Problem> {
    match pem {
        Pem::File(path) | Pem::Folder(path) => {
            let text = host.read_secret(path).map_err(|error| unreadable(path, &error))?;
            Ok((path.display().to_string(), text))
        }
        Pem::Given(name, text) => Ok(((*name).to_owned(), text.as_bytes().to_vec().into())),
    }
}

fn unreadable(path: &Path, error: &std::io::Error) -> Problem {
    Problem::new(Cause::Other, format!("{}: cannot be read: {error}", path.display()))
}

/// What a server has to be called in its certificate.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub(super) enum Names {
    /// As in the address that it is reached at.
    #[default]
    Reached,
    /// As the user says.
    Given(ServerName<'static>),
    /// It is reached at an address of the user's for another, through a tunnel for instance, and is called as in either.
    Either { reached: ServerName<'static>, address: ServerName<'static> },
}

impl Names {
    /// A name that a certificate can be for. Its source is where the user has written it.
    pub fn given(source: &str, name: &str) -> Result<Self, Error> {
        let parsed = ServerName::try_from(name.to_owned()).map(Self::Given);
        parsed.map_err(|_| {
            Error::new(Kind::Config, format!("{source}: `{name}` cannot be the name of a server"))
        })
    }

    /// For a server that is reached at another address than its own.
    pub fn either(reached: &str, address: &str) -> Self {
        let name = |url: &str| {
            let url = reqwest::Url::parse(url).ok()?;
            let host = url.host_str()?.trim_start_matches('[').trim_end_matches(']').to_owned();
            ServerName::try_from(host).ok()
        };
        match (name(reached), name(address)) {
            (Some(reached), Some(address)) => Self::Either { reached, address },
            _ => Self::Reached,
        }
    }

    /// What counts where the address of a connection has this name. To where a server leads us, it has no other.
    fn of<'n>(&'n self, asked: &'n ServerName<'n>) -> (&'n ServerName<'n>, Option<&'n ServerName<'n>>) {
        match self {
            Self::Given(name) => (name, None),
            Self::Either { reached, address } if reached == asked => (asked, Some(address)),
            Self::Reached | Self::Either { .. } => (asked, None),
        }
    }
}

/// Whose certificates count.
#[derive(Debug)]
enum Trust {
    /// `VAULT_SKIP_VERIFY`.
    Anybody,
    /// Those that the user has named.
    Named(Arc<WebPkiServerVerifier>, Vec<CertificateDer<'static>>),
    System(rustls_platform_verifier::Verifier),
}

impl Trust {
    fn new(
        tls: &Tls,
        named: Vec<CertificateDer<'static>>,
        provider: &Arc<CryptoProvider>,
    ) -> Result<Self, rustls::Error> {
        if tls.skip_verify {
            return Ok(Self::Anybody);
        }
        if named.is_empty() {
            return rustls_platform_verifier::Verifier::new(Arc::clone(provider)).map(Self::System);
        }
        let mut roots = RootCertStore::empty();
        for certificate in &named {
            roots.add(certificate.clone())?;
        }
        let verifier =
            WebPkiServerVerifier::builder_with_provider(roots.into(), Arc::clone(provider)).build();
        let verifier = verifier.map_err(|error| rustls::Error::General(error.to_string()))?;
        Ok(Self::Named(verifier, named))
    }
}

/// Checks the certificate of a server, for the name that it has to be for.
#[derive(Debug)]
struct Verifier {
    trust: Trust,
    names: Names,
    provider: Arc<CryptoProvider>,
}

type Verified = Result<ServerCertVerified, rustls::Error>;

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Verified {
        let (first, second) = self.names.of(server_name);
        let verify = |name: &ServerName<'_>| match &self.trust {
            Trust::Anybody => Ok(ServerCertVerified::assertion()),
            Trust::System(system) => {
                system.verify_server_cert(certificate, intermediates, name, ocsp_response, now)
            }
            Trust::Named(verifier, named) => {
                match verifier.verify_server_cert(certificate, intermediates, name, ocsp_response, now) {
                    // All that is checked before, such as its dates, is right. Nobody else has to vouch for it.
                    Err(rustls::Error::InvalidCertificate(error))
                        if is_of_an_authority(&error)
                            && named.iter().any(|named| **named == **certificate) =>
                    {
                        verify_server_name(&ParsedCertificate::try_from(certificate)?, name)
                            .map(|()| ServerCertVerified::assertion())
                    }
                    result => result,
                }
            }
        };
        let result = verify(first);
        match second {
            Some(second) if result.is_err() => verify(second).or(result),
            _ => result,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
