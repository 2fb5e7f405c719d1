//! The hop with TLS on its listener, against the bare proxy with tokio-rustls: one certificate, the same versions and
//! the same suites, as both take rustls' defaults on aws-lc-rs.

use anyhow::{Context as _, Result};
use rcgen::{CertifiedKey, generate_simple_self_signed};
use rustls::{
    ClientConfig, RootCertStore, ServerConfig,
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
};
use std::{path::Path, sync::Arc};
use tokio_rustls::{TlsAcceptor, TlsConnector};

use super::{Function, Hop, Small, bare, load::Door, round};
use crate::{
    Bench,
    report::{Bound, Figure, Report},
};

/// The figures with TLS begin so.
pub(super) const NAME: &str = "hop with TLS";
/// The certificate and its key, one after the other.
const FILE: &str = "hop.pem";
const SETTINGS: &str = "  tls:\n    certificate_file: hop.pem\n    key_file: hop.pem\n";

/// Small bodies, through both.
pub(super) async fn small(
    bench: &Bench,
    folder: &Path,
    function: &Function,
    report: &mut Report,
) -> Result<()> {
    let CertifiedKey { cert, signing_key } = generate_simple_self_signed(["localhost".to_owned()])?;
    let file = folder.join(FILE);
    std::fs::write(&file, cert.pem() + &signing_key.serialize_pem())?;
    let tls = Some(connector(cert.der())?);
    let secured = |address| Door { address, tls: tls.clone() };
    let mut numbers = [Small::default(), Small::default(), Small::default()];
    for _ in 0..bench.rounds {
        let (bare, bare_at) = bare::start_secured(function.address, &file)?;
        let hop = Hop::secured(bench, folder, function.address, SETTINGS).await?;
        let ways = [
            (function.address.into(), &function.process),
            (secured(bare_at), &bare),
            (secured(hop.address), &hop.process),
        ];
        round(&ways, &mut numbers).await?;
    }
    let [direct, theirs, ours] = numbers;
    let added = |p50: &[f64]| p50.iter().zip(&direct.p50_us).map(|(hop, direct)| hop - direct).collect();
    let figure = |name, unit, ours, baseline, bound| Figure { name, unit, ours, baseline, bound };
    let (ours_added, theirs_added) = (added(&ours.p50_us), added(&theirs.p50_us));
    let at_most = Bound::AtMost(1.2);
    report.figure(figure("hop with TLS, added p50", "us", ours_added, theirs_added, at_most));
    let name = "hop with TLS, CPU per request, 32 connections";
    report.figure(figure(name, "us", ours.cpu_us, theirs.cpu_us, Bound::AtMost(1.2)));
    let name = "hop with TLS, 32 connections";
    let (ours, theirs) = (ours.per_second, theirs.per_second);
    report.figure(figure(name, "requests/s", ours, theirs, Bound::AtLeast(1.0 / 1.2)));
    Ok(())
}

/// How the bare proxy speaks TLS.
pub(super) fn acceptor(file: &Path) -> Result<TlsAcceptor> {
    let certificate = CertificateDer::from_pem_file(file).context("the certificate")?;
    let key = PrivateKeyDer::from_pem_file(file).context("the key")?;
    let provider = Arc::new(aws_lc_rs::default_provider());
    let config = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
    let config = config.with_no_client_auth().with_single_cert(vec![certificate], key)?;
    Ok(Arc::new(config).into())
}

fn connector(certificate: &CertificateDer<'static>) -> Result<TlsConnector> {
    let mut roots = RootCertStore::empty();
    roots.add(certificate.clone())?;
    let provider = Arc::new(aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
    Ok(Arc::new(config.with_root_certificates(roots).with_no_client_auth()).into())
}
