//! A file that is either whole or not there: headed by what it is, its format, its length and its
//! digest; written beside, synced, and renamed into its place.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read as _, Write as _},
    os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _},
    path::Path,
};

use routing::Digest;
use zeroize::Zeroizing;

/// The one format so far.
const FORMAT: u32 = 1;
/// The longest file that is read, in bytes.
const LONGEST: u64 = 1 << 30;
/// What a file is called while it is written.
const PART: &str = "part";

/// Why a file is not used.
#[derive(Debug, thiserror::Error)]
pub enum Unusable {
    /// It cannot be read.
    #[error("it cannot be read: {0}")]
    Read(#[from] io::Error),
    /// It is none of ours.
    #[error("it is no file of this router's user")]
    Owner,
    /// It is longer than any of ours.
    #[error("its {0} bytes are over the limit of {LONGEST}")]
    TooLong(u64),
    /// It is something else.
    #[error("it does not begin as one that a router wrote")]
    Head,
    /// Another build wrote it.
    #[error("it has format {0}, and this build reads format {FORMAT}")]
    Format(u32),
    /// It was cut or changed.
    #[error("its content is not what its head says: it was cut or changed")]
    Damaged,
    /// What it says cannot be used.
    #[error("{0}")]
    Content(String),
}

/// A directory of our own below one that may be a mount of somebody else, for this user alone.
pub(super) fn own_dir(parent: &Path) -> io::Result<std::path::PathBuf> {
    let dir = parent.join("moniker");
    let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(&dir);
    made.map(|()| dir)
}

/// The content of a file that [`write`] wrote as this.
pub(super) fn read(path: &Path, what: &str) -> Result<Zeroizing<Vec<u8>>, Unusable> {
    let file = OpenOptions::new()
        .read(true)
        .custom_flags(rustix::fs::OFlags::NOFOLLOW.bits().cast_signed())
        .open(path)?;
    let about = file.metadata()?;
    if !about.is_file() || about.uid() != rustix::process::geteuid().as_raw() {
        return Err(Unusable::Owner);
    }
    if about.len() > LONGEST {
        return Err(Unusable::TooLong(about.len()));
    }
    // Room for all of it, so that no copy is left behind by growth.
    let room = usize::try_from(about.len()).unwrap_or_default() + 1;
    let mut bytes = Zeroizing::new(Vec::with_capacity(room));
    file.take(LONGEST).read_to_end(&mut bytes)?;
    let end = bytes.iter().position(|byte| *byte == b'\n').ok_or(Unusable::Head)?;
    let head = std::str::from_utf8(&bytes[..end]).map_err(|_| Unusable::Head)?;
    let mut words = head.split(' ');
    if (words.next(), words.next()) != (Some("moniker"), Some(what)) {
        return Err(Unusable::Head);
    }
    let format: u32 = words.next().and_then(|word| word.parse().ok()).ok_or(Unusable::Head)?;
    if format != FORMAT {
        return Err(Unusable::Format(format));
    }
    let body = &bytes[end + 1..];
    let [length, digest] = [words.next(), words.next()].map(Option::unwrap_or_default);
    if length != body.len().to_string() || digest != Digest::of(body).to_string() {
        return Err(Unusable::Damaged);
    }
    Ok(Zeroizing::new(body.to_vec()))
}

/// Writes a file whole: for this user alone, on the disk before it has its name.
pub(super) fn write(dir: &Path, name: &str, what: &str, body: &[u8]) -> io::Result<()> {
    let part = dir.join(format!("{name}.{PART}"));
    let written = write_part(&part, what, body)
        .and_then(|()| fs::rename(&part, dir.join(name)))
        .and_then(|()| File::open(dir)?.sync_all());
    if written.is_err() {
        // Whether it can be removed or not, the next write begins it anew.
        let _ = fs::remove_file(&part);
    }
    written
}

fn write_part(part: &Path, what: &str, body: &[u8]) -> io::Result<()> {
    match fs::remove_file(part) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(part)?;
    let digest = Digest::of(body);
    writeln!(file, "moniker {what} {FORMAT} {} {digest}", body.len())?;
    file.write_all(body)?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_cut_or_changed_is_not_used() {
        let dir = tempfile::tempdir().unwrap();
        write(dir.path(), "a", "thing", b"what there is to say").unwrap();
        let path = dir.path().join("a");
        assert_eq!(&**read(&path, "thing").unwrap(), b"what there is to say");
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
        assert!(matches!(read(&path, "other"), Err(Unusable::Head)));
        assert!(matches!(read(&dir.path().join("b"), "thing"), Err(Unusable::Read(_))));
        let good = fs::read(&path).unwrap();
        for length in 0..good.len() {
            fs::write(&path, &good[..length]).unwrap();
            assert!(read(&path, "thing").is_err(), "cut after {length}");
        }
        for at in 0..good.len() {
            let mut bad = good.clone();
            bad[at] ^= 4;
            fs::write(&path, &bad).unwrap();
            assert!(read(&path, "thing").is_err(), "changed at {at}");
        }
        fs::write(&path, vec![0; good.len()]).unwrap();
        assert!(matches!(read(&path, "thing"), Err(Unusable::Head)));
        let newer = String::from_utf8(good).unwrap().replacen("thing 1", "thing 2", 1);
        fs::write(&path, newer).unwrap();
        assert!(matches!(read(&path, "thing"), Err(Unusable::Format(2))));
    }

    #[test]
    fn what_leads_elsewhere_is_not_followed() {
        let dir = tempfile::tempdir().unwrap();
        write(dir.path(), "a", "thing", b"body").unwrap();
        let link = dir.path().join("link");
        std::os::unix::fs::symlink(dir.path().join("a"), &link).unwrap();
        assert!(matches!(read(&link, "thing"), Err(Unusable::Read(_))));
    }

    #[test]
    fn what_cannot_be_written_leaves_what_there_was() {
        let dir = tempfile::tempdir().unwrap();
        write(dir.path(), "a", "thing", b"old").unwrap();
        // A directory in the way of the part fails for root too.
        fs::create_dir(dir.path().join("a.part")).unwrap();
        assert!(write(dir.path(), "a", "thing", b"new").is_err());
        assert_eq!(&**read(&dir.path().join("a"), "thing").unwrap(), b"old");
    }
}
