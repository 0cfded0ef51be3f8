//! An image as an OCI archive: the layout of the image specification in one tar file, which
//! `ctr images import`, `docker load`, `podman load` and `skopeo copy oci-archive:` take.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tar::Builder;

use super::layer::{self, Tree};

const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
const INDEX: &str = "application/vnd.oci.image.index.v1+json";
const LAYER: &str = "application/vnd.oci.image.layer.v1.tar+gzip";
const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";

/// What an image is, beside its files.
#[derive(Debug, Clone)]
pub(crate) struct Image<'a> {
    /// Its full name with a tag, such as `localhost/moniker:dev`.
    pub(crate) name: &'a str,
    /// The program that it runs, an absolute path.
    pub(crate) entrypoint: &'a str,
    /// The user that it runs as: numbers, so that `runAsNonRoot` can tell.
    pub(crate) user: &'a str,
    /// The architecture, as Go names it: `amd64`, `arm64`.
    pub(crate) architecture: &'a str,
    /// What is said of it: keys of `org.opencontainers.image`.
    pub(crate) labels: &'a [(&'a str, &'a str)],
    /// How old everything in it is, in seconds since 1970.
    pub(crate) epoch: u64,
}

/// An archive and the digest by which registries and nodes know the image.
#[derive(Debug, Clone)]
pub(crate) struct Archive {
    pub(crate) digest: String,
    pub(crate) bytes: Vec<u8>,
}

impl Image<'_> {
    /// The image of these files.
    pub(crate) fn archive(&self, tree: &Tree) -> Result<Archive> {
        let mut blobs = BTreeMap::new();
        let plain = tree.archive(self.epoch).context("the layer")?;
        let layer = blob(&mut blobs, LAYER, layer::gzip(&plain)?);
        let config = self.config(&digest(&plain))?;
        let config = blob(&mut blobs, CONFIG, json_bytes(&config)?);
        let manifest = json!({
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": config,
            "layers": [layer],
        });
        let mut manifest = blob(&mut blobs, MANIFEST, json_bytes(&manifest)?);
        let digest = manifest["digest"].as_str().unwrap_or_default().to_owned();
        let tag = self.name.rsplit_once(':').map_or("latest", |(_, tag)| tag);
        // The first is how containerd and Docker name what they load, the second the specification.
        manifest["annotations"] = json!({
            "io.containerd.image.name": self.name,
            "org.opencontainers.image.ref.name": tag,
        });
        let index = json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": [manifest]});
        let bytes = self.write(&blobs, &index)?;
        Ok(Archive { digest, bytes })
    }

    fn config(&self, diff_id: &str) -> Result<Value> {
        let labels: BTreeMap<_, _> = self
            .labels
            .iter()
            .map(|(key, value)| (format!("org.opencontainers.image.{key}"), *value))
            .collect();
        let created = super::rfc3339(self.epoch)?;
        Ok(json!({
            "created": created,
            "architecture": self.architecture,
            "os": "linux",
            "config": {
                "User": self.user,
                "Entrypoint": [self.entrypoint],
                "WorkingDir": "/",
                "Labels": labels,
            },
            "rootfs": {"type": "layers", "diff_ids": [diff_id]},
            "history": [{"created": created, "created_by": "cargo xtask image"}],
        }))
    }

    fn write(&self, blobs: &BTreeMap<String, Vec<u8>>, index: &Value) -> Result<Vec<u8>> {
        let mut archive = Builder::new(Vec::new());
        let mut add = |path: &str, content: &[u8]| {
            layer::append(&mut archive, path, 0o644, content, self.epoch).context("the archive")
        };
        for (path, content) in blobs {
            add(path, content)?;
        }
        add("index.json", &json_bytes(index)?)?;
        add("oci-layout", &json_bytes(&json!({"imageLayoutVersion": "1.0.0"}))?)?;
        archive.into_inner().context("the archive")
    }
}

/// Puts a blob where its digest says, and describes it.
fn blob(blobs: &mut BTreeMap<String, Vec<u8>>, media_type: &str, content: Vec<u8>) -> Value {
    let digest = digest(&content);
    let described = json!({"mediaType": media_type, "digest": digest, "size": content.len()});
    blobs.insert(format!("blobs/{}", digest.replace(':', "/")), content);
    described
}

