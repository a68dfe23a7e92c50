//! A nats-server of one's own, for tests: the feature `testing`.
//!
//! Every failure panics: a test without its server must not pass.

pub use async_nats::HeaderMap;
pub use async_nats::jetstream::consumer::pull::Config;
pub use async_nats::jetstream::stream::{Config as StreamConfig, Stream};

use std::io::{BufRead, BufReader};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// How long a server may take to answer.
const START_WAIT: Duration = Duration::from_secs(20);

/// How often it is asked.
const START_POLL: Duration = Duration::from_millis(10);

/// How many ports are tried.
const MAX_ATTEMPTS: usize = 5;

/// A running nats-server with JetStream on a free port, its store in a folder of its own.
///
/// It is killed when this value is dropped.
pub struct NatsServer {
    process: Option<Child>,
    folder: TempDir,
    port: u16,
}

impl NatsServer {
    /// Starts a server that lets everybody in.
    ///
    /// # Panics
    /// If nats-server is missing or does not come up.
    pub fn start() -> NatsServer {
        NatsServer::start_with("")
    }

    /// Starts a server with more lines in its configuration.
    ///
    /// # Panics
    /// If nats-server is missing or does not come up.
    pub fn start_with(configuration: &str) -> NatsServer {
        for _ in 0..MAX_ATTEMPTS {
            let folder = tempfile::tempdir().expect("a temporary folder can be made");
            let mut server = NatsServer { process: None, folder, port: free_port() };
            server.configure(configuration);
            if server.try_resume() {
                return server;
            }
        }
        panic!("nats-server exits at once with this configuration: {configuration}");
    }

    /// Where it listens.
    pub fn url(&self) -> String {
        format!("nats://127.0.0.1:{}", self.port)
    }

    /// Where it keeps its streams and their consumers.
    pub fn store(&self) -> &Path {
        self.folder.path()
    }

    /// Kills the server without warning; its store stays.
    pub fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.kill().expect("a child can be killed");
            process.wait().expect("a killed child ends");
        }
    }

    /// A copy of what a killed server keeps.
    ///
    /// # Panics
    /// If it runs, or cannot be copied.
    pub fn backup(&self) -> TempDir {
        assert!(self.process.is_none(), "a store at rest");
        let copy = tempfile::tempdir().expect("a temporary folder can be made");
        replace(self.store(), copy.path());
        copy
    }

    /// Brings a killed server back to what it kept then.
    ///
    /// # Panics
    /// If it runs, or cannot be copied.
    pub fn bring_back(&self, backup: &TempDir) {
        assert!(self.process.is_none(), "a store at rest");
        replace(backup.path(), self.store());
    }

    /// Brings one stream of a killed server back to what it was then, and leaves the others as they are.
    ///
    /// # Panics
    /// If it runs, or cannot be copied.
    pub fn bring_back_one(&self, backup: &TempDir, stream: &str) {
        assert!(self.process.is_none(), "a store at rest");
        let of = |folder: &Path| folder.join("jetstream/$G/streams").join(stream);
        copy(&of(backup.path()), &of(self.store()));
    }

    /// Gives a running server other lines in its configuration, which it takes in without a restart.
    ///
    /// # Panics
    /// If it does not run.
    pub fn reconfigure(&self, configuration: &str) {
        self.configure(configuration);
        let process = self.process.as_ref().expect("a server that runs");
        let told = Command::new("kill").args(["-HUP", &process.id().to_string()]).status();
        assert!(told.expect("kill can be run").success(), "the server runs");
    }

    /// Writes its configuration, with these lines in it.
    fn configure(&self, configuration: &str) {
        let (port, store) = (self.port, self.folder.path().display());
        let text = format!(
            "listen: \"127.0.0.1:{port}\"\njetstream {{ store_dir: \"{store}\" }}\n\
             {configuration}\n"
        );
        std::fs::write(self.configuration_path(), text).expect("the configuration can be written");
    }

    /// Starts a killed server again: same port, same store.
    ///
    /// # Panics
    /// If it does not come up.
    pub fn resume(&mut self) {
        assert!(self.try_resume(), "nats-server did not come up again");
    }

    /// Starts the process; false if it ends at once, as it does when the port is taken.
    fn try_resume(&mut self) -> bool {
        assert!(self.process.is_none(), "one process per server");
        let child = Command::new("nats-server")
            .arg("-c")
            .arg(self.configuration_path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("nats-server must be installed (Debian package nats-server)");
        let child = self.process.insert(child);
        let since = Instant::now();
        while since.elapsed() < START_WAIT {
            if child.try_wait().expect("a child can be asked").is_some() {
                self.process = None;
                return false;
            }
            if answers(self.port) {
                return true;
            }
            std::thread::sleep(START_POLL);
        }
        panic!("nats-server did not answer on port {} within {START_WAIT:?}", self.port);
    }

    /// Its configuration.
    fn configuration_path(&self) -> PathBuf {
        self.folder.path().join("server.conf")
    }
}

impl Drop for NatsServer {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Makes the streams of one folder those of another.
fn replace(from: &Path, to: &Path) {
    copy(&from.join("jetstream"), &to.join("jetstream"));
}

/// Makes one folder a copy of another.
fn copy(from: &Path, to: &Path) {
    if to.exists() {
        std::fs::remove_dir_all(to).expect("a folder can be removed");
    }
    let copied = Command::new("cp").arg("-a").args([from, to]).status();
    assert!(copied.expect("cp can be run").success(), "streams can be copied");
}

/// A port of this machine that nobody listened at a moment ago.
///
/// # Panics
/// If there is none.
pub fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
    listener.local_addr().expect("a bound socket has an address").port()
}

/// Whether a server with JetStream greets on the port.
fn answers(port: u16) -> bool {
    let Ok(stream) = TcpStream::connect(("127.0.0.1", port)) else { return false };
    let waits = stream.set_read_timeout(Some(Duration::from_secs(1)));
    let mut line = String::new();
    waits.is_ok()
        && BufReader::new(stream).read_line(&mut line).is_ok()
        && line.starts_with("INFO ")
        && line.contains("\"jetstream\":true")
}
