//! Snapshots: a run's whole state in one file, written whole or not at all.
//!
//! ```text
//! 8 bytes   "ICESHOP" and a zero
//! 4 bytes   the version of the state (little endian)
//! 8 bytes   how many bytes follow the checksum
//! 32 bytes  their SHA-256
//! ...       [`Position`] and parameters in bincode 1.3, then the state
//! ```
//! A file is written under another name, synchronised, renamed, and its folder synchronised: a name
//! that can be read has all its bytes, unless the disk has changed them, which the checksum says. It
//! is written as it is read from the engine's copies: it is never whole in memory.

use super::saving::{Saved, Saving};
use anyhow::{Context, bail};
use bytes::Bytes;
use connectors::nats::Noted;
use dataflows::market::Params;
use dataflows::saved::{self, STATE_VERSION};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::fs::{self, File, TryLockError};
use std::io::{self, Cursor, Read, Seek, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

const MAGIC: [u8; 8] = *b"ICESHOP\0";
/// Bytes before the state.
const HEADER_BYTES: usize = 8 + 4 + 8 + 32;
/// What every snapshot's name begins and ends with; between them is the sequence, in 20 digits.
const NAME: (&str, &str) = ("snapshot-", ".bin");
/// What a file is called while it is written.
const UNFINISHED: &str = "snapshot.tmp";
/// Bytes written at a time.
const AT_ONCE: usize = 1 << 20;

/// Where in its streams a run was.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Position {
    /// The city whose streams they are.
    pub city: String,
    /// When the input stream was made, as the broker says; tells it from another of the same name.
    pub stream_made: String,
    /// Whether times come from the messages.
    pub recorded: Option<bool>,
    /// The last message taken in.
    pub sequence: u64,
    /// When the broker got it, in nanoseconds of Unix time; none before the first, or where no broker
    /// tells.
    pub came_ns: Option<i128>,
    /// How many decision messages had been made.
    pub decided: u64,
    /// How many receipts and dead letters had been published; more of them may be of before.
    pub noted: Noted,
    /// Whether the last message ended a recorded stream's last tick: it needs no other then.
    pub ended: bool,
}

/// A run's state after a message.
#[derive(Debug, Clone, PartialEq)]
pub struct Snapshot {
    /// After which one.
    pub position: Position,
    /// The state.
    pub saved: Saved,
}

/// How long a folder may still be held by an engine that was killed: by the process that copied its
/// state.
const HELD_WAIT: Duration = Duration::from_secs(5);

/// A folder of snapshots.
#[derive(Debug, Clone)]
pub struct Folder {
    path: PathBuf,
    /// How many are kept, of those that can be read as far as is known.
    keep: usize,
    /// Those that could not be read when they were looked at, and when they had been written.
    damaged: Vec<(PathBuf, Option<SystemTime>)>,
}

impl Folder {
    /// The folder, which is made if it is missing; `keep` snapshots are kept in it.
    ///
    /// # Errors
    /// It cannot be made.
    pub fn open(path: &Path, keep: usize) -> io::Result<Self> {
        fs::create_dir_all(path)?;
        Ok(Self { path: path.to_path_buf(), keep: keep.max(1), damaged: Vec::new() })
    }

    /// Writes a snapshot, and removes what is older than those that are kept. Returns its size in
    /// bytes. What cannot be read does not count as kept.
    ///
    /// # Errors
    /// The disk is full, or whatever else the system says; older snapshots are as they were.
    pub fn write(&self, position: &Position, saving: Saving) -> io::Result<u64> {
        let unfinished = self.path.join(UNFINISHED);
        let written = write_whole(&unfinished, position, saving);
        if written.is_err() {
            // What is left of it takes space that the next one needs.
            let _ = fs::remove_file(&unfinished);
        }
        let bytes = written?;
        fs::rename(&unfinished, self.path_of(position.sequence))?;
        File::open(&self.path)?.sync_all()?;
        let mut kept = 0;
        for (_, path) in self.list()? {
            if kept == self.keep {
                fs::remove_file(path)?;
            } else if is_sound(&path) && !self.damaged.contains(&dated(path)) {
                kept += 1;
            }
        }
        Ok(bytes)
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Keeps every other engine away for as long as what it returns is kept. Where folders cannot be
    /// locked, nobody is kept away.
    ///
    /// # Errors
    /// [`io::ErrorKind::WouldBlock`] if another engine has it; it cannot be opened.
    pub fn lock(&self) -> io::Result<File> {
        let (folder, began) = (File::open(&self.path)?, Instant::now());
        while let Err(TryLockError::WouldBlock) = folder.try_lock() {
            if began.elapsed() > HELD_WAIT {
                return Err(io::ErrorKind::WouldBlock.into());
            }
            std::thread::sleep(HELD_WAIT / 100);
        }
        Ok(folder)
    }

    fn path_of(&self, sequence: u64) -> PathBuf {
        self.path.join(format!("{}{sequence:020}{}", NAME.0, NAME.1))
    }

    /// Sequences and files, the newest first.
    ///
    /// # Errors
    /// The folder cannot be read.
    pub fn list(&self) -> io::Result<Vec<(u64, PathBuf)>> {
        list(&self.path)
    }

    /// Removes every snapshot.
    ///
    /// # Errors
    /// One cannot be removed.
    pub fn clear(&self) -> io::Result<()> {
        self.list()?.iter().try_for_each(|(_, path)| fs::remove_file(path))
    }

    /// The newest snapshot that can be read, if there is any; `damaged` is told of every newer one
    /// that cannot, and why.
    ///
    /// # Errors
    /// The folder cannot be read.
    pub fn newest(
        &mut self,
        mut damaged: impl FnMut(&Path, anyhow::Error),
    ) -> io::Result<Option<Snapshot>> {
        self.damaged.clear();
        for (_, path) in self.list()? {
            match read(&path) {
                Ok(snapshot) => return Ok(Some(snapshot)),
                Err(error) => {
                    damaged(&path, error);
                    self.damaged.push(dated(path));
                }
            }
        }
        Ok(None)
    }
}

/// The snapshots in a folder: sequences and files, the newest first.
///
/// # Errors
/// The folder cannot be read.
pub fn list(folder: &Path) -> io::Result<Vec<(u64, PathBuf)>> {
    let mut all = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let name = path.file_name().and_then(|name| name.to_str());
        let number = name.and_then(|n| n.strip_prefix(NAME.0)?.strip_suffix(NAME.1));
        if let Some(sequence) = number.and_then(|number| number.parse().ok()) {
            all.push((sequence, path));
        }
    }
    all.sort_unstable_by(|a, b| b.cmp(a));
    Ok(all)
}

