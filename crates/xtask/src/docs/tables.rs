//! Conditions, reasons and metrics: closed sets, one row each.

use api::{Class, ConditionType, Reason};
use telemetry::names;

use super::{head, row};

pub(super) fn conditions() -> String {
    let mut page = String::from("# Conditions\n\n");
    page += &head(&["Condition", "True means"]);
    for condition in ConditionType::ALL {
        page += &row(&[&code(condition.name()), condition.meaning()]);
    }
    page += "\n# Reasons\n\n";
    page += &head(&["Reason", "Means", "What to expect"]);
    for reason in Reason::ALL {
        page += &row(&[&code(reason.name()), reason.meaning(), expect(reason.class())]);
    }
    page
}

fn expect(class: Class) -> &'static str {
    match class {
        Class::Fine => "as it should be",
        Class::Unknown => "the controller looks at it soon",
        Class::Warning => "it works, perhaps not as you mean it",
        Class::Waiting => "mends itself once what is missing is there",
        Class::Permanent => "stays until somebody edits it",
    }
}

pub(super) fn metrics() -> String {
    let mut page = String::from("# Metrics\n\n");
    page += "Served at `/metrics` of the admin port. `alias` is `namespace/name` of a ModelAlias, \
             `target` is `namespace/ProviderTarget/model`; no label holds what a caller typed. \
             The metrics of the process itself (`process_*`) are there too.\n\n";
    page += &head(&["Metric", "Type", "Labels", "Tells"]);
    for metric in names::ALL {
        let labels: Vec<_> = metric.labels.iter().map(|label| code(label)).collect();
        page += &row(&[&code(metric.name), metric.kind.name(), &labels.join(", "), metric.help]);
    }
    page
}

fn code(text: &str) -> String {
    format!("`{text}`")
}
