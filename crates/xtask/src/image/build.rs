//! Builds the program of the image: static, so that it needs no library beside it, and with no path
//! of this machine in it, so that another machine builds the same bytes.
//!
//! Static is a matter of the last link alone: the flag goes to the binary, not to `RUSTFLAGS`, where
//! it would reach build scripts and procedural macros, which cannot be. glibc itself looks names up
//! in files and by DNS without loading anything (since 2.34).

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::{assets, run};

/// How the program is built.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Profile {
    /// As it is shipped: optimised, reproducible, minutes.
    Release,
    /// As developers have it: nothing is built twice, and paths of this machine are in it.
    Dev,
}

/// Builds it and says where it is.
pub(super) fn binary(profile: Profile, epoch: u64) -> Result<PathBuf> {
    let workspace = assets::workspace().canonicalize()?;
    let target = target_directory(profile)?;
    let mut cargo = run::cargo(&["rustc", "--quiet", "--locked", "--package", "moniker"]);
    cargo.args(["--bin", "moniker"]);
    if profile == Profile::Release {
        cargo.args(["--release", "--target-dir"]).arg(&target);
        reproducible(&mut cargo, &workspace, &target)?;
        cargo.env("SOURCE_DATE_EPOCH", epoch.to_string());
    }
    cargo.args(["--", "-C", "target-feature=+crt-static", "-C", "strip=debuginfo"]);
    run::run(&mut cargo)?;
    let binary = target.join(directory_of(profile)).join("moniker");
    if let Some(interpreter) = interpreter(&std::fs::read(&binary)?)? {
        bail!("{} is not static: it wants {interpreter}", binary.display());
    }
    Ok(binary)
}

fn directory_of(profile: Profile) -> &'static str {
    match profile {
        Profile::Release => "release",
        Profile::Dev => "debug",
    }
}

/// The flags of a release are not those of `cargo build --release`: in one directory, each would
/// make the other build everything again.
fn target_directory(profile: Profile) -> Result<PathBuf> {
    let metadata = cargo_metadata::MetadataCommand::new()
        .manifest_path(assets::workspace().join("Cargo.toml"))
        .no_deps()
        .exec()?;
    let target = metadata.target_directory.into_std_path_buf();
    Ok(match profile {
        Profile::Release => target.join("image"),
        Profile::Dev => target,
    })
}

/// Sets what keeps the machine out of the program.
fn reproducible(cargo: &mut Command, workspace: &Path, target: &Path) -> Result<()> {
    let home = env::home_dir().context("no home directory: set HOME")?;
    let cargo_home = env::var_os("CARGO_HOME").map_or_else(|| home.join(".cargo"), PathBuf::from);
    let sysroot = run::output(&mut run::program("rustc", &["--print", "sysroot"]))?;
    // The last that matches counts: what is within another comes after it.
    let places = [
        (workspace, "/moniker"),
        (&cargo_home, "/cargo"),
        (Path::new(sysroot.trim()), "/rust"),
        (target, "/target"),
    ];
    let rust =
        places.iter().map(|(from, to)| format!("--remap-path-prefix={}={to}", from.display()));
    let c = places.iter().map(|(from, to)| format!("-ffile-prefix-map={}={to}", from.display()));
    cargo.env("CARGO_ENCODED_RUSTFLAGS", rust.collect::<Vec<_>>().join("\u{1f}"));
    cargo.env_remove("RUSTFLAGS").env("CFLAGS", c.collect::<Vec<_>>().join(" "));
    cargo.env("CARGO_INCREMENTAL", "0");
    Ok(())
}

/// The loader that an ELF program asks for: a static one asks for none.
pub(super) fn interpreter(elf: &[u8]) -> Result<Option<String>> {
    const LOADER: u32 = 3;
    let short = "the program is shorter than its ELF headers say";
    let number = |at: usize, length: usize| {
        let bytes = elf.get(at..at + length).context(short)?;
        Ok::<_, anyhow::Error>(
            bytes.iter().rev().fold(0_u64, |sum, byte| sum << 8 | u64::from(*byte)),
        )
    };
    // 64 bits, little-endian.
    if !elf.starts_with(b"\x7fELF\x02\x01") {
        bail!("the program is no 64-bit little-endian ELF file");
    }
    let (table, size) = (usize::try_from(number(32, 8)?)?, usize::try_from(number(54, 2)?)?);
    for entry in 0..usize::try_from(number(56, 2)?)? {
        let at = table + entry * size;
        if number(at, 4)? == u64::from(LOADER) {
            let from = usize::try_from(number(at + 8, 8)?)?;
            let length = usize::try_from(number(at + 32, 8)?)?;
            let name = elf.get(from..from + length).context(short)?;
            return Ok(Some(String::from_utf8_lossy(name).trim_end_matches('\0').to_owned()));
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_loader_of_a_program_is_found() {
        // This very test is linked as every program here is.
        let test = std::fs::read(env::current_exe().unwrap()).unwrap();
        let loader = interpreter(&test).unwrap().unwrap();
        assert!(loader.starts_with('/') && loader.contains("ld-"), "{loader}");
        let error = interpreter(&test[..80]).unwrap_err().to_string();
        assert!(error.contains("shorter"), "{error}");
        let error = interpreter(b"#!/bin/sh\n").unwrap_err().to_string();
        assert!(error.contains("ELF"), "{error}");
    }

    #[test]
    fn every_place_of_this_machine_has_another_name() {
        let mut command = Command::new("cargo");
        let (workspace, target) = (Path::new("/here/moniker"), Path::new("/here/moniker/target"));
        reproducible(&mut command, workspace, target).unwrap();
        let set: Vec<_> = command.get_envs().collect();
        for name in ["CARGO_ENCODED_RUSTFLAGS", "CFLAGS"] {
            let (_, flags) = set.iter().find(|(key, _)| *key == name).unwrap();
            let flags = flags.unwrap().to_string_lossy();
            let at = |part: &str| flags.find(part).unwrap_or_else(|| panic!("{part} in {flags}"));
            assert!(at("=/here/moniker=/moniker") < at("=/here/moniker/target=/target"));
        }
    }
}
