//! Category: each prompt reaches the lineup of what it asks for, in every protocol; what is not clear
//! reaches Default; and neither a caller's header nor a judge can make a request fail.

use serde_json::{Value, json};
use testkit::{
    moniker::Moniker,
    upstream::{Script, Upstream},
};

use crate::{
    client,
    rig::{Answer, admin, alias, ask, ask_with, entry, target},
};

/// A prompt of each built-in category that leaves no doubt.
const PROMPTS: [(&str, &str); 7] = [
    ("coding", "Write a Python function that parses a CSV file and returns a list of dicts."),
    ("content-writing", "Write a short story about a lighthouse keeper who is afraid of the sea."),
    ("translation", "Translate the following sentence into German: Where is the train station?"),
    ("classification", "Is this review positive or negative? The food was cold and awful."),
    ("summarization", "Summarize the following article in two sentences: The council met today."),
    ("math-reasoning", "What is the integral of x^2 from 0 to 3? Calculate it step by step."),
    ("question-answering", "Who discovered the moons of Jupiter?"),
];
const UNCLEAR: &str = "hm";

/// A lineup of a category: Priority over the model `m` of these ProviderTargets.
fn lineup(targets: &[&str]) -> Value {
    let entry = |name: &&str| json!({"name": name, "model": "m", "providers": [{"name": name}]});
    let targets: Vec<_> = targets.iter().map(entry).collect();
    json!({"strategy": {"type": "Priority"}, "targets": targets})
}

/// An override: a lineup with a name, and `more`.
fn of(name: &str, targets: &[&str], more: &Value) -> Value {
    let mut one = lineup(targets);
    one["name"] = json!(name);
    for (member, value) in more.as_object().into_iter().flatten() {
        one[member.as_str()] = value.clone();
    }
    one
}

/// An alias `by-topic` with these categories; `default` goes to the ProviderTarget `default`.
fn by_topic(detector: &Value, overrides: &[Value]) -> String {
    let spec = json!({
        "strategy": {"type": "Category"},
        "fallback": {"retries": 0},
        "categories": {"detector": detector, "default": lineup(&["default"]), "overrides": overrides},
    });
    let object = json!({
        "apiVersion": "moniker.dev/v1alpha1", "kind": "ModelAlias",
        "metadata": {"name": "by-topic"}, "spec": spec,
    });
    format!("---\n{object}\n")
}

/// Upstreams by the name of their ProviderTarget, and the YAML of those.
struct Upstreams(Vec<(String, Upstream)>);

impl Upstreams {
    async fn start(names: &[&str]) -> Self {
        let mut all = Vec::new();
        for name in names {
            let upstream = Upstream::start().await.unwrap();
            upstream.always(Script::chat(&format!("from {name}")));
            all.push(((*name).to_owned(), upstream));
        }
        Self(all)
    }

    fn yaml(&self) -> String {
        self.0.iter().map(|(name, upstream)| target(name, &upstream.url(), &[])).collect()
    }

    fn of(&self, name: &str) -> &Upstream {
        &self.0.iter().find(|(of, _)| of == name).unwrap().1
    }
}

fn chat(prompt: &str) -> String {
    json!({"model": "by-topic", "messages": [{"role": "user", "content": prompt}]}).to_string()
}

/// The category of an answer, and the ProviderTarget that gave it.
fn told(answer: &Answer) -> (&str, &str) {
    assert_eq!(answer.status, 200, "{}", answer.body);
    (answer.header("x-moniker-category"), answer.told().1)
}

async fn post(moniker: &Moniker, path: &str, body: &Value) -> Answer {
    let request = client().post(moniker.at(path)).header("content-type", "application/json");
    Answer::of(request.body(body.to_string()).send().await.unwrap()).await
}

