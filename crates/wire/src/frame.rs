//! The frames, and how each is written as one line of JSON and read back.

use std::borrow::Cow;

use routing::{Digest, ObjectId, fleet::FleetView};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::value::RawValue;

use crate::{
    credential::{AdminToken, Credential, Written},
    hashes::{HashKey, HashesFrame},
    kind::{Key, Kind},
};

/// One frame.
#[derive(Clone, Debug)]
pub enum Frame {
    /// Who serves; always the first.
    Hello(Hello),
    /// A resource is this.
    Upsert(Upsert),
    /// A resource did not compile: keep what you have of it.
    Hold(Hold),
    /// A resource is gone.
    Remove(Remove),
    /// A target's credential is this, or is gone.
    Credential(CredentialFrame),
    /// The hashes of a caller's key are these, or are gone.
    Hashes(HashesFrame),
    /// The key that all hashes are made with.
    HashKey(HashKey),
    /// What came since the last one takes effect.
    Commit(Commit),
    /// What all other routers saw, and this one's shares of the limits. It is staged for no COMMIT:
    /// it is worth something the moment that it comes, and is never needed to serve.
    Fleet(FleetView),
    /// The controller is there.
    Heartbeat(Heartbeat),
    /// The controller ends: ask again, whoever answers.
    Reconnect(Reconnect),
    /// A frame about a resource that cannot be read, though it says which.
    Unreadable(Unreadable),
    /// A type that this build does not know, or a FLEET that it cannot read: ignored and counted.
    Unknown(String),
}

impl Frame {
    /// The word that stands in `type`.
    pub fn name(&self) -> &str {
        match self {
            Self::Hello(_) => "HELLO",
            Self::Upsert(_) => "UPSERT",
            Self::Hold(_) => "HOLD",
            Self::Remove(_) => "REMOVE",
            Self::Credential(_) => "CREDENTIAL",
            Self::Hashes(_) => "HASHES",
            Self::HashKey(_) => "HASHKEY",
            Self::Commit(_) => "COMMIT",
            Self::Fleet(_) => "FLEET",
            Self::Heartbeat(_) => "HEARTBEAT",
            Self::Reconnect(_) => "RECONNECT",
            Self::Unreadable(_) => "UNREADABLE",
            Self::Unknown(name) => name,
        }
    }
}

/// Who serves, and how.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Hello {
    /// The protocol's version.
    pub protocol: u32,
    /// The controller's name, unique among replicas.
    pub controller: String,
    /// The cluster whose versions follow; versions of two clusters do not compare.
    pub cluster: String,
    /// What the frames may use beyond the protocol's first version.
    #[serde(default)]
    pub features: Vec<String>,
    /// The time between two heartbeats; silence of three means that the link is dead.
    pub heartbeat_millis: u64,
    /// How many routers this controller sees, at least 1.
    pub routers: u32,
    /// What opens the router's `/config`; absent where that is open.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub admin_token: Option<AdminToken>,
}

/// A resource is this.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Upsert {
    /// Its kind.
    pub kind: Kind,
    /// The object.
    pub id: ObjectId,
    /// The object's resourceVersion.
    pub version: u64,
    /// The digest of the resource's bytes.
    pub digest: Digest,
    /// Features that it cannot be understood without.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub requires: Vec<String>,
    /// The compiled resource. Absent when the router holds these bytes already, and only the
    /// version is new or a hold ends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resource: Option<Box<RawValue>>,
}

impl Upsert {
    /// The key of the resource.
    pub fn key(&self) -> Key {
        Key::new(self.kind.clone(), self.id.clone())
    }

    /// Whether the resource is what its digest says; so is one that is not there.
    pub fn is_intact(&self) -> bool {
        self.resource.as_ref().is_none_or(|r| Digest::of(r.get().as_bytes()) == self.digest)
    }
}

/// A resource did not compile.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hold {
    /// Its kind.
    pub kind: Kind,
    /// The object.
    pub id: ObjectId,
    /// The object's resourceVersion.
    pub version: u64,
    /// The condition's reason.
    pub reason: String,
    /// What is wrong, where, and how to mend it.
    #[serde(default)]
    pub message: String,
}

impl Hold {
    /// The key of the resource.
    pub fn key(&self) -> Key {
        Key::new(self.kind.clone(), self.id.clone())
    }
}

/// The digest of why something is held, by which two holds of one object are told apart.
pub fn hold_digest(reason: &str, message: &str) -> Digest {
    Digest::of_parts([reason.as_bytes(), message.as_bytes()])
}

/// Why a resource is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Cause {
    /// The controller saw its deletion.
    Deleted,
    /// It is not in the controller's list.
    Absent,
}

