//! The status of an AccessKey.

use api::{AccessKey, AccessKeyStatus, Reason};
use routing::ObjectId;

use super::{Conditions, Faults};
use crate::{
    finding::Finding,
    resolve::ResolvedKey,
    text,
    world::{Kind, Stored},
};

/// The longest text of a column, in bytes.
const COLUMN: usize = 120;

pub(super) fn status(
    id: &ObjectId,
    stored: &Stored<AccessKey>,
    key: &ResolvedKey,
    findings: &mut Vec<Finding>,
) -> AccessKeyStatus {
    let mut faults = Faults::default();
    let mut off = Vec::new();
    for fault in &key.faults {
        let told = (fault.reason, fault.message.as_str(), fault.path);
        match fault.reason {
            Reason::InvalidSpec => faults.accepted.push(told),
            // As its author wants it.
            Reason::Disabled | Reason::Expired => off.push(told),
            _ => faults.refs.push(told),
        }
    }
    let conditions =
        Conditions::of(&faults, &off, (Kind::Key, id), "a caller with its key is served", findings);
    let aliases = stored.object.spec.aliases.as_ref().map_or("*".to_owned(), |g| g.join(","));
    AccessKeyStatus {
        observed_generation: Some(stored.generation),
        prefix: Some(key.prefix.clone().unwrap_or_else(|| "-".to_owned())),
        aliases: Some(text::cut(&aliases, COLUMN)),
        conditions: conditions.finish(stored.generation),
    }
}

/// That of one that cannot be read.
pub(super) fn unreadable(generation: i64, conditions: Conditions) -> AccessKeyStatus {
    AccessKeyStatus {
        observed_generation: Some(generation),
        conditions: conditions.finish(generation),
        ..AccessKeyStatus::default()
    }
}
