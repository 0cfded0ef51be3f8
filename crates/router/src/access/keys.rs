//! The table of callers' keys: from a keyed hash to what its caller may. Made anew, away from the
//! traffic, when keys or hashes change. One array of places, of which a third is free at least, holds
//! the hashes themselves: a look-up reads a line or two of it and then the key that it found,
//! however many there are.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use parking_lot::Mutex;

use routing::{
    ObjectId,
    fleet::KeyId,
    hmac::Hmac,
    key::{CompiledKey, KeyHash, MAX_KEY},
    snapshot::CompiledKeys,
};
use wire::HashKey;

use super::token::Claims;
use crate::store::AllHashes;

/// How many tokens are remembered as verified.
const VERIFIED: usize = 16_384;

/// A caller's key as requests use it.
#[derive(Debug)]
pub struct LiveKey {
    /// The AccessKey.
    pub(crate) id: ObjectId,
    /// What it may.
    pub(crate) compiled: Arc<CompiledKey>,
    /// From when on it serves nobody, in seconds since 1970.
    ends: i64,
}

impl LiveKey {
    fn of(id: &ObjectId, compiled: &Arc<CompiledKey>) -> Self {
        let ends =
            if compiled.disabled { i64::MIN } else { compiled.expires_at.unwrap_or(i64::MAX) };
        Self { id: id.clone(), compiled: Arc::clone(compiled), ends }
    }
}

/// A hash and the key that it stands for.
type Place = Option<(KeyHash, Arc<LiveKey>)>;

/// All keys.
#[derive(Debug, Default)]
pub struct Keys {
    hmac: Option<Hmac>,
    places: Box<[Place]>,
    /// The keys of ServiceAccounts, by namespace and name.
    accounts: BTreeMap<(Arc<str>, Box<str>), Arc<LiveKey>>,
    /// Tokens that were verified, by hash, and when each ends. They are those of this table: with
    /// other keys all are verified again.
    verified: Mutex<HashMap<KeyHash, (i64, Arc<LiveKey>)>>,
    /// What it was made of.
    source: (Arc<CompiledKeys>, Arc<AllHashes>, Option<HashKey>),
}

impl Keys {
    /// The table of these; `previous`, where that was made of the same.
    pub fn of(
        previous: &Arc<Self>,
        compiled: &Arc<CompiledKeys>,
        hashes: &Arc<AllHashes>,
        hash_key: Option<&HashKey>,
    ) -> Arc<Self> {
        let (old, old_hashes, old_key) = &previous.source;
        if Arc::ptr_eq(old, compiled)
            && Arc::ptr_eq(old_hashes, hashes)
            && old_key.as_ref() == hash_key
        {
            return Arc::clone(previous);
        }
        let count: usize = hashes.values().map(|of| of.hashes.len()).sum();
        let mut table = Self {
            hmac: hash_key.map(|key| Hmac::new(&key.bytes())),
            places: vec![None; count + count.div_ceil(2)].into(),
            source: (Arc::clone(compiled), Arc::clone(hashes), hash_key.cloned()),
            ..Self::default()
        };
        for (id, resource) in compiled.iter() {
            let Some(compiled) = resource.value() else { continue };
            let Some(tokens) = &compiled.tokens else { continue };
            let account = (Arc::clone(&id.namespace), tokens.account.clone());
            table.accounts.insert(account, Arc::new(LiveKey::of(id, compiled)));
        }
        for (id, of) in hashes.iter() {
            // Without a form there is nothing that it may.
            let Some((id, resource)) = compiled.get_key_value(id) else { continue };
            let Some(compiled) = resource.value() else { continue };
            let live = Arc::new(LiveKey::of(id, compiled));
            for hash in &of.hashes {
                // The compiler gives each hash to one key; were it not so, the first has it.
                if let Err(free) = table.search(hash)
                    && let Some(place) = table.places.get_mut(free)
                {
                    *place = Some((*hash, Arc::clone(&live)));
                }
            }
        }
        Arc::new(table)
    }

    /// The key of the hash, or the free place where it belongs.
    fn search(&self, hash: &KeyHash) -> Result<&Arc<LiveKey>, usize> {
        // Hashes are spread evenly, and so are these, whatever the number of places.
        let spread = u128::from(hash.head()) * self.places.len() as u128;
        let mut at = usize::try_from(spread >> u64::BITS).unwrap_or_default();
        loop {
            match self.places.get(at) {
                Some(Some((other, key))) if other.same(hash) => return Ok(key),
                Some(Some(_)) => at += 1,
                Some(None) => return Err(at),
                // A third is free at least: behind the end it goes on at the beginning. A table
                // without places has none.
                None if self.places.is_empty() => return Err(0),
                None => at = 0,
            }
        }
    }

    /// Whether there is no AccessKey at all, usable or not.
    pub(crate) fn is_empty(&self) -> bool {
        self.source.0.is_empty()
    }

    /// The key that this is, if it serves at this time.
    pub(crate) fn find(&self, key: &[u8], now: i64) -> Option<Arc<LiveKey>> {
        if key.is_empty() || key.len() > MAX_KEY {
            return None;
        }
        let hash = KeyHash::of(self.hmac.as_ref()?, key);
        let found = match self.search(&hash) {
            Ok(found) => Arc::clone(found),
            Err(_) if self.accounts.is_empty() => return None,
            Err(_) => self.token(hash, key, now)?,
        };
        (now < found.ends).then_some(found)
    }

    /// The key that this token stands for, verified now or before.
    fn token(&self, hash: KeyHash, token: &[u8], now: i64) -> Option<Arc<LiveKey>> {
        if let Some((ends, key)) = self.verified.lock().get(&hash) {
            return (now < *ends).then(|| Arc::clone(key));
        }
        let claims = Claims::of(token, now)?;
        let account = (Arc::from(claims.namespace()), Box::from(claims.account()));
        let key = self.accounts.get(&account)?;
        claims.verify(key.compiled.tokens.as_deref()?)?;
        let mut verified = self.verified.lock();
        if verified.len() >= VERIFIED {
            verified.clear();
        }
        verified.insert(hash, (claims.ends(), Arc::clone(key)));
        Some(Arc::clone(key))
    }

    /// Whether this key is still there, usable or not.
    pub(crate) fn has(&self, key: &KeyId) -> bool {
        let found = self.source.0.get(&key.id);
        found.is_some_and(|found| found.value().is_none_or(|found| found.uid == key.uid))
    }
}
