//! TLS by rustls; certificates are verified unless the plan disables it.

use std::sync::Arc;

use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use tokio_rustls::rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use tokio_rustls::rustls::{
    ClientConfig, ConfigBuilder, DigitallySignedStruct, Error, RootCertStore, SignatureScheme, WantsVerifier,
    client::WantsClientCert,
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
        Trust::Verified => verified(builder, tls)?,
    };
    let Some((certificate, key)) = &tls.identity else { return Ok(builder.with_no_client_auth()) };
    let chain = certificates(certificate, "client_cert")?;
    let key = PrivateKeyDer::from_pem_slice(key)
        .map_err(|error| format!("`client_key` is not a private key: {error}"))?;
    builder
        .with_client_auth_cert(chain, key)
        .map_err(|error| format!("`client_cert` and `client_key` do not match: {error}"))
}

fn verified(
    builder: ConfigBuilder<ClientConfig, WantsVerifier>,
    tls: &Tls,
) -> Result<ConfigBuilder<ClientConfig, WantsClientCert>, String> {
    let mut roots = RootCertStore::empty();
    match &tls.roots {
        Some(pem) => {
            for certificate in certificates(pem, "ca_file")? {
                roots
                    .add(certificate)
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
    Ok(builder.with_root_certificates(roots))
}

fn certificates(pem: &[u8], key: &str) -> Result<Vec<CertificateDer<'static>>, String> {
    let read: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    match read {
        Ok(certificates) if certificates.is_empty() => Err(format!("`{key}` contains no certificate")),
        Ok(certificates) => Ok(certificates),
        Err(error) => Err(format!("`{key}` is not valid PEM: {error}")),
    }
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