#[tokio::test]
async fn each_category_reaches_its_lineup_and_what_is_unclear_default() {
    let names: Vec<_> = PROMPTS.iter().map(|(name, _)| *name).chain(["default"]).collect();
    let upstreams = Upstreams::start(&names).await;
    let overrides: Vec<_> = PROMPTS.iter().map(|(name, _)| of(name, &[name], &json!({}))).collect();
    let yaml = upstreams.yaml() + &by_topic(&json!({"type": "Builtin"}), &overrides);
    let moniker = Moniker::dev(&yaml).await.unwrap();
    for (name, prompt) in PROMPTS {
        assert_eq!(told(&ask(&moniker, &chat(prompt)).await), (name, name), "{prompt}");
        let system = json!([
            {"role": "system", "content": "You translate everything into French."},
            {"role": "user", "content": "What is the capital of Peru?"},
            {"role": "assistant", "content": "Lima."},
            {"role": "user", "content": [{"type": "text", "text": prompt}]},
        ]);
        let body = json!({"model": "by-topic", "messages": system});
        assert_eq!(told(&ask(&moniker, &body.to_string()).await), (name, name), "{prompt}");
        let part =
            |kind: &str| json!([{"role": "user", "content": [{"type": kind, "text": prompt}]}]);
        let body = json!({"model": "by-topic", "max_tokens": 100, "messages": part("text")});
        assert_eq!(told(&post(&moniker, "messages", &body).await), (name, name), "{prompt}");
        let body = json!({"model": "by-topic", "input": part("input_text")});
        assert_eq!(told(&post(&moniker, "responses", &body).await), (name, name), "{prompt}");
        let text = json!({"id": "c", "object": "text_completion", "choices": [
            {"index": 0, "text": "done", "finish_reason": "stop"}]});
        upstreams.of(name).then(Script::json(200, &text));
        let body = json!({"model": "by-topic", "prompt": prompt});
        assert_eq!(told(&post(&moniker, "completions", &body).await), (name, name), "{prompt}");
    }
    for unclear in [UNCLEAR, "", "42"] {
        let answer = ask(&moniker, &chat(unclear)).await;
        assert_eq!(told(&answer), ("default", "default"), "{unclear:?}");
    }
    let stream = json!({"model": "by-topic", "stream": true,
        "messages": [{"role": "user", "content": PROMPTS[0].1}]});
    assert_eq!(told(&ask(&moniker, &stream.to_string()).await), ("coding", "coding"));

    let metrics = admin(&moniker, "metrics").await.body;
    for line in [
        r#"moniker_category_requests_total{alias="default/by-topic",category="translation",by="builtin"} 5"#,
        r#"moniker_category_requests_total{alias="default/by-topic",category="default",by="nothing"} 1"#,
        r#"moniker_category_confidence_count{alias="default/by-topic",category="coding"} 6"#,
    ] {
        assert!(metrics.contains(line), "{line}\n{metrics}");
    }
    let log = moniker.output();
    assert!(log.contains("category=\"math-reasoning\""), "{log}");
    assert!(log.contains("category_by=\"builtin\"") && log.contains("confidence="), "{log}");
    assert!(!log.contains("lighthouse"), "the prompt is in the log");
}

#[tokio::test]
async fn explain_tells_the_scores_and_what_decided() {
    let upstreams = Upstreams::start(&["default", "coding", "legal"]).await;
    let legal = json!({"match": {"keywords": ["indemnify"]}});
    let overrides = [of("coding", &["coding"], &json!({})), of("legal", &["legal"], &legal)];
    let yaml = upstreams.yaml() + &by_topic(&json!({"type": "Builtin"}), &overrides);
    let moniker = Moniker::dev(&yaml).await.unwrap();
    let explained = async |prompt: &str| {
        let body = serde_json::from_str(&chat(prompt)).unwrap();
        post(&moniker, "explain/chat/completions", &body).await.json()["category"].clone()
    };
    let said = explained(PROMPTS[0].1).await;
    assert_eq!((&said["name"], &said["by"]), (&json!("coding"), &json!("builtin")), "{said}");
    assert_eq!(said["scores"][0]["category"], "coding");
    assert_eq!(said["scores"].as_array().unwrap().len(), 7);
    assert!(said["features"].as_array().is_some_and(|all| !all.is_empty()), "{said}");
    let said = explained("Shall the seller INDEMNIFY the buyer?").await;
    assert_eq!((&said["name"], &said["by"]), (&json!("legal"), &json!("rule")), "{said}");
    assert!(said["features"][0]["what"].as_str().unwrap().contains("indemnify"), "{said}");
    assert_eq!(explained(PROMPTS[2].1).await["likeliest"], "translation");
    assert!(upstreams.0.iter().all(|(_, upstream)| upstream.count() == 0));
}

#[tokio::test]
async fn categories_of_a_users_own_are_told_by_words_and_by_examples() {
    let upstreams = Upstreams::start(&["default", "tickets", "cooking"]).await;
    let tickets = json!({"match": {"keywords": ["refund"], "regexes": ["INV-[0-9]{6}"]}});
    let cooking = json!({"match": {"examples": [
        "How long do I boil eggs?", "A recipe for lentil soup with carrots, please",
        "What can I cook with leftover rice and chicken?", "How do I keep a sauce from curdling?",
        "Which spices go with roast lamb?", "How hot should the oven be for sourdough bread?",
    ]}});
    let overrides = [of("tickets", &["tickets"], &tickets), of("cooking", &["cooking"], &cooking)];
    let yaml = upstreams.yaml() + &by_topic(&json!({"type": "Builtin"}), &overrides);
    let moniker = Moniker::dev(&yaml).await.unwrap();
    for (prompt, name) in [
        ("I want a REFUND, now.", "tickets"),
        ("where is inv-204815", "tickets"),
        ("What spices do I need for a soup with chicken?", "cooking"),
        ("Who discovered the moons of Jupiter?", "default"),
    ] {
        assert_eq!(told(&ask(&moniker, &chat(prompt)).await), (name, name), "{prompt}");
    }
}

