//! Callers with AccessKeys: who is served, who may name what, what each of them is told, and that
//! nobody's key goes anywhere.

use serde_json::json;
use testkit::{
    moniker::Moniker,
    upstream::{Script, Upstream},
};

use crate::{
    client,
    rig::{Answer, ask, ask_with, priority, request, target},
};

/// An AccessKey and its Secret in a namespace; `more` are lines of its spec.
fn key(namespace: &str, name: &str, values: &[(&str, &str)], more: &[&str]) -> String {
    let values: Vec<_> = values.iter().map(|(k, v)| format!("{k}: {}", json!(v))).collect();
    let lines: Vec<_> = more.iter().map(|line| format!("  {line}\n")).collect();
    let lines = lines.concat();
    format!(
        "---\napiVersion: v1\nkind: Secret\nmetadata: {{name: {name}, namespace: {namespace}}}\n\
         stringData: {{{}}}\n---\napiVersion: moniker.dev/v1alpha1\nkind: AccessKey\n\
         metadata: {{name: {name}, namespace: {namespace}}}\nspec:\n  \
         secretRef: {{name: {name}, key: api-key}}\n{lines}",
        values.join(", ")
    )
}

/// The same objects in another namespace.
fn within(namespace: &str, yaml: &str) -> String {
    yaml.replace("metadata: {name:", &format!("metadata: {{namespace: {namespace}, name:"))
}

async fn as_caller(moniker: &Moniker, model: &str, key: &str) -> Answer {
    let bearer = format!("Bearer {key}");
    ask_with(moniker, &request(model, false), &[("authorization", &bearer)]).await
}

async fn models(moniker: &Moniker, key: &str) -> Vec<String> {
    let answer = client().get(moniker.at("models")).header("x-api-key", key).send().await.unwrap();
    let list = Answer::of(answer).await.json();
    let ids = list["data"].as_array().unwrap_or_else(|| panic!("{list}")).iter();
    ids.map(|model| model["id"].as_str().unwrap().to_owned()).collect()
}

/// Two projects on one provider: `shop` exports `shared`, `web` has one alias.
async fn projects(keys: &str) -> (Moniker, Upstream) {
    let upstream = Upstream::start().await.unwrap();
    upstream.always(Script::chat("hello"));
    let of = |namespace: &str, aliases: &str| {
        within(namespace, &(target("t", &upstream.url(), &[]) + aliases))
    };
    let export = ["export: {from: All}"];
    let shop = priority("prod-chat", &["t"], &[])
        + &priority("prod-secret", &["t"], &[])
        + &priority("shared", &["t"], &export);
    let yaml = of("shop", &shop) + &of("web", &priority("prod-web", &["t"], &[])) + keys;
    (Moniker::dev(&yaml).await.unwrap(), upstream)
}

#[tokio::test]
async fn a_key_opens_what_it_may_name_and_nothing_tells_of_the_rest() {
    let keys =
        key("shop", "checkout", &[("api-key", "mk-checkout\n")], &["aliases: [prod-ch*, sh*]"])
            + &key("shop", "all", &[("api-key", "mk-all")], &[])
            + &key("web", "front", &[("api-key", "mk-front")], &[]);
    let (moniker, upstream) = projects(&keys).await;
    for (key, names) in [
        ("mk-checkout", &["prod-chat", "shared"][..]),
        ("mk-all", &["prod-chat", "prod-secret", "shared"]),
        ("mk-front", &["prod-web", "shared"]),
    ] {
        assert_eq!(models(&moniker, key).await, names, "{key}");
        for model in ["prod-chat", "prod-secret", "prod-web", "shared", "nothing", "prod-secre"] {
            let answer = as_caller(&moniker, model, key).await;
            if names.contains(&model) {
                assert_eq!(answer.status, 200, "{key} {model}: {}", answer.body);
                continue;
            }
            let (status, code, message) = answer.error();
            assert_eq!((status, code.as_str()), (404, "model_not_found"), "{key} {model}");
            let rest = message.replace(model, "");
            let hidden = ["prod-chat", "prod-secret", "prod-web", "web/", "shop/"];
            for name in hidden.iter().filter(|name| !names.contains(name)) {
                assert!(!rest.contains(name), "{key} {model}: {message}");
            }
            assert_eq!(answer.header("x-moniker-alias"), "");
            assert_eq!(answer.header("x-moniker-revision"), "");
        }
    }
    // One that may not be named is as one that is not there, to the letter.
    let told = |answer: Answer, name: &str| answer.error().2.replace(name, "*");
    let not_mine = as_caller(&moniker, "prod-secret", "mk-checkout").await;
    let nothing = as_caller(&moniker, "prod-nothin", "mk-checkout").await;
    let (not_mine, nothing) = (told(not_mine, "prod-secret"), told(nothing, "prod-nothin"));
    assert_eq!(not_mine.split('.').next(), nothing.split('.').next());
    for received in upstream.received() {
        let headers = format!("{:?} {}", received.headers, received.path);
        assert!(!headers.contains("mk-"), "{headers}");
    }
}

