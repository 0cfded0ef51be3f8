//! What the program is made of, as a CycloneDX document: every crate that is linked into it, with
//! version, licence and checksum, and the C library.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use anyhow::{Context, Result};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::{assets, run};

/// One crate of the tree that Cargo prints.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Crate {
    name: String,
    version: String,
    licence: String,
    repository: String,
    /// What it links, by package URL.
    uses: BTreeSet<String>,
}

/// The document for a program of this digest.
pub(super) fn document(target: &str, program: &[u8], epoch: u64) -> Result<Value> {
    let fields = "\t{p}\t{l}\t{r}";
    let edges = ["--edges", "normal,no-proc-macro", "--target", target, "--locked"];
    let form = ["--prefix", "depth", "--color", "never", "--format", fields];
    let tree = ["tree", "--package", "moniker"];
    let printed = run::output(&mut run::cargo(&[&tree[..], &edges, &form].concat()))?;
    let lock = assets::workspace().join("Cargo.lock");
    let lock = fs::read_to_string(&lock).with_context(|| lock.display().to_string())?;
    let crates = parse(&printed)?;
    write(&crates, &checksums(&lock)?, libc(), program, epoch)
}

/// Reads `DEPTH\tNAME vVERSION ...\tLICENCE\tREPOSITORY` lines, by package URL.
fn parse(printed: &str) -> Result<BTreeMap<String, Crate>> {
    let mut crates = BTreeMap::<String, Crate>::new();
    let mut above: Vec<String> = Vec::new();
    for line in printed.lines().filter(|line| !line.is_empty()) {
        let strange = || format!("cargo tree printed a line that is not understood: {line}");
        let fields: Vec<_> = line.split('\t').collect();
        let [depth, package, licence, repository] = fields[..] else { anyhow::bail!(strange()) };
        let depth: usize = depth.parse().with_context(strange)?;
        let mut words = package.split(' ');
        let (name, version) = words.next().zip(words.next()).with_context(strange)?;
        let version = version.trim_start_matches('v');
        let url = format!("pkg:cargo/{name}@{version}");
        above.truncate(depth);
        if let Some(user) = above.last().and_then(|user| crates.get_mut(user)) {
            user.uses.insert(url.clone());
        }
        let entry = crates.entry(url.clone()).or_default();
        name.clone_into(&mut entry.name);
        version.clone_into(&mut entry.version);
        // What is not SPDX yet separates by a slash what one may choose from. The mark of a crate
        // that was shown before stands at the end of the line.
        entry.licence = licence.replace(" OR ", "/").replace('/', " OR ");
        repository.trim_end_matches(" (*)").clone_into(&mut entry.repository);
        above.push(url);
    }
    Ok(crates)
}

/// The SHA-256 of each crate that the lock file pins, by package URL.
fn checksums(lock: &str) -> Result<BTreeMap<String, String>> {
    let lock: toml::Table = lock.parse().context("Cargo.lock")?;
    let packages = lock.get("package").and_then(toml::Value::as_array);
    let entry = |package: &toml::Value| {
        let text = |key| package.get(key).and_then(toml::Value::as_str);
        let url = format!("pkg:cargo/{}@{}", text("name")?, text("version")?);
        Some((url, text("checksum")?.to_owned()))
    };
    Ok(packages.context("Cargo.lock lists no package")?.iter().filter_map(entry).collect())
}

/// The C library that is linked in: Debian's package where this is Debian, which scanners know.
fn libc() -> Option<Value> {
    let query = ["--show", "--showformat", "${Version} ${Architecture}", "libc6-dev"];
    if let Ok(said) = run::output(&mut run::program("dpkg-query", &query)) {
        let (version, architecture) = said.trim().split_once(' ')?;
        let url = format!("pkg:deb/debian/glibc@{version}?arch={architecture}");
        return Some(json!({
            "type": "library", "bom-ref": url, "name": "glibc", "version": version, "purl": url,
            "licenses": [{"expression": "LGPL-2.1-or-later"}],
        }));
    }
    let said = run::output(&mut run::program("getconf", &["GNU_LIBC_VERSION"])).ok()?;
    let version = said.trim().strip_prefix("glibc ")?;
    let url = format!("pkg:generic/glibc@{version}");
    Some(json!({
        "type": "library", "bom-ref": url, "name": "glibc", "version": version, "purl": url,
        "licenses": [{"expression": "LGPL-2.1-or-later"}],
    }))
}

