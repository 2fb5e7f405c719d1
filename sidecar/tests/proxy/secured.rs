//! Both listeners with TLS before a function, and clients that share no code with them: curl and openssl.

use crate::{
    common::{Site, authority::Authority},
    rig::Through,
};
use outrigger_testkit::skip;
use std::{net::SocketAddr, process::Stdio};
use tokio::{io::AsyncWriteExt as _, process::Command};

/// A proxy and an ingress that speak TLS.
pub(crate) struct Secured {
    pub(crate) through: Through,
    pub(crate) authority: Authority,
}

/// An answer, as curl tells it.
#[derive(Debug)]
pub(crate) struct Told {
    pub(crate) status: u16,
    pub(crate) version: String,
    pub(crate) text: String,
}

/// An event's headers, as curl takes them.
pub(crate) const EVENT: [&str; 10] =
    ["-H", "ce-specversion: 1.0", "-H", "ce-id: 1", "-H", "ce-source: /curl", "-H", "ce-type: t", "-d", "{}"];

/// Whether curl and openssl are there; else `test` counts as skipped.
pub(crate) fn has_tools(test: &str) -> bool {
    ["curl", "openssl"].iter().all(|tool| {
        let mut command = std::process::Command::new(tool);
        let found = command.arg("version").stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok();
        if !found {
            skip(test, &format!("{tool} is absent"));
        }
        found
    })
}

impl Secured {
    /// Starts it; `change` adds to the configuration, and issues certificates of clients.
    pub(crate) async fn start(change: impl FnOnce(Site, &Authority) -> Site) -> Self {
        let mut made = None;
        let through = Through::with(|site| {
            let authority = Authority::of(&site);
            authority.issue(&site, "server", |_| {});
            let site = with_tls(with_tls(site, "proxy"), "ingress.http");
            let site = change(site, &authority);
            made = Some(authority);
            site
        })
        .await;
        Self { through, authority: made.expect("the site was changed") }
    }

    /// Asks the proxy for `path`, as it is written.
    pub(crate) async fn curl(&self, path: &str, arguments: &[&str]) -> Result<Told, String> {
        self.curl_at(self.through.proxy, path, arguments).await
    }

    /// The same of any listener; what curl says when there is no answer.
    pub(crate) async fn curl_at(
        &self,
        at: SocketAddr,
        path: &str,
        arguments: &[&str],
    ) -> Result<Told, String> {
        let output = self.command(at, path, arguments).output().await.expect("curl runs");
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let said = || format!("{text} {}", String::from_utf8_lossy(&output.stderr));
        let (text, told) = text.rsplit_once('\n').ok_or_else(said)?;
        let (status, version) = told.split_once(' ').ok_or_else(said)?;
        match status.parse() {
            Ok(0) | Err(_) => Err(said()),
            Ok(_) if !output.status.success() => Err(said()),
            Ok(status) => Ok(Told { status, version: version.to_owned(), text: text.to_owned() }),
        }
    }

    /// curl, not started yet.
    pub(crate) fn command(&self, at: SocketAddr, path: &str, arguments: &[&str]) -> Command {
        let mut command = Command::new("curl");
        command.args(["-sS", "--noproxy", "*", "--path-as-is", "--max-time", "30", "--cacert"]);
        command.arg(self.through.site.path("ca.pem")).args(["-w", "\n%{http_code} %{http_version}"]);
        command.args(arguments).arg(format!("https://localhost:{}{path}", at.port()));
        command.kill_on_drop(true).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    /// Arguments by which curl or openssl shows the certificate `name`.
    pub(crate) fn shows(&self, name: &str) -> [String; 4] {
        let file = |end: &str| self.through.site.path(&format!("{name}.{end}")).to_str().unwrap().to_owned();
        ["--cert".to_owned(), file("pem"), "--key".to_owned(), file("key")]
    }

    /// Writes `bytes` to the proxy within TLS, by openssl, and reads until it closes.
    pub(crate) async fn raw(&self, bytes: &[u8], arguments: &[&str]) -> String {
        let mut command = Command::new("openssl");
        command.args(["s_client", "-quiet", "-connect", &self.through.proxy.to_string(), "-CAfile"]);
        command.arg(self.through.site.path("ca.pem")).args(["-servername", "localhost"]).args(arguments);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).kill_on_drop(true);
        let mut child = command.spawn().expect("openssl runs");
        let mut stdin = child.stdin.take().expect("it is piped");
        let _ = stdin.write_all(bytes).await; // it may have been turned away already
        let ended =
            tokio::time::timeout(outrigger_testkit::process::WAIT_MAX, child.wait_with_output()).await;
        drop(stdin); // only now: at its end openssl goes away before the answer
        let output = ended.expect("the connection is closed").expect("openssl ends");
        String::from_utf8_lossy(&output.stdout).into_owned()
    }
}

fn with_tls(site: Site, listener: &str) -> Site {
    let (certificate, key) = (site.path("server.pem"), site.path("server.key"));
    let site = site.set(&format!("{listener}.tls.certificate_file"), certificate.to_str().unwrap());
    site.set(&format!("{listener}.tls.key_file"), key.to_str().unwrap())
}
