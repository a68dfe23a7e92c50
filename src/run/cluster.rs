//! The processes of a cluster find each other.
//!
//! Each listens at its line of the file of hosts, calls those of the lines before it, and is called
//! by those after it. Who calls says what it is; a process of another version, or that counts the
//! cluster otherwise, is refused by both with the difference. From there on the connections are
//! timely's. When one is lost, every process ends: none can come back into a cluster.

use crate::failure::{Failure, Kind, OrFail};
use anyhow::{anyhow, bail};
use dataflows::flow::Cluster;
use dataflows::saved::STATE_VERSION;
use rustix::net::sockopt;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::time::{Duration, Instant};
use timely::communication::allocator::ProcessBuilder;
use timely::communication::allocator::zero_copy::initialize::initialize_networking_from_sockets;
use timely::communication::{AllocatorBuilder, Hooks};

/// How long a process waits for the others.
const PATIENCE: Duration = Duration::from_secs(60);
/// How often it looks for them.
const LOOK: Duration = Duration::from_millis(50);
/// How often it says for whom it waits.
const TOLD: Duration = Duration::from_secs(5);
/// How long a process that has called may take to say what it is.
const GREETING_WAIT: Duration = Duration::from_secs(5);
/// The longest greeting, in bytes.
const GREETING_BYTES: u64 = 200;
/// What a process says if it takes another one for what it says it is.
const WELCOME: &str = "welcome";
/// A connection is lost when nothing has been heard for about so long.
const SILENCE: Duration = Duration::from_secs(30);
/// How timely's panics begin when it has lost a process.
const LOST: &str = "timely communication error:";

/// The addresses of all processes, by their order.
///
/// # Errors
/// The file cannot be read, or has fewer than two lines; `process` has none.
pub fn hosts(path: &Path, process: usize) -> Result<Vec<String>, Failure> {
    let text = std::fs::read_to_string(path);
    let text = text.or_fail(Kind::Config, || format!("--hosts: cannot read {}", path.display()))?;
    let lines = text.lines().map(str::trim);
    let hosts: Vec<String> =
        lines.filter(|line| !line.is_empty() && !line.starts_with('#')).map(String::from).collect();
    let config = |error: String| Err(Failure::new(Kind::Config, anyhow!(error)));
    let count = hosts.len();
    if count < 2 {
        return config(format!(
            "--hosts: {} has {count} addresses, and a cluster has at least 2 processes",
            path.display()
        ));
    }
    if process >= count {
        return config(format!(
            "--process {process}: {} has {count} addresses, of processes 0 to {}",
            path.display(),
            count - 1
        ));
    }
    Ok(hosts)
}

/// Connects this process, the one of that number, with all the others; each has so many workers.
///
/// # Errors
/// Its address cannot be listened at, others do not come in time, or are not of this cluster.
pub fn join(hosts: &[String], process: usize, workers: usize) -> Result<Cluster, Failure> {
    let me = Me { hosts, process, workers };
    let address = &hosts[process];
    let listener = TcpListener::bind(address)
        .and_then(|listener| listener.set_nonblocking(true).map(|()| listener));
    let listener = listener.or_fail(Kind::Config, || {
        format!("process {process} cannot listen at {address}, its line of --hosts")
    })?;
    let sockets = me.connect(&listener)?;
    let inside = ProcessBuilder::new_typed_vector(workers, Hooks::default().refill, None);
    let joined =
        initialize_networking_from_sockets(inside, sockets, process, workers, Hooks::default());
    let (builders, guard) =
        joined.or_fail(Kind::Unreachable, || "cannot use the connections".into())?;
    let builders = builders.into_iter().map(AllocatorBuilder::Tcp).collect();
    let (guard, processes) = (Box::new(guard), hosts.len());
    Ok(Cluster { builders, guard, workers, process, processes })
}

/// What to say of a panic which says that another process is gone; none of any other.
pub fn lost(panic: &str) -> Option<String> {
    let cause = panic.strip_prefix(LOST)?.trim();
    Some(format!(
        "cluster    another process is gone ({cause}): all of them end; start them all again, and a run on \
         NATS goes on after its newest snapshot"
    ))
}

/// A process on its way into its cluster.
struct Me<'a> {
    hosts: &'a [String],
    process: usize,
    workers: usize,
}

