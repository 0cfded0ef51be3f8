//! What routers tell of callers' keys, and what each is told of them: the same shares as of a
//! target's limits. Only of keys that some router saw used lately, since there may be a hundred
//! thousand: a limit that nobody is told of is used by nobody.

use std::{collections::BTreeMap, time::Duration};

use serde::{Deserialize, Serialize};

use super::{Dimension, Draw};
use crate::{
    id::{Digest, ObjectId},
    quota,
    spend::{Counter, Word},
};

/// A caller's key, told from one of the same name before it or after it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct KeyId {
    /// The AccessKey.
    #[serde(rename = "key")]
    pub id: ObjectId,
    /// Which of that name.
    pub uid: Digest,
}

/// What one router saw of a key.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct KeyReport {
    /// What its callers did under each of its limits.
    pub draws: BTreeMap<Dimension, Draw>,
    /// What it spent of the key's budget, if it has one.
    pub spending: Option<Spending>,
}

/// What one router spent of a key's budget.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Spending {
    /// The count.
    pub counter: Counter,
    /// The price of what was asked for over the last 60 s, refused included.
    pub demand: f64,
}

/// A key, as one router is told of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FleetKey {
    /// Which key.
    #[serde(flatten)]
    pub key: KeyId,
    /// Its limits: this router's share, and what all others did.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub limits: Vec<FleetKeyLimit>,
    /// Its budget.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub budget: Option<Word>,
    /// How old that is when this is sent, in milliseconds.
    pub age_ms: u64,
}

/// A limit of a key, as one router is told of it.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FleetKeyLimit {
    /// What it counts.
    pub dimension: Dimension,
    /// How much of it is this router's.
    pub share: f64,
    /// What all others did.
    pub others: Draw,
}

impl FleetKey {
    /// What it says of limits, for [`Limits::tell`](crate::quota::Limits::tell).
    pub fn words(&self) -> impl Iterator<Item = quota::Word<'_>> {
        let age = Duration::from_millis(self.age_ms);
        self.limits.iter().map(move |limit| quota::Word {
            quota: None,
            dimension: limit.dimension,
            share: limit.share,
            others: limit.others,
            age,
        })
    }
}
