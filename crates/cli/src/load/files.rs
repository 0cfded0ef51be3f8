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
            let mut text = String::new();
            match io::stdin().take(MAX_FILE).read_to_string(&mut text) {
                Ok(_) => files.push(File { name: "-".to_owned(), text }),
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
            match text(&path) {
                Ok(text) => files.push(File { name, text }),
                Err(error) => {
                    problems.push(Problem::file(&name, format!("cannot be read: {error}")));
                }
            }
        }
    }
    files
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

fn text(path: &Path) -> io::Result<String> {
    let size = fs::metadata(path)?.len();
    if size > MAX_FILE {
        return Err(io::Error::other(format!("{size} bytes, and at most {MAX_FILE} are read")));
    }
    fs::read_to_string(path)
}
