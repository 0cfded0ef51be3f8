//! The rules of what an AccessKey may spend.

use super::{Kind, Rule};

pub(super) fn rules() -> Vec<Rule> {
    let rule = |id: &str, at, rule: &str, message: &str| Rule {
        id: id.to_owned(),
        kind: Kind::AccessKey,
        at,
        rule: rule.to_owned(),
        message: message.to_owned(),
        relaxed_in_dev: false,
    };
    vec![rule(
        "key-limits-any",
        &["spec", "limits"],
        "has(self.requestsPerMinute) || has(self.tokensPerMinute) || has(self.maxInFlight)",
        "limits needs a limit: set requestsPerMinute, tokensPerMinute or maxInFlight, or leave limits out",
    )]
}
