//! The programs of the test control plane and of the cluster's node, built from Go modules that
//! `go.sum` pins.

use std::fs;
use std::path::Path;
use std::time::Instant;

use anyhow::{Context, Result, bail};

use crate::assets::{
    API_SERVER, ARGO_CD, ARGO_CD_KINDS, Asset, ETCD, HELM, HELM_3, HTTP_ROUTE, KUBECTL,
    OLDEST_API_SERVER,
};
use crate::cluster::programs;
use crate::run;

struct Recipe {
    asset: Asset,
    package: &'static str,
    names_itself: Version,
    /// Minutes on two cores with nothing cached.
    minutes: u32,
}

/// The version that a program is to call itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Version {
    /// It knows by itself, or nobody asks.
    Built,
    /// Without it, clients see v0.0.0 and refuse.
    Kubernetes(&'static str),
    Containerd(&'static str),
    Helm(&'static str),
    ArgoCd(&'static str),
}

const CURRENT: Version = Version::Kubernetes("1.37.2");
const CONTAINERD: Version = Version::Containerd("2.4.2");
/// What containerd can store snapshots in, and a test cluster has no use for.
const UNUSED: &str = "no_btrfs,no_zfs,no_devmapper";

const CONTROL_PLANE: [Recipe; 6] = [
    recipe(ETCD, "go.etcd.io/etcd/server/v3", Version::Built, 1),
    recipe(API_SERVER, "k8s.io/kubernetes/cmd/kube-apiserver", CURRENT, 6),
    recipe(KUBECTL, "k8s.io/kubernetes/cmd/kubectl", CURRENT, 1),
    recipe(
        OLDEST_API_SERVER,
        "k8s.io/kubernetes/cmd/kube-apiserver",
        Version::Kubernetes("1.33.13"),
        5,
    ),
    recipe(HELM, "helm.sh/helm/v4/cmd/helm", Version::Helm("4.3.1"), 1),
    recipe(HELM_3, "helm.sh/helm/v3/cmd/helm", Version::Helm("3.22.0"), 2),
];

const NODE: [Recipe; 9] = [
    recipe(
        programs::CONTROLLER_MANAGER,
        "k8s.io/kubernetes/cmd/kube-controller-manager",
        CURRENT,
        2,
    ),
    recipe(programs::SCHEDULER, "k8s.io/kubernetes/cmd/kube-scheduler", CURRENT, 1),
    recipe(programs::KUBELET, "k8s.io/kubernetes/cmd/kubelet", CURRENT, 2),
    recipe(programs::PROXY, "k8s.io/kubernetes/cmd/kube-proxy", CURRENT, 1),
    recipe(
        programs::CONTAINERD,
        "github.com/containerd/containerd/v2/cmd/containerd",
        CONTAINERD,
        2,
    ),
    recipe(
        programs::SHIM,
        "github.com/containerd/containerd/v2/cmd/containerd-shim-runc-v2",
        CONTAINERD,
        1,
    ),
    recipe(programs::CTR, "github.com/containerd/containerd/v2/cmd/ctr", CONTAINERD, 1),
    recipe(programs::DNS, "github.com/coredns/coredns", Version::Built, 3),
    recipe(programs::PAUSE, "./pause", Version::Built, 1),
];

const ARGO: [Recipe; 1] =
    [recipe(ARGO_CD, "github.com/argoproj/argo-cd/v3/cmd", Version::ArgoCd("3.2.11"), 6)];

const fn recipe(
    asset: Asset,
    package: &'static str,
    names_itself: Version,
    minutes: u32,
) -> Recipe {
    Recipe { asset, package, names_itself, minutes }
}

/// Builds the test control plane, as far as it is neither in a directory that the user named nor in
/// the cache.
pub(super) fn build() -> Result<()> {
    build_all(&CONTROL_PLANE)?;
    copy(HTTP_ROUTE, "sigs.k8s.io/gateway-api", "config/crd/standard")
}

/// Puts a file of a Go module into the cache: what is pinned and downloaded as code need not be code.
fn copy(asset: Asset, module: &str, directory: &str) -> Result<()> {
    if asset.find()?.is_some() {
        return Ok(());
    }
    let path = asset.cached()?;
    let there = path.parent().context("a path in the cache has a parent")?;
    fs::create_dir_all(there).with_context(|| there.display().to_string())?;
    let go = |args: &[&str]| {
        let mut go = run::program("go", args);
        go.current_dir(asset.module_directory());
        go
    };
    run::run(&mut go(&["mod", "download", module]))?;
    let root = run::output(&mut go(&["list", "-m", "-f", "{{.Dir}}", module]))?;
    let from = Path::new(root.trim()).join(directory).join(asset.name);
    fs::copy(&from, &path).with_context(|| from.display().to_string())?;
    Ok(())
}

/// Builds Argo CD.
pub(super) fn build_argo_cd() -> Result<()> {
    build_all(&ARGO)?;
    let mut kinds = ARGO_CD_KINDS.into_iter();
    kinds.try_for_each(|kind| copy(kind, "github.com/argoproj/argo-cd/v3", "manifests/crds"))
}

/// Builds what a node has beyond the control plane.
pub(super) fn build_node() -> Result<()> {
    build_all(&NODE)
}

fn build_all(recipes: &[Recipe]) -> Result<()> {
    for recipe in recipes {
        if recipe.asset.find()?.is_none() {
            toolchain(&recipe.asset.module_directory())?;
            recipe.build()?;
        }
    }
    Ok(())
}

impl Recipe {
    fn build(&self) -> Result<()> {
        let (name, path) = (self.asset.given_name, self.asset.cached()?);
        println!("building {name}, once, about {} min on two cores", self.minutes);
        let started = Instant::now();
        let directory = path.parent().context("a path in the cache has a parent")?;
        fs::create_dir_all(directory).with_context(|| directory.display().to_string())?;
        // Built beside its place and renamed: a build that is broken off leaves no program behind.
        let unfinished = path.with_extension(format!("{}.tmp", std::process::id()));
        let output = unfinished.display().to_string();
        let flags = self.linker_flags();
        let mut go = run::program("go", &["build", "-trimpath", "-ldflags", &flags]);
        if let Version::Containerd(_) = self.names_itself {
            go.args(["-tags", UNUSED]);
        }
        go.args(["-o", &output, self.package]);
        go.current_dir(self.asset.module_directory()).env("CGO_ENABLED", "0");
        run::run(&mut go)?;
        fs::rename(&unfinished, &path).with_context(|| path.display().to_string())?;
        println!("built {} in {} s", path.display(), started.elapsed().as_secs());
        Ok(())
    }

    fn linker_flags(&self) -> String {
        let variables = match self.names_itself {
            Version::Built => Vec::new(),
            Version::Containerd(version) => {
                vec![format!("github.com/containerd/containerd/v2/version.Version={version}")]
            }
            Version::ArgoCd(version) => {
                vec![format!("github.com/argoproj/argo-cd/v3/common.version={version}")]
            }
            Version::Helm(version) => {
                let major = version.split('.').next().unwrap_or_default();
                vec![format!("helm.sh/helm/v{major}/internal/version.version=v{version}")]
            }
            Version::Kubernetes(version) => {
                let minor = version.split('.').nth(1).unwrap_or_default();
                let base = "k8s.io/component-base/version.git";
                vec![
                    format!("{base}Version=v{version}"),
                    format!("{base}Major=1"),
                    format!("{base}Minor={minor}"),
                    format!("k8s.io/client-go/pkg/version.gitVersion=v{version}"),
                ]
            }
        };
        let mut flags = "-s -w".to_owned();
        for variable in variables {
            flags.push_str(" -X ");
            flags.push_str(&variable);
        }
        flags
    }
}

/// Fails in one line if Go is missing, or older than the module wants.
fn toolchain(module: &Path) -> Result<()> {
    let file = module.join("go.mod");
    let text = fs::read_to_string(&file).with_context(|| file.display().to_string())?;
    let wanted = text.lines().find_map(|line| line.strip_prefix("go ")).unwrap_or("1.26");
    let said = run::output(&mut run::program("go", &["env", "GOVERSION"])).unwrap_or_default();
    enough(&said, wanted)
}

fn enough(said: &str, wanted: &str) -> Result<()> {
    let remedy = "install Go from go.dev/dl, or set MONIKER_TEST_ASSETS to a directory with etcd, \
                  kube-apiserver, kube-apiserver-oldest, kubectl, helm and helm3";
    let found = said.trim().trim_start_matches("go");
    if found.is_empty() {
        bail!("Go {wanted} or newer is missing: {remedy}");
    }
    if numbers(found) < numbers(wanted) {
        bail!("Go {found} is older than {wanted}: {remedy}");
    }
    Ok(())
}

/// `1.26.8` as numbers that compare; what is no number, as in `1.27rc1`, ends them.
fn numbers(version: &str) -> Vec<u32> {
    let digits = |part: &str| part.chars().take_while(char::is_ascii_digit).collect::<String>();
    version.split('.').map_while(|part| digits(part).parse().ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_or_old_go_is_said_in_one_line() {
        assert!(enough("go1.26.8\n", "1.26.0").is_ok());
        assert!(enough("go1.27rc1", "1.26.0").is_ok());
        for (said, expected) in [("", "Go 1.26.0 or newer is missing"), ("go1.9.1", "Go 1.9.1 is")]
        {
            let line = enough(said, "1.26.0").unwrap_err().to_string();
            assert!(line.starts_with(expected) && !line.contains('\n'), "{line}");
            assert!(line.contains("MONIKER_TEST_ASSETS"), "{line}");
        }
    }

    #[test]
    fn versions_are_those_that_the_modules_pin() {
        for recipe in CONTROL_PLANE.iter().chain(&NODE).chain(&ARGO) {
            let (module, version) = match recipe.names_itself {
                Version::Built => continue,
                Version::Kubernetes(version) => ("k8s.io/kubernetes", version),
                Version::Helm(version) if version.starts_with("3.") => ("helm.sh/helm/v3", version),
                Version::Helm(version) => ("helm.sh/helm/v4", version),
                Version::Containerd(version) => ("github.com/containerd/containerd/v2", version),
                Version::ArgoCd(version) => ("github.com/argoproj/argo-cd/v3", version),
            };
            let file = recipe.asset.module_directory().join("go.mod");
            let text = fs::read_to_string(file).unwrap();
            let pinned = format!("{module} v{version}");
            let pins = |line: &str| line.trim().trim_start_matches("require ").starts_with(&pinned);
            assert!(text.lines().any(pins), "{pinned}");
            let flags = recipe.linker_flags();
            assert!(flags.contains(version) && flags.starts_with("-s -w -X "), "{flags}");
        }
    }
}