impl Me<'_> {
    /// Calls and is called until there is a connection with every other process.
    fn connect(&self, listener: &TcpListener) -> Result<Vec<Option<TcpStream>>, Failure> {
        let mut found: Vec<Option<TcpStream>> = self.hosts.iter().map(|_| None).collect();
        let (began, mut told) = (Instant::now(), Instant::now());
        loop {
            for (other, at) in found.iter_mut().enumerate().take(self.process) {
                if at.is_none() {
                    *at = self.call(other)?;
                }
            }
            while let Some((other, stream)) = self.answer(listener)? {
                found[other] = Some(stream);
            }
            let missing =
                found.iter().enumerate().filter(|(n, at)| *n != self.process && at.is_none());
            let missing: Vec<String> =
                missing.map(|(n, _)| format!("process {n} at {}", self.hosts[n])).collect();
            if missing.is_empty() {
                return Ok(found);
            }
            if began.elapsed() >= PATIENCE {
                let error = anyhow!("{} did not come in {PATIENCE:?}", missing.join(", "));
                return Err(Failure::new(Kind::Unreachable, error));
            }
            if told.elapsed() >= TOLD {
                told = Instant::now();
                eprintln!("cluster    waiting for {}", missing.join(", "));
            }
            std::thread::sleep(LOOK);
        }
    }

    /// Calls a process; none if nobody is there yet.
    fn call(&self, other: usize) -> Result<Option<TcpStream>, Failure> {
        let Ok(mut stream) = TcpStream::connect(&self.hosts[other]) else { return Ok(None) };
        let greeted = prepare(&stream).and_then(|()| {
            writeln!(stream, "{}", self.greeting(self.process, other))?;
            line(&stream)
        });
        match greeted {
            Ok(answer) if answer == WELCOME => Ok(Some(stream).filter(|it| settle(it).is_ok())),
            Ok(answer) if !answer.is_empty() => {
                let error = anyhow!("process {other} at {} says: {answer}", self.hosts[other]);
                Err(Failure::new(Kind::Config, error))
            }
            // It was there and is gone, or something else is at its address: it may come yet.
            _ => Ok(None),
        }
    }

    /// Answers a process that has called; none if nobody has.
    fn answer(&self, listener: &TcpListener) -> Result<Option<(usize, TcpStream)>, Failure> {
        loop {
            let mut stream = match listener.accept() {
                Ok((stream, _)) => stream,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(None),
                Err(error) => return Err(Failure::new(Kind::Unreachable, error)),
            };
            // What is no process of ours is nobody.
            let Ok(said) = prepare(&stream).and_then(|()| line(&stream)) else { continue };
            if !said.starts_with("iceshop ") {
                continue;
            }
            match self.caller(&said) {
                Ok(other) => {
                    if writeln!(stream, "{WELCOME}").and_then(|()| settle(&stream)).is_ok() {
                        return Ok(Some((other, stream)));
                    }
                }
                Err(error) => {
                    // It ends with this message; so does this one, with the same.
                    let _ = writeln!(stream, "{error:#}");
                    return Err(Failure::new(Kind::Config, error));
                }
            }
        }
    }

    /// What `from` says to `to`: all that must be equal in a cluster, and who calls.
    fn greeting(&self, from: usize, to: usize) -> String {
        let (version, processes, workers) =
            (env!("CARGO_PKG_VERSION"), self.hosts.len(), self.workers);
        format!(
            "iceshop {version} of state {STATE_VERSION}, {processes} processes of {workers} workers, \
             calling {to} as {from}"
        )
    }

    /// Who has called.
    fn caller(&self, said: &str) -> anyhow::Result<usize> {
        let other = said.rsplit(' ').next().and_then(|number| number.parse().ok());
        let other = other.filter(|other| (self.process + 1..self.hosts.len()).contains(other));
        let expected = self.greeting(other.unwrap_or(self.process + 1), self.process);
        match other {
            Some(other) if expected == said => Ok(other),
            _ => bail!(
                "the processes do not fit together: one says \"{said}\", where \"{expected}\" was expected"
            ),
        }
    }
}

/// While a connection is made, nobody is waited for long.
fn prepare(stream: &TcpStream) -> io::Result<()> {
    stream.set_nonblocking(false)?;
    stream.set_read_timeout(Some(GREETING_WAIT))?;
    stream.set_write_timeout(Some(GREETING_WAIT))
}

/// From here on the connection is timely's: whoever is cut off is noticed.
fn settle(stream: &TcpStream) -> io::Result<()> {
    stream.set_read_timeout(None)?;
    stream.set_write_timeout(None)?;
    stream.set_nodelay(true)?;
    sockopt::set_socket_keepalive(stream, true)?;
    sockopt::set_tcp_keepidle(stream, SILENCE / 3)?;
    sockopt::set_tcp_keepintvl(stream, SILENCE / 6)?;
    sockopt::set_tcp_keepcnt(stream, 4)?;
    Ok(sockopt::set_tcp_user_timeout(stream, SILENCE.as_millis() as u32)?)
}

/// A line, read to its end and no further.
fn line(stream: &TcpStream) -> io::Result<String> {
    // A buffer of one byte: what follows the line is not this reader's.
    let mut reader = BufReader::with_capacity(1, stream.take(GREETING_BYTES));
    let mut line = String::new();
    reader.read_line(&mut line)?;
    Ok(line.trim_end().into())
}
