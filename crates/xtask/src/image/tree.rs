//! What is in the image: the program, who runs it, how names are looked up, and whom TLS trusts.
//! There is no shell, no package manager and no library.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use webpki_root_certs::TLS_SERVER_ROOT_CERTS;

use super::layer::Tree;

/// Where the program is.
pub(crate) const ENTRYPOINT: &str = "/moniker";
/// The user and the group of the program, as numbers.
pub(crate) const USER: &str = "65532:65532";

const PASSWD: &str = "root:x:0:0:root:/:/nowhere\nmoniker:x:65532:65532:moniker:/:/nowhere\n";
const GROUP: &str = "root:x:0:\nmoniker:x:65532:\n";
/// The C library has both of these built in; others it would load.
const NSSWITCH: &str = "hosts: files dns\n";

/// The image's files, with the program from `binary`.
pub(super) fn tree(binary: &Path) -> Result<Tree> {
    let program = fs::read(binary).with_context(|| binary.display().to_string())?;
    let mut tree = Tree::default();
    tree.program(ENTRYPOINT.trim_start_matches('/'), program);
    tree.file("etc/passwd", PASSWD);
    tree.file("etc/group", GROUP);
    tree.file("etc/nsswitch.conf", NSSWITCH);
    tree.file("etc/ssl/certs/ca-certificates.crt", authorities());
    Ok(tree)
}

/// The authorities that Mozilla trusts, in PEM. They come from a crate that `Cargo.lock` pins, and
/// not from the machine that builds, so that two machines build the same image.
fn authorities() -> String {
    let mut pem = String::new();
    for certificate in TLS_SERVER_ROOT_CERTS {
        let text = STANDARD.encode(certificate);
        pem.push_str("-----BEGIN CERTIFICATE-----\n");
        let mut rest = text.as_str();
        while !rest.is_empty() {
            let (line, more) = rest.split_at(rest.len().min(64));
            pem.push_str(line);
            pem.push('\n');
            rest = more;
        }
        pem.push_str("-----END CERTIFICATE-----\n");
    }
    pem
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_image_has_one_program_and_four_files() {
        let directory = tempfile::tempdir().unwrap();
        let binary = directory.path().join("built");
        fs::write(&binary, "ELF").unwrap();
        let tree = tree(&binary).unwrap();
        let programs: Vec<_> = tree.files().filter(|(_, file)| file.mode & 0o111 != 0).collect();
        assert_eq!(programs.len(), 1);
        assert_eq!(programs[0].0, "moniker");
        assert_eq!(programs[0].1.content, b"ELF");
        assert_eq!(tree.files().count(), 5);
    }

    #[test]
    fn the_bundle_is_pem_of_all_authorities() {
        let pem = authorities();
        assert_eq!(
            pem.matches("-----BEGIN CERTIFICATE-----\n").count(),
            TLS_SERVER_ROOT_CERTS.len()
        );
        assert!(TLS_SERVER_ROOT_CERTS.len() > 100, "{}", TLS_SERVER_ROOT_CERTS.len());
        assert!(pem.lines().all(|line| !line.is_empty() && line.len() <= 64));
        let first = pem.split("-----").nth(2).unwrap().replace('\n', "");
        assert_eq!(STANDARD.decode(first).unwrap(), TLS_SERVER_ROOT_CERTS[0].as_ref());
    }
}