/// Writes the file, its header last: until then it cannot be read. Returns its size in bytes.
fn write_whole(path: &Path, position: &Position, mut saving: Saving) -> io::Result<u64> {
    let mut body = Body::begin(File::create(path)?)?;
    body.put(&bincode::serialize(&(position, &saving.params)).map_err(io::Error::other)?)?;
    body.copy(&mut saving.state)?;
    body.end()
}

/// What follows the header, while it is written.
struct Body {
    file: File,
    digest: Sha256,
    length: u64,
}

impl Body {
    fn begin(mut file: File) -> io::Result<Self> {
        file.write_all(&[0; HEADER_BYTES])?;
        Ok(Self { file, digest: Sha256::new(), length: 0 })
    }

    fn put(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.digest.update(bytes);
        self.length += bytes.len() as u64;
        self.file.write_all(bytes)
    }

    /// Puts all that can be read.
    fn copy(&mut self, from: &mut dyn Read) -> io::Result<()> {
        let mut buffer = vec![0; AT_ONCE];
        loop {
            match from.read(&mut buffer) {
                Ok(0) => return Ok(()),
                Ok(read) => self.put(&buffer[..read])?,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    fn end(mut self) -> io::Result<u64> {
        self.file.rewind()?;
        self.file.write_all(&MAGIC)?;
        self.file.write_all(&STATE_VERSION.to_le_bytes())?;
        self.file.write_all(&self.length.to_le_bytes())?;
        self.file.write_all(&self.digest.finalize())?;
        self.file.sync_all()?;
        Ok(HEADER_BYTES as u64 + self.length)
    }
}

/// What a file's first bytes say.
struct Header {
    /// Of what follows, in bytes.
    length: u64,
    digest: [u8; 32],
}

impl Header {
    /// Reads it.
    ///
    /// # Errors
    /// It is not whole, or not of a snapshot of this version.
    fn read(file: &mut File) -> anyhow::Result<Self> {
        let mut header = [0; HEADER_BYTES];
        file.read_exact(&mut header).context("it ends before its header does")?;
        let (magic, rest) = header.split_at(8);
        let (version, rest) = rest.split_at(4);
        let (length, digest) = rest.split_at(8);
        if magic != MAGIC {
            bail!("it is no snapshot");
        }
        let version = u32::from_le_bytes(version.try_into().expect("four bytes"));
        if version != STATE_VERSION {
            bail!("its state is of version {version}, this program's of version {STATE_VERSION}");
        }
        let length = u64::from_le_bytes(length.try_into().expect("eight bytes"));
        Ok(Self { length, digest: digest.try_into().expect("the rest of it") })
    }
}

/// A file, and when it was written.
fn dated(path: PathBuf) -> (PathBuf, Option<SystemTime>) {
    let written = fs::metadata(&path).and_then(|it| it.modified()).ok();
    (path, written)
}

/// Whether a file is a snapshot of this version and of the length that it says; its bytes may still
/// have been changed.
fn is_sound(path: &Path) -> bool {
    let length = |path: &Path| -> anyhow::Result<bool> {
        let mut file = File::open(path)?;
        let Header { length, .. } = Header::read(&mut file)?;
        Ok(file.metadata()?.len() == HEADER_BYTES as u64 + length)
    };
    length(path).unwrap_or(false)
}

/// Reads a snapshot.
///
/// # Errors
/// It is cut off, was changed, or is of another version of the program: the message says which.
pub fn read(path: &Path) -> anyhow::Result<Snapshot> {
    let mut file = File::open(path).context("it cannot be opened")?;
    let Header { length, digest } = Header::read(&mut file)?;
    let mut state = Vec::new();
    file.read_to_end(&mut state).context("it cannot be read")?;
    if state.len() as u64 != length {
        bail!("it holds {} bytes of state instead of {length}", state.len());
    }
    if Sha256::digest(&state).as_slice() != digest {
        bail!("its bytes do not have its checksum");
    }
    split(state.into()).context("its state cannot be read")
}

/// A snapshot from what follows its header.
fn split(body: Bytes) -> anyhow::Result<Snapshot> {
    let mut cursor = Cursor::new(&body);
    let (position, params): (Position, Params) = bincode::deserialize_from(&mut cursor)?;
    let state = saved::Saved::read(&body.slice(cursor.position() as usize..))?;
    Ok(Snapshot { position, saved: Saved { params, state } })
}