#[tokio::test]
async fn fallback_stays_in_the_lineup_unless_default_stands_behind_it() {
    let upstreams = Upstreams::start(&["default", "coding", "translation"]).await;
    let overrides = [
        of("coding", &["coding"], &json!({})),
        of("translation", &["translation"], &json!({"fallbackToDefault": true})),
    ];
    let yaml = upstreams.yaml() + &by_topic(&json!({"type": "Builtin"}), &overrides);
    let moniker = Moniker::dev(&yaml).await.unwrap();
    for broken in ["coding", "translation"] {
        upstreams.of(broken).always(Script::error(500, "server_error", "boom"));
    }
    let answer = ask(&moniker, &chat(PROMPTS[0].1)).await;
    assert_eq!(answer.status, 502, "{}", answer.body);
    assert_eq!(answer.header("x-moniker-category"), "coding", "errors tell it too");
    assert_eq!(upstreams.of("default").count(), 0);
    let answer = ask(&moniker, &chat(PROMPTS[2].1)).await;
    assert_eq!(told(&answer), ("translation", "default"));
    assert_eq!(answer.told().2, "fallback");
}

#[tokio::test]
async fn a_callers_header_counts_where_the_alias_allows_it() {
    let upstreams = Upstreams::start(&["default", "coding"]).await;
    let overrides = [of("coding", &["coding"], &json!({}))];
    let coding = PROMPTS[0].1;
    for (detector, prompt, header, name) in [
        (json!({"type": "Builtin"}), UNCLEAR, "coding", "default"),
        (json!({"type": "Builtin", "allowHeader": true}), UNCLEAR, "coding", "coding"),
        (json!({"type": "Builtin", "allowHeader": true}), coding, "default", "default"),
        (json!({"type": "Builtin", "allowHeader": true}), coding, "nonsense", "coding"),
        (json!({"type": "Header"}), UNCLEAR, "Coding", "coding"),
        (json!({"type": "Header"}), coding, "nonsense", "default"),
        (json!({"type": "Header"}), coding, "translation", "default"),
    ] {
        let yaml = upstreams.yaml() + &by_topic(&detector, &overrides);
        let moniker = Moniker::dev(&yaml).await.unwrap();
        let answer = ask_with(&moniker, &chat(prompt), &[("x-moniker-category", header)]).await;
        assert_eq!(told(&answer), (name, name), "{detector} {header}");
    }
}

#[tokio::test]
async fn a_conversation_keeps_the_category_of_its_first_message() {
    let upstreams = Upstreams::start(&["default", "coding", "translation"]).await;
    let overrides = ["coding", "translation"].map(|name| of(name, &[name], &json!({})));
    let body = json!({"model": "by-topic", "messages": [
        {"role": "user", "content": PROMPTS[0].1},
        {"role": "assistant", "content": "def parse(): ..."},
        {"role": "user", "content": PROMPTS[2].1},
    ]});
    for (sticky, name) in [("Session", "coding"), ("None", "translation")] {
        let detector = json!({"type": "Builtin", "sticky": sticky});
        let yaml = upstreams.yaml() + &by_topic(&detector, &overrides);
        let moniker = Moniker::dev(&yaml).await.unwrap();
        assert_eq!(told(&ask(&moniker, &body.to_string()).await), (name, name), "{sticky}");
    }
}

/// An alias by topic whose judge is the ProviderTarget `judge`, behind an alias of its own.
fn judged(upstreams: &Upstreams, judge: &Value) -> String {
    let legal = json!({"match": {"description": "contracts and statutes", "keywords": ["NDA"]}});
    let overrides = [of("legal", &["legal"], &legal), of("coding", &["coding"], &json!({}))];
    let alias_of_judge = alias(
        "judge",
        "Priority",
        &[entry("judge", "")],
        &["visibility: Internal", "fallback: {retries: 0}"],
    );
    let detector = json!({"type": "Alias", "alias": judge});
    upstreams.yaml() + &alias_of_judge + &by_topic(&detector, &overrides)
}

