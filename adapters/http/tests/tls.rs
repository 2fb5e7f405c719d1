//! A function behind TLS: believed only with the right certificate, and otherwise an outage, never a lost event.

mod common;

use std::{net::SocketAddr, path::Path, sync::Arc, time::Duration};

use common::{event, one};
use outrigger_core::Kind;
use outrigger_function::{Function, Program};
use outrigger_http::{Client, Config, FunctionCall};
use outrigger_net::tls::{Authorities, ClientSettings, ClientTls, Version};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, KeyUsagePurpose};
use rustls::{ServerConfig, pki_types::PrivatePkcs8KeyDer};
use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
};
use tokio_rustls::TlsAcceptor;

/// TLS before a function, by a certificate for `name`; the authority is in the folder's `ca.pem`.
async fn before(function: &Function, folder: &Path, name: &str) -> SocketAddr {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    params.distinguished_name.push(DnType::CommonName, "authority");
    let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    std::fs::write(folder.join("ca.pem"), authority.pem()).unwrap();
    let key = KeyPair::generate().unwrap();
    let certificate =
        CertificateParams::new(vec![name.to_owned()]).unwrap().signed_by(&key, &authority).unwrap();
    let provider = rustls::crypto::aws_lc_rs::default_provider();
    let config = ServerConfig::builder_with_provider(provider.into())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(
            vec![certificate.der().clone()],
            PrivatePkcs8KeyDer::from(key.serialize_der()).into(),
        )
        .unwrap();
    let (acceptor, listener) =
        (TlsAcceptor::from(Arc::new(config)), TcpListener::bind("127.0.0.1:0").await.unwrap());
    let (address, to) = (listener.local_addr().unwrap(), function.addr());
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                let Ok(mut client) = acceptor.accept(stream).await else { return };
                let mut function = TcpStream::connect(to).await.unwrap();
                let _ = copy_bidirectional(&mut client, &mut function).await;
            });
        }
    });
    address
}

fn call(url: &str, ca: Option<&Path>) -> FunctionCall {
    let config =
        Config { connect_timeout: Duration::from_secs(10), ..Config::new(url.parse().unwrap()).unwrap() };
    let client = Client::new(&config);
    let client = match ca {
        Some(ca) => client.secured(Arc::new(
            ClientTls::open(ClientSettings {
                section: "function.tls".to_owned(),
                authorities: Authorities::File(ca.to_owned()),
                pair: None,
                version_min: Version::default(),
            })
            .unwrap(),
        )),
        None => client,
    };
    FunctionCall::new(&config, Arc::new(client))
}

#[tokio::test]
async fn events_go_over_tls_and_connections_are_kept() {
    let (folder, function) = (tempfile::tempdir().unwrap(), Function::start(Program::default()));
    let address = before(&function, folder.path(), "localhost").await;
    let call = call(&format!("https://localhost:{}/", address.port()), Some(&folder.path().join("ca.pem")));
    for _ in 0..3 {
        one(&call, &event("1")).await.unwrap();
    }
    assert_eq!((function.stats().received, function.stats().connections), (3, 1));
}

#[tokio::test]
async fn a_function_that_is_not_believed_is_down_and_has_seen_nothing() {
    let (folder, function) = (tempfile::tempdir().unwrap(), Function::start(Program::default()));
    let address = before(&function, folder.path(), "elsewhere.example").await;
    let ca = folder.path().join("ca.pem");
    let url = format!("https://localhost:{}/", address.port());
    let wrong_name = one(&call(&url, Some(&ca)), &event("1")).await.unwrap_err();
    assert_eq!(
        (wrong_name.kind(), wrong_name.sent()),
        (Kind::Unreachable, false),
        "no attempt: {wrong_name}"
    );
    assert!(wrong_name.message().contains("its certificate is for another name"), "{wrong_name}");
    let plain =
        one(&call(&format!("https://{}/", function.addr()), Some(&ca)), &event("1")).await.unwrap_err();
    assert_eq!(plain.kind(), Kind::Unreachable);
    assert!(plain.message().contains("it does not speak TLS"), "{plain}");
    let unset = one(&call(&url, None), &event("1")).await.unwrap_err();
    assert!(unset.message().contains("no TLS was set up"), "{unset}");
    assert_eq!(function.stats().received, 0);
}
