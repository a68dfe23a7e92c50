//! A copy of state by a copy of the process: the engine stands still for the fork alone.
//!
//! ```text
//! engine (or worker) --fork--> child: writes the state as it was -> pipe -> whoever keeps it
//!          |
//!          +-> goes on; what it changes from here on is its own (copy on write)
//! ```
//! Of the parent's threads the child has the one that forked. So it takes no lock and asks for no
//! memory that it need not: it writes what is there into a buffer on its stack and that into the pipe,
//! and ends itself by SIGKILL, which runs nothing that belongs to the threads it has not. It is ended,
//! too, when its copy is not wanted any more.
//!
//! What goes through the pipe is cut into frames, the last of which is empty: a child that died
//! half-way is told from one that was done.

use dataflows::saved::{Copied, Copier, Writing};
use fork::Fork;
use rustix::process::{Pid, Signal, WaitOptions, getpid, kill_process, waitpid};
use std::io::{self, PipeReader, PipeWriter, Read, Write};
use std::sync::{Mutex, PoisonError};

/// The greatest frame: what a pipe takes at a time anyway.
const FRAME: usize = 1 << 16;

/// Held from the making of a pipe until its writing end is the child's alone: a child forked in
/// between would keep that end open.
static FORKING: Mutex<()> = Mutex::new(());

/// Copies by forking the process.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Forked;

impl Copier for Forked {
    fn copy(&self, write: &Writing<'_>) -> io::Result<Copied> {
        let alone = FORKING.lock().unwrap_or_else(PoisonError::into_inner);
        let (from, to) = io::pipe()?;
        let forked = fork::fork()?;
        match forked {
            Fork::Child => {
                drop(from);
                tell(to, write)
            }
            Fork::Parent(child) => {
                drop((to, alone));
                let child = Pid::from_raw(child).expect("a process is not number 0");
                Ok(Box::new(Telling { pipe: Some(from), child, left: 0, ended: false }))
            }
        }
    }
}

/// The child's life.
fn tell(pipe: PipeWriter, write: &Writing<'_>) -> ! {
    let mut frames = Frames { pipe, held: 0, buffer: [0; FRAME] };
    // Whoever reads knows by the last frame whether this went well.
    let _ = write(&mut frames).and_then(|()| frames.flush()).and_then(|()| frames.frame(0));
    loop {
        let _ = kill_process(getpid(), Signal::KILL);
    }
}

/// The writing end: fills a frame before it sends it.
struct Frames {
    pipe: PipeWriter,
    held: usize,
    buffer: [u8; FRAME],
}

impl Frames {
    /// Sends the first bytes of the buffer.
    fn frame(&mut self, length: usize) -> io::Result<()> {
        self.pipe.write_all(&(length as u32).to_le_bytes())?;
        self.pipe.write_all(&self.buffer[..length])
    }
}

impl Write for Frames {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.held == FRAME {
            self.flush()?;
        }
        let taken = bytes.len().min(FRAME - self.held);
        self.buffer[self.held..self.held + taken].copy_from_slice(&bytes[..taken]);
        self.held += taken;
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.held > 0 {
            self.frame(self.held)?;
            self.held = 0;
        }
        Ok(())
    }
}

/// The reading end.
struct Telling {
    /// Closed before the child is waited for.
    pipe: Option<PipeReader>,
    child: Pid,
    /// Bytes of the frame under way that are not read yet.
    left: usize,
    /// Whether the last frame has come.
    ended: bool,
}

impl Telling {
    /// Begins the next frame, if there is one.
    fn next_frame(&mut self) -> io::Result<()> {
        let mut length = [0; 4];
        let pipe = self.pipe.as_mut().expect("open until it is dropped");
        pipe.read_exact(&mut length).map_err(|error| match error.kind() {
            io::ErrorKind::UnexpectedEof => broken(),
            _ => error,
        })?;
        self.left = u32::from_le_bytes(length) as usize;
        self.ended = self.left == 0;
        Ok(())
    }
}

fn broken() -> io::Error {
    io::Error::other("the process that copied the state died before it was done")
}

impl Read for Telling {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if into.is_empty() {
            return Ok(0);
        }
        if self.left == 0 && !self.ended {
            self.next_frame()?;
        }
        if self.ended {
            return Ok(0);
        }
        let most = into.len().min(self.left);
        let pipe = self.pipe.as_mut().expect("open until it is dropped");
        match pipe.read(&mut into[..most])? {
            0 => Err(broken()),
            read => {
                self.left -= read;
                Ok(read)
            }
        }
    }
}

impl Drop for Telling {
    fn drop(&mut self) {
        self.pipe = None;
        // Another copy may hold the pipe open, so that this one would wait for ever. An error means
        // that it is gone already.
        let _ = kill_process(self.child, Signal::KILL);
        let _ = waitpid(Some(self.child), WaitOptions::empty());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicU64, Ordering};

    /// Numbers, more than a pipe holds.
    const MANY: u64 = 100_000;

    fn read(mut copy: Copied) -> io::Result<Vec<u8>> {
        let mut all = Vec::new();
        copy.read_to_end(&mut all).map(|_| all)
    }

    #[test]
    fn a_copy_is_of_the_moment_it_was_made() {
        let number = AtomicU64::new(7);
        let write = |to: &mut dyn Write| {
            (0..MANY)
                .try_for_each(|n| to.write_all(&(n * number.load(Ordering::Relaxed)).to_le_bytes()))
        };
        let copies = [Forked.copy(&write).unwrap(), Forked.copy(&write).unwrap()];
        number.store(8, Ordering::Relaxed);
        let expected: Vec<u8> = (0..MANY).flat_map(|n| (n * 7).to_le_bytes()).collect();
        for copy in copies {
            assert!(read(copy).unwrap() == expected);
        }
    }

    #[test]
    fn a_copy_that_fails_half_way_is_no_copy() {
        let write = |to: &mut dyn Write| {
            to.write_all(&[1; 3 * FRAME / 2])?;
            Err(io::Error::other("no more"))
        };
        let error = read(Forked.copy(&write).unwrap()).unwrap_err();
        assert!(error.to_string().contains("died before it was done"), "{error}");
    }

    #[test]
    fn a_copy_that_nobody_reads_ends() {
        let write = |to: &mut dyn Write| (0..MANY).try_for_each(|n| to.write_all(&n.to_le_bytes()));
        drop(Forked.copy(&write).unwrap());
    }

    /// A child holds what its parent had open: a copy made meanwhile keeps the pipe of this one.
    #[test]
    fn a_copy_that_is_not_wanted_ends_while_another_waits() {
        let write = |to: &mut dyn Write| (0..MANY).try_for_each(|n| to.write_all(&n.to_le_bytes()));
        let (unwanted, wanted) = (Forked.copy(&write).unwrap(), Forked.copy(&write).unwrap());
        let (done, ended) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            drop(unwanted);
            done.send(())
        });
        ended.recv_timeout(std::time::Duration::from_secs(20)).unwrap();
        assert_eq!(read(wanted).unwrap().len(), MANY as usize * 8);
    }
}
