//! The Kubernetes binaries of the test control plane, built from Go modules that `go.sum` pins.

use std::fs;
use std::path::Path;
use std::time::Instant;

use anyhow::{Context, Result, bail};

use crate::assets::{API_SERVER, Asset, ETCD, KUBECTL, OLDEST_API_SERVER};
use crate::run;

struct Recipe {
    asset: Asset,
    package: &'static str,
    /// The version that the program is to call itself: without it, clients see v0.0.0 and refuse.
    version: Option<&'static str>,
    /// Minutes on two cores with nothing cached.
    minutes: u32,
}

const RECIPES: [Recipe; 4] = [
    Recipe { asset: ETCD, package: "go.etcd.io/etcd/server/v3", version: None, minutes: 1 },
    Recipe {
        asset: API_SERVER,
        package: "k8s.io/kubernetes/cmd/kube-apiserver",
        version: Some("1.37.2"),
        minutes: 6,
    },
    Recipe {
        asset: KUBECTL,
        package: "k8s.io/kubernetes/cmd/kubectl",
        version: Some("1.37.2"),
        minutes: 1,
    },
    Recipe {
        asset: OLDEST_API_SERVER,
        package: "k8s.io/kubernetes/cmd/kube-apiserver",
        version: Some("1.33.13"),
        minutes: 5,
    },
];

/// Builds what is neither in a directory that the user named nor in the cache.
pub(super) fn build() -> Result<()> {
    for recipe in &RECIPES {
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
        let args = ["build", "-trimpath", "-ldflags", &flags, "-o", &output, self.package];
        let mut go = run::program("go", &args);
        go.current_dir(self.asset.module_directory()).env("CGO_ENABLED", "0");
        run::run(&mut go)?;
        fs::rename(&unfinished, &path).with_context(|| path.display().to_string())?;
        println!("built {} in {} s", path.display(), started.elapsed().as_secs());
        Ok(())
    }

    fn linker_flags(&self) -> String {
        let stripped = "-s -w".to_owned();
        let Some(version) = self.version else { return stripped };
        let minor = version.split('.').nth(1).unwrap_or_default();
        let base = "k8s.io/component-base/version.git";
        let variables = [
            format!("{base}Version=v{version}"),
            format!("{base}Major=1"),
            format!("{base}Minor={minor}"),
            format!("k8s.io/client-go/pkg/version.gitVersion=v{version}"),
        ];
        format!("{stripped} -X {}", variables.join(" -X "))
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
                  kube-apiserver, kube-apiserver-oldest and kubectl";
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
        for recipe in &RECIPES {
            let Some(version) = recipe.version else { continue };
            let module = recipe.asset.module_directory().join("go.mod");
            let text = fs::read_to_string(module).unwrap();
            let pinned = format!("k8s.io/kubernetes v{version}");
            assert!(text.lines().any(|line| line.trim().starts_with(&pinned)), "{pinned}");
            assert!(recipe.linker_flags().contains(&format!("gitVersion=v{version}")));
        }
    }
}
