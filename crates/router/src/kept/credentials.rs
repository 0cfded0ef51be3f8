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
use wire::{AdminToken, Credential, HashKey, Hashes, HashesFrame, Written};
use zeroize::Zeroizing;

use super::{
    Saved,
    file::{self, Unusable},
};
use crate::store::AllHashes;

const WHAT: &str = "credentials";
/// The type of a file system in memory, as the kernel names it (`TMPFS_MAGIC`).
const TMPFS: u64 = 0x0102_1994;

#[derive(Serialize)]
struct Out<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    admin: Option<&'a str>,
    targets: Vec<TargetOut<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    hash_key: Option<&'a str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    keys: Vec<HashesFrame>,
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
    hash_key: Option<String>,
    #[serde(default)]
    keys: Vec<HashesFrame>,
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
    pub(crate) hashes: AllHashes,
    pub(crate) hash_key: Option<HashKey>,
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
            || last
                .hashes
                .iter()
                .any(|(id, one)| saved.hashes.get(id).is_none_or(|now| now.hashes != one.hashes))
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
    let hash_key = saved.hash_key.as_ref().map(|key| Zeroizing::new(hex::encode(key.bytes())));
    let keys: Vec<_> = saved
        .hashes
        .iter()
        .map(|(id, held)| HashesFrame {
            id: id.clone(),
            version: held.version,
            hashes: held.hashes.to_vec(),
        })
        .collect();
    // Room for all of it, so that no copy is left behind by growth.
    let room = 512
        + 1024 * keys.len()
        + known
            .iter()
            .map(|(_, _, credential)| 1024 + 2 * credential.material().canonical().len())
            .sum::<usize>();
    let mut body = Zeroizing::new(Vec::with_capacity(room));
    serde_json::to_writer(
        &mut *body,
        &Out { admin, targets, hash_key: hash_key.as_ref().map(|key| key.as_str()), keys },
    )?;
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
    let hashes = read.keys.into_iter().filter(|one| !one.hashes.is_empty());
    let hashes = hashes
        .map(|HashesFrame { id, version, hashes }| (id, Hashes { version, hashes: hashes.into() }));
    let hash_key = read.hash_key.and_then(|key| hex::decode(Zeroizing::new(key).as_str()).ok());
    Ok(Read {
        admin_token: read.admin,
        credentials: credentials.collect(),
        hashes: hashes.collect(),
        hash_key: hash_key.map(|key| HashKey::new(&Zeroizing::new(key))),
    })
}
