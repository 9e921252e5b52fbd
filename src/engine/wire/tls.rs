//! TLS by rustls; certificates are verified unless the plan disables it.

use std::sync::Arc;

use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use tokio_rustls::rustls::client::{WebPkiServerVerifier, verify_server_name};
use tokio_rustls::rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use tokio_rustls::rustls::server::ParsedCertificate;
use tokio_rustls::rustls::{
    AlertDescription, CertificateError, ClientConfig, ConfigBuilder, DigitallySignedStruct, Error,
    InvalidMessage, OtherError, RootCertStore, SignatureScheme, WantsVerifier, client::WantsClientCert,
};

use crate::plan::model::{HttpVersion, Target, Tls, Trust};

/// Wraps connections in TLS, and holds the name that the target's certificate must carry.
#[derive(Clone)]
pub(in crate::engine) struct TlsClient {
    pub(super) connector: TlsConnector,
    pub(super) name: ServerName<'static>,
}

impl TlsClient {
    /// The TLS client for a target; `None` if the target does not use TLS.
    ///
    /// # Errors
    /// When a certificate, a key or a name cannot be used; names the setting and the reason.
    pub(in crate::engine) fn of(target: &Target) -> Result<Option<Self>, String> {
        let Some(tls) = &target.tls else { return Ok(None) };
        let name = tls.server_name.as_ref().unwrap_or(&target.url.host).clone();
        let name = ServerName::try_from(name.clone()).map_err(|_| {
            format!("`{name}` is not a server name; set `server_name` to a DNS name or IP address")
        })?;
        let mut config = config(tls)?;
        config.alpn_protocols = vec![match target.http {
            HttpVersion::One => b"http/1.1".to_vec(),
            HttpVersion::Two => b"h2".to_vec(),
        }];
        Ok(Some(Self { connector: TlsConnector::from(Arc::new(config)), name }))
    }
}

fn config(tls: &Tls) -> Result<ClientConfig, String> {
    let provider = Arc::new(ring::default_provider());
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider));
    let builder = builder.with_safe_default_protocol_versions().map_err(|error| error.to_string())?;
    let builder = match tls.trust {
        Trust::AnyCertificate => {
            builder.dangerous().with_custom_certificate_verifier(Arc::new(AnyCertificate(provider)))
        }
        Trust::Verified => verified(builder, &provider, tls)?,
    };
    let Some((certificate, key)) = &tls.identity else { return Ok(builder.with_no_client_auth()) };
    let chain = certificates(certificate, "client_cert")?;
    if String::from_utf8_lossy(key).contains("ENCRYPTED") {
        let next = "decrypt it: `openssl pkey -in client.key -out plain.key`";
        return Err(format!("`client_key` is encrypted, and there is no key for a passphrase; {next}"));
    }
    let key = PrivateKeyDer::from_pem_slice(key)
        .map_err(|error| format!("`client_key` is not a private key: {error}"))?;
    builder
        .with_client_auth_cert(chain, key)
        .map_err(|error| format!("`client_cert` and `client_key` do not match: {error}"))
}

fn verified(
    builder: ConfigBuilder<ClientConfig, WantsVerifier>,
    provider: &Arc<CryptoProvider>,
    tls: &Tls,
) -> Result<ConfigBuilder<ClientConfig, WantsClientCert>, String> {
    let mut roots = RootCertStore::empty();
    let mut named = Vec::new();
    match &tls.roots {
        Some(pem) => {
            named = certificates(pem, "ca_file")?;
            for certificate in &named {
                roots
                    .add(certificate.clone())
                    .map_err(|error| format!("`ca_file` contains an unusable certificate: {error}"))?;
            }
        }
        None => {
            let system = rustls_native_certs::load_native_certs();
            let (added, _) = roots.add_parsable_certificates(system.certs);
            if added == 0 {
                return Err("this machine has no trusted certificates; set `ca_file`".to_owned());
            }
        }
    }
    let roots = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(provider)).build();
    let roots = roots.map_err(|error| format!("the trusted certificates cannot be used: {error}"))?;
    Ok(builder.dangerous().with_custom_certificate_verifier(Arc::new(Trusted { roots, named })))
}

