//! The rules of lineups, wherever one stands in a ModelAlias, and those of its categories.

use classify::Category;
use routing::category::DEFAULT;

use super::{Rule, not_zero, of_alias};
use crate::strategy;

/// Where a lineup stands.
struct Place {
    /// What the ids of its rules begin with.
    prefix: &'static str,
    /// The path of the object that has `strategy` and `targets`.
    lineup: &'static [&'static str],
    strategy: &'static [&'static str],
    entry: &'static [&'static str],
    /// Whether `targets` is always there.
    always: bool,
}

const PLACES: [Place; 3] = [
    Place {
        prefix: "",
        lineup: &["spec"],
        strategy: &["spec", "strategy"],
        entry: &["spec", "targets", "[]"],
        always: false,
    },
    Place {
        prefix: "default-",
        lineup: &["spec", "categories", "default"],
        strategy: &["spec", "categories", "default", "strategy"],
        entry: &["spec", "categories", "default", "targets", "[]"],
        always: true,
    },
    Place {
        prefix: "override-",
        lineup: &["spec", "categories", "overrides", "[]"],
        strategy: &["spec", "categories", "overrides", "[]", "strategy"],
        entry: &["spec", "categories", "overrides", "[]", "targets", "[]"],
        always: true,
    },
];

/// Those of every lineup, and of what chooses among them.
pub(super) fn rules() -> Vec<Rule> {
    let mut rules = choice();
    for place in PLACES {
        lineup(&place, &mut rules);
    }
    rules
}

fn lineup(place: &Place, rules: &mut Vec<Rule>) {
    let mut add = |id: &str, at, rule: &str, message: &str| {
        rules.push(of_alias(&format!("{}{id}", place.prefix), at, rule, message));
    };
    let if_there = |rule: &str| {
        if place.always { rule.to_owned() } else { format!("!has(self.targets) || {rule}") }
    };
    add(
        "entries-unique",
        place.lineup,
        &if_there("self.targets.all(x, self.targets.exists_one(y, x.name == y.name))"),
        "the names of targets must differ",
    );
    add(
        "weights-not-all-zero",
        place.lineup,
        &if_there("self.targets.exists(t, !has(t.weight) || t.weight > 0)"),
        "one target at least needs a weight above 0",
    );
    add(
        "no-tier-under-priority",
        place.lineup,
        &if_there("self.strategy.type != 'Priority' || self.targets.all(t, !has(t.tier))"),
        "tier means nothing under Priority, where the order of the list is the order: remove it",
    );
    add(
        "entry-one",
        place.entry,
        "has(self.model) != has(self.alias)",
        "set exactly one of model and alias",
    );
    add(
        "providers-with-model",
        place.entry,
        "!has(self.providers) || has(self.model)",
        "providers belongs to model: another alias has its own",
    );
    add(
        "namespace-with-alias",
        place.entry,
        "!has(self.__namespace__) || has(self.alias)",
        "namespace belongs to alias: write a provider's namespace in providers",
    );
    add(
        "providers-unique",
        place.entry,
        "!has(self.providers) || self.providers.all(x, self.providers.exists_one(y, x.name == y.name && (has(x.__namespace__) ? x.__namespace__ : '') == (has(y.__namespace__) ? y.__namespace__ : '')))",
        "a provider stands twice in this list",
    );
    for (kind, member) in strategy::options() {
        add(
            &format!("strategy-{member}"),
            place.strategy,
            &format!("!has(self.{member}) || self.type == '{kind}'"),
            &format!("{member} belongs to type: {kind}, and means nothing with another"),
        );
    }
    if !place.prefix.is_empty() {
        add(
            "strategy-no-category",
            place.strategy,
            "self.type != 'Category'",
            "a category's own lineup cannot choose by category: set another strategy",
        );
    }
}

fn choice() -> Vec<Rule> {
    const SPEC: &[&str] = &["spec"];
    const CATEGORIES: &[&str] = &["spec", "categories"];
    const OVERRIDE: &[&str] = &["spec", "categories", "overrides", "[]"];
    const MATCH: &[&str] = &["spec", "categories", "overrides", "[]", "match"];
    const DETECTOR: &[&str] = &["spec", "categories", "detector"];
    let built_in: Vec<_> = Category::ALL.iter().map(|one| format!("'{one}'")).collect();
    let built_in = built_in.join(", ");
    vec![
        of_alias(
            "targets-or-categories",
            SPEC,
            "has(self.targets) != has(self.categories)",
            "set exactly one of targets and categories",
        ),
        of_alias(
            "categories-with-category",
            SPEC,
            "!has(self.categories) || self.strategy.type == 'Category'",
            "categories belongs to strategy type: Category",
        ),
        of_alias(
            "category-with-categories",
            SPEC,
            "self.strategy.type != 'Category' || !has(self.targets)",
            "the strategy Category has no targets of its own: set categories.default and overrides",
        ),
        of_alias(
            "overrides-unique",
            CATEGORIES,
            "!has(self.overrides) || self.overrides.all(x, self.overrides.exists_one(y, x.name == y.name))",
            "two overrides have the same name",
        ),
        of_alias(
            "override-not-default",
            OVERRIDE,
            &format!("self.name != '{DEFAULT}'"),
            "default is no category: its lineup stands in categories.default",
        ),
        of_alias(
            "override-known",
            OVERRIDE,
            &format!("self.name in [{built_in}] || has(self.match)"),
            "this is no built-in category: say in match how to know it",
        ),
        of_alias(
            "match-something",
            MATCH,
            "has(self.description) || has(self.examples) || has(self.keywords) || has(self.regexes)",
            "match is empty: set description, examples, keywords or regexes",
        ),
        of_alias(
            "detector-alias",
            DETECTOR,
            "(self.type == 'Alias') == has(self.alias)",
            "alias is required with type: Alias, and only with it",
        ),
        of_alias(
            "judge-timeout",
            &["spec", "categories", "detector", "alias"],
            &format!(
                "{} && (!has(self.timeout) || duration(self.timeout) <= duration('30s'))",
                not_zero(&["timeout"])
            ),
            "timeout must be longer than 0 and at most 30s: every request may wait so long",
        ),
    ]
}