/// A resource is gone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Remove {
    /// Its kind.
    pub kind: Kind,
    /// The object.
    pub id: ObjectId,
    /// The version of the deletion, or as of which it is absent.
    pub version: u64,
    /// Which of the two.
    pub cause: Cause,
}

impl Remove {
    /// The key of the resource.
    pub fn key(&self) -> Key {
        Key::new(self.kind.clone(), self.id.clone())
    }
}

/// A target's credential is this, or is gone.
#[derive(Clone, Debug)]
pub struct CredentialFrame {
    /// The target.
    pub target: ObjectId,
    /// The version of what it is, or of its end.
    pub version: u64,
    /// The credential; `None`: revoked.
    pub credential: Option<Credential>,
}

/// How much there is once a COMMIT has taken effect.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// Aliases, held ones too.
    pub aliases: usize,
    /// Targets, held ones too.
    pub targets: usize,
    /// Credentials.
    pub credentials: usize,
    /// Callers' keys, held ones too.
    #[serde(default)]
    pub keys: usize,
    /// Callers' keys that have hashes.
    #[serde(default)]
    pub hashes: usize,
}

/// What came since the last COMMIT takes effect.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Commit {
    /// The revision of all resources ([`routing::revision::revision`]).
    pub revision: Digest,
    /// How many there are.
    pub counts: Counts,
}

/// The controller is there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Heartbeat {
    /// How many routers it sees by now; absent when it does not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub routers: Option<u32>,
}

/// The controller ends, and so does the stream after this frame.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Reconnect {
    /// When to ask again: each router is told another time, so that they do not all come at once.
    pub after_millis: u64,
}

/// A frame about a resource that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unreadable {
    /// The resource.
    pub key: Key,
    /// Its version, if that can be read.
    pub version: Option<u64>,
    /// The digest of its new form, if that can be read.
    pub digest: Option<Digest>,
    /// What cannot be read.
    pub message: String,
}

/// A frame's body with its type.
#[derive(Serialize)]
struct Typed<'a, T> {
    r#type: &'a str,
    #[serde(flatten)]
    body: T,
}

#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(borrow)]
    r#type: Cow<'a, str>,
}

/// A COMMIT with the checksum that the codec adds.
#[derive(Serialize, Deserialize)]
pub(crate) struct CheckedCommit {
    #[serde(flatten)]
    commit: Commit,
    checksum: Digest,
}

/// The one place where a credential's material is written. Its digest guards the bytes on their way.
#[derive(Serialize)]
struct CredentialOut<'a> {
    target: &'a ObjectId,
    version: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    hash: Option<Digest>,
    #[serde(skip_serializing_if = "Option::is_none")]
    material: Option<Written<&'a str>>,
}

#[derive(Deserialize)]
struct CredentialIn {
    target: ObjectId,
    version: u64,
    hash: Option<Digest>,
    material: Option<Written<String>>,
}

/// The one place where the key of the hashes is written.
#[derive(Serialize)]
struct HashKeyOut<'a> {
    key: &'a str,
}

#[derive(Deserialize)]
struct HashKeyIn {
    key: String,
}

/// What can be told of a frame that does not decode.
#[derive(Deserialize)]
struct Head {
    kind: Option<Kind>,
    id: Option<ObjectId>,
    target: Option<ObjectId>,
    version: Option<serde_json::Value>,
    digest: Option<serde_json::Value>,
}

