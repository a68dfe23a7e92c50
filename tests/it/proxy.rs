//! A wire between a client and a server that can be cut, both ways, without either being told.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

/// How often a quiet end looks whether the wire is cut.
const LOOK: Duration = Duration::from_millis(20);

/// The wire.
pub(crate) struct Proxy {
    port: u16,
    state: Arc<State>,
}

#[derive(Default)]
struct State {
    cut: AtomicBool,
    /// How often it was mended: connections of before are dead.
    mended: AtomicU64,
}

impl Proxy {
    /// A wire to a server on this machine.
    pub(crate) fn to(server: &str) -> Self {
        let server = server.trim_start_matches("nats://").to_string();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let state = Arc::new(State::default());
        let shared = state.clone();
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let Ok(server) = TcpStream::connect(&server) else { continue };
                for (from, to) in [(&client, &server), (&server, &client)] {
                    let (from, to) = (from.try_clone().unwrap(), to.try_clone().unwrap());
                    let state = shared.clone();
                    std::thread::spawn(move || carry(from, to, &state));
                }
            }
        });
        Self { port, state }
    }

    pub(crate) fn url(&self) -> String {
        format!("nats://127.0.0.1:{}", self.port)
    }

    /// From now on nothing arrives any more, and nobody is told.
    pub(crate) fn cut(&self) {
        self.state.cut.store(true, Ordering::SeqCst);
    }

    /// New connections work again; what was on the old ones is lost.
    pub(crate) fn mend(&self) {
        self.state.mended.fetch_add(1, Ordering::SeqCst);
        self.state.cut.store(false, Ordering::SeqCst);
    }
}

/// Carries bytes one way while the wire holds.
fn carry(mut from: TcpStream, mut to: TcpStream, state: &State) {
    let born = state.mended.load(Ordering::SeqCst);
    from.set_read_timeout(Some(LOOK)).unwrap();
    let mut buffer = [0; 16 * 1024];
    loop {
        if state.mended.load(Ordering::SeqCst) != born {
            break;
        }
        if state.cut.load(Ordering::SeqCst) {
            std::thread::sleep(LOOK);
            continue;
        }
        match from.read(&mut buffer) {
            Ok(0) => break,
            // What was read when the wire was cut is lost.
            Ok(_) if state.cut.load(Ordering::SeqCst) => {}
            Ok(n) if to.write_all(&buffer[..n]).is_ok() => {}
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
            _ => break,
        }
    }
    let _ = from.shutdown(Shutdown::Both);
    let _ = to.shutdown(Shutdown::Both);
}
