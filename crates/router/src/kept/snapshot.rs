//! The snapshot on disk: three generations, the newest that can be read counts. There is no secret
//! in it.

use std::{
    fs, io,
    path::{Path, PathBuf},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use routing::{
    Digest, ObjectId,
    snapshot::{CompiledAlias, CompiledKey, CompiledTarget, Resource},
};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use wire::{Key, Kind};

use super::{
    Restored, Saved,
    file::{self, Unusable},
};
use crate::store::{Reason, Value, restored};

const WHAT: &str = "snapshot";
/// How many are kept.
const GENERATIONS: usize = 3;

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Body<R> {
    cluster: String,
    /// When it was written, by the wall clock, in seconds since 1970.
    written: u64,
    resources: Vec<R>,
    #[serde(default)]
    gone: Vec<Gone>,
}

/// What was there.
#[derive(Serialize, Deserialize)]
struct Gone {
    kind: Kind,
    id: ObjectId,
    version: u64,
}

/// A resource as it is written.
#[derive(Serialize)]
struct Out<'a> {
    kind: &'a Kind,
    id: &'a ObjectId,
    version: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    hold: Option<&'a Reason>,
    #[serde(skip_serializing_if = "Option::is_none")]
    digest: Option<Digest>,
    #[serde(skip_serializing_if = "Option::is_none")]
    form: Option<Form<'a>>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Form<'a> {
    Alias(&'a CompiledAlias),
    Target(&'a CompiledTarget),
    Key(&'a CompiledKey),
}

/// A resource as it is read.
#[derive(Deserialize)]
struct In {
    kind: Kind,
    id: ObjectId,
    version: u64,
    hold: Option<Box<Reason>>,
    digest: Option<Digest>,
    form: Option<Box<RawValue>>,
}

/// What was read.
#[derive(Debug)]
pub(crate) struct Read {
    pub(crate) cluster: String,
    pub(crate) resources: Vec<Restored>,
    pub(crate) gone: Vec<(Key, u64)>,
    pub(crate) age: Duration,
}

/// Writes one more generation, and forgets the oldest.
pub(crate) fn write(parent: &Path, saved: &Saved) -> io::Result<()> {
    let form = |key: &Key| match key.kind {
        Kind::Alias => {
            saved.snapshot.aliases.get(&key.id).and_then(Resource::value).map(Form::Alias)
        }
        Kind::Target => {
            saved.snapshot.targets.get(&key.id).and_then(Resource::value).map(Form::Target)
        }
        Kind::Key => {
            let key = saved.snapshot.keys.get(&key.id).and_then(Resource::value);
            key.map(|key| Form::Key(key))
        }
        Kind::Credential | Kind::HashKey | Kind::Hashes | Kind::Other(_) => None,
    };
    let resources = saved.sides.iter().map(|(key, side)| Out {
        kind: &key.kind,
        id: &key.id,
        version: side.version,
        hold: side.hold.as_deref(),
        digest: side.digest,
        form: form(key),
    });
    let written = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let cluster = saved.cluster.clone();
    let gone = saved.gone.iter().map(|(key, version)| {
        let Key { kind, id } = key.clone();
        Gone { kind, id, version: *version }
    });
    let body = Body { cluster, written, resources: resources.collect(), gone: gone.collect() };
    let dir = file::own_dir(parent)?;
    let kept = generations(&dir);
    let next = kept.first().map_or(1, |(number, _)| number + 1);
    file::write(&dir, &format!("{WHAT}.{next}"), WHAT, &serde_json::to_vec(&body)?)?;
    for (_, path) in kept.iter().skip(GENERATIONS - 1) {
        // One that stays is one more to choose from.
        let _ = fs::remove_file(path);
    }
    Ok(())
}

/// The newest generation that can be used; of those that cannot it is told why.
pub(crate) fn read(parent: &Path) -> Option<Read> {
    let dir = parent.join("moniker");
    for (_, path) in generations(&dir) {
        match one(&path) {
            Ok(read) => return Some(read),
            Err(why) => {
                let file = path.display();
                tracing::warn!(%file, "a last known good snapshot is not used: {why}");
            }
        }
    }
    None
}

fn one(path: &Path) -> Result<Read, Unusable> {
    let bytes = file::read(path, WHAT)?;
    let body: Body<In> =
        serde_json::from_slice(&bytes).map_err(|error| Unusable::Content(error.to_string()))?;
    let resource = |read: In| {
        let In { kind, id, version, hold, digest, form } = read;
        let key = Key::new(kind, id);
        let form = match (digest, form) {
            (Some(digest), Some(form)) => {
                let value: Value = restored(&key, &form)
                    .map_err(|why| Unusable::Content(format!("{key}: {why}")))?;
                Some((digest, value))
            }
            _ => None,
        };
        Ok(Restored { key, version, hold, form })
    };
    let resources = body.resources.into_iter().map(resource).collect::<Result<_, Unusable>>()?;
    let written = UNIX_EPOCH + Duration::from_secs(body.written);
    let age = SystemTime::now().duration_since(written).unwrap_or_default();
    let gone = body.gone.into_iter().map(|gone| (Key::new(gone.kind, gone.id), gone.version));
    Ok(Read { cluster: body.cluster, resources, gone: gone.collect(), age })
}

/// The generations, the newest first.
fn generations(dir: &Path) -> Vec<(u64, PathBuf)> {
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    let numbered = entries.filter_map(|entry| {
        let name = entry.file_name();
        let number = name.to_str()?.strip_prefix(WHAT)?.strip_prefix('.')?.parse().ok()?;
        Some((number, entry.path()))
    });
    let mut all: Vec<_> = numbered.collect();
    all.sort_unstable_by(|a, b| b.cmp(a));
    all
}
