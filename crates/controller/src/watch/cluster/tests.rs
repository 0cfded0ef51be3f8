//! The join, fed with news as sources would give them.

use compiler::{SecretData, Settings};
use serde_json::{Value, json};

use super::*;
use crate::watch::source::NamespaceFacts;

fn all(kind: Kind) -> Source {
    Source { kind, namespace: None }
}

fn cluster() -> Cluster {
    let kinds = [Kind::Alias, Kind::Target, Kind::Secret, Kind::ConfigMap, Kind::Service];
    Cluster::new(&kinds.map(all), Settings::default())
}

fn stored<K: serde::de::DeserializeOwned>(name: &str, version: u64, spec: &Value) -> Stored<K> {
    serde_json::from_value(json!({
        "apiVersion": "moniker.dev/v1alpha1", "kind": "any",
        "metadata": {
            "name": name, "namespace": "shop", "uid": name, "generation": 1,
            "resourceVersion": version.to_string(),
        },
        "spec": spec,
    }))
    .unwrap()
}

fn alias(name: &str, version: u64) -> Change {
    let spec = json!({
        "strategy": {"type": "Priority"}, "targets": [{"name": "a", "model": "m"}],
    });
    Change::Aliases(all(Kind::Alias), News::Applied(stored(name, version, &spec)))
}

fn target(name: &str, version: u64, secret: &str) -> Change {
    let spec = json!({
        "provider": "OpenAI",
        "auth": {"type": "Bearer", "secretRef": {"name": secret, "key": "k"}},
        "models": [{"name": "m"}],
    });
    Change::Targets(all(Kind::Target), News::Applied(stored(name, version, &spec)))
}

fn key(name: &str) -> ObjectId {
    ObjectId::new("shop", name)
}

fn secret(name: &str) -> Name {
    Name { kind: Kind::Secret, id: key(name) }
}

fn secrets(news: News<Mark>) -> Change {
    Change::Named(all(Kind::Secret), news)
}

fn mark(name: &str, version: u64) -> Mark {
    Mark { id: key(name), version }
}

fn read(version: u64) -> Read {
    Read::Secret(Arc::new(SecretData { version, ..SecretData::default() }))
}

#[test]
fn a_list_takes_away_what_is_not_in_it() {
    let mut cluster = cluster();
    cluster.apply(alias("a", 5));
    cluster.apply(alias("b", 6));
    let listed = News::Listed { items: vec![stored("b", 6, &json!({}))], read: 9 };
    let effects = cluster.apply(Change::Aliases(all(Kind::Alias), listed));
    assert_eq!(effects.compile, Compile::Now);
    let world = cluster.world();
    assert!(world.aliases.is_empty(), "one is gone and the other does not decode");
    assert_eq!(world.undecodable.len(), 1);
    assert!(effects.live.iter().any(|(subject, live)| subject.id == key("a") && live.is_none()));
    assert!(cluster.deletions().is_empty(), "nobody saw a deletion");
    assert_eq!(cluster.known().until(Kind::Alias, "shop"), Some(9));
    assert_eq!(cluster.known().until(Kind::Target, "shop"), None, "not listed yet");
}

#[test]
fn a_deletion_keeps_its_version_until_it_is_handed_on_or_undone() {
    let mut cluster = cluster();
    let delete = |cluster: &mut Cluster, version| {
        let item = stored("a", version, &json!({}));
        cluster.apply(Change::Aliases(all(Kind::Alias), News::Deleted(item)))
    };
    let subject = Subject { kind: Kind::Alias, id: key("a") };
    cluster.apply(alias("a", 5));
    delete(&mut cluster, 8);
    assert!(cluster.world().aliases.is_empty());
    assert_eq!(cluster.deletions().get(&subject), Some(&8));
    assert!(cluster.deletions().is_empty());

    delete(&mut cluster, 10);
    cluster.apply(alias("a", 11));
    assert!(cluster.deletions().is_empty(), "it is there again");
}

#[test]
fn absence_is_known_as_far_as_news_have_come() {
    let mut cluster = cluster();
    cluster.apply(alias("a", 5));
    assert_eq!(cluster.known().until(Kind::Alias, "shop"), None);
    let listed = News::Listed { items: Vec::new(), read: 9 };
    cluster.apply(Change::Aliases(all(Kind::Alias), listed));
    cluster.apply(alias("a", 12));
    assert_eq!(cluster.known().until(Kind::Alias, "shop"), Some(12));
    cluster.apply(Change::Aliases(all(Kind::Alias), News::Unknown("forbidden".to_owned())));
    assert_eq!(cluster.known().until(Kind::Alias, "shop"), None);
    assert_eq!(cluster.world().aliases.len(), 1, "what was seen stays");
    assert_eq!(cluster.unknown(), [(all(Kind::Alias), "forbidden".to_owned())]);
}

#[test]
fn one_namespace_says_nothing_of_another() {
    let source =
        |namespace: &str| Source { kind: Kind::Alias, namespace: Some(namespace.to_owned()) };
    let mut cluster = Cluster::new(&[source("shop"), source("bank")], Settings::default());
    cluster.apply(alias("a", 5));
    let listed = News::Listed { items: Vec::new(), read: 9 };
    cluster.apply(Change::Aliases(source("bank"), listed));
    assert_eq!(cluster.world().aliases.len(), 1);
    assert_eq!(cluster.known().until(Kind::Alias, "bank"), Some(9));
    assert_eq!(cluster.known().until(Kind::Alias, "shop"), None);
    assert_eq!(cluster.missing(), [&source("shop")]);
}

