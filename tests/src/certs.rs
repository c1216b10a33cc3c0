//! The certificates of a control plane.

use std::net::Ipv4Addr;
use std::path::PathBuf;

use anyhow::Result;
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};

use crate::run_folder::RunFolder;

/// A certificate and its key, as files.
#[derive(Debug, Clone)]
pub struct Pair {
    /// The certificate.
    pub cert: PathBuf,
    /// Its key.
    pub key: PathBuf,
}

/// Every certificate of a control plane. The front proxy has a CA of its own: kube-apiserver refuses to share one.
#[derive(Debug, Clone)]
pub struct Certs {
    /// The cluster's CA.
    pub ca: Pair,
    /// The server certificate of kube-apiserver.
    pub apiserver: Pair,
    /// The front proxy's CA.
    pub front_ca: Pair,
    /// The front proxy's client certificate.
    pub front: Pair,
    /// etcd's CA.
    pub etcd_ca: Pair,
    /// etcd's server and peer certificate.
    pub etcd: Pair,
    /// The client certificate of those who speak to etcd.
    pub etcd_client: Pair,
    /// The key that signs tokens of service accounts; its certificate is its public half.
    pub service_account: Pair,
}

struct Authority {
    pair: Pair,
    issuer: Issuer<'static, KeyPair>,
}

impl Certs {
    /// Makes all of them, good for servers at this address.
    ///
    /// # Errors
    /// A file cannot be written.
    pub fn make(folder: &RunFolder, address: Ipv4Addr) -> Result<Self> {
        let names = [
            "localhost",
            "127.0.0.1",
            &address.to_string(),
            "kubernetes",
            "kubernetes.default.svc",
            "10.96.0.1",
        ]
        .map(str::to_owned);
        let ca = authority(folder, "ca", "kubernetes")?;
        let front_ca = authority(folder, "front-proxy-ca", "front-proxy-ca")?;
        let etcd_ca = authority(folder, "etcd/ca", "etcd-ca")?;
        let key = KeyPair::generate()?;
        let service_account = Pair {
            cert: folder.write("pki/sa.pub", key.public_key_pem())?,
            key: folder.write("pki/sa.key", key.serialize_pem())?,
        };
        Ok(Self {
            apiserver: leaf(folder, &ca, "apiserver", "kube-apiserver", &names)?,
            front: leaf(folder, &front_ca, "front-proxy-client", "front-proxy-client", &[])?,
            etcd: leaf(folder, &etcd_ca, "etcd/server", "etcd", &names)?,
            etcd_client: leaf(
                folder,
                &etcd_ca,
                "etcd/healthcheck-client",
                "kube-etcd-healthcheck-client",
                &[],
            )?,
            service_account,
            ca: ca.pair,
            front_ca: front_ca.pair,
            etcd_ca: etcd_ca.pair,
        })
    }
}

fn authority(folder: &RunFolder, file: &str, name: &str) -> Result<Authority> {
    let mut params = params(name, &[])?;
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages =
        vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::DigitalSignature, KeyUsagePurpose::CrlSign];
    let key = KeyPair::generate()?;
    let cert = params.self_signed(&key)?;
    let pair = write(folder, file, &cert.pem(), &key)?;
    Ok(Authority { pair, issuer: Issuer::new(params, key) })
}

fn leaf(folder: &RunFolder, authority: &Authority, file: &str, name: &str, names: &[String]) -> Result<Pair> {
    let mut params = params(name, names)?;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature, KeyUsagePurpose::KeyEncipherment];
    params.extended_key_usages =
        vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
    let key = KeyPair::generate()?;
    let cert = params.signed_by(&key, &authority.issuer)?;
    write(folder, file, &cert.pem(), &key)
}

fn params(name: &str, names: &[String]) -> Result<CertificateParams> {
    let mut params = CertificateParams::new(names)?;
    params.distinguished_name.push(DnType::CommonName, name);
    Ok(params)
}

fn write(folder: &RunFolder, file: &str, cert: &str, key: &KeyPair) -> Result<Pair> {
    Ok(Pair {
        cert: folder.write(&format!("pki/{file}.crt"), cert)?,
        key: folder.write(&format!("pki/{file}.key"), key.serialize_pem())?,
    })
}