fn write(
    crates: &BTreeMap<String, Crate>,
    checksums: &BTreeMap<String, String>,
    libc: Option<Value>,
    program: &[u8],
    epoch: u64,
) -> Result<Value> {
    let root = crates.iter().find(|(_, one)| one.name == "moniker");
    let (root, _) = root.context("cargo tree does not show the crate moniker")?;
    let component = |url: &String, one: &Crate| {
        let kind = if url == root { "application" } else { "library" };
        let mut said = json!({
            "type": kind, "bom-ref": url, "name": one.name, "version": one.version, "purl": url,
        });
        if !one.licence.is_empty() {
            said["licenses"] = json!([{"expression": one.licence}]);
        }
        if let Some(checksum) = checksums.get(url) {
            said["hashes"] = json!([{"alg": "SHA-256", "content": checksum}]);
        }
        if !one.repository.is_empty() {
            said["externalReferences"] = json!([{"type": "vcs", "url": one.repository}]);
        }
        said
    };
    let mut main = component(root, &crates[root]);
    main["hashes"] = json!([{"alg": "SHA-256", "content": hex::encode(Sha256::digest(program))}]);
    let others = crates.iter().filter(|(url, _)| *url != root);
    let mut components: Vec<_> = others.map(|(url, one)| component(url, one)).collect();
    let mut dependencies: Vec<_> =
        crates.iter().map(|(url, one)| json!({"ref": url, "dependsOn": one.uses})).collect();
    if let Some(libc) = libc {
        dependencies.push(json!({"ref": libc["bom-ref"], "dependsOn": []}));
        components.push(libc);
    }
    let mut document = json!({
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {
            "timestamp": super::rfc3339(epoch)?,
            "tools": {"components": [{"type": "application", "name": "cargo xtask image"}]},
            "component": main,
        },
        "components": components,
        "dependencies": dependencies,
    });
    document["serialNumber"] = serial(&document).into();
    Ok(document)
}

/// A UUID that follows from the content (version 8, which leaves its making to whoever makes it).
fn serial(document: &Value) -> String {
    let mut bytes = Sha256::digest(document.to_string());
    bytes[6] = bytes[6] & 0x0f | 0x80;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    let hex = hex::encode(&bytes[..16]);
    let parts = [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]];
    format!("urn:uuid:{}", parts.join("-"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const PRINTED: &str = "0\tmoniker v0.1.0 (/somewhere/crates/moniker)\tApache-2.0\t\n\
                           1\tserde v1.0.1\tMIT OR Apache-2.0\thttps://serde.rs\n\
                           2\tserde_core v1.0.1\tMIT/Apache-2.0\thttps://serde.rs\n\
                           1\trouter v0.1.0 (/somewhere/crates/router)\tApache-2.0\t\n\
                           2\tserde v1.0.1\tMIT OR Apache-2.0\thttps://serde.rs (*)\n";

    fn references(document: &Value) -> BTreeSet<&str> {
        let main = &document["metadata"]["component"];
        let all = document["components"].as_array().unwrap().iter().chain([main]);
        all.map(|one| one["bom-ref"].as_str().unwrap()).collect()
    }

    #[test]
    fn crates_are_listed_once_with_what_they_use() {
        let checksums = BTreeMap::from([("pkg:cargo/serde@1.0.1".to_owned(), "abc".to_owned())]);
        let document = write(&parse(PRINTED).unwrap(), &checksums, None, b"ELF", 0).unwrap();
        let text = document.to_string();
        assert!(!text.contains("somewhere"), "{text}");
        assert_eq!(references(&document).len(), 4);
        let serde = &document["components"][1];
        assert_eq!(serde["purl"], "pkg:cargo/serde@1.0.1");
        assert_eq!(serde["hashes"][0]["content"], "abc");
        assert_eq!(serde["externalReferences"][0]["url"], "https://serde.rs");
        assert_eq!(document["components"][2]["licenses"][0]["expression"], "MIT OR Apache-2.0");
        let router = &document["dependencies"][1];
        assert_eq!(router["dependsOn"], json!(["pkg:cargo/serde@1.0.1"]));
        let again = write(&parse(PRINTED).unwrap(), &checksums, None, b"ELF", 0).unwrap();
        assert_eq!(document, again);
        let other = write(&parse(PRINTED).unwrap(), &checksums, None, b"ELF2", 0).unwrap();
        assert_ne!(document["serialNumber"], other["serialNumber"]);
    }

    #[test]
    fn a_line_that_is_not_understood_is_an_error() {
        let error = parse("unicorn").unwrap_err().to_string();
        assert!(error.contains("unicorn"), "{error}");
    }

    #[test]
    fn the_program_of_this_workspace_has_a_whole_document() {
        let target = super::super::target().unwrap();
        let document = document(&target, b"ELF", 1_700_000_000).unwrap();
        assert_eq!(document["metadata"]["component"]["name"], "moniker");
        assert_eq!(document["metadata"]["timestamp"], "2023-11-14T22:13:20Z");
        let known = references(&document);
        for name in ["pkg:cargo/tokio@", "pkg:cargo/rustls@", "pkg:cargo/router@"] {
            assert!(known.iter().any(|one| one.starts_with(name)), "{name}");
        }
        for name in ["pkg:cargo/testkit@", "pkg:cargo/proptest@", "pkg:cargo/serde_derive@"] {
            assert!(!known.iter().any(|one| one.starts_with(name)), "{name} is not linked");
        }
        for entry in document["dependencies"].as_array().unwrap() {
            for used in entry["dependsOn"].as_array().unwrap() {
                assert!(known.contains(used.as_str().unwrap()), "{used}");
            }
        }
        for one in document["components"].as_array().unwrap() {
            assert!(one["licenses"][0]["expression"].is_string(), "{one}");
            let ours = one["version"] == document["metadata"]["component"]["version"];
            assert!(ours || one["hashes"].is_array() || one["name"] == "glibc", "{one}");
        }
    }
}
