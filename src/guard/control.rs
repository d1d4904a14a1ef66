//! A person's word to a run that is under way: a Unix socket beside the journal, for its owner alone. One request is one line of
//! JSON, and so is the answer. By way of a journal on a server come the same requests and go the same answers.
//!
//! Who may use the socket is decided twice: by its mode, and by the identity that the kernel names for whoever is at the other
//! end. What a request asks for is carried out elsewhere.

use std::fs;
use std::io;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::timeout;

/// Bytes of a request or an answer.
const MOST_BYTES: u64 = 4096;

/// How long the other end may take for a line, or for an answer.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// What somebody wants a run to do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Request {
    /// The run that it is for.
    pub run: String,
    /// What it is to do.
    pub order: Order,
    /// Who wants it, as far as the environment says.
    pub who: String,
    /// Why.
    pub reason: Option<String>,
}

/// What a run can be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Order {
    /// Receive and send nothing until further notice.
    Pause,
    /// Go on.
    Resume,
    /// Send no more than so many messages a second.
    Rate(u32),
    /// Stop in order, resumably.
    Stop,
}

/// What became of a request.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Reply {
    done: bool,
    words: String,
}

/// A request, and where its answer goes: words, or why it was not carried out.
pub type Waiting = (Request, oneshot::Sender<Result<String, String>>);

/// The socket of the process that is at work with a journal.
pub fn socket_of(journal: &Path) -> PathBuf {
    let mut name = journal.as_os_str().to_owned();
    name.push(".sock");
    PathBuf::from(name)
}

/// Listens for requests until it is dropped, which takes the socket away.
#[derive(Debug)]
pub struct Listener {
    path: PathBuf,
    listening: JoinHandle<()>,
}

impl Listener {
    /// Makes the socket. Only one process works with a journal, so that one that is there already is nobody's any more; what is
    /// no socket is left alone.
    pub fn new(path: &Path, requests: mpsc::Sender<Waiting>) -> io::Result<Self> {
        match fs::symlink_metadata(path) {
            Ok(found) if found.file_type().is_socket() => fs::remove_file(path)?,
            Ok(_) => return Err(io::Error::new(io::ErrorKind::AlreadyExists, "something that is no socket is there")),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
        let listener = UnixListener::bind(path)?;
        fs::set_permissions(path, fs::Permissions::from_mode(0o600))?;
        let owner = fs::symlink_metadata(path)?.uid();
        let listening = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let is_owner = stream.peer_cred().is_ok_and(|peer| peer.uid() == owner || peer.uid() == 0);
                if is_owner {
                    tokio::spawn(serve(stream, requests.clone()));
                }
            }
        });
        Ok(Self { path: path.to_owned(), listening })
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.listening.abort();
        // The next process takes it away if this does not.
        let _ = fs::remove_file(&self.path);
    }
}

/// Takes one request and answers it.
async fn serve(mut stream: UnixStream, requests: mpsc::Sender<Waiting>) {
    let Ok(Ok(line)) = timeout(PATIENCE, read_line(&mut stream)).await else { return };
    let reply = answer(&line, &requests).await;
    // Whoever asked may be gone; what was asked for is done all the same, and noted.
    let _ = timeout(PATIENCE, stream.write_all(format!("{reply}\n").as_bytes())).await;
}

/// Has a request in JSON carried out; gives the answer in JSON.
pub async fn answer(request: &str, requests: &mpsc::Sender<Waiting>) -> String {
    let outcome = match serde_json::from_str::<Request>(request) {
        Err(error) => Err(format!("not a request: {error}")),
        Ok(request) => {
            let (answer, answered) = oneshot::channel();
            let gone = || "the run is about to end".to_owned();
            match requests.send((request, answer)).await {
                Ok(()) => answered.await.unwrap_or_else(|_| Err(gone())),
                Err(_) => Err(gone()),
            }
        }
    };
    let (done, words) = (outcome.is_ok(), outcome.unwrap_or_else(|words| words));
    serde_json::json!(Reply { done, words }).to_string()
}

/// What an answer in JSON says.
pub fn understand(reply: &str) -> Result<String, Unheard> {
    match serde_json::from_str(reply) {
        Ok(Reply { done: true, words }) => Ok(words),
        Ok(Reply { done: false, words }) => Err(Unheard::Refused(words)),
        Err(error) => Err(Unheard::Nobody(error.into())),
    }
}

async fn read_line(stream: &mut UnixStream) -> io::Result<String> {
    let mut line = String::new();
    BufReader::new(stream.take(MOST_BYTES)).read_line(&mut line).await?;
    Ok(line)
}

/// Why a request was not carried out.
#[derive(Debug)]
pub enum Unheard {
    /// Nobody listens.
    Nobody(io::Error),
    /// The run said no, in words.
    Refused(String),
}

/// Sends a request to the process at work with a journal; gives its answer in words.
pub async fn request(socket: &Path, request: &Request) -> Result<String, Unheard> {
    let asked = async {
        let mut stream = UnixStream::connect(socket).await?;
        let line = serde_json::to_string(request)?;
        stream.write_all(format!("{line}\n").as_bytes()).await?;
        read_line(&mut stream).await
    };
    match timeout(PATIENCE, asked).await {
        Ok(Ok(reply)) => understand(&reply),
        Ok(Err(error)) => Err(Unheard::Nobody(error)),
        Err(_) => Err(Unheard::Nobody(io::ErrorKind::TimedOut.into())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_request_is_answered_and_the_socket_goes_with_its_listener() {
        let directory = tempfile::tempdir().expect("a directory");
        let socket = socket_of(&directory.path().join("journal.db"));
        let (requests, mut asked) = mpsc::channel(1);
        let listener = Listener::new(&socket, requests).expect("listening");
        assert_eq!(fs::metadata(&socket).expect("there").permissions().mode() & 0o777, 0o600);
        let answering = tokio::spawn(async move {
            let (request, answer): Waiting = asked.recv().await.expect("a request");
            answer.send(Ok("paused".to_owned())).expect("it waits");
            let (_, answer): Waiting = asked.recv().await.expect("another");
            answer.send(Err("no".to_owned())).expect("it waits");
            request
        });
        let (run, who) = ("r".to_owned(), "alice".to_owned());
        let asked = Request { run, order: Order::Rate(50), who, reason: None };
        assert_eq!(request(&socket, &asked).await.expect("an answer"), "paused");
        assert!(matches!(request(&socket, &asked).await, Err(Unheard::Refused(why)) if why == "no"));
        assert_eq!(answering.await.expect("ended"), asked);
        drop(listener);
        assert!(!socket.exists());
        assert!(matches!(request(&socket, &asked).await, Err(Unheard::Nobody(_))));
    }

    #[tokio::test]
    async fn a_left_over_socket_is_replaced_and_any_other_file_is_left_alone() {
        let directory = tempfile::tempdir().expect("a directory");
        let socket = directory.path().join("s");
        drop(std::os::unix::net::UnixListener::bind(&socket).expect("bound"));
        assert!(socket.exists(), "as a killed process leaves it");
        drop(Listener::new(&socket, mpsc::channel(1).0).expect("listening"));
        fs::write(&socket, "precious").expect("written");
        assert!(Listener::new(&socket, mpsc::channel(1).0).is_err());
        assert_eq!(fs::read_to_string(&socket).expect("there"), "precious");
    }
}
