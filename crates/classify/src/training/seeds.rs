//! The prompts of Moniker's own: a small grammar, written out the same way every time.

use std::collections::{BTreeMap, BTreeSet};

use crate::Category;

/// The grammar, described in its head, and more lists and lines of it.
const GRAMMAR: &str = concat!(
    include_str!("../../prompts/seeds.txt"),
    include_str!("../../prompts/texts.txt"),
    include_str!("../../prompts/frames.txt"),
    include_str!("../../prompts/requests.txt"),
    include_str!("../../prompts/natural.txt"),
);
/// Prompts made of one line at most.
const COPIES: u32 = 6;
/// Tries for so many different ones.
const TRIES: u32 = 12;
/// Lists within lists.
const DEPTH: u32 = 2;
/// Stands for a bar that is no choice.
const BAR: char = '\u{1}';

/// Every prompt with its category.
pub(crate) fn seeds() -> Vec<(Category, String)> {
    written_out(GRAMMAR)
}

fn written_out(grammar: &str) -> Vec<(Category, String)> {
    let mut lists: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    let mut list = "";
    for line in grammar.lines() {
        if let Some(name) = line.strip_prefix('@') {
            list = name;
        } else if let Some(value) = line.strip_prefix("  ") {
            lists.entry(list).or_default().push(value);
        }
    }
    let mut category = None;
    let mut all = Vec::new();
    for (number, line) in grammar.lines().enumerate() {
        if let Some(name) = line.strip_prefix("# ") {
            category = name.parse::<Category>().ok();
        }
        let (Some(category), Some(prompt)) = (category, line.strip_prefix("- ")) else { continue };
        let mut random = Random::new(number);
        let mut made = BTreeSet::new();
        for _ in 0..TRIES {
            if made.len() < COPIES as usize {
                let text = one(&prompt.replace("\\|", &BAR.to_string()), &lists, &mut random);
                if made.insert(text.clone()) {
                    all.push((category, text));
                }
            }
        }
    }
    all
}

/// One prompt of a line.
fn one(line: &str, lists: &BTreeMap<&str, Vec<&str>>, random: &mut Random) -> String {
    let mut chosen = String::new();
    let mut rest = line;
    while let Some((before, after)) = rest.split_once('<') {
        let Some((options, next)) = after.split_once('>') else { break };
        // A bracket that holds no choice is the text's own.
        if options.contains('|') {
            chosen.push_str(before);
            let options: Vec<&str> = options.split('|').collect();
            chosen.push_str(random.pick(&options));
        } else {
            chosen.extend([before, "<", options, ">"]);
        }
        rest = next;
    }
    chosen.push_str(rest);
    filled(&chosen, lists, random, DEPTH).replace("\\n", "\n").replace(BAR, "|")
}

/// Values in the places of lists' names; a value may name lists itself, so many deep.
fn filled(
    text: &str,
    lists: &BTreeMap<&str, Vec<&str>>,
    random: &mut Random,
    depth: u32,
) -> String {
    let mut full = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('{') {
        let values = after.split_once('}').and_then(|(name, next)| Some((lists.get(name)?, next)));
        full.push_str(before);
        if let (Some((values, next)), 1..) = (values, depth) {
            full.push_str(&filled(random.pick(values), lists, random, depth - 1));
            rest = next;
        } else {
            full.push('{');
            rest = after;
        }
    }
    full.push_str(rest);
    full
}

/// Choices that look random and are always the same: a linear congruential generator (Knuth's
/// MMIX constants).
pub(super) struct Random(u64);

impl Random {
    pub(super) fn new(seed: usize) -> Self {
        let mut random = Self(seed as u64);
        for _ in 0..3 {
            random.next();
        }
        random
    }

    fn next(&mut self) -> u64 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        self.0 >> 33
    }

    /// A number below `count`, which is not zero.
    pub(super) fn below(&mut self, count: u64) -> u64 {
        self.next() % count
    }

    fn pick<'a>(&mut self, options: &[&'a str]) -> &'a str {
        usize::try_from(self.below(options.len().max(1) as u64))
            .ok()
            .and_then(|at| options.get(at))
            .copied()
            .unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_grammar_gives_many_prompts_of_every_category() {
        let all = seeds();
        assert_eq!(all, seeds(), "always the same");
        for category in Category::ALL {
            let count = all.iter().filter(|(one, _)| *one == category).count();
            assert!(count > 100, "{category}: {count}");
        }
        let left = |text: &str| {
            let choice = text.split_once('<').and_then(|(_, rest)| rest.split_once('>'));
            choice.is_some_and(|(options, _)| options.contains('|') && !options.contains('\n'))
        };
        let odd: Vec<_> = all.iter().filter(|(_, text)| left(text) || text.contains(BAR)).collect();
        assert!(odd.is_empty(), "{odd:?}");
        let named = |line: &str| line.strip_prefix('@').map(|name| format!("{{{name}}}"));
        let names: Vec<String> = GRAMMAR.lines().filter_map(named).collect();
        assert!(names.len() > 30, "{names:?}");
        let empty = |(_, text): &&(Category, String)| names.iter().any(|name| text.contains(name));
        assert_eq!(all.iter().find(empty), None, "a list's name was left");
    }

    #[test]
    fn choices_values_and_breaks_are_filled_in() {
        let made = written_out("@w\n  one\n@x\n  {w}\n# coding\n- <a|b> {x} {y}\\n\\|<p>");
        let texts: BTreeSet<_> = made.iter().map(|(_, text)| text.as_str()).collect();
        assert_eq!(texts, BTreeSet::from(["a one {y}\n|<p>", "b one {y}\n|<p>"]));
    }
}
