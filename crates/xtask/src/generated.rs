//! Files that are written from the types: written anew by their command, and compared by its
//! `--check`, which a test and `tidy` call too.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::Path;

use anyhow::{Context, Result, bail};

use crate::assets;

/// How to call a command that generates.
#[derive(Debug, Clone, Copy, clap::Args)]
pub(crate) struct Args {
    /// Write nothing; fail if a file is not as the types say
    #[arg(long)]
    check: bool,
}

/// All files of one directory that one command owns.
#[derive(Debug)]
pub(crate) struct Generated {
    /// From the root of the workspace.
    pub(crate) directory: &'static str,
    /// The command that writes them, for messages.
    pub(crate) command: &'static str,
    /// Only files that end so are owned; others may lie beside them.
    pub(crate) extension: &'static str,
    /// Names and contents.
    pub(crate) files: BTreeMap<String, String>,
}

impl Args {
    /// Does what the user asked for.
    pub(crate) fn write_or_check(self, generated: &Generated) -> Result<()> {
        if !self.check {
            return generated.write(assets::workspace());
        }
        let stale = generated.stale(assets::workspace())?;
        if stale.is_empty() {
            println!("{}: {} files, all fresh", generated.directory, generated.files.len());
            return Ok(());
        }
        bail!("{}", stale.join("\n"));
    }
}

impl Generated {
    fn write(&self, root: &Path) -> Result<()> {
        let directory = root.join(self.directory);
        fs::create_dir_all(&directory).with_context(|| directory.display().to_string())?;
        for name in self.present(root)?.keys().filter(|name| !self.files.contains_key(*name)) {
            println!("removed {}/{name}", self.directory);
            fs::remove_file(directory.join(name))?;
        }
        for (name, content) in &self.files {
            fs::write(directory.join(name), content).with_context(|| name.clone())?;
            println!("wrote {}/{name}", self.directory);
        }
        Ok(())
    }

    /// What is wrong with the files on disk, one line each.
    pub(crate) fn stale(&self, root: &Path) -> Result<Vec<String>> {
        let mut present = self.present(root)?;
        let mut problems = Vec::new();
        for (name, content) in &self.files {
            let what = match present.remove(name) {
                Some(there) if there == *content => continue,
                Some(_) => "is not what the types say",
                None => "is missing",
            };
            problems.push(format!("{}/{name} {what}: run `{}`", self.directory, self.command));
        }
        for name in present.keys() {
            let directory = self.directory;
            problems.push(format!("{directory}/{name} comes from no type: run `{}`", self.command));
        }
        Ok(problems)
    }

    fn present(&self, root: &Path) -> Result<BTreeMap<String, String>> {
        let directory = root.join(self.directory);
        let entries = match fs::read_dir(&directory) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(BTreeMap::new()),
            Err(error) => return Err(error).context(directory.display().to_string()),
        };
        let mut present = BTreeMap::new();
        for entry in entries {
            let entry = entry?;
            let name = entry.file_name().to_string_lossy().into_owned();
            if name.ends_with(self.extension) {
                present.insert(name, fs::read_to_string(entry.path())?);
            }
        }
        Ok(present)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn generated(files: &[(&str, &str)]) -> Generated {
        let files = files.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned()));
        let files = files.collect();
        Generated { directory: "made", command: "cargo xtask make", extension: ".yaml", files }
    }

    #[test]
    fn stale_missing_and_left_over_files_are_found_and_mended() {
        let root = std::env::temp_dir().join(format!("xtask-generated-{}", std::process::id()));
        let wanted = generated(&[("a.yaml", "1"), ("b.yaml", "2"), ("c.yaml", "3")]);
        assert_eq!(wanted.stale(&root).unwrap().len(), 3, "no directory yet");

        generated(&[("a.yaml", "1"), ("b.yaml", "old"), ("d.yaml", "4")]).write(&root).unwrap();
        fs::write(root.join("made/README.md"), "not ours").unwrap();
        let problems = wanted.stale(&root).unwrap().join("\n");
        assert!(!problems.contains("a.yaml"), "{problems}");
        assert!(problems.contains("made/b.yaml is not what the types say"), "{problems}");
        assert!(problems.contains("made/c.yaml is missing"), "{problems}");
        assert!(problems.contains("made/d.yaml comes from no type"), "{problems}");
        assert!(problems.contains("run `cargo xtask make`"), "{problems}");

        wanted.write(&root).unwrap();
        assert_eq!(wanted.stale(&root).unwrap(), Vec::<String>::new());
        assert!(root.join("made/README.md").exists(), "files of others stay");
        fs::remove_dir_all(root).unwrap();
    }
}
