//! The table of callers' keys: from a keyed hash to what its caller may. Made anew, away from the
//! traffic, when keys or hashes change; one array of places, at most half full, so that a look-up
//! ends after a step or two however many keys there are.

use std::{collections::BTreeMap, sync::Arc};

use routing::{
    ObjectId,
    hmac::Hmac,
    key::{CompiledKey, KeyHash, MAX_KEY},
    snapshot::Resource,
};
use wire::{HashKey, Hashes};

/// The compiled keys of a snapshot.
pub type Compiled = Arc<BTreeMap<ObjectId, Resource<Arc<CompiledKey>>>>;
/// Their hashes.
pub type AllHashes = Arc<BTreeMap<ObjectId, Hashes>>;

/// A caller's key as requests use it.
#[derive(Debug)]
pub struct LiveKey {
    /// The AccessKey.
    pub(crate) id: ObjectId,
    /// What it may.
    pub(crate) compiled: Arc<CompiledKey>,
}

/// All keys.
#[derive(Debug, Default)]
pub struct Keys {
    hmac: Option<Hmac>,
    /// The hashes, each with the index of its key.
    hashes: Vec<(KeyHash, u32)>,
    live: Vec<Arc<LiveKey>>,
    /// One more than an index into `hashes`; 0 is free. A power of two of them.
    places: Box<[u32]>,
    /// What it was made of.
    source: (Compiled, AllHashes, Option<HashKey>),
}

impl Keys {
    /// The table of these; `previous`, where that was made of the same.
    pub fn of(
        previous: &Arc<Self>,
        compiled: &Compiled,
        hashes: &AllHashes,
        hash_key: Option<&HashKey>,
    ) -> Arc<Self> {
        let (old, old_hashes, old_key) = &previous.source;
        if Arc::ptr_eq(old, compiled)
            && Arc::ptr_eq(old_hashes, hashes)
            && old_key.as_ref() == hash_key
        {
            return Arc::clone(previous);
        }
        let mut table = Self {
            hmac: hash_key.map(|key| Hmac::new(&key.bytes())),
            source: (Arc::clone(compiled), Arc::clone(hashes), hash_key.cloned()),
            ..Self::default()
        };
        for (id, resource) in compiled.iter() {
            // Without a form there is nothing that it may.
            let (Some(compiled), Some(of)) = (resource.value(), hashes.get(id)) else { continue };
            let Ok(ix) = u32::try_from(table.live.len()) else { break };
            table.live.push(Arc::new(LiveKey { id: id.clone(), compiled: Arc::clone(compiled) }));
            table.hashes.extend(of.hashes.iter().map(|hash| (*hash, ix)));
        }
        table.live.shrink_to_fit();
        table.hashes.shrink_to_fit();
        table.fill();
        Arc::new(table)
    }

    fn fill(&mut self) {
        self.places = vec![0; (self.hashes.len() * 2).next_power_of_two()].into();
        for (ix, (hash, _)) in self.hashes.iter().enumerate() {
            // The compiler gives each hash to one key; were it not so, the first has it.
            if let Err(place) = self.search(hash)
                && let Ok(ix) = u32::try_from(ix + 1)
                && let Some(free) = self.places.get_mut(place)
            {
                *free = ix;
            }
        }
    }

    /// The index of the hash, or the free place where it belongs.
    fn search(&self, hash: &KeyHash) -> Result<usize, usize> {
        let mask = self.places.len().wrapping_sub(1);
        #[expect(clippy::cast_possible_truncation, reason = "the mask keeps less than is left")]
        let mut place = hash.head() as usize & mask;
        loop {
            // At most half are taken: there is always a free one. An empty table has none.
            let Some(ix) = self.places.get(place) else { return Err(place) };
            let Some(ix) = usize::try_from(*ix).ok().and_then(|ix| ix.checked_sub(1)) else {
                return Err(place);
            };
            if self.hashes[ix].0.same(hash) {
                return Ok(ix);
            }
            place = (place + 1) & mask;
        }
    }

    /// Whether there is no AccessKey at all, usable or not.
    pub(crate) fn is_empty(&self) -> bool {
        self.source.0.is_empty()
    }

    /// The key that this is, if it serves at this time.
    pub(crate) fn find(&self, key: &[u8], now: i64) -> Option<&Arc<LiveKey>> {
        if key.is_empty() || key.len() > MAX_KEY {
            return None;
        }
        let hash = KeyHash::of(self.hmac.as_ref()?, key);
        let (_, ix) = self.hashes[self.search(&hash).ok()?];
        self.live.get(ix as usize).filter(|key| key.compiled.serves_at(now))
    }
}