/// Writes the frame as JSON, without the end of the line. `checksum` goes into a COMMIT.
pub(crate) fn write(
    frame: &Frame,
    checksum: Digest,
    out: &mut Vec<u8>,
) -> Result<(), serde_json::Error> {
    let r#type = frame.name();
    match frame {
        Frame::Hello(body) => serde_json::to_writer(out, &Typed { r#type, body }),
        Frame::Upsert(body) => write_upsert(body, out),
        Frame::Hold(body) => serde_json::to_writer(out, &Typed { r#type, body }),
        Frame::Remove(body) => serde_json::to_writer(out, &Typed { r#type, body }),
        Frame::Credential(frame) => {
            let CredentialFrame { target, version, credential } = frame;
            let body = CredentialOut {
                target,
                version: *version,
                hash: credential.as_ref().map(|c| c.hash),
                material: credential.as_ref().map(|c| c.material().into()),
            };
            serde_json::to_writer(out, &Typed { r#type, body })
        }
        Frame::Hashes(body) => serde_json::to_writer(out, &Typed { r#type, body }),
        Frame::HashKey(key) => {
            let body = HashKeyOut { key: key.text() };
            serde_json::to_writer(out, &Typed { r#type, body })
        }
        Frame::Commit(commit) => {
            let body = CheckedCommit { commit: commit.clone(), checksum };
            serde_json::to_writer(out, &Typed { r#type, body })
        }
        Frame::Fleet(body) => serde_json::to_writer(out, &Typed { r#type, body }),
        Frame::Heartbeat(body) => serde_json::to_writer(out, &Typed { r#type, body }),
        Frame::Reconnect(body) => serde_json::to_writer(out, &Typed { r#type, body }),
        Frame::Unreadable(_) | Frame::Unknown(_) => {
            serde_json::to_writer(out, &Typed { r#type, body: serde_json::Map::new() })
        }
    }
}

/// A raw value does not survive `flatten`, so that the type is a field of its own here.
fn write_upsert(upsert: &Upsert, out: &mut Vec<u8>) -> Result<(), serde_json::Error> {
    #[derive(Serialize)]
    struct Out<'a> {
        r#type: &'a str,
        kind: &'a Kind,
        id: &'a ObjectId,
        version: u64,
        digest: Digest,
        #[serde(skip_serializing_if = "<[String]>::is_empty")]
        requires: &'a [String],
        #[serde(skip_serializing_if = "Option::is_none")]
        resource: Option<&'a RawValue>,
    }
    let Upsert { kind, id, version, digest, requires, resource } = upsert;
    let resource = resource.as_deref();
    let out_frame =
        Out { r#type: "UPSERT", kind, id, version: *version, digest: *digest, requires, resource };
    serde_json::to_writer(out, &out_frame)
}

/// Reads a line. The digest beside a COMMIT is the checksum that it carries.
pub(crate) fn read(line: &[u8]) -> Result<(Frame, Option<Digest>), serde_json::Error> {
    let envelope: Envelope<'_> = serde_json::from_slice(line)?;
    let frame = match &*envelope.r#type {
        "HELLO" => Frame::Hello(serde_json::from_slice(line)?),
        "UPSERT" => about(line, Frame::Upsert)?,
        "HOLD" => about(line, Frame::Hold)?,
        "REMOVE" => about(line, Frame::Remove)?,
        "CREDENTIAL" => about(line, |body: CredentialIn| {
            let CredentialIn { target, version, hash, material } = body;
            let credential = hash
                .zip(material)
                .map(|(hash, material)| Credential::new(version, hash, material.into()));
            Frame::Credential(CredentialFrame { target, version, credential })
        })?,
        "HASHES" => about(line, Frame::Hashes)?,
        "HASHKEY" => {
            let HashKeyIn { key } = serde_json::from_slice(line)?;
            let fault = || serde::de::Error::custom("the key of the hashes is none");
            Frame::HashKey(HashKey::read(key).ok_or_else(fault)?)
        }
        "COMMIT" => {
            let CheckedCommit { commit, checksum } = serde_json::from_slice(line)?;
            return Ok((Frame::Commit(commit), Some(checksum)));
        }
        // A hint that cannot be read is no reason to end a stream that serves.
        "FLEET" => match serde_json::from_slice(line) {
            Ok(view) => Frame::Fleet(view),
            Err(_) => Frame::Unknown("FLEET".to_owned()),
        },
        "HEARTBEAT" => Frame::Heartbeat(serde_json::from_slice(line)?),
        "RECONNECT" => Frame::Reconnect(serde_json::from_slice(line)?),
        other => Frame::Unknown(other.chars().take(32).collect()),
    };
    Ok((frame, None))
}

/// Reads a frame about one resource; one that does not decode but says which resource it is about
/// concerns that resource alone.
fn about<T: DeserializeOwned>(
    line: &[u8],
    frame: impl FnOnce(T) -> Frame,
) -> Result<Frame, serde_json::Error> {
    let error = match serde_json::from_slice(line) {
        Ok(body) => return Ok(frame(body)),
        Err(error) => error,
    };
    let Ok(head) = serde_json::from_slice::<Head>(line) else { return Err(error) };
    let key = match (head.kind, head.id, head.target) {
        (Some(kind), Some(id), _) => Key::new(kind, id),
        (None, None, Some(target)) => Key::new(Kind::Credential, target),
        // Only hashes have an id and no kind.
        (None, Some(id), None) => Key::new(Kind::Hashes, id),
        _ => return Err(error),
    };
    // The error of a credential's frame may quote what it stumbled over.
    let message = match key.kind {
        Kind::Credential | Kind::Hashes => "the frame does not decode".to_owned(),
        _ => error.to_string(),
    };
    Ok(Frame::Unreadable(Unreadable {
        key,
        version: head.version.as_ref().and_then(serde_json::Value::as_u64),
        digest: head.digest.and_then(|d| serde_json::from_value(d).ok()),
        message,
    }))
}
