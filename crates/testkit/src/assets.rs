//! Where the programs are that tests run: etcd, the API servers, kubectl, and a Python and a Node
//! with the SDKs. `xtask` includes this very file, so that what builds them and what runs them look in the
//! same places; it therefore depends on little.

use std::env;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

/// One program of the test control plane.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Asset {
    /// The Go module that pins it, a directory of `tests/control-plane`.
    pub(crate) module: &'static str,
    /// Its file name in the cache directory of that module.
    pub(crate) name: &'static str,
    /// Its file name in a directory that the user names, where both API servers lie together.
    pub(crate) given_name: &'static str,
}

/// The store behind both API servers.
pub(crate) const ETCD: Asset = Asset { module: "current", name: "etcd", given_name: "etcd" };
/// The newest API server that is supported.
pub(crate) const API_SERVER: Asset =
    Asset { module: "current", name: "kube-apiserver", given_name: "kube-apiserver" };
/// The oldest API server that is supported.
pub(crate) const OLDEST_API_SERVER: Asset =
    Asset { module: "oldest", name: "kube-apiserver", given_name: "kube-apiserver-oldest" };
/// The command line that users have.
pub(crate) const KUBECTL: Asset =
    Asset { module: "current", name: "kubectl", given_name: "kubectl" };
/// The package manager that installs the charts.
pub(crate) const HELM: Asset = Asset { module: "current", name: "helm", given_name: "helm" };
/// Its version before, which many still use.
pub(crate) const HELM_3: Asset = Asset { module: "helm3", name: "helm", given_name: "helm3" };
/// The definition of the Gateway API's HTTPRoute, which is no part of Kubernetes.
pub(crate) const HTTP_ROUTE: Asset = Asset {
    module: "kinds",
    name: "gateway.networking.k8s.io_httproutes.yaml",
    given_name: "gateway.networking.k8s.io_httproutes.yaml",
};

/// Argo CD: one program, which is what it is called.
pub(crate) const ARGO_CD: Asset = Asset { module: "argocd", name: "argocd", given_name: "argocd" };
/// The definitions of its kinds.
pub(crate) const ARGO_CD_KINDS: [Asset; 3] =
    [kind("application-crd.yaml"), kind("appproject-crd.yaml"), kind("applicationset-crd.yaml")];

const fn kind(name: &'static str) -> Asset {
    Asset { module: "argocd", name, given_name: name }
}

/// The variable that names the directory of a cluster that `cargo xtask cluster` starts; set for
/// whatever runs within its network.
pub(crate) const CLUSTER: &str = "MONIKER_CLUSTER";
/// The administrator's kubeconfig in that directory.
pub(crate) const CLUSTER_KUBECONFIG: &str = "admin.kubeconfig";

/// Variables that name a directory with the programs in it, the first one first.
const GIVEN: [&str; 2] = ["MONIKER_TEST_ASSETS", "KUBEBUILDER_ASSETS"];

impl Asset {
    /// The program, if it is in a directory that the user named, or in the cache.
    pub(crate) fn find(&self) -> io::Result<Option<PathBuf>> {
        let given = GIVEN.iter().filter_map(env::var_os);
        self.find_in(given.map(PathBuf::from))
    }

    fn find_in(&self, given: impl Iterator<Item = PathBuf>) -> io::Result<Option<PathBuf>> {
        let mut places: Vec<_> = given.map(|directory| directory.join(self.given_name)).collect();
        places.push(self.cached()?);
        Ok(places.into_iter().find(|path| path.is_file()))
    }

    /// Where the cache has the program once it is built: keyed by what it is built from.
    pub(crate) fn cached(&self) -> io::Result<PathBuf> {
        let sums = self.module_directory().join("go.sum");
        Ok(cache()?.join("test-assets").join(key(&sums)?).join(self.name))
    }

