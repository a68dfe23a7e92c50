//! Files that one command line names twice: whoever writes one of them destroys the other.

use crate::failure::{Failure, Kind};
use connectors::file::STANDARD;
use std::path::{Path, PathBuf};

/// Refuses flags that name the same file; each is a flag and its file, if it has one.
///
/// Standard output counts as a file. What is neither that nor a file on disk, such as
/// `/dev/null`, may be named twice.
///
/// # Errors
/// [`Kind::Usage`] with the first two such flags.
pub(super) fn distinct(files: &[(&str, Option<&str>)]) -> Result<(), Failure> {
    let mut seen: Vec<(PathBuf, &str)> = Vec::new();
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
fn place(path: &str) -> Option<PathBuf> {
    let typed = Path::new(path);
    if path == STANDARD {
        return Some(typed.into());
    }
    match typed.canonicalize() {
        Ok(place) => place.is_file().then_some(place),
        Err(_) => {
            let folder = typed.parent().filter(|folder| !folder.as_os_str().is_empty());
            let folder = folder.unwrap_or(Path::new(".")).canonicalize().ok()?;
            Some(folder.join(typed.file_name()?))
        }
    }
}