#[tokio::test]
async fn a_judge_is_asked_what_words_leave_open_and_each_prompt_once() {
    let upstreams = Upstreams::start(&["default", "legal", "coding", "judge"]).await;
    let judge = upstreams.of("judge");
    let moniker = Moniker::dev(&judged(&upstreams, &json!({"name": "judge"}))).await.unwrap();
    judge.always(Script::chat(" legal\n"));
    let prompt = "What may my landlord charge?";
    let body = json!({
        "model": "by-topic", "user": "someone", "stream": true,
        "tools": [{"type": "function", "function": {"name": "secret_tool"}}],
        "messages": [{"role": "system", "content": "secret rules"}, {"role": "user", "content": prompt}],
    });
    upstreams.of("legal").always(Script::chat("from legal"));
    for _ in 0..2 {
        assert_eq!(told(&ask(&moniker, &body.to_string()).await), ("legal", "legal"));
    }
    assert_eq!(told(&ask(&moniker, &chat("Check this NDA")).await), ("legal", "legal"));
    let received = judge.received();
    assert_eq!(received.len(), 1, "asked once, then remembered; and words need nobody");
    let question = received[0].json();
    assert_eq!(question["messages"][1], json!({"role": "user", "content": prompt}));
    let rules = question["messages"][0]["content"].as_str().unwrap();
    assert!(
        rules.contains("legal: contracts and statutes") && rules.contains("coding: "),
        "{rules}"
    );
    assert_eq!(question["model"], "up-judge");
    for absent in ["tools", "user", "stream"] {
        assert!(question.get(absent).is_none_or(|value| *value == json!(false)), "{question}");
    }
    assert!(!question.to_string().contains("secret"), "{question}");
    judge.always(Script::chat("default"));
    assert_eq!(told(&ask(&moniker, &chat("Good morning")).await), ("default", "default"));
    let metrics = admin(&moniker, "metrics").await.body;
    for line in [
        r#"moniker_category_judge_total{alias="default/by-topic",outcome="answered"} 2"#,
        r#"moniker_category_judge_total{alias="default/by-topic",outcome="cached"} 1"#,
        r#"moniker_category_requests_total{alias="default/by-topic",category="legal",by="judge"} 2"#,
    ] {
        assert!(metrics.contains(line), "{line}\n{metrics}");
    }
}

#[tokio::test]
async fn whatever_a_judge_does_the_request_is_served() {
    let upstreams = Upstreams::start(&["default", "legal", "coding", "judge"]).await;
    let judge = upstreams.of("judge");
    let moniker = Moniker::dev(&judged(&upstreams, &json!({"name": "judge", "timeout": "300ms"})))
        .await
        .unwrap();
    let wrong = [
        Script::chat("I think that this is legal."),
        Script::json(200, &json!({"choices": []})),
        Script::error(400, "invalid_request_error", "no"),
        // It never answers: that the request does is its deadline's doing.
        Script::hang(),
        Script::reset(),
        Script::close(),
        Script::error(500, "server_error", "boom"),
        Script::error(500, "server_error", "boom"),
    ];
    for (number, script) in wrong.into_iter().enumerate() {
        judge.then(script);
        let answer = ask(&moniker, &chat(&format!("Question number {number}?"))).await;
        assert_eq!(told(&answer), ("default", "default"), "{number}");
    }
    // After so many failures it is left alone.
    let asked = judge.count();
    let answer = ask(&moniker, &chat("One more question?")).await;
    assert_eq!(told(&answer), ("default", "default"));
    assert_eq!(judge.count(), asked, "an ejected judge is not asked");
    let metrics = admin(&moniker, "metrics").await.body;
    for outcome in ["nonsense", "timeout", "failed", "skipped"] {
        let series = format!(
            r#"moniker_category_judge_total{{alias="default/by-topic",outcome="{outcome}"}}"#
        );
        assert!(metrics.contains(&series), "{series}\n{metrics}");
    }
}

#[tokio::test]
async fn a_judge_that_chooses_by_category_itself_is_never_asked() {
    let upstreams = Upstreams::start(&["default", "legal", "coding", "judge"]).await;
    let legal = json!({"match": {"description": "contracts"}});
    let overrides = [of("legal", &["legal"], &legal)];
    let detector = json!({"type": "Alias", "alias": {"name": "by-topic"}});
    let yaml = upstreams.yaml() + &by_topic(&detector, &overrides);
    let moniker = Moniker::dev(&yaml).await.unwrap();
    assert_eq!(told(&ask(&moniker, &chat("Anything")).await), ("default", "default"));
    assert_eq!(upstreams.of("default").count(), 1, "asked for the caller, and for nobody else");
    let output = moniker.output();
    assert!(output.contains("chooses by category itself"), "{output}");
}
