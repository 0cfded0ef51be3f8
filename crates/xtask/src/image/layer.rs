//! The file tree of an image, and its layer: an archive that depends on what is in the files and on
//! nothing else, so that whoever builds the same files gets the same digest.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use anyhow::{Context, Result};
use flate2::{Compression, GzBuilder};
use tar::{Builder, EntryType, Header};

/// A file of the image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct File {
    pub(crate) mode: u32,
    pub(crate) content: Vec<u8>,
}

/// All files, by their path below the root. Directories follow from the paths.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Tree {
    files: BTreeMap<String, File>,
}

impl Tree {
    /// Adds a program, which everybody may run.
    pub(crate) fn program(&mut self, path: &str, content: Vec<u8>) {
        self.files.insert(path.to_owned(), File { mode: 0o755, content });
    }

    /// Adds a file that everybody may read.
    pub(crate) fn file(&mut self, path: &str, content: impl Into<Vec<u8>>) {
        self.files.insert(path.to_owned(), File { mode: 0o644, content: content.into() });
    }

    /// The files, sorted by path.
    pub(crate) fn files(&self) -> impl Iterator<Item = (&str, &File)> {
        self.files.iter().map(|(path, file)| (path.as_str(), file))
    }

    /// The directories above the files, each before what is in it.
    fn directories(&self) -> impl Iterator<Item = &str> {
        let mut all: Vec<_> = self
            .files
            .keys()
            .flat_map(|path| path.match_indices('/').map(|(at, _)| &path[..at]))
            .collect();
        all.sort_unstable();
        all.dedup();
        all.into_iter()
    }

    /// Writes the tree to disk, for builders that take one.
    pub(crate) fn write_to(&self, root: &Path) -> Result<()> {
        for (path, file) in self.files() {
            let target = root.join(path);
            if let Some(directory) = target.parent() {
                fs::create_dir_all(directory).with_context(|| directory.display().to_string())?;
            }
            fs::write(&target, &file.content).with_context(|| target.display().to_string())?;
            fs::set_permissions(&target, fs::Permissions::from_mode(file.mode))?;
        }
        Ok(())
    }

    /// The tree as an archive: sorted, owned by root, of one age.
    pub(crate) fn archive(&self, epoch: u64) -> io::Result<Vec<u8>> {
        let mut archive = Builder::new(Vec::new());
        for directory in self.directories() {
            let mut header = header(0o755, 0, epoch);
            header.set_entry_type(EntryType::Directory);
            archive.append_data(&mut header, format!("{directory}/"), io::empty())?;
        }
        for (path, file) in self.files() {
            append(&mut archive, path, file.mode, &file.content, epoch)?;
        }
        archive.into_inner()
    }
}

/// Adds a file to an archive, with nothing of this machine in its header.
pub(crate) fn append(
    archive: &mut Builder<Vec<u8>>,
    path: &str,
    mode: u32,
    content: &[u8],
    epoch: u64,
) -> io::Result<()> {
    let mut header = header(mode, content.len() as u64, epoch);
    archive.append_data(&mut header, path, content)
}

fn header(mode: u32, size: u64, epoch: u64) -> Header {
    let mut header = Header::new_ustar();
    header.set_entry_type(EntryType::Regular);
    header.set_mode(mode);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(epoch);
    header.set_size(size);
    header
}

/// Compressed; the gzip header would otherwise name a time and a system.
pub(crate) fn gzip(bytes: &[u8]) -> io::Result<Vec<u8>> {
    let mut encoder =
        GzBuilder::new().mtime(0).operating_system(255).write(Vec::new(), Compression::new(6));
    encoder.write_all(bytes)?;
    encoder.finish()
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    fn tree(order: &[&str]) -> Tree {
        let mut tree = Tree::default();
        for path in order {
            match *path {
                "moniker" => tree.program(path, b"a program".to_vec()),
                path => tree.file(path, path),
            }
        }
        tree
    }

    #[test]
    fn the_same_files_are_the_same_bytes_in_whatever_order_they_came() {
        let one = tree(&["moniker", "etc/ssl/certs/ca.crt", "etc/passwd"]).archive(7).unwrap();
        let two = tree(&["etc/passwd", "moniker", "etc/ssl/certs/ca.crt"]).archive(7).unwrap();
        assert_eq!(one, two);
        assert_eq!(gzip(&one).unwrap(), gzip(&two).unwrap());
        let other = tree(&["moniker", "etc/passwd"]).archive(7).unwrap();
        assert_ne!(one, other);
    }

    #[test]
    fn nothing_of_the_machine_is_in_the_headers() {
        let bytes = tree(&["moniker", "etc/passwd", "etc/ssl/ca.crt"]).archive(42).unwrap();
        let mut archive = tar::Archive::new(&bytes[..]);
        let mut seen = Vec::new();
        for entry in archive.entries().unwrap() {
            let mut entry = entry.unwrap();
            let path = entry.path().unwrap().display().to_string();
            let header = entry.header().clone();
            assert_eq!((header.uid().unwrap(), header.gid().unwrap()), (0, 0), "{path}");
            assert_eq!(header.mtime().unwrap(), 42, "{path}");
            assert_eq!(header.username_bytes(), Some(&b""[..]), "{path}");
            let mut text = String::new();
            entry.read_to_string(&mut text).unwrap();
            seen.push((path, header.mode().unwrap(), text));
        }
        let expected = [
            ("etc/", 0o755, ""),
            ("etc/ssl/", 0o755, ""),
            ("etc/passwd", 0o644, "etc/passwd"),
            ("etc/ssl/ca.crt", 0o644, "etc/ssl/ca.crt"),
            ("moniker", 0o755, "a program"),
        ];
        assert_eq!(seen, expected.map(|(path, mode, text)| (path.into(), mode, text.into())));
    }

    #[test]
    fn a_tree_on_disk_has_the_modes_of_the_layer() {
        let directory = tempfile::tempdir().unwrap();
        tree(&["moniker", "etc/passwd"]).write_to(directory.path()).unwrap();
        let mode = |path| fs::metadata(directory.path().join(path)).unwrap().permissions().mode();
        assert_eq!(mode("moniker") & 0o777, 0o755);
        assert_eq!(mode("etc/passwd") & 0o777, 0o644);
    }
}