fn certificates(pem: &[u8], key: &str) -> Result<Vec<CertificateDer<'static>>, String> {
    let read: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    match read {
        Ok(certificates) if certificates.is_empty() => Err(format!("`{key}` contains no certificate")),
        Ok(certificates) => Ok(certificates),
        Err(error) => Err(format!("`{key}` is not valid PEM: {error}")),
    }
}

/// Accepts certificates that a trusted authority signed, and those that `ca_file` holds themselves.
#[derive(Debug)]
struct Trusted {
    roots: Arc<WebPkiServerVerifier>,
    named: Vec<CertificateDer<'static>>,
}

impl ServerCertVerifier for Trusted {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let verified = self.roots.verify_server_cert(certificate, intermediates, name, ocsp, now);
        match verified {
            // The dates are checked before the authority.
            Err(error) if lacks_authority(&error) && self.named.contains(certificate) => {
                verify_server_name(&ParsedCertificate::try_from(certificate)?, name)?;
                Ok(ServerCertVerified::assertion())
            }
            verified => verified,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.roots.verify_tls12_signature(message, certificate, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.roots.verify_tls13_signature(message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.roots.supported_verify_schemes()
    }
}

/// Whether a certificate was refused only because of who signed it, or because it is one of an authority itself.
fn lacks_authority(error: &Error) -> bool {
    match error {
        Error::InvalidCertificate(CertificateError::UnknownIssuer) => true,
        Error::InvalidCertificate(CertificateError::Other(other)) => is_of_authority(other),
        _ => false,
    }
}

fn is_of_authority(other: &OtherError) -> bool {
    other.to_string().contains("CaUsedAsEndEntity")
}

/// A TLS error in words, with a next step where there is one.
pub(super) fn in_words(error: &Error) -> String {
    use AlertDescription as Alert;
    use CertificateError as Certificate;
    let (what, next) = match error {
        Error::InvalidCertificate(why) => match why {
            Certificate::UnknownIssuer => (
                format!("{error}: no trusted authority signed the certificate"),
                "name its authority, or the certificate itself, as `ca_file`",
            ),
            Certificate::Expired | Certificate::ExpiredContext { .. } => (
                format!("{error}: the certificate has expired"),
                "renew it, or check the clock of this machine",
            ),
            Certificate::NotValidYet | Certificate::NotValidYetContext { .. } => {
                (format!("{error}: the certificate is not valid yet"), "check the clock of this machine")
            }
            Certificate::NotValidForName | Certificate::NotValidForNameContext { .. } => {
                (error.to_string(), "set `server_name` to a name that the certificate has")
            }
            Certificate::Other(other) if is_of_authority(other) => (
                "the certificate is that of an authority, and is not named itself".to_owned(),
                "name it as `ca_file` to trust it",
            ),
            _ => (error.to_string(), "replace the certificate, or test with `insecure = true`"),
        },
        Error::AlertReceived(Alert::ProtocolVersion) => {
            ("the target speaks neither TLS 1.2 nor TLS 1.3".to_owned(), "enable one of them at the target")
        }
        Error::AlertReceived(Alert::HandshakeFailure) => (
            format!(
                "{error}: the target accepts none of the offered cipher suites, key exchanges and signatures"
            ),
            "compare them with the table of the documentation",
        ),
        Error::AlertReceived(Alert::CertificateRequired) => (
            format!("{error}: the target requires a client certificate"),
            "set `client_cert` and `client_key`",
        ),
        Error::AlertReceived(Alert::UnknownCA | Alert::BadCertificate | Alert::CertificateUnknown) => (
            format!("{error}: the target refuses the client certificate"),
            "use one that an authority of the target signed",
        ),
        Error::AlertReceived(Alert::NoApplicationProtocol) => (
            format!("{error}: the target does not speak this version of HTTP"),
            "set the other one with `http`",
        ),
        Error::AlertReceived(Alert::UnrecognisedName) => {
            (format!("{error}: the target does not know this name"), "set `server_name`")
        }
        Error::InvalidMessage(InvalidMessage::InvalidContentType) => (
            "the target does not speak TLS at this port".to_owned(),
            "write `http://` in `url`, or another port",
        ),
        _ => return error.to_string(),
    };
    format!("{what}; {next}")
}

/// Accepts any certificate, but the peer must still prove that it has the key.
#[derive(Debug)]
struct AnyCertificate(Arc<CryptoProvider>);

impl ServerCertVerifier for AnyCertificate {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, certificate, signed, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signed, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
