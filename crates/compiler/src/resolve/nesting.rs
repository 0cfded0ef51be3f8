//! Which aliases nest which: the order in which they can be resolved, innermost first, and those
//! that never can be because they nest each other. Nothing recurses, so no chain is too long.

use std::collections::{BTreeMap, BTreeSet};

use routing::ObjectId;

/// The aliases that each alias nests, of those that are there.
pub(crate) type Edges<'a> = BTreeMap<&'a ObjectId, Vec<&'a ObjectId>>;

/// What follows from the edges.
#[derive(Debug, Default)]
pub(crate) struct Nesting<'a> {
    /// Every alias that is in no cycle, each behind all that it nests but for those in cycles.
    pub(crate) order: Vec<&'a ObjectId>,
    /// Those in a cycle, each with all members of its cycles, in order.
    pub(crate) cycles: BTreeMap<&'a ObjectId, std::rc::Rc<Vec<&'a ObjectId>>>,
}

impl<'a> Nesting<'a> {
    pub(crate) fn of(edges: &Edges<'a>) -> Self {
        let mut nesting = Self::default();
        let mut reverse: BTreeMap<&ObjectId, Vec<&ObjectId>> = BTreeMap::new();
        for (from, to) in edges {
            for to in to {
                reverse.entry(*to).or_default().push(*from);
            }
        }
        // Kosaraju: whoever is finished first is innermost; walking the reversed edges from the
        // one finished last collects what reaches it and is reached by it.
        let finished = finish_order(edges);
        let mut component: BTreeMap<&ObjectId, usize> = BTreeMap::new();
        let mut members: Vec<Vec<&ObjectId>> = Vec::new();
        for root in finished.iter().rev() {
            if component.contains_key(root) {
                continue;
            }
            let number = members.len();
            let mut found = Vec::new();
            let mut stack = vec![*root];
            component.insert(*root, number);
            while let Some(id) = stack.pop() {
                found.push(id);
                for from in reverse.get(id).into_iter().flatten() {
                    if !component.contains_key(from) {
                        component.insert(*from, number);
                        stack.push(*from);
                    }
                }
            }
            members.push(found);
        }
        for mut found in members {
            let alone = match found.as_slice() {
                [one] => !edges.get(one).is_some_and(|nested| nested.contains(one)),
                _ => false,
            };
            if !alone {
                found.sort_unstable();
                let cycle = std::rc::Rc::new(found);
                nesting.cycles.extend(cycle.iter().map(|id| (*id, cycle.clone())));
            }
        }
        nesting.order = finished;
        nesting.order.retain(|id| !nesting.cycles.contains_key(id));
        nesting
    }
}

/// Every alias in the order in which a walk in depth leaves it.
fn finish_order<'a>(edges: &Edges<'a>) -> Vec<&'a ObjectId> {
    let mut seen: BTreeSet<&ObjectId> = BTreeSet::new();
    let mut out = Vec::with_capacity(edges.len());
    for root in edges.keys() {
        if !seen.insert(*root) {
            continue;
        }
        let mut stack = vec![(*root, 0)];
        while let Some((id, next)) = stack.last_mut() {
            match edges.get(*id).and_then(|nested| nested.get(*next)) {
                Some(nested) => {
                    *next += 1;
                    if seen.insert(*nested) {
                        stack.push((*nested, 0));
                    }
                }
                None => {
                    out.push(*id);
                    stack.pop();
                }
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(edges: &[(&str, &[&str])], order: &str, cycles: &str) {
        let ids: BTreeMap<&str, ObjectId> =
            edges.iter().map(|(name, _)| (*name, ObjectId::new("n", *name))).collect();
        let edges: Edges<'_> = edges
            .iter()
            .map(|(name, nested)| (&ids[name], nested.iter().map(|n| &ids[n]).collect()))
            .collect();
        let nesting = Nesting::of(&edges);
        let names = |ids: &[&ObjectId]| ids.iter().map(|id| &*id.name).collect::<String>();
        assert_eq!(names(&nesting.order), order);
        assert_eq!(names(&nesting.cycles.keys().copied().collect::<Vec<_>>()), cycles);
    }

    #[test]
    fn inner_ones_come_first() {
        check(&[("a", &["b", "c"]), ("b", &["d"]), ("c", &["d"]), ("d", &[])], "dbca", "");
    }

    #[test]
    fn only_members_of_a_cycle_are_in_it() {
        check(&[("a", &["b"]), ("b", &["c"]), ("c", &["b", "d"]), ("d", &[])], "da", "bc");
        check(&[("a", &["a"]), ("b", &["a"])], "b", "a");
        // b stands between two cycles and is in none.
        check(&[("a", &["a", "b"]), ("b", &["c"]), ("c", &["c"])], "b", "ac");
    }

    #[test]
    fn a_long_chain_is_no_deep_stack() {
        let ids: Vec<ObjectId> =
            (0..50_000).map(|i| ObjectId::new("n", format!("{i:05}"))).collect();
        let edges: Edges<'_> = ids
            .iter()
            .enumerate()
            .map(|(i, id)| (id, ids.get(i + 1).into_iter().collect()))
            .collect();
        assert_eq!(Nesting::of(&edges).order.len(), ids.len());
    }
}
