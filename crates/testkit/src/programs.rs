//! The programs that end-to-end tests start: the product's own binary, and Python and Node with the
//! SDKs that its users have.

use std::env;
use std::io;
use std::path::PathBuf;

use crate::assets;

/// The `moniker` binary that was built with these tests: `MONIKER_BINARY`, else the one beside the
/// directory of the running test.
pub fn moniker() -> io::Result<PathBuf> {
    if let Some(given) = env::var_os("MONIKER_BINARY") {
        return Ok(given.into());
    }
    let test = env::current_exe()?;
    let built = test.parent().and_then(|deps| deps.parent()).map(|profile| profile.join("moniker"));
    built.filter(|path| path.is_file()).ok_or_else(|| missing("moniker", "cargo build -p moniker"))
}

/// A Python interpreter that has the packages of `tests/python/NAME.txt`.
pub fn python(name: &str) -> io::Result<PathBuf> {
    let path = assets::python(name)?;
    if path.is_file() { Ok(path) } else { Err(missing("Python's SDKs", "cargo xtask setup")) }
}

/// A Node interpreter, and the directory whose `node_modules` has the packages of
/// `tests/node/package.json`: a script finds them from anywhere below it.
pub fn node() -> io::Result<(PathBuf, PathBuf)> {
    let directory = assets::node()?;
    let program = assets::node_program(&directory);
    let there = program.is_file();
    if there { Ok((program, directory)) } else { Err(missing("Node's SDKs", "cargo xtask setup")) }
}

/// The definition of the Gateway API's HTTPRoute, as YAML.
pub fn http_route() -> io::Result<String> {
    match assets::HTTP_ROUTE.find()? {
        Some(path) => std::fs::read_to_string(path),
        None => Err(missing("the definition of HTTPRoute", "cargo xtask setup")),
    }
}

fn missing(what: &str, command: &str) -> io::Error {
    io::Error::new(io::ErrorKind::NotFound, format!("{what} not built yet: run `{command}`"))
}
