//! Who owns a name. Within a namespace the older alias has it and the younger is not served. A
//! namespace's own alias shadows every exported one; of two exported ones that a third namespace
//! sees, the older serves there and the younger is told.

use std::collections::{BTreeMap, BTreeSet};

use routing::{ObjectId, snapshot::Exported};

/// What counts of an alias.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Claim<'a, 'e> {
    pub(crate) id: &'a ObjectId,
    pub(crate) model: &'a str,
    pub(crate) created: i64,
    pub(crate) export: &'e Exported,
    /// Callers may name it; only then can it meet an alias of another namespace.
    pub(crate) public: bool,
}

/// Who loses, and to whom.
#[derive(Debug, Default)]
pub(crate) struct Names<'a> {
    /// Losers within their namespace.
    pub(crate) conflicts: BTreeMap<&'a ObjectId, &'a ObjectId>,
    /// Those that an older exported alias shadows somewhere.
    pub(crate) shadowed: BTreeMap<&'a ObjectId, &'a ObjectId>,
}

impl<'a> Names<'a> {
    /// `claims` come in order of id.
    pub(crate) fn of<'e>(claims: impl IntoIterator<Item = Claim<'a, 'e>>) -> Self {
        let mut groups: BTreeMap<&str, Vec<Claim<'a, 'e>>> = BTreeMap::new();
        for claim in claims {
            groups.entry(claim.model).or_default().push(claim);
        }
        let mut names = Self::default();
        for mut group in groups.into_values() {
            group.sort_by_key(|claim| (claim.created, claim.id));
            names.group(&group);
        }
        names
    }

    /// Claims to one name, older ones first.
    fn group(&mut self, claims: &[Claim<'a, '_>]) {
        let mut owners: BTreeMap<&str, &ObjectId> = BTreeMap::new();
        for claim in claims {
            match owners.get(&*claim.id.namespace) {
                Some(owner) => {
                    self.conflicts.insert(claim.id, owner);
                }
                None => {
                    owners.insert(&claim.id.namespace, claim.id);
                }
            }
        }
        // The first that every namespace sees, and the first that each namespace sees.
        let mut everywhere: Option<&ObjectId> = None;
        let mut first: BTreeMap<&str, &ObjectId> = BTreeMap::new();
        for claim in claims.iter().filter(|c| c.public && !self.conflicts.contains_key(c.id)) {
            let guests: BTreeSet<&str> = match claim.export {
                Exported::Namespaces(list) => {
                    list.iter().map(String::as_str).filter(|ns| !owners.contains_key(ns)).collect()
                }
                Exported::Same | Exported::All => BTreeSet::new(),
            };
            let older = match claim.export {
                Exported::Same => None,
                Exported::All => everywhere.or_else(|| first.values().min().copied()),
                Exported::Namespaces(_) => guests
                    .iter()
                    .find_map(|ns| first.get(ns).copied())
                    .or_else(|| everywhere.filter(|_| !guests.is_empty())),
            };
            if let Some(older) = older {
                self.shadowed.insert(claim.id, older);
            }
            if *claim.export == Exported::All {
                everywhere = everywhere.or(Some(claim.id));
            }
            for guest in guests {
                first.entry(guest).or_insert(claim.id);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(claims: &[(&str, i64, Exported, bool)], conflicts: &str, shadowed: &str) {
        let ids: Vec<ObjectId> = claims.iter().map(|c| c.0.parse().unwrap()).collect();
        let names = Names::of(claims.iter().zip(&ids).map(|(c, id)| Claim {
            id,
            model: "m",
            created: c.1,
            export: &c.2,
            public: c.3,
        }));
        let text = |map: &BTreeMap<&ObjectId, &ObjectId>| {
            map.iter()
                .map(|(loser, winner)| format!("{loser}<{winner}"))
                .collect::<Vec<_>>()
                .join(" ")
        };
        assert_eq!(text(&names.conflicts), conflicts);
        assert_eq!(text(&names.shadowed), shadowed);
    }

    fn to(namespaces: &[&str]) -> Exported {
        Exported::Namespaces(namespaces.iter().map(|ns| (*ns).to_owned()).collect())
    }

    #[test]
    fn the_younger_loses_in_a_namespace_then_the_later_name() {
        let same = Exported::Same;
        check(&[("n/a", 2, same.clone(), true), ("n/b", 1, same.clone(), true)], "n/a<n/b", "");
        check(&[("n/a", 1, same.clone(), true), ("n/b", 1, same.clone(), false)], "n/b<n/a", "");
        check(&[("n/a", 1, same.clone(), true), ("o/b", 1, same, true)], "", "");
    }

    #[test]
    fn exported_ones_meet_only_where_both_are_seen() {
        let all = Exported::All;
        check(&[("a/x", 1, all.clone(), true), ("b/x", 2, all.clone(), true)], "", "b/x<a/x");
        check(&[("a/x", 1, all.clone(), true), ("b/x", 2, to(&["a"]), true)], "", "");
        check(&[("a/x", 1, all.clone(), true), ("b/x", 2, to(&["a", "c"]), true)], "", "b/x<a/x");
        check(&[("a/x", 1, to(&["c"]), true), ("b/x", 2, all.clone(), true)], "", "b/x<a/x");
        check(&[("a/x", 1, to(&["c"]), true), ("b/x", 2, to(&["d"]), true)], "", "");
        // A namespace's own alias shadows both, which is no conflict.
        let own = ("c/x", 3, Exported::Same, true);
        check(&[("a/x", 1, to(&["c"]), true), ("b/x", 2, to(&["c"]), true), own], "", "");
        // What callers cannot name shadows nothing.
        check(&[("a/x", 1, all.clone(), false), ("b/x", 2, all, true)], "", "");
    }
}
