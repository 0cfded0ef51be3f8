//! Budgets in a cluster: what routers spent is in the AccessKey's status, exact, counted once whoever
//! starts again, and told when little is left.

use routing::fleet::{KeyId, KeyReport, Report, Spending};
use routing::spend::Counter;
use routing::{Digest, Money, ObjectId};
use serde_json::Value;
use testkit::control_plane::ControlPlane;

use super::fleet::{ADDRESSES, router, slice, swept};
use super::harness::{condition, get, plane, ready, secret, until};

const KEY: &str = "accesskey/caller";

fn key(namespace: &str, amount: &str) -> String {
    format!(
        "---
apiVersion: moniker.dev/v1alpha1
kind: AccessKey
metadata: {{name: caller, namespace: {namespace}}}
spec:
  secretRef: {{name: caller-key, key: api-key}}
  budget: {{amount: \"{amount}\", period: Month}}
"
    )
}

/// What a run of a router reports that has spent this.
fn spent(key: &KeyId, run: &str, amount: &str) -> Report {
    let counter = Counter { spent: Money::parse(amount).unwrap(), counted: Money::ZERO };
    let spending = Some(Spending { counter, demand: 0.1 });
    let seen = KeyReport { spending, ..KeyReport::default() };
    let keys = [(key.clone(), seen)].into();
    Report { run: run.to_owned(), keys, ..Report::default() }
}

async fn says(plane: &ControlPlane, ns: &str, amount: &str) {
    until(plane, ns, KEY, |object| object["status"]["budget"]["spent"] == amount).await;
}

#[tokio::test]
async fn what_is_spent_survives_whatever_starts_again_and_is_never_counted_twice() {
    let (plane, user) = plane().await;
    let namespace = plane.namespace("spending").await.unwrap();
    let ns = namespace.as_str();
    plane.apply(&(secret(ns, "caller-key", "mk-one") + &key(ns, "2.00"))).await.unwrap();
    let uid = get(&plane, ns, KEY).await["metadata"]["uid"].as_str().unwrap().to_owned();
    let id = KeyId { id: ObjectId::new(ns, "caller"), uid: Digest::of(uid.as_bytes()) };
    let (port, first) = router(ADDRESSES[0], 0, spent(&id, "x", "0.25")).await;
    let (_, second) = router(ADDRESSES[1], port, spent(&id, "x", "0.000000000000000001")).await;
    let [one, two, _] = ADDRESSES;
    let both = [(one, "r-1", true), (two, "r-2", true)];
    let controller = swept(&plane, &user, ns).await;
    ready(&plane, ns, KEY).await;
    plane.apply(&slice(ns, "routers-a", port, &both)).await.unwrap();
    says(&plane, ns, "0.250000000000000001").await;
    let status = get(&plane, ns, KEY).await["status"]["budget"].clone();
    assert!(status["periodStart"].as_str().unwrap().ends_with("-01T00:00:00Z"), "{status}");
    assert_eq!(status["sources"].as_array().unwrap().len(), 2, "{status}");

    // More within the minute is told to routers at once, and written when the controller ends.
    *first.lock() = spent(&id, "x", "0.5");
    let mut stream = controller.join().await;
    let told = |fleet: &Value| fleet["keys"][0]["budget"]["spent"] == "0.500000000000000001";
    stream.fleet(told).await;
    assert!(controller.terminate().await, "it ends by itself");
    says(&plane, ns, "0.500000000000000001").await;

    // Another controller counts on from there: one router goes on, the other has started again.
    *first.lock() = spent(&id, "x", "0.75");
    *second.lock() = spent(&id, "y", "1");
    let controller = swept(&plane, &user, ns).await;
    says(&plane, ns, "1.750000000000000001").await;
    until(&plane, ns, KEY, |object| condition(object, "BudgetLow")["reason"] == "BudgetLow").await;
    assert_eq!(condition(&get(&plane, ns, KEY).await, "Ready")["status"], "True");

    // With more to spend it is over; what was spent stays.
    plane.apply(&key(ns, "100")).await.unwrap();
    until(&plane, ns, KEY, |object| condition(object, "BudgetLow").is_null()).await;
    says(&plane, ns, "1.750000000000000001").await;
    assert!(controller.terminate().await, "it ends by itself");
    says(&plane, ns, "1.750000000000000001").await;
}
