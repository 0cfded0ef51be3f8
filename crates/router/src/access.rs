//! Who a caller is, and what it may name. A key is known by its keyed hash alone: looking it up
//! takes one hash and no lock, and tells nothing by its time, since nobody outside can choose
//! hashes. Keys that are unknown, disabled, expired and revoked are refused alike.

mod keys;
mod presented;
mod token;

use std::{
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};

use http::{HeaderMap, StatusCode};

pub use self::keys::{Keys, LiveKey};
use self::presented::{Presented, presented};
use crate::errors::Refusal;

/// How callers without a key are met.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Anonymous {
    /// They are refused.
    #[default]
    Refused,
    /// They belong to this namespace, whatever keys there are.
    Of(Arc<str>),
    /// They belong to this namespace as long as there are no keys at all.
    WithoutKeys(Arc<str>),
}

/// Who asks.
#[derive(Clone, Debug)]
pub enum Caller {
    /// One with this key.
    Known(Arc<LiveKey>),
    /// One without, who is served all the same; the namespace that its requests belong to.
    Anonymous(Arc<str>),
}

impl Caller {
    /// The namespace that its requests belong to.
    pub(crate) fn namespace(&self) -> &str {
        match self {
            Self::Known(key) => &key.id.namespace,
            Self::Anonymous(namespace) => namespace,
        }
    }

    /// Its key.
    pub(crate) fn key(&self) -> Option<&LiveKey> {
        match self {
            Self::Known(key) => Some(key),
            Self::Anonymous(_) => None,
        }
    }

    /// Whether it may name this model, as far as its key says.
    pub(crate) fn may_name(&self, model: &str) -> bool {
        self.key().is_none_or(|key| key.compiled.may_name(model))
    }
}

/// Who asks with these headers, at this time in seconds since 1970.
pub fn authorize(
    keys: &Keys,
    anonymous: &Anonymous,
    headers: &HeaderMap,
    now: i64,
) -> Result<Caller, Denied> {
    let nobody = |namespace: &Arc<str>| Caller::Anonymous(Arc::clone(namespace));
    match (anonymous, presented(headers)) {
        // Clients that cannot do without a key send any: without AccessKeys none means anything.
        (Anonymous::Of(namespace) | Anonymous::WithoutKeys(namespace), _) if keys.is_empty() => {
            Ok(nobody(namespace))
        }
        (Anonymous::Of(namespace), Presented::Nothing) => Ok(nobody(namespace)),
        (_, Presented::Nothing) => Err(missing(keys)),
        (_, Presented::Unclear(why)) => Err(Denied(why)),
        (_, Presented::Key(key)) => match keys.find(key, now) {
            Some(key) => Ok(Caller::Known(key)),
            None => Err(Denied("The API key is not valid.")),
        },
    }
}

/// The time by the system's clock, in seconds since 1970. Keys end by it, as their objects say.
pub(crate) fn unix_now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}

/// Why a request has no caller, in words that are the same for every key that is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Denied(pub &'static str);

impl From<Denied> for Refusal {
    fn from(Denied(message): Denied) -> Self {
        Self::request(StatusCode::UNAUTHORIZED, "invalid_api_key", message)
    }
}

fn missing(keys: &Keys) -> Denied {
    if keys.is_empty() {
        Denied(
            "This router serves no callers without a key, and has no key: make an AccessKey, or \
             start it with --allow-anonymous NAMESPACE.",
        )
    } else {
        Denied(
            "No API key: send it as `Authorization: Bearer KEY`, `x-api-key: KEY` or \
             `api-key: KEY`. A key in the URL is not read.",
        )
    }
}

#[cfg(test)]
mod tests;
