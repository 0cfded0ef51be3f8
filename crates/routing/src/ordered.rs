//! A sorted map for what there may be a hundred thousand of. Its entries stand in chunks that clones
//! share: a clone costs little, and an edit of a map that is shared copies one chunk. Keys that come
//! in order fill the chunks to the end, where a B-tree leaves half of each node empty.

use std::{borrow::Borrow, collections::BTreeMap, fmt, mem, sync::Arc};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The most entries of a chunk.
const FULL: usize = 128;
/// Two neighbours that have no more together become one.
const FEW: usize = FULL / 2;

type Chunk<K, V> = Arc<Vec<(K, V)>>;

/// The map. Both keys and values are cloned when a chunk that is shared changes.
#[derive(Clone)]
pub struct OrderedMap<K, V> {
    /// None of them is empty.
    chunks: Vec<Chunk<K, V>>,
    len: usize,
}

impl<K, V> Default for OrderedMap<K, V> {
    fn default() -> Self {
        Self { chunks: Vec::new(), len: 0 }
    }
}

impl<K, V> OrderedMap<K, V> {
    /// How many entries there are.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The entries in order.
    pub fn iter(&self) -> impl Iterator<Item = (&K, &V)> {
        self.chunks.iter().flat_map(|chunk| chunk.iter()).map(|(key, value)| (key, value))
    }

    /// The keys in order.
    pub fn keys(&self) -> impl Iterator<Item = &K> {
        self.iter().map(|(key, _)| key)
    }

    /// The values in the order of their keys.
    pub fn values(&self) -> impl Iterator<Item = &V> {
        self.iter().map(|(_, value)| value)
    }

    /// Where the key is, or where it belongs: the chunk and the place in it.
    fn find<Q: Ord + ?Sized>(&self, key: &Q) -> Result<(usize, usize), (usize, usize)>
    where
        K: Borrow<Q>,
    {
        let after =
            self.chunks.partition_point(|c| c.first().is_some_and(|(k, _)| k.borrow() <= key));
        let Some(at) = after.checked_sub(1) else { return Err((0, 0)) };
        match self.chunks[at].binary_search_by(|(k, _)| k.borrow().cmp(key)) {
            Ok(place) => Ok((at, place)),
            Err(place) => Err((at, place)),
        }
    }

    /// The entry of this key, as the map has it.
    pub fn get_key_value<Q: Ord + ?Sized>(&self, key: &Q) -> Option<(&K, &V)>
    where
        K: Borrow<Q>,
    {
        let (at, place) = self.find(key).ok()?;
        let (key, value) = &self.chunks[at][place];
        Some((key, value))
    }

    /// The value of this key.
    pub fn get<Q: Ord + ?Sized>(&self, key: &Q) -> Option<&V>
    where
        K: Borrow<Q>,
    {
        self.get_key_value(key).map(|(_, value)| value)
    }

    /// Whether it has this key.
    pub fn contains_key<Q: Ord + ?Sized>(&self, key: &Q) -> bool
    where
        K: Borrow<Q>,
    {
        self.find(key).is_ok()
    }
}

impl<K: Ord + Clone, V: Clone> OrderedMap<K, V> {
    /// The value of this key, to be changed.
    pub fn get_mut<Q: Ord + ?Sized>(&mut self, key: &Q) -> Option<&mut V>
    where
        K: Borrow<Q>,
    {
        let (at, place) = self.find(key).ok()?;
        Some(&mut Arc::make_mut(&mut self.chunks[at])[place].1)
    }

    /// Sets the value of the key; the one that it had. A key that is there stays as it is.
    pub fn insert(&mut self, key: K, value: V) -> Option<V> {
        let (at, place) = match self.find(&key) {
            Ok((at, place)) => {
                let before = &mut Arc::make_mut(&mut self.chunks[at])[place].1;
                return Some(mem::replace(before, value));
            }
            Err(free) => free,
        };
        self.len += 1;
        let last = at + 1 == self.chunks.len();
        let Some(shared) = self.chunks.get_mut(at) else {
            self.chunks.push(Arc::new(vec![(key, value)]));
            return None;
        };
        if shared.len() < FULL {
            Arc::make_mut(shared).insert(place, (key, value));
        } else if last && place == FULL {
            self.chunks.push(Arc::new(vec![(key, value)]));
        } else {
            let chunk = Arc::make_mut(shared);
            let mut rest = chunk.split_off(FULL / 2);
            match place.checked_sub(FULL / 2) {
                Some(place) => rest.insert(place, (key, value)),
                None => chunk.insert(place, (key, value)),
            }
            self.chunks.insert(at + 1, Arc::new(rest));
        }
        None
    }

    /// Takes the key out; the value that it had.
    pub fn remove<Q: Ord + ?Sized>(&mut self, key: &Q) -> Option<V>
    where
        K: Borrow<Q>,
    {
        let (at, place) = self.find(key).ok()?;
        let chunk = Arc::make_mut(&mut self.chunks[at]);
        let (_, value) = chunk.remove(place);
        let left = chunk.len();
        self.len -= 1;
        if left == 0 {
            self.chunks.remove(at);
        } else if self.chunks.get(at + 1).is_some_and(|next| left + next.len() <= FEW) {
            let next = self.chunks.remove(at + 1);
            Arc::make_mut(&mut self.chunks[at]).extend(Arc::unwrap_or_clone(next));
        }
        Some(value)
    }