#[tokio::test]
async fn who_has_no_key_that_serves_is_told_the_same() {
    let off = key("shop", "switched-off", &[("api-key", "mk-off")], &["disabled: true"]);
    let over =
        key("shop", "over", &[("api-key", "mk-over")], &["expiresAt: \"2020-01-01T00:00:00Z\""]);
    let bad = key("shop", "scheme", &[("api-key", "Bearer mk-scheme")], &[]);
    let fine =
        key("shop", "fine", &[("api-key", "mk-fine"), ("api-key-previous", "mk-before")], &[]);
    let twice = key("web", "twice", &[("api-key", "mk-fine")], &[]);
    let (mut moniker, upstream) = projects(&(off + &over + &bad + &fine + &twice)).await;
    for what in ["begins with `Bearer`", "has the same key"] {
        let line = moniker.printed(what).await.unwrap();
        assert!(!line.contains("mk-") && !line.contains("shop/fine"), "{line}");
    }
    moniker.printed("Callers need the key of one of 5 AccessKeys").await.unwrap();

    let mut said = Vec::new();
    for key in ["mk-unknown", "mk-off", "mk-over", "mk-scheme", "mk-fin"] {
        let answer = as_caller(&moniker, "prod-chat", key).await;
        assert_eq!(answer.header("x-moniker-alias"), "");
        said.push(answer.error());
    }
    assert_eq!((said[0].0, said[0].1.as_str()), (401, "invalid_api_key"));
    assert!(said.iter().all(|one| *one == said[0]), "{said:?}");
    let none = ask(&moniker, &request("prod-chat", false)).await.error();
    assert_eq!((none.0, none.1.as_str()), (401, "invalid_api_key"));

    // Every path, whether it is served or not.
    let paths =
        ["models", "models/prod-chat", "explain/chat/completions", "embeddings", "files", "x"];
    for path in paths {
        let answer = client().post(moniker.at(path)).body("{}").send().await.unwrap();
        assert_eq!(answer.status(), 401, "{path}");
    }
    // A key in the URL is none, and stays where it is.
    let url = moniker.at("chat/completions?key=mk-fine&api_key=mk-fine&api-key=mk-fine");
    let post = || client().post(&url).header("content-type", "application/json");
    let answer = post().body(request("prod-chat", false)).send().await.unwrap();
    assert_eq!(answer.status(), 401);
    let answer = post().header("api-key", "mk-before").body(request("prod-chat", false));
    assert_eq!(answer.send().await.unwrap().status(), 200);
    assert!(upstream.received().iter().all(|r| !r.path.contains("mk-")));
    assert!(!moniker.output().contains("mk-"), "{}", moniker.output());
    let metrics =
        client().get(moniker.admin("metrics")).send().await.unwrap().text().await.unwrap();
    let config = client().get(moniker.admin("config")).send().await.unwrap().text().await.unwrap();
    assert!(config.contains("shop/fine") && !config.contains("mk-") && !metrics.contains("mk-"));
}

