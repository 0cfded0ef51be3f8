//! Whether routers serve an alias or a target, as its status tells it. It is sticky: once every ready router
//! served a generation, routers that come, go or restart change nothing of that; only one that
//! rejects it does. Pure.

use serde_json::{Map, Value, json};

use api::{ConditionType, Reason};

/// What was seen of one object on the ready routers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Seen {
    /// There is none.
    NoRouters,
    /// Some do not serve it yet: so many of so many do, and these do not.
    Behind { served: usize, of: usize, missing: String },
    /// Some cannot use it, and why.
    Rejected { served: usize, of: usize, message: String },
    /// Every one serves it.
    All,
}

/// What was seen of a generation of an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Observed {
    pub(crate) generation: i64,
    pub(crate) seen: Seen,
}

/// Whether a status can be told yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Told {
    Now,
    /// Routers will have been asked in a moment.
    Soon,
}

/// Puts into the status that the compiler wants what routers were seen to serve. What is not
/// accepted is served by nobody in this form, and says nothing of routers.
pub(crate) fn program(wanted: &mut Value, standing: &Value, observed: Option<&Observed>) -> Told {
    let generation = wanted["observedGeneration"].as_i64();
    let is = |status: &Value, kind: ConditionType| {
        find(status, kind).is_some_and(|condition| condition["status"] == "True")
    };
    if !is(wanted, ConditionType::Accepted) {
        return Told::Now;
    }
    let sticky = is(standing, ConditionType::Programmed)
        && standing["programmed"]["generation"].as_i64() == generation;
    let seen = observed.filter(|o| Some(o.generation) == generation).map(|o| &o.seen);
    let (status, reason, message, routers, wait) = match seen {
        Some(Seen::Rejected { served, of, message }) => {
            let routers = Some(format!("{served}/{of}"));
            ("False", Reason::RouterRejected, message.clone(), routers, ConditionType::Stalled)
        }
        seen if sticky || seen == Some(&Seen::All) => {
            let message = "every ready router served this generation".to_owned();
            programmed(wanted, "True", Reason::Programmed, &message, Some("All"));
            return Told::Now;
        }
        Some(Seen::Behind { served, of, missing }) => {
            let message = format!(
                "{served} of {of} ready routers serve this generation; not so {missing}: see \
                 whether they follow the controller (moniker_link_connected, their logs)"
            );
            let (reason, wait) = (Reason::RoutersDisconnected, ConditionType::Reconciling);
            ("False", reason, message, Some(format!("{served}/{of}")), wait)
        }
        Some(Seen::NoRouters | Seen::All) => {
            let message = "no router is ready, so nobody serves it yet".to_owned();
            programmed(wanted, "Unknown", Reason::NoRouters, &message, None);
            not_ready(wanted, "Unknown", Reason::NoRouters, &message);
            return Told::Now;
        }
        // What is wrong anyway need not wait for routers.
        None if is(wanted, ConditionType::Ready) => return Told::Soon,
        None => return Told::Now,
    };
    programmed(wanted, status, reason, &message, routers.as_deref());
    if not_ready(wanted, status, reason, &message)
        && let Some(conditions) = conditions(wanted)
    {
        conditions.push(condition(wait, "True", reason, &message, generation));
    }
    Told::Now
}

fn programmed(wanted: &mut Value, status: &str, reason: Reason, message: &str, to: Option<&str>) {
    let generation = wanted["observedGeneration"].as_i64();
    let new = condition(ConditionType::Programmed, status, reason, message, generation);
    if let Some(conditions) = conditions(wanted) {
        let after = conditions.iter().position(|one| one["type"] == "ResolvedRefs");
        conditions.insert(after.map_or(conditions.len(), |at| at + 1), new);
    }
    if let Some(routers) = to {
        wanted["programmed"] = json!({"generation": generation, "routers": routers});
    }
}

/// Ready becomes this, if it was True; whether it was.
fn not_ready(wanted: &mut Value, status: &str, reason: Reason, message: &str) -> bool {
    let Some(conditions) = conditions(wanted) else { return false };
    let ready = |one: &&mut Value| one["type"] == ConditionType::Ready.name();
    match conditions.iter_mut().find(ready).filter(|one| one["status"] == "True") {
        Some(ready) => {
            ready["status"] = json!(status);
            ready["reason"] = json!(reason.name());
            ready["message"] = json!(message);
            true
        }
        None => false,
    }
}

fn condition(
    kind: ConditionType,
    status: &str,
    reason: Reason,
    message: &str,
    generation: Option<i64>,
) -> Value {
    let mut condition = Map::new();
    condition.insert("type".to_owned(), json!(kind.name()));
    condition.insert("status".to_owned(), json!(status));
    condition.insert("reason".to_owned(), json!(reason.name()));
    condition.insert("message".to_owned(), json!(message));
    condition.insert("observedGeneration".to_owned(), json!(generation));
    // When it moved is put in by the merge.
    condition.insert("lastTransitionTime".to_owned(), json!("1970-01-01T00:00:00Z"));
    Value::Object(condition)
}

