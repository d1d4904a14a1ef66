//! The independent servers. Tests that run unchanged against them show that redrive does not only agree with its own
//! sandbox. `./test` installs them into `.venv`; here each is started once, when the first test asks for it, on a free
//! loopback port. They end with this process, however it ends: their starter reads a pipe that only this process holds.

use std::io::{BufRead as _, BufReader, Read as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{OnceLock, mpsc};
use std::thread;
use std::time::Duration;

/// Where the servers are installed (`./test` sets it), or `off`.
const VARIABLE: &str = "REDRIVE_JUDGES";

/// Longer than the starter itself waits.
const READY_WITHIN: Duration = Duration::from_mins(2);

/// An independent server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Judge {
    Ministack,
    LocalStack,
    /// From npm, for message move tasks only: not on machines without node and npm.
    LocalAwsSqs,
}

struct Server {
    endpoint: String,
    /// Its closing ends the server.
    _lifeline: ChildStdin,
    _starter: Child,
}

/// Where `./test` installs what is not ours; `None` where the tests that need it are left out on purpose.
pub(crate) fn installed() -> Option<PathBuf> {
    let place = std::env::var_os(VARIABLE);
    if place.as_ref().is_some_and(|place| place == "off") {
        return None;
    }
    Some(place.map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join(".venv"), PathBuf::from))
}

/// What to say where something is missing.
pub(crate) fn not_installed(name: &str, place: &Path) -> String {
    format!(
        "{name} is not installed in {}. `./test` installs it and runs all tests; {VARIABLE}=off leaves out the tests that \
         need it",
        place.display()
    )
}

impl Judge {
    /// The endpoint of the server, which is started where it does not run yet; `None` where the tests against the
    /// independent servers are left out on purpose, or `./test` left this one out and said so.
    pub(crate) fn endpoint(self) -> Option<&'static str> {
        static MINISTACK: OnceLock<Result<Server, String>> = OnceLock::new();
        static LOCALSTACK: OnceLock<Result<Server, String>> = OnceLock::new();
        static LOCAL_AWS_SQS: OnceLock<Result<Server, String>> = OnceLock::new();
        let place = installed()?;
        if place.join(self.name()).join("left-out").exists() {
            return None;
        }
        let server = match self {
            Self::Ministack => &MINISTACK,
            Self::LocalStack => &LOCALSTACK,
            Self::LocalAwsSqs => &LOCAL_AWS_SQS,
        };
        // A failure is kept as well: every test says it at once, instead of each waiting for it anew.
        match server.get_or_init(|| self.start(&place)) {
            Ok(server) => Some(&server.endpoint),
            Err(error) => panic!("{error}"),
        }
    }

    /// Whether it hands a message's `AWSTraceHeader` out again.
    pub(crate) fn keeps_trace_headers(self) -> bool {
        self != Self::Ministack
    }

    /// Whether it knows `ListDeadLetterSourceQueues`.
    pub(crate) fn lists_dead_letter_sources(self) -> bool {
        self != Self::Ministack
    }

    fn name(self) -> &'static str {
        match self {
            Self::Ministack => "ministack",
            Self::LocalStack => "localstack",
            Self::LocalAwsSqs => "local-aws-sqs",
        }
    }

    fn start(self, place: &Path) -> Result<Server, String> {
        let name = self.name();
        // What runs on node is started by a python all the same.
        let (python, needed) = match self {
            Self::LocalAwsSqs => ("ministack/bin/python", "local-aws-sqs/node_modules/local-aws-sqs"),
            Self::Ministack => ("ministack/bin/python", "ministack/bin/python"),
            Self::LocalStack => ("localstack/bin/python", "localstack/bin/python"),
        };
        let python = place.join(python);
        if !python.exists() || !place.join(needed).exists() {
            return Err(not_installed(name, place));
        }
        let mut starter = Command::new(&python)
            .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/judges/serve.py"))
            .arg(name)
            .arg(Path::new(env!("CARGO_TARGET_TMPDIR")).join("judges"))
            .arg(place.join(name))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|error| format!("{} does not start: {error}", python.display()))?;
        let (Some(lifeline), Some(stdout), Some(mut stderr)) =
            (starter.stdin.take(), starter.stdout.take(), starter.stderr.take())
        else {
            return Err("a pipe to the starter is missing".to_owned());
        };
        let (tell, told) = mpsc::channel();
        thread::spawn(move || {
            let mut line = String::new();
            let read = BufReader::new(stdout).read_line(&mut line);
            let _ = tell.send(read.map(|_| line));
        });
        match told.recv_timeout(READY_WITHIN) {
            Ok(Ok(line)) if line.starts_with("ready ") => {
                let endpoint = line["ready ".len()..].trim().to_owned();
                Ok(Server { endpoint, _lifeline: lifeline, _starter: starter })
            }
            Ok(_) => {
                // It has ended, and said why.
                let mut why = String::new();
                let _ = stderr.read_to_string(&mut why);
                Err(format!("{name} did not start: {why}"))
            }
            Err(_) => Err(format!("{name} was not ready within {} s", READY_WITHIN.as_secs())),
        }
    }
}