/// As the specification writes it: `sha256:` and hex digits.
pub(crate) fn digest(bytes: &[u8]) -> String {
    format!("sha256:{}", hex::encode(Sha256::digest(bytes)))
}

fn json_bytes(value: &Value) -> Result<Vec<u8>> {
    serde_json::to_vec(value).context("JSON")
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use flate2::read::GzDecoder;

    use super::*;

    fn made(program: &str, epoch: u64) -> Archive {
        let mut tree = Tree::default();
        tree.program("moniker", program.into());
        tree.file("etc/passwd", "moniker:x:65532:65532::/:/\n");
        let labels = [("title", "moniker"), ("version", "1.2.3")];
        let image = Image {
            name: "localhost/moniker:1.2.3",
            entrypoint: "/moniker",
            user: "65532:65532",
            architecture: "amd64",
            labels: &labels,
            epoch,
        };
        image.archive(&tree).unwrap()
    }

    fn files(archive: &Archive) -> BTreeMap<String, Vec<u8>> {
        let mut tar = tar::Archive::new(&archive.bytes[..]);
        let entries = tar.entries().unwrap().map(|entry| {
            let mut entry = entry.unwrap();
            let mut content = Vec::new();
            entry.read_to_end(&mut content).unwrap();
            (entry.path().unwrap().display().to_string(), content)
        });
        entries.collect()
    }

    /// Follows a descriptor as a node does: the blob is there, of that size and that digest.
    fn follow<'a>(files: &'a BTreeMap<String, Vec<u8>>, descriptor: &Value) -> &'a [u8] {
        let named = descriptor["digest"].as_str().unwrap();
        let blob = &files[&format!("blobs/{}", named.replace(':', "/"))];
        assert_eq!(digest(blob), named);
        assert_eq!(descriptor["size"], blob.len());
        blob
    }

    #[test]
    fn the_same_image_is_the_same_bytes() {
        let (one, two) = (made("binary", 1_700_000_000), made("binary", 1_700_000_000));
        assert_eq!(one.digest, two.digest);
        assert_eq!(one.bytes, two.bytes);
        assert_ne!(one.digest, made("another", 1_700_000_000).digest);
        assert_ne!(one.digest, made("binary", 1_700_000_001).digest);
    }

    #[test]
    fn whatever_the_index_leads_to_is_there_and_nothing_else() {
        let archive = made("binary", 1_700_000_000);
        let files = files(&archive);
        assert_eq!(files["oci-layout"], br#"{"imageLayoutVersion":"1.0.0"}"#);
        let index: Value = serde_json::from_slice(&files["index.json"]).unwrap();
        assert_eq!(index["mediaType"], INDEX);
        let described = &index["manifests"][0];
        assert_eq!(described["digest"], archive.digest.as_str());
        assert_eq!(described["annotations"]["io.containerd.image.name"], "localhost/moniker:1.2.3");
        assert_eq!(described["annotations"]["org.opencontainers.image.ref.name"], "1.2.3");
        let manifest: Value = serde_json::from_slice(follow(&files, described)).unwrap();
        assert_eq!(manifest["mediaType"], MANIFEST);
        let config: Value = serde_json::from_slice(follow(&files, &manifest["config"])).unwrap();
        assert_eq!(config["config"]["User"], "65532:65532");
        assert_eq!(config["config"]["Entrypoint"], json!(["/moniker"]));
        assert_eq!(config["created"], "2023-11-14T22:13:20Z");
        assert_eq!(config["config"]["Labels"]["org.opencontainers.image.version"], "1.2.3");
        let layers = manifest["layers"].as_array().unwrap();
        assert_eq!(layers.len(), 1);
        let mut plain = Vec::new();
        GzDecoder::new(follow(&files, &layers[0])).read_to_end(&mut plain).unwrap();
        assert_eq!(config["rootfs"]["diff_ids"], json!([digest(&plain)]));
        assert_eq!(files.len(), 5, "{:?}", files.keys());
    }
}