#[test]
fn a_write_of_status_is_no_hurry() {
    let mut cluster = cluster();
    assert_eq!(cluster.apply(alias("a", 5)).compile, Compile::Now);
    assert_eq!(cluster.apply(alias("a", 6)).compile, Compile::Soon);
    assert_eq!(cluster.world().aliases[&key("a")].version, 6);
}

#[test]
fn what_does_not_decode_is_noted_and_recovers() {
    let mut cluster = cluster();
    cluster.apply(target("t", 5, "s"));
    let bad = |version| {
        let item = stored("t", version, &json!({"provider": "NoSuchThing"}));
        Change::Targets(all(Kind::Target), News::Applied(item))
    };
    assert_eq!(cluster.apply(bad(6)).compile, Compile::Now);
    assert_eq!(cluster.apply(bad(7)).compile, Compile::Soon);
    let world = cluster.world();
    assert!(world.targets.is_empty());
    let noted = &world.undecodable[&(compiler::Kind::Target, key("t"))];
    assert_eq!(noted.version, 7);
    assert!(noted.message.contains("provider"), "{}", noted.message);
    cluster.apply(target("t", 8, "s"));
    let world = cluster.world();
    assert!(world.undecodable.is_empty() && world.targets.len() == 1);
}

#[test]
fn a_secret_is_read_when_it_is_named_and_when_it_changes() {
    let mut cluster = cluster();
    assert!(cluster.apply(secrets(News::Applied(mark("s", 3)))).reads.is_empty(), "not ours");
    assert_eq!(cluster.apply(target("t", 5, "s")).reads, [secret("s")]);
    assert!(cluster.apply(target("u", 6, "s")).reads.is_empty(), "is being read");
    assert!(cluster.unread());
    assert!(cluster.world().unknown_secrets.contains(&key("s")));

    assert_eq!(cluster.read(&secret("s"), read(3)), (Compile::Now, false));
    assert!(!cluster.unread());
    assert_eq!(cluster.world().secrets[&key("s")].version, 3);
    assert!(cluster.apply(secrets(News::Applied(mark("s", 3)))).reads.is_empty(), "known");
    assert_eq!(cluster.apply(secrets(News::Applied(mark("s", 7)))).reads, [secret("s")]);
    let listed = |items| secrets(News::Listed { items, read: 9 });
    assert!(cluster.apply(listed(vec![mark("s", 3)])).reads.is_empty());
    assert_eq!(cluster.apply(listed(vec![mark("s", 8)])).reads, [secret("s")]);
    assert_eq!(cluster.apply(listed(Vec::new())).reads, [secret("s")], "it may be gone");
}

#[test]
fn a_deleted_secret_is_gone_at_once_and_stale_reads_do_not_bring_it_back() {
    let mut cluster = cluster();
    cluster.apply(target("t", 5, "s"));
    cluster.read(&secret("s"), read(3));
    let effects = cluster.apply(secrets(News::Deleted(mark("s", 8))));
    assert_eq!(effects.compile, Compile::Now);
    let world = cluster.world();
    assert!(world.secrets.is_empty() && world.unknown_secrets.is_empty());
    assert_eq!(cluster.read(&secret("s"), read(3)), (Compile::Never, false));
    assert!(cluster.world().secrets.is_empty());
    assert_eq!(cluster.read(&secret("s"), read(9)), (Compile::Now, false));
    assert_eq!(cluster.world().secrets.len(), 1);
}

#[test]
fn what_nobody_names_any_more_is_forgotten() {
    let mut cluster = cluster();
    cluster.apply(target("t", 5, "s"));
    cluster.read(&secret("s"), read(3));
    assert_eq!(cluster.apply(target("t", 6, "other")).reads, [secret("other")]);
    assert!(cluster.world().secrets.is_empty());
    assert_eq!(cluster.read(&secret("s"), read(4)), (Compile::Never, false));
}

#[test]
fn what_may_not_be_read_is_unknown_and_asked_for_again() {
    let mut cluster = cluster();
    cluster.apply(target("t", 5, "s"));
    assert_eq!(cluster.read(&secret("s"), Read::Refused), (Compile::Now, true));
    assert_eq!(cluster.read(&secret("s"), Read::Refused), (Compile::Never, true));
    assert!(cluster.world().unknown_secrets.contains(&key("s")));
    let listed = secrets(News::Listed { items: Vec::new(), read: 9 });
    assert_eq!(cluster.apply(listed).reads, [secret("s")]);
    assert_eq!(cluster.read(&secret("s"), Read::Absent), (Compile::Now, false));
    assert!(cluster.world().unknown_secrets.is_empty());
}

#[test]
fn namespaces_that_are_being_deleted_are_told_once() {
    let mark = |name: &str, terminating| NamespaceMark {
        name: name.to_owned(),
        facts: NamespaceFacts { labels: BTreeMap::new(), terminating },
    };
    let mut cluster = cluster();
    let news = |news| Change::Namespaces(all(Kind::Namespace), news);
    assert!(cluster.world().namespaces.is_none());
    let listed = News::Listed { items: vec![mark("a", false), mark("b", true)], read: 9 };
    let effects = cluster.apply(news(listed));
    assert_eq!(effects.terminating, Some(BTreeSet::from(["b".to_owned()])));
    assert_eq!(cluster.world().namespaces.as_ref().unwrap().len(), 2);
    let effects = cluster.apply(news(News::Applied(mark("b", true))));
    assert!(effects.terminating.is_none() && effects.compile == Compile::Never);
    let effects = cluster.apply(news(News::Deleted(mark("b", true))));
    assert_eq!(effects.terminating, Some(BTreeSet::new()));
}
