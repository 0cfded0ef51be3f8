//! Certificates of a control plane: its authority, and what that signs for servers and users.
//! `xtask` includes this very file for the cluster that it starts; it therefore depends on little.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DistinguishedName, DnType,
    ExtendedKeyUsagePurpose, IsCa, KeyPair, KeyUsagePurpose,
};

/// The authority that signs for servers and users alike.
#[derive(Debug)]
pub(crate) struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    certificate: PathBuf,
}

/// Whom a certificate is for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Holder<'a> {
    /// What its two files are called.
    pub(crate) file: &'a str,
    /// The common name, which Kubernetes takes for the user's name.
    pub(crate) name: &'a str,
    /// The organization, which Kubernetes takes for a group's name.
    pub(crate) group: Option<&'a str>,
    /// The names and addresses that it serves at; without any it is a client alone.
    pub(crate) serves: &'a [&'a str],
}

/// A certificate and its key, as files.
#[derive(Debug)]
pub(crate) struct Pair {
    pub(crate) certificate: PathBuf,
    pub(crate) key: PathBuf,
}

impl Authority {
    /// A new one; its certificate is `ca.crt` in the directory.
    pub(crate) fn new(directory: &Path) -> io::Result<Self> {
        let mut params = CertificateParams::default();
        params.distinguished_name = named("test control plane", None);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let issuer = CertifiedIssuer::self_signed(params, key()?).map_err(|error| said(&error))?;
        let certificate = directory.join("ca.crt");
        fs::write(&certificate, issuer.pem())?;
        Ok(Self { issuer, certificate })
    }

    /// The file with the authority's own certificate.
    pub(crate) fn certificate(&self) -> &Path {
        &self.certificate
    }

    /// Signs for a holder, with a new key, and writes both into the directory.
    pub(crate) fn sign(&self, directory: &Path, holder: Holder<'_>) -> io::Result<Pair> {
        let names: Vec<_> = holder.serves.iter().map(|name| (*name).to_owned()).collect();
        let mut params = CertificateParams::new(names).map_err(|error| said(&error))?;
        params.distinguished_name = named(holder.name, holder.group);
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        if !holder.serves.is_empty() {
            params.extended_key_usages.push(ExtendedKeyUsagePurpose::ServerAuth);
        }
        let pair = key()?;
        let signed = params.signed_by(&pair, &self.issuer).map_err(|error| said(&error))?;
        let certificate = directory.join(format!("{}.crt", holder.file));
        let key = directory.join(format!("{}.key", holder.file));
        fs::write(&certificate, signed.pem())?;
        fs::write(&key, pair.serialize_pem())?;
        Ok(Pair { certificate, key })
    }
}

/// The keys that sign and that check the tokens of ServiceAccounts: the API server does not take
/// the private one for both.
pub(crate) fn token_keys(directory: &Path, file: &str) -> io::Result<()> {
    let pair = key()?;
    fs::write(directory.join(format!("{file}.key")), pair.serialize_pem())?;
    fs::write(directory.join(format!("{file}.pub")), pair.public_key_pem())
}

fn key() -> io::Result<KeyPair> {
    KeyPair::generate().map_err(|error| said(&error))
}

fn said(error: &rcgen::Error) -> io::Error {
    io::Error::other(format!("certificate: {error}"))
}

fn named(name: &str, organization: Option<&str>) -> DistinguishedName {
    let mut distinguished = DistinguishedName::new();
    if let Some(organization) = organization {
        distinguished.push(DnType::OrganizationName, organization);
    }
    distinguished.push(DnType::CommonName, name);
    distinguished
}
