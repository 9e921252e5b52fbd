//! Certificates generated for a test, in PEM.

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    KeyUsagePurpose, date_time_ymd,
};

/// A certificate authority that is in no trust store.
pub(crate) struct Authority(CertifiedIssuer<'static, KeyPair>);

/// A certificate and its key.
pub(crate) struct Identity {
    pub(crate) certificate: String,
    pub(crate) key: String,
}

/// The period in which a certificate is valid.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Validity {
    /// Valid now and for many years.
    Current,
    /// Valid in 2020 only.
    Expired,
}

impl Authority {
    pub(crate) fn new(name: &str) -> Self {
        let mut params = of(name, &[]);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::DigitalSignature];
        let key = KeyPair::generate().expect("there is chance enough");
        Self(CertifiedIssuer::self_signed(params, key).expect("it is a sound authority"))
    }

    /// The certificate of the authority itself.
    pub(crate) fn certificate(&self) -> String {
        self.0.pem()
    }

    /// Signs a certificate for a server of this name or address.
    pub(crate) fn server(&self, name: &str, validity: Validity) -> Identity {
        let mut params = of(name, &[name]);
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        if validity == Validity::Expired {
            (params.not_before, params.not_after) = (date_time_ymd(2020, 1, 1), date_time_ymd(2021, 1, 1));
        }
        self.sign(&params)
    }

    /// A certificate that signs itself, as `openssl req -x509` makes it: it is one of an authority too.
    pub(crate) fn self_signed(name: &str, validity: Validity) -> Identity {
        let mut params = of(name, &[name]);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        if validity == Validity::Expired {
            (params.not_before, params.not_after) = (date_time_ymd(2020, 1, 1), date_time_ymd(2021, 1, 1));
        }
        let key = KeyPair::generate().expect("there is chance enough");
        let certificate = params.self_signed(&key).expect("it is a sound certificate");
        Identity { certificate: certificate.pem(), key: key.serialize_pem() }
    }

    /// Signs a certificate for a client of this name.
    pub(crate) fn client(&self, name: &str) -> Identity {
        let mut params = of(name, &[name]);
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        self.sign(&params)
    }

    fn sign(&self, params: &CertificateParams) -> Identity {
        let key = KeyPair::generate().expect("there is chance enough");
        let certificate = params.signed_by(&key, &self.0).expect("it is a sound certificate");
        Identity { certificate: certificate.pem(), key: key.serialize_pem() }
    }
}

fn of(name: &str, alternatives: &[&str]) -> CertificateParams {
    let alternatives: Vec<String> = alternatives.iter().map(|&name| name.to_owned()).collect();
    let mut params = CertificateParams::new(alternatives).expect("names and addresses are plain");
    params.distinguished_name.push(DnType::CommonName, name);
    params
}
