//! From the status that the compiler wants to the one that is written, over the one that stands:
//! the times of conditions move only when their status does, that of a wait also when an edit begins
//! it again, and what waits too long is stalled.
//! Pure: the time is an argument.

use std::time::Duration;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use k8s_openapi::jiff::Timestamp;
use serde_json::{Map, Value, json};

/// After so long of waiting for something that may still come, it probably does not.
pub(crate) const PATIENCE: Duration = Duration::from_secs(5 * 60);

const CONDITIONS: &str = "conditions";
const MOVED: &str = "lastTransitionTime";
const RECONCILING: &str = "Reconciling";
const STALLED: &str = "Stalled";
const USED_BY: &str = "usedBy";
/// What was spent of a caller's key.
pub(crate) const BUDGET: &str = "budget";

/// A status to write, if it differs from the one that stands.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Merged {
    pub(crate) status: Value,
    /// When it becomes another one by time alone.
    pub(crate) changes_at: Option<Timestamp>,
}

/// What is wanted, over what stands. `generation` is the object's.
pub(crate) fn merge(wanted: &Value, standing: &Value, generation: i64, now: Timestamp) -> Merged {
    let mut status = wanted.clone();
    let mut changes_at = None;
    if let Some(conditions) = status.get_mut(CONDITIONS).and_then(Value::as_array_mut) {
        let mut begins = false;
        if let Some(at) = conditions.iter().position(|one| is(one, RECONCILING, "True")) {
            changes_at = waits_until(standing, generation, now);
            begins = changes_at == Some(now + PATIENCE);
            if changes_at.is_none() {
                // Both stay: `Reconciling` that is there and False tells the next look at it that
                // time has stalled the object, not a fault.
                let mut stalled = conditions[at].clone();
                stalled["type"] = json!(STALLED);
                conditions[at]["status"] = json!("False");
                conditions.push(stalled);
            }
        }
        for condition in conditions {
            let before = condition["type"].as_str().and_then(|kind| find(standing, kind));
            let unmoved = before.filter(|before| before["status"] == condition["status"]);
            // The time of `Reconciling` is what the next look counts from, so that it moves with a
            // new generation too.
            let again = begins && condition["type"] == RECONCILING;
            let unmoved = unmoved.filter(|_| !again);
            let moved = unmoved.map(|before| before[MOVED].clone()).filter(Value::is_string);
            condition[MOVED] = moved.unwrap_or_else(|| time(now));
        }
    }
    Merged { status, changes_at }
}

/// Keeps conditions as they stand that nobody can tell of yet.
pub(crate) fn keep(wanted: &mut Value, standing: &Value, kinds: &[&str]) {
    let kept = kinds.iter().filter(|kind| find(wanted, kind).is_none());
    let kept: Vec<Value> = kept.filter_map(|kind| find(standing, kind)).cloned().collect();
    if let Some(conditions) = wanted.get_mut(CONDITIONS).and_then(Value::as_array_mut) {
        conditions.extend(kept);
    }
}

/// Until when it may wait; `None` when that is over. Who waits at an older generation, or was not
/// waiting, begins now.
fn waits_until(standing: &Value, generation: i64, now: Timestamp) -> Option<Timestamp> {
    let begins = Some(now + PATIENCE);
    let Some(reconciling) = find(standing, RECONCILING) else { return begins };
    if reconciling["observedGeneration"].as_i64() != Some(generation) {
        return begins;
    }
    if reconciling["status"] == "True" {
        let since = reconciling[MOVED].as_str().and_then(|at| at.parse::<Timestamp>().ok());
        let until = since.unwrap_or(now) + PATIENCE;
        return (until > now).then_some(until);
    }
    let stalled = find(standing, STALLED).is_some_and(|one| is(one, STALLED, "True"));
    if stalled { None } else { begins }
}

/// How two statuses differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Difference {
    None,
    /// In a count alone, of users or of money, which is no transition.
    Count,
    Transition,
}

/// How what is to be written differs from what stands. Times do not count, nor do conditions of
/// types that are not ours.
pub(crate) fn difference(merged: &Value, standing: &Value, ours: &[&str]) -> Difference {
    let mut wanted = comparable(merged, ours);
    let mut stands = comparable(standing, ours);
    if wanted == stands {
        return Difference::None;
    }
    for count in [USED_BY, BUDGET] {
        wanted.remove(count);
        stands.remove(count);
    }
    if wanted == stands { Difference::Count } else { Difference::Transition }
}

fn comparable(status: &Value, ours: &[&str]) -> Map<String, Value> {
    let mut status = status.as_object().cloned().unwrap_or_default();
    let mut conditions: Vec<Value> = match status.remove(CONDITIONS) {
        Some(Value::Array(all)) => all,
        _ => Vec::new(),
    };
    conditions.retain(|one| one["type"].as_str().is_some_and(|kind| ours.contains(&kind)));
    for condition in &mut conditions {
        if let Some(fields) = condition.as_object_mut() {
            fields.remove(MOVED);
        }
    }
    conditions.sort_by(|a, b| a["type"].as_str().cmp(&b["type"].as_str()));
    status.insert(CONDITIONS.to_owned(), Value::Array(conditions));
    status
}

fn find<'a>(status: &'a Value, kind: &str) -> Option<&'a Value> {
    status.get(CONDITIONS)?.as_array()?.iter().find(|one| one["type"] == kind)
}

