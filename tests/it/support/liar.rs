//! A server that passes everything on to a sandbox, but answers one action itself.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};

/// Passes everything on to `endpoint`, but answers calls of `action` with this JSON, from the one after the first `honest` ones
/// on; gives its own endpoint. It ends with the test's runtime.
pub(crate) async fn liar(endpoint: &str, action: &str, honest: usize, json: &str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let here = format!("http://{}", listener.local_addr().expect("an address"));
    let upstream = endpoint.trim_start_matches("http://").trim_end_matches('/').to_owned();
    let target = format!("x-amz-target: amazonsqs.{}\r\n", action.to_lowercase());
    let lie = format!(
        "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Type: application/x-amz-json-1.0\r\nContent-Length: {}\r\n\r\n{json}",
        json.len()
    );
    let calls = Arc::new(AtomicUsize::new(0));
    tokio::spawn(async move {
        while let Ok((mut client, _)) = listener.accept().await {
            let (upstream, target, lie, calls) = (upstream.clone(), target.clone(), lie.clone(), Arc::clone(&calls));
            tokio::spawn(async move {
                let Some(head) = head(&mut client).await else { return };
                let text = String::from_utf8_lossy(&head).to_lowercase();
                if text.contains(&target) && calls.fetch_add(1, Ordering::Relaxed) >= honest {
                    let _ = client.write_all(lie.as_bytes()).await;
                    // What is still on its way must not be answered with a reset, which could overtake the answer.
                    let _ = client.shutdown().await;
                    let _ = tokio::io::copy(&mut client, &mut tokio::io::sink()).await;
                    return;
                }
                // One request a connection, so that each is looked at.
                let Ok(mut server) = TcpStream::connect(&upstream).await else { return };
                let first_line = head.iter().position(|byte| *byte == b'\n').map_or(0, |end| end + 1);
                for part in [&head[..first_line], b"Connection: close\r\n", &head[first_line..]] {
                    if server.write_all(part).await.is_err() {
                        return;
                    }
                }
                let _ = copy_bidirectional(&mut client, &mut server).await;
            });
        }
    });
    here
}

/// A request's head, and what came with it.
async fn head(client: &mut TcpStream) -> Option<Vec<u8>> {
    let mut head = Vec::new();
    while !head.windows(4).any(|four| four == b"\r\n\r\n") {
        let mut part = [0; 4096];
        let read = client.read(&mut part).await.ok().filter(|read| *read > 0)?;
        head.extend_from_slice(&part[..read]);
    }
    Some(head)
}
