//! Servers that are reached by TLS, with credentials in their URLs.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, LazyLock};

use tempfile::TempDir;
use testing::servers::{self, NATS, Program, REDIS, Server};
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};

use crate::services;
use crate::spread::Process;

const PASSWORD: &str = "hunter2-of-nobody-else";

/// A certificate for this machine that nobody has signed, and its key.
static CERTIFICATE: LazyLock<Certificate> = LazyLock::new(Certificate::generate);

/// NATS takes up TLS in the middle of a conversation, so it has to do that itself.
const NATS_BY_TLS: Program = Program {
    arguments: |port, directory| {
        let mut arguments = (NATS.arguments)(port, directory);
        arguments.extend(["--user", "ann", "--pass", PASSWORD, "--tls", "--tlscert"].map(Into::into));
        arguments.extend([CERTIFICATE.file("cert.pem").into(), "--tlskey".into(), CERTIFICATE.file("key.pem").into()]);
        arguments
    },
    ..NATS
};

const REDIS_WITH_PASSWORD: Program = Program {
    arguments: |port, directory| {
        let mut arguments = (REDIS.arguments)(port, directory);
        arguments.extend(["--requirepass", PASSWORD].map(Into::into));
        arguments
    },
    answer: b"-NOAUT",
    ..REDIS
};

#[tokio::test]
async fn services_reach_their_servers_by_tls_and_only_those_they_can_trust() {
    let (Some(nats), Some(redis)) = (Server::start(NATS_BY_TLS).await, Server::start(REDIS_WITH_PASSWORD).await) else {
        return;
    };
    let Some(mongo) = Server::start(servers::mongo()).await else { return };
    let (mongo_by_tls, redis_by_tls) = (by_tls(mongo.port()).await, by_tls(redis.port()).await);
    let authority = CERTIFICATE.file("cert.pem");

    let nats = format!("tls://ann:{PASSWORD}@127.0.0.1:{}", nats.port());
    let mongo = format!("mongodb://127.0.0.1:{mongo_by_tls}/orders?tls=true");
    let trusted = format!("{mongo}&tlsCAFile={}", authority.display());
    let redis = format!("rediss://:{PASSWORD}@127.0.0.1:{redis_by_tls}");
    let service = |name, variables: &[(&str, &str)]| {
        let mut command = services::command(name);
        command.envs([("ADMIN_PORT", "0"), ("RUST_LOG", "warn,common::spread=info"), ("NATS_URL", &nats)]);
        command.envs(variables.iter().copied());
        command
    };
    let orders =
        |uri: &str| service("orders", &[("MONGO_URI", uri), ("PORT", "0"), ("JWT_KEY", "the key of this test")]);
    let expiration = || service("expiration", &[("REDIS_HOST", &redis)]);
    let trusting = |mut command: Command| {
        command.env("SSL_CERT_FILE", &authority);
        Process::start(&mut command)
    };
    for mut process in [trusting(orders(&trusted)), trusting(expiration())] {
        process.ready().await;
    }
    let strangers =
        [(trusting(orders(&mongo)), "waiting for MongoDB"), (Process::start(&mut expiration()), "waiting for NATS")];
    for (process, line) in strangers {
        process.said(|said| said.contains(line).then_some(())).await;
        assert!(!process.output.text().contains(PASSWORD), "{}", process.output.text());
    }
}

/// Opens a way to the server at this port that is entered by TLS; returns its port.
async fn by_tls(server: u16) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let acceptor = CERTIFICATE.acceptor();
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                // Who does not trust us goes away.
                let Ok(mut client) = acceptor.accept(client).await else { return };
                let mut server = TcpStream::connect(("127.0.0.1", server)).await.unwrap();
                let _ended = copy_bidirectional(&mut client, &mut server).await;
            });
        }
    });
    port
}

struct Certificate(TempDir);

impl Certificate {
    fn generate() -> Self {
        let directory = TempDir::new().unwrap();
        let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
        std::fs::write(directory.path().join("cert.pem"), made.cert.pem()).unwrap();
        std::fs::write(directory.path().join("key.pem"), made.signing_key.serialize_pem()).unwrap();
        Self(directory)
    }

    fn file(&self, name: &str) -> PathBuf {
        Path::join(self.0.path(), name)
    }

    fn acceptor(&self) -> TlsAcceptor {
        let _already_installed = rustls::crypto::ring::default_provider().install_default();
        let certificate = CertificateDer::from_pem_file(self.file("cert.pem")).unwrap();
        let key = PrivateKeyDer::from_pem_file(self.file("key.pem")).unwrap();
        let config = ServerConfig::builder().with_no_client_auth().with_single_cert(vec![certificate], key).unwrap();
        TlsAcceptor::from(Arc::new(config))
    }
}
