//! Which files are read: those that are named, and those of directories that are named.

use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use super::problem::Problem;

/// The largest file that is read.
const MAX_FILE: u64 = 32 << 20;

/// A file with its text.
pub(super) struct File {
    /// As it was named; `-` for standard input.
    pub(super) name: String,
    /// Its content, which may hold secrets.
    pub(super) text: String,
}

/// Reads all of them, in order; `-` is standard input.
pub(super) fn read(paths: &[PathBuf], problems: &mut Vec<Problem>) -> Vec<File> {
    let mut files = Vec::new();
    for path in paths {
        if path.as_os_str() == "-" {
            match text(io::stdin(), MAX_FILE) {
                Ok(text) => files.push(File { name: "-".to_owned(), text }),
                Err(error) => problems.push(Problem::file("-", format!("cannot be read: {error}"))),
            }
            continue;
        }
        let name = path.display().to_string();
        let found = match list(path) {
            Ok(found) => found,
            Err(error) => {
                problems.push(Problem::file(&name, format!("cannot be read: {error}")));
                continue;
            }
        };
        if found.is_empty() {
            let message = "holds no file that ends in .yaml, .yml or .json";
            problems.push(Problem::file(&name, message));
        }
        for path in found {
            let name = path.display().to_string();
            match fs::File::open(&path).and_then(|file| text(file, MAX_FILE)) {
                Ok(text) => files.push(File { name, text }),
                Err(error) => {
                    problems.push(Problem::file(&name, format!("cannot be read: {error}")));
                }
            }
        }
    }
    files
}

/// The text of one file; `-` is standard input.
pub(super) fn one(path: &Path) -> io::Result<String> {
    if path.as_os_str() == "-" {
        text(io::stdin(), MAX_FILE)
    } else {
        text(fs::File::open(path)?, MAX_FILE)
    }
}

/// The file itself, or the files of a directory and of those below it, by name. What begins with a
/// dot is left out, and so are links to directories, which could lead back.
fn list(path: &Path) -> io::Result<Vec<PathBuf>> {
    if !fs::metadata(path)?.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let mut entries = fs::read_dir(path)?.collect::<io::Result<Vec<_>>>()?;
    entries.sort_by_key(fs::DirEntry::file_name);
    let mut files = Vec::new();
    for entry in entries {
        let path = entry.path();
        if entry.file_name().to_string_lossy().starts_with('.') {
            continue;
        }
        if entry.file_type()?.is_dir() {
            files.extend(list(&path)?);
        } else if path.is_file()
            && path.extension().is_some_and(|e| e == "yaml" || e == "yml" || e == "json")
        {
            files.push(path);
        }
    }
    Ok(files)
}

/// All of it; what has no end, as a device may, is refused as well.
fn text(from: impl Read, max: u64) -> io::Result<String> {
    let mut text = String::new();
    from.take(max + 1).read_to_string(&mut text)?;
    if text.len() as u64 > max {
        return Err(io::Error::other(format!("more than {max} bytes, which is the limit")));
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_too_large_is_refused_and_never_read_in_part() {
        assert_eq!(text(&b"a: 1"[..], 4).unwrap(), "a: 1");
        let error = text(&b"a: 12"[..], 4).unwrap_err();
        assert!(error.to_string().contains("more than 4 bytes"), "{error}");
        assert!(text(io::repeat(b' '), 4).is_err());
    }
}
