//! Credentials in memory that outlives the process: a file on tmpfs, and nowhere else.
//!
//! Each is kept with where it was meant to go, so that a snapshot of another moment cannot lead it
//! elsewhere.

use std::{collections::BTreeMap, io, path::Path};

use routing::{
    Digest, ObjectId,
    snapshot::{CompiledTarget, Resource},
};
use serde::{Deserialize, Serialize};
use wire::{AdminToken, Credential, Written};
use zeroize::Zeroizing;

use super::{
    Saved,
    file::{self, Unusable},
};

const WHAT: &str = "credentials";
/// The type of a file system in memory, as the kernel names it (`TMPFS_MAGIC`).
const TMPFS: u64 = 0x0102_1994;

#[derive(Serialize)]
struct Out<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    admin: Option<&'a str>,
    targets: Vec<TargetOut<'a>>,
}

#[derive(Serialize)]
struct TargetOut<'a> {
    target: &'a ObjectId,
    version: u64,
    hash: Digest,
    to: Digest,
    material: Written<&'a str>,
}

#[derive(Deserialize)]
struct In {
    admin: Option<AdminToken>,
    targets: Vec<TargetIn>,
}

#[derive(Deserialize)]
struct TargetIn {
    target: ObjectId,
    version: u64,
    hash: Digest,
    to: Digest,
    material: Written<String>,
}

/// What was read: each credential with where it may go.
#[derive(Debug, Default)]
pub(crate) struct Read {
    pub(crate) admin_token: Option<AdminToken>,
    pub(crate) credentials: BTreeMap<ObjectId, (Digest, Credential)>,
}

/// Whether nothing that is written there reaches a disk, as the kernel says.
pub(crate) fn in_memory(dir: &Path) -> io::Result<bool> {
    let about = rustix::fs::statfs(dir)?;
    Ok(u64::try_from(about.f_type).is_ok_and(|kind| kind == TMPFS))
}

/// Where a target's credential goes: its endpoint, and how it is sent there.
pub(crate) fn destination(target: &CompiledTarget) -> Digest {
    let json =
        serde_json::to_vec(&(&target.endpoint, &target.auth, target.provider, &target.options));
    Digest::of(&json.unwrap_or_default())
}

/// Writes those of this state. Where that fails and the file has one that is valid no more, the
/// file goes: what was revoked must not come back.
pub(crate) fn write(parent: &Path, saved: &Saved, last: Option<&Saved>) -> io::Result<()> {
    let dir = file::own_dir(parent)?;
    let written = put(&dir, saved);
    let revoked = last.is_none_or(|last| {
        let still = |(target, one): (&ObjectId, &Credential)| {
            saved.credentials.get(target).is_some_and(|now| now.hash == one.hash)
        };
        !last.credentials.iter().all(still)
    });
    if written.is_err() && revoked {
        match std::fs::remove_file(dir.join(WHAT)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    written
}

fn put(dir: &Path, saved: &Saved) -> io::Result<()> {
    let one = |(id, credential): (&'_ ObjectId, &'_ Credential)| {
        let target = saved.snapshot.targets.get(id).and_then(Resource::value)?;
        Some((id.clone(), destination(target), credential.clone()))
    };
    let known: Vec<_> = saved.credentials.iter().filter_map(one).collect();
    let targets: Vec<_> = known
        .iter()
        .map(|(target, to, credential)| TargetOut {
            target,
            version: credential.version,
            hash: credential.hash,
            to: *to,
            material: credential.material().into(),
        })
        .collect();
    let admin = saved.admin_token.as_deref().map(AdminToken::expose);
    // Room for all of it, so that no copy is left behind by growth.
    let room = 256
        + known
            .iter()
            .map(|(_, _, credential)| 1024 + 2 * credential.material().canonical().len())
            .sum::<usize>();
    let mut body = Zeroizing::new(Vec::with_capacity(room));
    serde_json::to_writer(&mut *body, &Out { admin, targets })?;
    file::write(dir, WHAT, WHAT, &body)
}

/// Those that were written; none, and why, where the file cannot be used.
pub(crate) fn read(parent: &Path) -> Read {
    let path = parent.join("moniker").join(WHAT);
    match one(&path) {
        Ok(read) => read,
        Err(Unusable::Read(error)) if error.kind() == io::ErrorKind::NotFound => Read::default(),
        Err(why) => {
            let file = path.display();
            tracing::warn!(%file, "the credentials that were kept are not used: {why}");
            Read::default()
        }
    }
}

fn one(path: &Path) -> Result<Read, Unusable> {
    let bytes = file::read(path, WHAT)?;
    // The error may quote what it stumbled over.
    let read: In = serde_json::from_slice(&bytes)
        .map_err(|_| Unusable::Content("what it says is nothing that a router wrote".to_owned()))?;
    let credentials = read.targets.into_iter().map(|one| {
        let TargetIn { target, version, hash, to, material } = one;
        (target, (to, Credential::new(version, hash, material.into())))
    });
    Ok(Read { admin_token: read.admin, credentials: credentials.collect() })
}