    /// Keeps those entries for which this holds. Where it holds for all nothing is copied.
    pub fn retain(&mut self, mut keep: impl FnMut(&K, &V) -> bool) {
        for chunk in &mut self.chunks {
            if chunk.iter().any(|(key, value)| !keep(key, value)) {
                Arc::make_mut(chunk).retain(|(key, value)| keep(key, value));
            }
        }
        self.chunks.retain(|chunk| !chunk.is_empty());
        self.len = self.chunks.iter().map(|chunk| chunk.len()).sum();
    }

    /// Changes every value.
    pub fn for_each_mut(&mut self, mut change: impl FnMut(&mut V)) {
        for chunk in &mut self.chunks {
            for (_, value) in Arc::make_mut(chunk) {
                change(value);
            }
        }
    }
}

impl<K: Clone, V: Clone> IntoIterator for OrderedMap<K, V> {
    type Item = (K, V);
    type IntoIter = std::iter::FlatMap<
        std::vec::IntoIter<Chunk<K, V>>,
        Vec<(K, V)>,
        fn(Chunk<K, V>) -> Vec<(K, V)>,
    >;

    /// The entries in order; chunk after chunk is freed on the way.
    fn into_iter(self) -> Self::IntoIter {
        self.chunks.into_iter().flat_map(Arc::unwrap_or_clone)
    }
}

impl<K: Ord + Clone, V: Clone> Extend<(K, V)> for OrderedMap<K, V> {
    fn extend<I: IntoIterator<Item = (K, V)>>(&mut self, entries: I) {
        for (key, value) in entries {
            self.insert(key, value);
        }
    }
}

impl<K: Ord + Clone, V: Clone> FromIterator<(K, V)> for OrderedMap<K, V> {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(entries: I) -> Self {
        let mut map = Self::default();
        map.extend(entries);
        map
    }
}

impl<K: PartialEq, V: PartialEq> PartialEq for OrderedMap<K, V> {
    fn eq(&self, other: &Self) -> bool {
        self.len == other.len && self.iter().eq(other.iter())
    }
}

impl<K: fmt::Debug, V: fmt::Debug> fmt::Debug for OrderedMap<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

impl<K: Serialize, V: Serialize> Serialize for OrderedMap<K, V> {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_map(self.iter())
    }
}

impl<'de, K, V> Deserialize<'de> for OrderedMap<K, V>
where
    K: Deserialize<'de> + Ord + Clone,
    V: Deserialize<'de> + Clone,
{
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        Ok(BTreeMap::<K, V>::deserialize(d)?.into_iter().collect())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Holds what the map relies on.
    fn sound(map: &OrderedMap<u16, u16>) {
        assert!(map.chunks.iter().all(|c| !c.is_empty() && c.len() <= FULL));
        assert!(map.keys().is_sorted_by(|a, b| a < b));
        assert_eq!(map.len(), map.iter().count());
    }

    proptest! {
        #[test]
        fn it_is_as_a_tree_is(
            edits in prop::collection::vec((0_u16..700, 0_u16..4), 0..3000),
        ) {
            let (mut map, mut tree) = (OrderedMap::default(), BTreeMap::new());
            let mut shared = Vec::new();
            for (n, (key, what)) in edits.into_iter().enumerate() {
                if what == 0 {
                    prop_assert_eq!(map.remove(&key), tree.remove(&key));
                } else {
                    prop_assert_eq!(map.insert(key, what), tree.insert(key, what));
                }
                prop_assert_eq!(map.get(&key), tree.get(&key));
                if n.is_multiple_of(1000) {
                    shared.push((map.clone(), tree.clone()));
                }
            }
            sound(&map);
            for (map, tree) in shared {
                prop_assert!(map.iter().eq(tree.iter()), "a clone changed");
            }
            map.retain(|key, _| key % 3 == 0);
            tree.retain(|key, _| key % 3 == 0);
            sound(&map);
            prop_assert!(map.iter().eq(tree.iter()));
            prop_assert!(map.into_iter().eq(tree));
        }
    }

    #[test]
    fn what_comes_in_order_fills_it() {
        let map: OrderedMap<u16, u16> = (0..1000).map(|n| (n, n)).collect();
        assert_eq!(map.chunks.len(), 1000_usize.div_ceil(FULL));
        let mut edited = map.clone();
        *edited.get_mut(&500).unwrap() = 7;
        let own = map.chunks.iter().zip(&edited.chunks).filter(|(a, b)| !Arc::ptr_eq(a, b));
        assert_eq!((own.count(), map.get(&500), edited.get(&500)), (1, Some(&500), Some(&7)));
    }

    #[test]
    fn it_is_written_as_a_map() {
        let map: OrderedMap<String, u8> =
            [("b".to_owned(), 2), ("a".to_owned(), 1)].into_iter().collect();
        let text = serde_json::to_string(&map).unwrap();
        assert_eq!(text, r#"{"a":1,"b":2}"#);
        assert_eq!(serde_json::from_str::<OrderedMap<String, u8>>(&text).unwrap(), map);
    }
}