#[tokio::test]
async fn keys_rotate_and_are_revoked_by_an_edit() {
    let upstream = Upstream::start().await.unwrap();
    upstream.always(Script::chat("hello"));
    let lineup =
        within("shop", &(target("t", &upstream.url(), &[]) + &priority("chat", &["t"], &[])));
    let with =
        |values: &[(&str, &str)], more: &[&str]| lineup.clone() + &key("shop", "k", values, more);
    let mut moniker = Moniker::dev(&with(&[("api-key", "mk-1")], &[])).await.unwrap();
    let mut edits = 0;
    for (yaml, served) in [
        (with(&[("api-key", "mk-2"), ("api-key-previous", "mk-1")], &[]), &["mk-1", "mk-2"][..]),
        (with(&[("api-key", "mk-2")], &[]), &["mk-2"]),
        (with(&[("api-key", "mk-2")], &["disabled: true"]), &[]),
        (with(&[("api-key", "mk-2")], &["aliases: [other]"]), &[]),
        (with(&[("api-key", "mk-2")], &[]), &["mk-2"]),
        // Without its Secret.
        (with(&[("other", "mk-2")], &[]), &[]),
        (with(&[("api-key", "mk-3")], &[]), &["mk-3"]),
        (lineup.clone(), &[]),
    ] {
        moniker.edit(&yaml).unwrap();
        edits += 1;
        moniker.printed_times("Loaded again", edits).await.unwrap();
        for key in ["mk-1", "mk-2", "mk-3"] {
            let status = as_caller(&moniker, "chat", key).await.status;
            assert_eq!(status == 200, served.contains(&key), "{key} after edit {edits}: {status}");
        }
    }
    // The last one has gone: callers are those of the namespace `default`, which has no alias.
    assert_eq!(ask(&moniker, &request("chat", false)).await.status, 404);
    moniker.printed("Callers need no key").await.unwrap();
}

#[tokio::test]
async fn a_key_may_name_models_of_targets_where_it_says_so() {
    let direct = ["allowDirectModels: true"];
    let some = ["allowDirectModels: true", "aliases: [\"*chat\", \"platform/*\"]"];
    let keys = key("shop", "all", &[("api-key", "mk-all")], &direct)
        + &key("shop", "some", &[("api-key", "mk-some")], &some)
        + &key("shop", "none", &[("api-key", "mk-none")], &["aliases: [\"*\"]"])
        + &key("web", "web", &[("api-key", "mk-web")], &direct);
    let upstream = Upstream::start().await.unwrap();
    upstream.always(Script::chat("hello"));
    let exported = target("platform", &upstream.url(), &["export: {from: All}"]);
    let objects =
        within("shop", &(target("t", &upstream.url(), &[]) + &priority("chat", &["t"], &[])))
            + &within("platform", &(exported + &target("hidden", &upstream.url(), &[])));
    let moniker = Moniker::dev(&(objects + &keys)).await.unwrap();
    let all = ["chat", "platform/m", "t/m"];
    for (key, names) in [
        ("mk-all", &all[..]),
        ("mk-some", &["chat", "platform/m"]),
        ("mk-none", &["chat"]),
        ("mk-web", &["platform/m"]),
    ] {
        assert_eq!(models(&moniker, key).await, names, "{key}");
        for model in all.iter().chain(&["hidden/m", "t/other", "platform/", "/m", "shop/t/m"]) {
            let answer = as_caller(&moniker, model, key).await;
            if names.contains(model) {
                assert_eq!(answer.status, 200, "{key} {model}: {}", answer.body);
                continue;
            }
            let (status, code, message) = answer.error();
            assert_eq!((status, code.as_str()), (404, "model_not_found"), "{key} {model}");
            assert!(!message.replace(model, "").contains("hidden"), "{message}");
        }
    }
    let answer = as_caller(&moniker, "platform/m", "mk-web").await;
    assert_eq!(answer.header("x-moniker-target"), "platform/platform/m");
    assert_eq!(answer.header("x-moniker-alias"), "platform/platform/m");
    let one = client().get(moniker.at("models/platform%2Fm")).header("x-api-key", "mk-web");
    assert_eq!(Answer::of(one.send().await.unwrap()).await.json()["id"], "platform/m");
}

#[tokio::test]
async fn without_a_cluster_a_key_must_be_supplied() {
    let object = "---\napiVersion: moniker.dev/v1alpha1\nkind: AccessKey\n\
                  metadata: {name: caller, namespace: shop}\nspec: {}\n";
    let upstream = Upstream::start().await.unwrap();
    upstream.always(Script::chat("hello"));
    let lineup =
        within("shop", &(target("t", &upstream.url(), &[]) + &priority("chat", &["t"], &[])));
    let mut moniker = Moniker::dev(&(lineup.clone() + object)).await.unwrap();
    let line = moniker.printed("caller-access-key").await.unwrap();
    assert!(line.contains("stringData: {api-key: YOUR KEY}"), "{line}");
    assert_eq!(ask(&moniker, &request("chat", false)).await.status, 401);
    let secret = "---\napiVersion: v1\nkind: Secret\n\
                  metadata: {name: caller-access-key, namespace: shop}\n\
                  stringData: {api-key: mk-mine}\n";
    moniker.edit(&(lineup + object + secret)).unwrap();
    moniker.printed_times("Loaded again", 1).await.unwrap();
    assert_eq!(as_caller(&moniker, "chat", "mk-mine").await.status, 200);
}

