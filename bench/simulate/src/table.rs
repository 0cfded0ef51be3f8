//! The scores as a table for people, in Markdown.

use crate::{policy::Named, report::Report, score::Score};

/// The regret of every policy in every world, in percent, and what else there is of the first.
pub fn table(report: &Report, policies: &[Named]) -> String {
    let Some(first) = policies.first() else { return String::new() };
    let mut text = String::from("| world |");
    for policy in policies {
        text.push_str(&format!(" {} |", policy.name));
    }
    text.push_str(&format!(" {}: miss | osc | p95 | p99 | attempts |\n|---|", first.name));
    text.push_str(&"---:|".repeat(policies.len() + 5));
    text.push('\n');
    for world in &report.worlds {
        text.push_str(&format!("| {} |", world.name));
        for policy in policies {
            let Score { regret, .. } = world.policies[policy.name];
            text.push_str(&format!(" {} |", percent(regret)));
        }
        let Score { miss, osc, p95, p99, attempts, .. } = world.policies[first.name];
        let miss = percent(miss);
        text.push_str(&format!(" {miss} | {osc:.3} | {p95:.1} | {p99:.1} | {attempts:.3} |\n"));
    }
    text.push_str("| **geometric mean** |");
    for policy in policies {
        text.push_str(&format!(" **{}** |", percent(report.geomean[policy.name])));
    }
    text.push_str(" | | | | |\n");
    text
}

/// A fraction in percent; large ones without a fraction of their own.
fn percent(part: f64) -> String {
    let percent = part * 100.0;
    if percent.abs() < 99.95 { format!("{percent:.1}") } else { format!("{percent:.0}") }
}
