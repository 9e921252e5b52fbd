//! TLS by rustls, with verification on unless the plan says otherwise.

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

/// Makes connections secure, and knows whom they must reach.
#[derive(Clone)]
pub(in crate::engine) struct TlsClient {
    pub(super) connector: TlsConnector,
    pub(super) name: ServerName<'static>,
}

impl TlsClient {
    /// What a target asks for; `None` where it asks for none.
    ///
    /// # Errors
    /// When certificates, a key or a name cannot be used; says which and why.
    pub(in crate::engine) fn of(target: &Target) -> Result<Option<Self>, String> {
        let Some(tls) = &target.tls else { return Ok(None) };
        let name = tls.server_name.as_ref().unwrap_or(&target.url.host).clone();
        let name =
            ServerName::try_from(name.clone()).map_err(|_| format!("`{name}` is no name of a server"))?;
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
    let key = PrivateKeyDer::from_pem_slice(key).map_err(|error| format!("`client_key`: {error}"))?;
    builder
        .with_client_auth_cert(chain, key)
        .map_err(|error| format!("`client_cert` and `client_key` do not go together: {error}"))
}

fn verified(
    builder: ConfigBuilder<ClientConfig, WantsVerifier>,
    tls: &Tls,
) -> Result<ConfigBuilder<ClientConfig, WantsClientCert>, String> {
    let mut roots = RootCertStore::empty();
    match &tls.roots {
        Some(pem) => {
            for certificate in certificates(pem, "ca_file")? {
                roots.add(certificate).map_err(|error| format!("`ca_file`: {error}"))?;
            }
        }
        None => {
            let system = rustls_native_certs::load_native_certs();
            let (added, _) = roots.add_parsable_certificates(system.certs);
            if added == 0 {
                return Err("this machine has no trusted certificates; name some with `ca_file`".to_owned());
            }
        }
    }
    Ok(builder.with_root_certificates(roots))
}

fn certificates(pem: &[u8], key: &str) -> Result<Vec<CertificateDer<'static>>, String> {
    let read: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    match read {
        Ok(certificates) if certificates.is_empty() => Err(format!("`{key}`: no certificate is in it")),
        Ok(certificates) => Ok(certificates),
        Err(error) => Err(format!("`{key}`: {error}")),
    }
}

/// Takes any certificate, but still wants the peer to have its key.
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