/// What an answer tells, but for what every request has of its own.
fn told(answer: &Answer) -> String {
    let own = ["x-request-id", "date", "x-moniker-revision"];
    let mut headers: Vec<_> = answer
        .headers
        .iter()
        .filter(|(name, _)| !own.contains(&name.as_str()))
        .map(|(name, value)| format!("{name}: {}", value.to_str().unwrap_or_default()))
        .collect();
    headers.sort();
    let id = answer.header("x-request-id");
    format!("{} {headers:?} {}", answer.status, answer.body.replace(id, "ID"))
}

/// What a key cannot reach changes nothing that its callers are told: the same questions to a router
/// that has it and to one that has not are answered alike, to the letter.
#[tokio::test]
async fn what_a_key_cannot_reach_is_as_if_it_were_not_there() {
    let upstream = Upstream::start().await.unwrap();
    upstream.always(Script::chat("hello"));
    let url = upstream.url();
    let own = within("shop", &(target("t", &url, &[]) + &priority("prod-chat", &["t"], &[])))
        + &within("platform", &(target("shared", &url, &["export: {from: All}"])))
        + &key("shop", "caller", &[("api-key", "mk-caller")], &[])
        + &key("shop", "direct", &[("api-key", "mk-direct")], &["allowDirectModels: true"])
        + &key("shop", "globs", &[("api-key", "mk-globs")], &["aliases: [prod-chat]"]);
    // Another project's aliases, one of them held, targets and keys; and of one's own what is internal.
    let hidden = within(
        "web",
        &(target("web-target", &url, &[])
            + &priority("prod-web", &["web-target"], &[])
            + &priority("prod-held", &["nowhere"], &[])),
    ) + &within("shop", &priority("prod-internal", &["t"], &["visibility: Internal"]))
        + &within("platform", &target("unshared", &url, &[]))
        + &key("web", "web", &[("api-key", "mk-web")], &[]);
    let with = Moniker::dev(&(own.clone() + &hidden)).await.unwrap();
    let without = Moniker::dev(&own).await.unwrap();

    let models = [
        "prod-web",
        "prod-held",
        "prod-internal",
        "web/prod-web",
        "web-target/m",
        "unshared/m",
        "web/web-target/m",
        "platform/unshared/m",
        "shared/m",
        "prod-chat",
        "prod-wob",
        "",
    ];
    let ask = async |moniker: &Moniker, key: &str, model: &str| {
        let mut all = Vec::new();
        for path in ["chat/completions", "explain/chat/completions", "messages", "embeddings"] {
            let post = client().post(moniker.at(path)).header("content-type", "application/json");
            let post = post.header("api-key", key).header("x-moniker-metadata", "full");
            // What it may not reach may not be asked for by another way either.
            let post = post.header("x-moniker-providers", "web/web-target,shop/t,platform/shared");
            let answer = Answer::of(post.body(request(model, false)).send().await.unwrap()).await;
            // What a provider was asked for took a time of its own.
            let target = answer.header("x-moniker-target").to_owned();
            let asked = answer.status == 200 || !target.is_empty();
            all.push(if asked { target } else { told(&answer) });
        }
        for path in ["models".to_owned(), format!("models/{}", model.replace('/', "%2F"))] {
            let get = client().get(moniker.at(&path)).header("api-key", key).send().await.unwrap();
            all.push(told(&Answer::of(get).await));
        }
        all
    };
    let mut refused = 0;
    for key in ["mk-caller", "mk-direct", "mk-globs"] {
        for model in models {
            let (there, absent) = (ask(&with, key, model).await, ask(&without, key, model).await);
            assert_eq!(there, absent, "{key} {model}");
            refused += there.iter().filter(|one| one.starts_with("404")).count();
        }
    }
    assert!(refused > 100, "{refused}");
    // Another project's key is as one that is not there, where it is not.
    for moniker in [&with, &without] {
        for path in ["metrics", "config", "../metrics", "../config", "../readyz"] {
            let get = client().get(moniker.at(path)).send().await.unwrap();
            assert_eq!(get.status(), 401, "{path}");
        }
        for path in ["metrics", "config", "../metrics", "../config", "../readyz"] {
            let get = client().get(moniker.at(path)).header("api-key", "mk-caller").send().await;
            assert_eq!(get.unwrap().status(), 404, "{path}");
        }
    }
}