fn conditions(status: &mut Value) -> Option<&mut Vec<Value>> {
    status.get_mut("conditions")?.as_array_mut()
}

fn find(status: &Value, kind: ConditionType) -> Option<&Value> {
    status.get("conditions")?.as_array()?.iter().find(|one| one["type"] == kind.name())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted(ready: bool) -> Value {
        let of = |kind: ConditionType, status: &str| {
            condition(kind, status, Reason::Ready, "as compiled", Some(4))
        };
        json!({"observedGeneration": 4, "conditions": [
            of(ConditionType::Accepted, "True"), of(ConditionType::ResolvedRefs, "True"),
            of(ConditionType::Ready, if ready { "True" } else { "False" }),
        ]})
    }

    fn told(standing: &Value, seen: Option<Seen>) -> Value {
        let mut status = wanted(true);
        let observed = seen.map(|seen| Observed { generation: 4, seen });
        assert_eq!(program(&mut status, standing, observed.as_ref()), Told::Now);
        status
    }

    fn of(status: &Value, kind: ConditionType) -> (String, String) {
        let condition = find(status, kind).cloned().unwrap_or_default();
        let text = |member: &str| condition[member].as_str().unwrap_or("none").to_owned();
        (text("status"), text("reason"))
    }

    fn pair(status: &str, reason: &str) -> (String, String) {
        (status.to_owned(), reason.to_owned())
    }

    fn behind() -> Seen {
        Seen::Behind { served: 2, of: 3, missing: "r-3".to_owned() }
    }

    fn rejected() -> Seen {
        Seen::Rejected { served: 2, of: 3, message: "r-3: FeatureUnknown".to_owned() }
    }

    #[test]
    fn ready_is_who_is_served_by_all() {
        let all = told(&Value::Null, Some(Seen::All));
        assert_eq!(of(&all, ConditionType::Programmed), pair("True", "Programmed"));
        assert_eq!(of(&all, ConditionType::Ready).0, "True");
        assert_eq!(all["programmed"], json!({"generation": 4, "routers": "All"}));

        let some = told(&Value::Null, Some(behind()));
        assert_eq!(of(&some, ConditionType::Programmed), pair("False", "RoutersDisconnected"));
        assert_eq!(of(&some, ConditionType::Ready), pair("False", "RoutersDisconnected"));
        assert_eq!(of(&some, ConditionType::Reconciling).0, "True");
        assert_eq!(some["programmed"]["routers"], "2/3");

        let none = told(&Value::Null, Some(Seen::NoRouters));
        assert_eq!(of(&none, ConditionType::Ready), pair("Unknown", "NoRouters"));
        assert_eq!(of(&none, ConditionType::Reconciling).0, "none");

        let bad = told(&Value::Null, Some(rejected()));
        assert_eq!(of(&bad, ConditionType::Ready), pair("False", "RouterRejected"));
        assert_eq!(of(&bad, ConditionType::Stalled).0, "True");
    }

    #[test]
    fn only_a_rejection_takes_back_what_was_programmed() {
        let standing = told(&Value::Null, Some(Seen::All));
        for seen in [None, Some(behind()), Some(Seen::NoRouters), Some(Seen::All)] {
            assert_eq!(told(&standing, seen), standing, "a scale event rewrites nothing");
        }
        let bad = told(&standing, Some(rejected()));
        assert_eq!(of(&bad, ConditionType::Programmed), pair("False", "RouterRejected"));
        let mended = told(&bad, Some(Seen::All));
        assert_eq!(of(&mended, ConditionType::Ready).0, "True");
    }

    #[test]
    fn another_generation_waits_until_routers_were_asked() {
        let mut standing = told(&Value::Null, Some(Seen::All));
        standing["programmed"]["generation"] = json!(3);
        let old = Observed { generation: 3, seen: Seen::All };
        assert_eq!(program(&mut wanted(true), &standing, Some(&old)), Told::Soon);
        assert_eq!(program(&mut wanted(true), &standing, None), Told::Soon);
        // What is wrong anyway is told at once.
        let mut wrong = wanted(false);
        assert_eq!(program(&mut wrong, &standing, None), Told::Now);
        assert_eq!(wrong, wanted(false));
        // What is not accepted says nothing of routers.
        let mut refused = wanted(false);
        refused["conditions"][0]["status"] = json!("False");
        let before = refused.clone();
        let new = Observed { generation: 4, seen: Seen::All };
        assert_eq!(program(&mut refused, &standing, Some(&new)), Told::Now);
        assert_eq!(refused, before);
    }
}
