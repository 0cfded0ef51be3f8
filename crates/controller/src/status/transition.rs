//! What of a change of status is news for people: the transitions that become Events. Pure.

use api::ConditionType;
use serde_json::Value;

/// What `kubectl` shows in its column Type.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Severity {
    Normal,
    Warning,
}

/// One piece of news.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Transition {
    pub(crate) severity: Severity,
    /// The type of the condition that moved.
    pub(crate) condition: &'static str,
    /// Its reason; of one that is over, the reason that it had.
    pub(crate) reason: String,
    /// What the condition says: what, where, and how to mend it.
    pub(crate) note: String,
}

/// The parts of Ready: they are told where it does not say it.
const PARTS: [ConditionType; 3] =
    [ConditionType::Accepted, ConditionType::ResolvedRefs, ConditionType::Programmed];

/// Those that are there only while something is wrong, and the status by which they say so.
const WRONG: [(ConditionType, &str); 6] = [
    (ConditionType::Healthy, "False"),
    (ConditionType::Shadowed, "True"),
    (ConditionType::PriceUnknown, "True"),
    (ConditionType::MixedEmbeddingModels, "True"),
    (ConditionType::CategoryUnreliable, "True"),
    (ConditionType::BudgetLow, "True"),
];

/// The news of a status that was written over another one. A condition moves when its status or its
/// reason does; a message or a generation alone is no news.
pub(crate) fn transitions(before: &Value, after: &Value) -> Vec<Transition> {
    let mut news = Vec::new();
    let ready = moved(before, after, ConditionType::Ready);
    if let Some(ready) = ready {
        news.push(told(ConditionType::Ready, severity(ready, "False"), ready));
    }
    let is_ready = ready.is_some_and(|ready| ready["status"] == "True");
    for kind in PARTS {
        let Some(part) = moved(before, after, kind) else { continue };
        let fine = part["status"] == "True";
        // One that is fine for the first time, or together with Ready, goes without saying; and
        // why Ready is not True is said with that.
        let silent = match ready {
            Some(_) => fine || !is_ready,
            None => fine && find(before, kind).is_none(),
        };
        if !silent {
            news.push(told(kind, severity(part, "False"), part));
        }
    }
    for (kind, wrong) in WRONG {
        match moved(before, after, kind) {
            Some(now) => news.push(told(kind, severity(now, wrong), now)),
            None => {
                if let (Some(old), None) = (find(before, kind), find(after, kind)) {
                    let mut over = told(kind, Severity::Normal, old);
                    over.note.insert_str(0, "is over: ");
                    news.push(over);
                }
            }
        }
    }
    // Time alone has stalled it.
    if ready.is_none()
        && let Some(stalled) = moved(before, after, ConditionType::Stalled)
        && stalled["status"] == "True"
    {
        let mut news_of_it = told(ConditionType::Stalled, Severity::Warning, stalled);
        news_of_it.note.insert_str(0, "it has waited for too long: ");
        news.push(news_of_it);
    }
    news
}

/// The condition as it is now, if it is there and was otherwise before.
fn moved<'a>(before: &Value, after: &'a Value, kind: ConditionType) -> Option<&'a Value> {
    let now = find(after, kind)?;
    let same = |old: &Value| old["status"] == now["status"] && old["reason"] == now["reason"];
    if find(before, kind).is_some_and(same) { None } else { Some(now) }
}

fn severity(condition: &Value, wrong: &str) -> Severity {
    if condition["status"] == wrong { Severity::Warning } else { Severity::Normal }
}

fn told(kind: ConditionType, severity: Severity, condition: &Value) -> Transition {
    let text = |member: &str| condition[member].as_str().unwrap_or_default().to_owned();
    Transition { severity, condition: kind.name(), reason: text("reason"), note: text("message") }
}

