//! Servers with TLS and passwords.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, LazyLock};

use tempfile::TempDir;
use testing::servers::{self, NATS, Program, REDIS, Server};
use testing::system::{Addresses, Process};
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};

use crate::binaries::binaries;

const PASSWORD: &str = "hunter2-of-nobody-else";

/// A self-signed certificate for 127.0.0.1.
static CERTIFICATE: LazyLock<Certificate> = LazyLock::new(Certificate::generate);

/// A NATS connection starts in plain text and then upgrades to TLS, so the server itself has to do it.
const NATS_WITH_TLS: Program = Program {
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
async fn services_connect_with_tls_only_to_servers_they_trust() {
    let (Some(nats), Some(redis)) = (Server::start(NATS_WITH_TLS).await, Server::start(REDIS_WITH_PASSWORD).await)
    else {
        return;
    };
    let Some(mongo) = Server::start(servers::mongo()).await else { return };
    let (mongo_tls, redis_tls) = (tls_proxy(mongo.port()).await, tls_proxy(redis.port()).await);
    let authority = CERTIFICATE.file("cert.pem");

    let nats = format!("tls://ann:{PASSWORD}@127.0.0.1:{}", nats.port());
    let mongo = format!("mongodb://127.0.0.1:{mongo_tls}/orders?tls=true");
    let trusted = format!("{mongo}&tlsCAFile={}", authority.display());
    let redis = format!("rediss://:{PASSWORD}@127.0.0.1:{redis_tls}");
    let service = |name, variables: &[(&str, &str)]| {
        let mut command = binaries().command(name);
        command.envs([("ADMIN_PORT", "0"), ("RUST_LOG", "warn,engines::standalone=info"), ("NATS_URL", &nats)]);
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
    for process in [trusting(orders(&trusted)), trusting(expiration())] {
        process.wait_for_output(Addresses::from_log).await;
    }
    let untrusted = [(trusting(orders(&mongo)), "MongoDB"), (Process::start(&mut expiration()), "NATS")];
    for (process, server) in untrusted {
        let not_ready = |line: &str| line.contains("server not ready, will retry") && line.contains(server);
        process.wait_for_line(not_ready).await;
        assert!(!process.output().contains(PASSWORD), "{}", process.output());
    }
}

/// Starts a proxy that adds TLS to the server on this port. Returns the proxy's port.
async fn tls_proxy(server: u16) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let acceptor = CERTIFICATE.acceptor();
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                // Fails if the client does not trust the certificate.
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
        let generated = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
        std::fs::write(directory.path().join("cert.pem"), generated.cert.pem()).unwrap();
        std::fs::write(directory.path().join("key.pem"), generated.signing_key.serialize_pem()).unwrap();
        Self(directory)
    }

    fn file(&self, name: &str) -> PathBuf {
        Path::join(self.0.path(), name)
    }

    fn acceptor(&self) -> TlsAcceptor {
        let _already_installed = tokio_rustls::rustls::crypto::ring::default_provider().install_default();
        let certificate = CertificateDer::from_pem_file(self.file("cert.pem")).unwrap();
        let key = PrivateKeyDer::from_pem_file(self.file("key.pem")).unwrap();
        let config = ServerConfig::builder().with_no_client_auth().with_single_cert(vec![certificate], key).unwrap();
        TlsAcceptor::from(Arc::new(config))
    }
}
