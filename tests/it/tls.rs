//! TLS and proxies on loopback: what goes out connects to a server that the machine's roots vouch for, to no other one, and through
//! the proxy that the environment names. The certificates in `tls/` are made for this, and valid for a hundred years.

use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};

use crate::end_to_end::{JOB, message};
use crate::support::stage::{Ran, Stage};
use crate::support::webhook::Webhook;

/// A root that vouches for the server, and one that does not.
const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/tls/ca.pem");
const OTHER_ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/tls/other-ca.pem");

/// What takes connections, TLS and all, at an address of this machine; gives its port. Its certificate is for localhost and 127.0.0.1.
async fn tls<F>(
    address: &str,
    serve: impl Fn(tokio_rustls::server::TlsStream<TcpStream>) -> F + Send + Sync + 'static,
) -> u16
where
    F: Future<Output = ()> + Send + 'static,
{
    let certificate = CertificateDer::from_pem_slice(include_bytes!("tls/server.pem")).expect("a certificate");
    let key = PrivateKeyDer::from_pem_slice(include_bytes!("tls/key.pem")).expect("a key");
    let config =
        ServerConfig::builder().with_no_client_auth().with_single_cert(vec![certificate], key).expect("they fit");
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind((address, 0)).await.expect("a port");
    let port = listener.local_addr().expect("an address").port();
    let serve = Arc::new(serve);
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let (acceptor, serve) = (acceptor.clone(), Arc::clone(&serve));
            tokio::spawn(async move {
                // One that does not trust us goes away here.
                if let Ok(client) = acceptor.accept(client).await {
                    serve(client).await;
                }
            });
        }
    });
    port
}

/// The stage's sandbox behind TLS.
async fn sandbox(stage: &Stage, address: &str) -> u16 {
    let upstream = stage.sandbox.endpoint_url().trim_start_matches("http://").trim_end_matches('/').to_owned();
    tls(address, move |mut client| {
        let upstream = upstream.clone();
        async move {
            let mut server = TcpStream::connect(&upstream).await.expect("the sandbox");
            let _ = copy_bidirectional(&mut client, &mut server).await;
        }
    })
    .await
}

/// A proxy that makes tunnels, and notes where to.
async fn proxy() -> (u16, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = listener.local_addr().expect("an address").port();
    let tunnels = Arc::new(Mutex::new(Vec::new()));
    let noted = Arc::clone(&tunnels);
    tokio::spawn(async move {
        while let Ok((mut client, _)) = listener.accept().await {
            let noted = Arc::clone(&noted);
            tokio::spawn(async move {
                let mut head = Vec::new();
                while !head.ends_with(b"\r\n\r\n") {
                    head.push(client.read_u8().await.expect("a request"));
                }
                let head = String::from_utf8(head).expect("text");
                let target =
                    head.strip_prefix("CONNECT ").and_then(|rest| rest.split(' ').next()).expect("a tunnel").to_owned();
                let mut server = TcpStream::connect(&target).await.expect("the target");
                noted.lock().expect("not poisoned").push(target);
                client.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.expect("written");
                let _ = copy_bidirectional(&mut client, &mut server).await;
            });
        }
    });
    (port, tunnels)
}

async fn ready(job: &str) -> Stage {
    let stage = Stage::with_queues().await;
    stage.sandbox.seed("orders-dlq", (0..6).map(message)).expect("seeded");
    stage.file("job.toml", job);
    stage
}

async fn plan(stage: &Stage, endpoint: &str, environment: &[(&str, &str)]) -> Ran {
    let environment = [&[("AWS_ENDPOINT_URL", endpoint)], environment].concat();
    stage.redrive_with(&["plan", "job.toml", "--out", "plan.json"], &environment).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_a_root_vouches_for_is_talked_to() {
    let stage = ready(JOB).await;
    let endpoint = format!("https://localhost:{}", sandbox(&stage, "127.0.0.1").await);
    plan(&stage, &endpoint, &[("SSL_CERT_FILE", ROOT)]).await.expect(0);
    let environment = [("AWS_ENDPOINT_URL", endpoint.as_str()), ("SSL_CERT_FILE", ROOT)];
    stage.redrive_with(&["apply", "plan.json"], &environment).await.expect(0);
    assert!(stage.requests("DeleteMessageBatch") > 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_no_root_vouches_for_or_of_another_name_is_refused() {
    let stage = ready(JOB).await;
    for (address, host, root) in [("127.0.0.1", "localhost", OTHER_ROOT), ("127.0.0.2", "127.0.0.2", ROOT)] {
        let endpoint = format!("https://{host}:{}", sandbox(&stage, address).await);
        let refused = plan(&stage, &endpoint, &[("SSL_CERT_FILE", root)]).await.expect(1).stderr;
        assert!(refused.contains("certificate"), "{host}: {refused}");
        assert_eq!(stage.sqs_requests(), 0, "{host}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_proxy_of_the_environment_is_used_and_left_out_where_it_says_so() {
    let stage = ready(JOB).await;
    let target = format!("localhost:{}", sandbox(&stage, "127.0.0.1").await);
    let endpoint = format!("https://{target}");
    let (port, tunnels) = proxy().await;
    let url = format!("http://127.0.0.1:{port}");
    let proxied = [("SSL_CERT_FILE", ROOT), ("HTTPS_PROXY", url.as_str())];
    plan(&stage, &endpoint, &proxied).await.expect(0);
    let seen = std::mem::take(&mut *tunnels.lock().expect("not poisoned"));
    assert!(!seen.is_empty() && seen.iter().all(|one| *one == target), "{seen:?}");
    plan(&stage, &endpoint, &[&proxied[..], &[("NO_PROXY", "localhost")]].concat()).await.expect(0);
    assert!(tunnels.lock().expect("not poisoned").is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_webhook_is_reached_over_tls_and_through_the_proxy() {
    let stage = ready(&format!("{JOB}\n[notify]\nwebhook = \"env:HOOK\"\n")).await;
    let webhook = Webhook::new(0, &[]);
    let serving = webhook.clone();
    let port = tls("127.0.0.1", move |client| serving.clone().serve(client)).await;
    let (proxy_port, tunnels) = proxy().await;
    let (hook, url) = (format!("https://localhost:{port}/SECRET"), format!("http://127.0.0.1:{proxy_port}"));
    stage.redrive(&["plan", "job.toml", "--out", "plan.json"]).await.expect(0);
    let environment = [("HOOK", hook.as_str()), ("SSL_CERT_FILE", ROOT), ("HTTPS_PROXY", url.as_str())];
    let ran = stage.redrive_with(&["apply", "plan.json"], &environment).await.expect(0);
    assert_eq!(webhook.field("event"), ["started", "finished"], "{}", ran.stderr);
    assert_eq!(*tunnels.lock().expect("not poisoned"), [format!("localhost:{port}"), format!("localhost:{port}")]);
}