    /// The directory of the Go module that pins the program.
    pub(crate) fn module_directory(&self) -> PathBuf {
        workspace().join("tests/control-plane").join(self.module)
    }
}

/// The environments of Python, each named after its list of packages in `tests/python`.
pub(crate) const PYTHONS: [&str; 3] = ["requirements", "anthropic", "llmock"];

/// The Python that has the packages of `tests/python/NAME.txt`, whether it is there yet or not.
pub(crate) fn python(name: &str) -> io::Result<PathBuf> {
    if let Some(given) = env::var_os("MONIKER_TEST_PYTHON") {
        return Ok(given.into());
    }
    if !PYTHONS.contains(&name) {
        let what = format!("{name} is no environment of tests/python");
        return Err(io::Error::new(io::ErrorKind::NotFound, what));
    }
    let packages = workspace().join(format!("tests/python/{name}.txt"));
    Ok(cache()?.join(format!("python-{}", key(&packages)?)).join("bin/python"))
}

/// The directory that has a Node and the SDKs of `tests/node/package-lock.json`, whether it is there
/// yet or not.
pub(crate) fn node() -> io::Result<PathBuf> {
    if let Some(given) = env::var_os("MONIKER_TEST_NODE") {
        return Ok(given.into());
    }
    let lock = workspace().join("tests/node/package-lock.json");
    Ok(cache()?.join(format!("node-{}", key(&lock)?)))
}

/// The interpreter in the directory of [`node`]: newer than what Debian has, so that the SDKs run.
pub(crate) fn node_program(directory: &Path) -> PathBuf {
    let machine = if cfg!(target_arch = "aarch64") { "arm64" } else { "x64" };
    directory.join(format!("node_modules/node-linux-{machine}/bin/node"))
}

/// The root of the workspace that this was compiled in.
pub(crate) fn workspace() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
}

/// The user's cache directory for everything that is slow to build.
pub(crate) fn cache() -> io::Result<PathBuf> {
    let base = match env::var_os("XDG_CACHE_HOME").filter(|path| !path.is_empty()) {
        Some(path) => PathBuf::from(path),
        None => env::home_dir().ok_or_else(no_home)?.join(".cache"),
    };
    Ok(base.join("moniker"))
}

fn no_home() -> io::Error {
    io::Error::new(io::ErrorKind::NotFound, "no home directory: set HOME or XDG_CACHE_HOME")
}

/// The first 16 hex digits of the file's SHA-256.
fn key(file: &Path) -> io::Result<String> {
    let bytes = fs::read(file)
        .map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", file.display())))?;
    Ok(hex::encode(&Sha256::digest(bytes)[..8]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_that_the_user_names_comes_before_the_cache() {
        let given = env::temp_dir().join(format!("moniker-assets-{}", std::process::id()));
        fs::create_dir_all(&given).unwrap();
        fs::write(given.join("kube-apiserver-oldest"), "").unwrap();
        let found = OLDEST_API_SERVER.find_in([given.clone()].into_iter()).unwrap();
        assert_eq!(found, Some(given.join("kube-apiserver-oldest")));
        let elsewhere = API_SERVER.find_in([given.clone()].into_iter()).unwrap();
        assert_ne!(elsewhere, Some(given.join("kube-apiserver")), "it is not there");
        fs::remove_dir_all(given).unwrap();
    }

    #[test]
    fn each_module_has_a_cache_directory_of_its_own() {
        let current = API_SERVER.cached().unwrap();
        assert_eq!(current.file_name().unwrap(), "kube-apiserver");
        assert_eq!(current.parent(), KUBECTL.cached().unwrap().parent());
        assert_eq!(current.parent(), ETCD.cached().unwrap().parent());
        assert_ne!(current, OLDEST_API_SERVER.cached().unwrap());
        assert!(PYTHONS.iter().all(|name| python(name).is_ok()) && node().is_ok());
        assert!(workspace().join("Cargo.toml").is_file());
    }
}