fn find(status: &Value, kind: ConditionType) -> Option<&Value> {
    status.get("conditions")?.as_array()?.iter().find(|one| one["type"] == kind.name())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn status(conditions: &[(&str, &str, &str)]) -> Value {
        let one = |(kind, status, reason): &(&str, &str, &str)| json!({"type": kind, "status": status, "reason": reason, "message": format!("m-{reason}")});
        json!({"conditions": conditions.iter().map(one).collect::<Vec<_>>()})
    }

    fn told(before: &Value, after: &Value) -> Vec<String> {
        let line = |one: Transition| {
            format!("{:?} {} {} {}", one.severity, one.condition, one.reason, one.note)
        };
        transitions(before, after).into_iter().map(line).collect()
    }

    fn ready() -> Value {
        status(&[
            ("Accepted", "True", "Accepted"),
            ("ResolvedRefs", "True", "Resolved"),
            ("Ready", "True", "Ready"),
        ])
    }

    fn waiting(reason: &str) -> Value {
        status(&[
            ("Accepted", "True", "Accepted"),
            ("ResolvedRefs", "False", reason),
            ("Ready", "False", reason),
            ("Reconciling", "True", reason),
        ])
    }

    #[test]
    fn what_becomes_ready_or_unready_is_told_once() {
        let fresh = status(&[("Ready", "Unknown", "Pending")]);
        assert_eq!(told(&fresh, &ready()), ["Normal Ready Ready m-Ready"]);
        assert_eq!(told(&ready(), &ready()), <[&str; 0]>::default());
        let lacks = waiting("SecretNotFound");
        let line = "Warning Ready SecretNotFound m-SecretNotFound";
        assert_eq!(told(&ready(), &lacks), [line]);
        assert_eq!(told(&fresh, &lacks), [line]);
        assert_eq!(
            told(&lacks, &waiting("SecretInvalid")),
            ["Warning Ready SecretInvalid m-SecretInvalid"],
            "another fault is news"
        );
        assert_eq!(told(&lacks, &ready()), ["Normal Ready Ready m-Ready"]);
        assert_eq!(told(&Value::Null, &ready()).len(), 1);
    }

    #[test]
    fn what_ready_does_not_say_is_told_beside_it() {
        let partly = status(&[
            ("Accepted", "True", "Accepted"),
            ("ResolvedRefs", "False", "TargetNotFound"),
            ("Ready", "True", "Ready"),
        ]);
        let line = "Warning ResolvedRefs TargetNotFound m-TargetNotFound";
        assert_eq!(told(&ready(), &partly), [line]);
        assert_eq!(told(&Value::Null, &partly), ["Normal Ready Ready m-Ready", line]);
        assert_eq!(told(&partly, &ready()), ["Normal ResolvedRefs Resolved m-Resolved"]);
    }

    #[test]
    fn what_is_there_only_while_it_is_wrong_begins_and_ends() {
        let mut sick = ready();
        let healthy = json!({
            "type": "Healthy", "status": "False", "reason": "OutOfCredit", "message": "pay",
        });
        sick["conditions"].as_array_mut().unwrap().push(healthy);
        assert_eq!(told(&ready(), &sick), ["Warning Healthy OutOfCredit pay"]);
        assert_eq!(told(&sick, &ready()), ["Normal Healthy OutOfCredit is over: pay"]);
    }

    #[test]
    fn who_waits_too_long_is_told_and_nothing_else_is() {
        let waits = waiting("SecretNotFound");
        let mut stalled = waits.clone();
        let conditions = stalled["conditions"].as_array_mut().unwrap();
        conditions[3]["status"] = json!("False");
        let mut condition = conditions[3].clone();
        condition["type"] = json!("Stalled");
        condition["status"] = json!("True");
        conditions.push(condition);
        let line = "Warning Stalled SecretNotFound it has waited for too long: m-SecretNotFound";
        assert_eq!(told(&waits, &stalled), [line]);
        let mut later = stalled.clone();
        later["conditions"][2]["message"] = json!("another message");
        assert_eq!(told(&stalled, &later), <[&str; 0]>::default());
        assert_eq!(told(&stalled, &ready()), ["Normal Ready Ready m-Ready"]);
    }
}
