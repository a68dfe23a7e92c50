//! Snapshots: a run's whole state in one file, written whole or not at all.
//!
//! ```text
//! 8 bytes   "ICESHOP" and a zero
//! 4 bytes   the version of the state (little endian)
//! 8 bytes   how many bytes follow the checksum
//! 32 bytes  their SHA-256
//! ...       [`Snapshot`] in bincode 1.3
//! ```
//! A file is written under another name, synchronised, renamed, and its folder synchronised: a name
//! that can be read has all its bytes, unless the disk has changed them, which the checksum says.

use super::pipeline::Saved;
use anyhow::{Context, bail};
use dataflows::saved::STATE_VERSION;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

const MAGIC: [u8; 8] = *b"ICESHOP\0";
/// Bytes before the state.
const HEADER_BYTES: usize = 8 + 4 + 8 + 32;
/// What every snapshot's name begins and ends with; between them is the sequence, in 20 digits.
const NAME: (&str, &str) = ("snapshot-", ".bin");
/// What a file is called while it is written.
const UNFINISHED: &str = "snapshot.tmp";

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
    /// How many decision messages had been made.
    pub decided: u64,
    /// Whether the last message was a clock record: a recorded stream needs no other then.
    pub clocked: bool,
}

/// A run's state after a message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Snapshot {
    /// After which one.
    pub position: Position,
    /// The state.
    pub saved: Saved,
}

/// A folder of snapshots.
#[derive(Debug, Clone)]
pub struct Folder {
    path: PathBuf,
    /// How many are kept.
    keep: usize,
}

impl Folder {
    /// The folder, which is made if it is missing; `keep` snapshots are kept in it.
    ///
    /// # Errors
    /// It cannot be made.
    pub fn open(path: &Path, keep: usize) -> io::Result<Self> {
        fs::create_dir_all(path)?;
        Ok(Self { path: path.to_path_buf(), keep: keep.max(1) })
    }

    /// Writes a snapshot, and removes all but the newest that are kept. Returns its size in bytes.
    ///
    /// # Errors
    /// The disk is full, or whatever else the system says; older snapshots are as they were.
    pub fn write(&self, snapshot: &Snapshot) -> io::Result<u64> {
        let state = bincode::serialize(snapshot).map_err(io::Error::other)?;
        let unfinished = self.path.join(UNFINISHED);
        let written = write_whole(&unfinished, &state);
        if let Err(error) = written {
            // What is left of it takes space that the next one needs.
            let _ = fs::remove_file(&unfinished);
            return Err(error);
        }
        fs::rename(&unfinished, self.path_of(snapshot.position.sequence))?;
        File::open(&self.path)?.sync_all()?;
        let newest_first = self.list()?;
        for (_, old) in newest_first.iter().skip(self.keep) {
            fs::remove_file(old)?;
        }
        Ok((HEADER_BYTES + state.len()) as u64)
    }

    fn path_of(&self, sequence: u64) -> PathBuf {
        self.path.join(format!("{}{sequence:020}{}", NAME.0, NAME.1))
    }

    /// Sequences and files, the newest first.
    ///
    /// # Errors
    /// The folder cannot be read.
    pub fn list(&self) -> io::Result<Vec<(u64, PathBuf)>> {
        let mut all = Vec::new();
        for entry in fs::read_dir(&self.path)? {
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
        &self,
        mut damaged: impl FnMut(&Path, anyhow::Error),
    ) -> io::Result<Option<Snapshot>> {
        for (_, path) in self.list()? {
            match read(&path) {
                Ok(snapshot) => return Ok(Some(snapshot)),
                Err(error) => damaged(&path, error),
            }
        }
        Ok(None)
    }
}

fn write_whole(path: &Path, state: &[u8]) -> io::Result<()> {
    let mut file = File::create(path)?;
    file.write_all(&MAGIC)?;
    file.write_all(&STATE_VERSION.to_le_bytes())?;
    file.write_all(&(state.len() as u64).to_le_bytes())?;
    file.write_all(&Sha256::digest(state))?;
    file.write_all(state)?;
    file.sync_all()
}

/// Reads a snapshot.
///
/// # Errors
/// It is cut off, was changed, or is of another version of the program: the message says which.
pub fn read(path: &Path) -> anyhow::Result<Snapshot> {
    let mut file = File::open(path).context("it cannot be opened")?;
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
    let mut state = Vec::new();
    file.read_to_end(&mut state).context("it cannot be read")?;
    if state.len() as u64 != length {
        bail!("it holds {} bytes of state instead of {length}", state.len());
    }
    if Sha256::digest(&state).as_slice() != digest {
        bail!("its bytes do not have its checksum");
    }
    bincode::deserialize(&state).context("its state cannot be read")
}
