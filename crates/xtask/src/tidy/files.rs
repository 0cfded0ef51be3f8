//! What every file must be: short, headed by what it is for, finished, and silent about the
//! machine it was written on.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

/// A longer file has a seam.
const LONGEST: usize = 600;

/// Directories that are nobody's text.
const SKIPPED: &[&str] = &[".git", "target", ".venv", "node_modules", "snapshots"];

/// Files that people write; tables, locks and what is generated have other ends.
const WRITTEN: &[&str] = &["rs", "py", "sh", "md", "toml", "js", "ts", "css", "html"];

/// Words that must not stand anywhere. In pieces, so that they do not stand here either.
const FORBIDDEN: &[(&str, &str)] = &[
    (concat!("TO", "DO"), "finish it, or leave it out"),
    (concat!("FIX", "ME"), "fix it, or leave it out"),
    (concat!("todo", "!("), "finish it, or leave it out"),
    (concat!("unimplemented", "!("), "finish it, or leave it out"),
    (concat!("#[", "ignore"), "make it run, or remove it"),
    (concat!("/wo", "rk/"), "a path of one machine"),
    (concat!("/ro", "ot/"), "a path of one machine"),
    (concat!("..", "/shared"), "a path of one machine"),
];

/// All problems of all files below `root`.
pub(super) fn problems(root: &Path) -> Result<Vec<String>> {
    let mut problems = Vec::new();
    walk(root, "", &mut problems)?;
    problems.sort();
    Ok(problems)
}

fn walk(directory: &Path, prefix: &str, problems: &mut Vec<String>) -> Result<()> {
    for entry in fs::read_dir(directory).with_context(|| directory.display().to_string())? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let shown = format!("{prefix}{name}");
        let kind = entry.file_type()?;
        if kind.is_dir() {
            // CI's script is about one machine by its nature.
            if !SKIPPED.contains(&name.as_str()) && shown != ".ci" {
                walk(&entry.path(), &format!("{shown}/"), problems)?;
            }
        } else if kind.is_file() && is_written(&name) {
            let text = fs::read_to_string(entry.path()).with_context(|| shown.clone())?;
            problems.extend(of_file(&shown, &text));
        }
    }
    Ok(())
}

fn is_written(name: &str) -> bool {
    Path::new(name).extension().is_some_and(|end| WRITTEN.iter().any(|one| end == *one))
}

fn of_file(name: &str, text: &str) -> Vec<String> {
    let mut problems = Vec::new();
    if Path::new(name).extension().is_some_and(|end| end == "rs") && !text.starts_with("//!") {
        problems.push(format!("{name}:1: begins without `//!` and what the file is for"));
    }
    let lines = text.lines().count();
    if lines > LONGEST {
        problems.push(format!("{name}: {lines} lines, more than {LONGEST}: find the seam"));
    }
    for (number, line) in text.lines().enumerate() {
        for (word, remedy) in FORBIDDEN.iter().filter(|(word, _)| contains(line, word)) {
            problems.push(format!("{name}:{}: says `{word}`: {remedy}", number + 1));
        }
    }
    problems
}

/// Whether the word stands there, and not merely as a part of a longer one.
fn contains(line: &str, word: &str) -> bool {
    line.match_indices(word).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        let after = line[at + word.len()..].chars().next();
        let joins = |inner: char, outer: Option<char>| {
            inner.is_ascii_alphanumeric() && outer.is_some_and(|char| char.is_ascii_alphanumeric())
        };
        !joins(word.chars().next().unwrap_or(' '), before)
            && !joins(word.chars().next_back().unwrap_or(' '), after)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_must_say_what_it_is_for() {
        assert_eq!(of_file("a.rs", "//! Adds.\nfn add() {}\n"), Vec::<String>::new());
        assert_eq!(of_file("a.rs", "#![expect(x)]\n//! Adds.\n").len(), 1);
        assert_eq!(of_file("a.rs", "").len(), 1);
        assert_eq!(of_file("a.md", "# Adds\n"), Vec::<String>::new());
    }

    #[test]
    fn a_long_file_is_found() {
        let text = format!("//! Long.\n{}", "\n".repeat(LONGEST));
        let found = of_file("a.rs", &text).join("\n");
        assert!(found.contains("a.rs: 601 lines"), "{found}");
    }

    #[test]
    fn each_forbidden_word_is_found_where_it_stands() {
        for (word, _) in FORBIDDEN {
            let text = format!("//! Fine.\n\nlet x = ({word} y);\n");
            let found = of_file("a.rs", &text);
            assert!(found.len() == 1 && found[0].starts_with("a.rs:3: says"), "{word}: {found:?}");
        }
        let longer = concat!("a/wo", "rkspace, MASTO", "DON, /wo", "rking/");
        assert_eq!(of_file("a.md", longer), Vec::<String>::new());
    }

    #[test]
    fn directories_are_walked_but_for_those_that_hold_no_text_of_ours() {
        let root = std::env::temp_dir().join(format!("xtask-files-{}", std::process::id()));
        let bad = concat!("# FIX", "ME\n");
        for directory in ["docs/deep", "target", ".ci"] {
            fs::create_dir_all(root.join(directory)).unwrap();
            fs::write(root.join(directory).join("a.md"), bad).unwrap();
        }
        fs::write(root.join("docs/a.lock"), bad).unwrap();
        let found = problems(&root).unwrap();
        assert!(found.len() == 1 && found[0].starts_with("docs/deep/a.md:1"), "{found:?}");
        fs::remove_dir_all(root).unwrap();
    }
}