fn is(condition: &Value, kind: &str, status: &str) -> bool {
    condition["type"] == kind && condition["status"] == status
}

/// As Kubernetes writes times.
fn time(at: Timestamp) -> Value {
    serde_json::to_value(Time(at)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    const OURS: &[&str] = &["Ready", RECONCILING, STALLED];

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(1_700_000_000 + seconds).unwrap()
    }

    fn condition(kind: &str, status: &str, generation: i64) -> Value {
        json!({
            "type": kind, "status": status, "reason": "TargetNotFound", "message": "no a/b",
            "observedGeneration": generation,
        })
    }

    fn waiting(generation: i64) -> Value {
        let conditions =
            [condition("Ready", "False", generation), condition(RECONCILING, "True", generation)];
        json!({"observedGeneration": generation, "conditions": conditions})
    }

    fn moved(status: &Value, kind: &str) -> Value {
        find(status, kind).unwrap()[MOVED].clone()
    }

    #[test]
    fn times_move_with_the_status_alone() {
        let first = merge(&waiting(1), &json!({}), 1, at(0)).status;
        let mut other = waiting(1);
        other["conditions"][0]["message"] = json!("no a/c");
        let second = merge(&other, &first, 1, at(60)).status;
        assert_eq!(difference(&second, &first, OURS), Difference::Transition);
        assert_eq!(moved(&second, "Ready"), moved(&first, "Ready"));
        other["conditions"][0]["status"] = json!("True");
        let third = merge(&other, &second, 1, at(90)).status;
        assert_eq!(moved(&third, "Ready"), time(at(90)));
    }

    #[test]
    fn times_and_conditions_of_others_are_no_difference() {
        let first = merge(&waiting(1), &json!({}), 1, at(0)).status;
        let mut second = first.clone();
        second["conditions"][0][MOVED] = json!("1970-01-01T00:00:00Z");
        second["conditions"].as_array_mut().unwrap().reverse();
        second["conditions"].as_array_mut().unwrap().push(condition("Theirs", "True", 7));
        assert_eq!(difference(&first, &second, OURS), Difference::None);
        second["usedBy"] = json!(3);
        assert_eq!(difference(&first, &second, OURS), Difference::Count);
        second["observedGeneration"] = json!(2);
        assert_eq!(difference(&first, &second, OURS), Difference::Transition);
    }

    #[test]
    fn who_waits_too_long_is_stalled_and_stays_so() {
        let first = merge(&waiting(1), &json!({}), 1, at(0));
        assert_eq!(first.changes_at, Some(at(300)));
        let second = merge(&waiting(1), &first.status, 1, at(299));
        assert_eq!(second.changes_at, Some(at(300)), "another look does not begin again");
        assert_eq!(difference(&second.status, &first.status, OURS), Difference::None);

        let third = merge(&waiting(1), &first.status, 1, at(300));
        assert!(is(find(&third.status, STALLED).unwrap(), STALLED, "True"));
        assert!(is(find(&third.status, RECONCILING).unwrap(), RECONCILING, "False"));
        assert_eq!(third.changes_at, None);
        let fourth = merge(&waiting(1), &third.status, 1, at(900));
        assert_eq!(difference(&fourth.status, &third.status, OURS), Difference::None);
    }

    #[test]
    fn an_edit_begins_the_wait_again() {
        let first = merge(&waiting(1), &json!({}), 1, at(0)).status;
        let stalled = merge(&waiting(1), &first, 1, at(400)).status;
        let edited = merge(&waiting(2), &stalled, 2, at(500));
        assert_eq!(edited.changes_at, Some(at(800)));
        assert!(find(&edited.status, STALLED).is_none());
    }

    #[test]
    fn an_edit_while_it_waits_gives_it_the_whole_time_again() {
        let first = merge(&waiting(1), &json!({}), 1, at(0)).status;
        let edited = merge(&waiting(2), &first, 2, at(299));
        assert_eq!(edited.changes_at, Some(at(599)));
        let next = merge(&waiting(2), &edited.status, 2, at(310));
        assert_eq!(next.changes_at, Some(at(599)), "another look counts from the edit");
        assert_eq!(moved(&next.status, "Ready"), time(at(0)), "its status did not change");
    }

    #[test]
    fn what_nobody_can_tell_of_yet_stays_as_it_stands() {
        let mut standing = waiting(1);
        let conditions = standing["conditions"].as_array_mut().unwrap();
        conditions.push(condition("Healthy", "False", 1));
        let mut wanted = waiting(1);
        keep(&mut wanted, &standing, &["Healthy", "Other"]);
        assert_eq!(wanted, standing);
        wanted["conditions"][2]["reason"] = json!("New");
        let told = wanted.clone();
        keep(&mut wanted, &standing, &["Healthy"]);
        assert_eq!(wanted, told, "what is told goes before");
        keep(&mut wanted, &json!({}), &["Other"]);
        assert_eq!(wanted, told);
    }

    #[test]
    fn what_was_stalled_by_a_fault_begins_to_wait_once_it_is_mended() {
        let mut fault = waiting(1);
        fault["conditions"][1] = condition(STALLED, "True", 1);
        let fault = merge(&fault, &json!({}), 1, at(0));
        assert_eq!(fault.changes_at, None);
        assert_eq!(merge(&waiting(1), &fault.status, 1, at(900)).changes_at, Some(at(1_200)));
    }
}
