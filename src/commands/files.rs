//! Files that a command line names: results are written to them; whoever writes one that is named
//! twice destroys the other.

use super::say;
use crate::failure::{Failure, Kind, OrFail};
use connectors::file::STANDARD;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// What must not be written twice.
#[derive(Debug, PartialEq, Eq)]
enum Place {
    /// Standard output.
    Standard,
    /// A file that is there, by device and inode: whatever names lead to it.
    File(u64, u64),
    /// One that is not there yet.
    New(PathBuf),
}

/// Refuses flags that name the same file; each is a flag and its file, if it has one.
///
/// Standard output counts as a file. What is neither that nor a file on disk, such as
/// `/dev/null`, may be named twice.
///
/// # Errors
/// [`Kind::Usage`] with the first two such flags.
pub(super) fn distinct(files: &[(&str, Option<&str>)]) -> Result<(), Failure> {
    let mut seen: Vec<(Place, &str)> = Vec::new();
    for (flag, path) in files.iter().filter_map(|(flag, path)| Some((*flag, (*path)?))) {
        let Some(place) = place(path) else { continue };
        if let Some((_, other)) = seen.iter().find(|(known, _)| *known == place) {
            let what =
                if path == STANDARD { "standard output".into() } else { format!("{path:?}") };
            let error = anyhow::anyhow!("{other} and {flag} are both {what}: give each its own");
            return Err(Failure::new(Kind::Usage, error));
        }
        seen.push((place, flag));
    }
    Ok(())
}

/// Where a file is, links followed; none if it is no file that can be destroyed.
fn place(path: &str) -> Option<Place> {
    let typed = Path::new(path);
    if path == STANDARD {
        return Some(Place::Standard);
    }
    match typed.metadata() {
        Ok(found) => found.is_file().then(|| Place::File(found.dev(), found.ino())),
        Err(_) => {
            let folder = typed.parent().filter(|folder| !folder.as_os_str().is_empty());
            let folder = folder.unwrap_or(Path::new(".")).canonicalize().ok()?;
            Some(Place::New(folder.join(typed.file_name()?)))
        }
    }
}

/// Refuses a file that cannot be written, before anything is done for it; what is in it stays.
///
/// # Errors
/// [`Kind::Data`] with flag and file.
pub(super) fn writable(flag: &str, path: Option<&str>) -> Result<(), Failure> {
    let Some(path) = path.filter(|path| *path != STANDARD) else { return Ok(()) };
    let opened = std::fs::OpenOptions::new().create(true).append(true).open(path);
    opened.map(drop).or_fail(Kind::Data, || format!("{flag}: {path}: cannot be written"))
}

/// Writes a text to a file, or to standard output.
///
/// # Errors
/// It cannot be written.
pub(super) fn save(path: &str, text: &str) -> Result<(), Failure> {
    if path == STANDARD {
        return say(text);
    }
    std::fs::write(path, format!("{text}\n")).or_fail(Kind::Data, || format!("cannot write {path}"))
}
