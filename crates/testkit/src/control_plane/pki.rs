//! The certificates of a control plane: its authority, the API server's, and each user's.

use std::fs;
use std::path::{Path, PathBuf};

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DistinguishedName, DnType,
    ExtendedKeyUsagePurpose, IsCa, KeyPair, KeyUsagePurpose,
};

use super::error::Error;

/// The authority that signs for servers and users alike.
#[derive(Debug)]
pub(super) struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    certificate: PathBuf,
}

/// A certificate and its key, as files.
#[derive(Debug)]
pub(super) struct Pair {
    pub(super) certificate: PathBuf,
    pub(super) key: PathBuf,
}

impl Authority {
    pub(super) fn new(directory: &Path) -> Result<Self, Error> {
        let mut params = named("test control plane", None);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate()?)?;
        let certificate = directory.join("ca.crt");
        fs::write(&certificate, issuer.pem())?;
        Ok(Self { issuer, certificate })
    }

    /// The file with the authority's own certificate.
    pub(super) fn certificate(&self) -> &Path {
        &self.certificate
    }

    /// For a server that is reached on loopback.
    pub(super) fn server(&self, directory: &Path, name: &str) -> Result<Pair, Error> {
        let mut params = CertificateParams::new(["127.0.0.1".to_owned(), "localhost".to_owned()])?;
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.distinguished_name = named(name, None).distinguished_name;
        self.sign(&params, directory, name)
    }

    /// For a user: Kubernetes takes the common name for the user's and the organization for a
    /// group's. `file` names the two files.
    pub(super) fn client(
        &self,
        directory: &Path,
        file: &str,
        user: &str,
        group: Option<&str>,
    ) -> Result<Pair, Error> {
        let mut params = named(user, group);
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        self.sign(&params, directory, file)
    }

    fn sign(
        &self,
        params: &CertificateParams,
        directory: &Path,
        file: &str,
    ) -> Result<Pair, Error> {
        let key_pair = KeyPair::generate()?;
        let signed = params.signed_by(&key_pair, &self.issuer)?;
        let certificate = directory.join(format!("{file}.crt"));
        let key = directory.join(format!("{file}.key"));
        fs::write(&certificate, signed.pem())?;
        fs::write(&key, key_pair.serialize_pem())?;
        Ok(Pair { certificate, key })
    }
}

/// The keys that sign and that check the tokens of ServiceAccounts: the API server does not take
/// the private one for both.
pub(super) fn token_keys(directory: &Path, file: &str) -> Result<(), Error> {
    let pair = KeyPair::generate()?;
    fs::write(directory.join(format!("{file}.key")), pair.serialize_pem())?;
    fs::write(directory.join(format!("{file}.pub")), pair.public_key_pem())?;
    Ok(())
}

fn named(name: &str, organization: Option<&str>) -> CertificateParams {
    let mut params = CertificateParams::default();
    let mut distinguished = DistinguishedName::new();
    if let Some(organization) = organization {
        distinguished.push(DnType::OrganizationName, organization);
    }
    distinguished.push(DnType::CommonName, name);
    params.distinguished_name = distinguished;
    params
}
