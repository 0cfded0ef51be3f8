//! Categories that users define, from what they write to what a prompt is told to be.
#![cfg(test)]

use classify::{
    Scratch,
    custom::{By, Classifier, CompiledCategories, CustomError, CustomSpec, compile},
};

const LEGAL: [&str; 8] = [
    "Review this NDA for unusual clauses",
    "Is a verbal contract binding in a lease dispute?",
    "Draft an indemnification clause for our supplier agreement",
    "Which liabilities does the buyer take over under section 4 of the contract?",
    "Check the termination clause of this employment contract",
    "What does the statute say about limitation of liability?",
    "Does this clause of the agreement hold under German law?",
    "List the obligations of the lessee in the attached lease contract",
];
const COOKING: [&str; 6] = [
    "How long do I boil eggs?",
    "A recipe for lentil soup with carrots, please",
    "What can I cook with leftover rice and chicken?",
    "How do I keep a sauce from curdling?",
    "Which spices go with roast lamb?",
    "How hot should the oven be for sourdough bread?",
];

/// A built-in category, and two of a user's own.
fn legal_and_cooking() -> CompiledCategories {
    let specs =
        [spec("coding", &[], &[]), spec("legal", &LEGAL, &[]), spec("cooking", &COOKING, &[])];
    compile(&specs).unwrap()
}

fn spec(name: &str, examples: &[&str], keywords: &[&str]) -> CustomSpec {
    let owned = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
    CustomSpec {
        name: name.to_owned(),
        examples: owned(examples),
        keywords: owned(keywords),
        ..CustomSpec::default()
    }
}

fn told(classifier: &Classifier, text: &str) -> (String, By, Option<usize>) {
    let mut scratch = Scratch::default();
    let verdict = classifier.classify(text, &mut scratch);
    (verdict.category.to_owned(), verdict.by, verdict.place)
}

#[test]
fn examples_train_a_category_beside_the_built_in_ones() {
    let compiled = legal_and_cooking();
    let classifier = Classifier::new(&compiled).unwrap();
    for (text, expected, by) in [
        ("Does the contract limit the liability of the supplier?", "legal", By::Examples),
        ("What spices do I need for a soup with chicken?", "cooking", By::Examples),
        (
            "Write a Python function that parses a CSV file and returns a list",
            "coding",
            By::Builtin,
        ),
    ] {
        let (category, decided, place) = told(&classifier, text);
        assert_eq!((category.as_str(), decided), (expected, by), "{text}");
        assert!(place.is_some(), "{text}");
    }
    let (category, _, place) =
        told(&classifier, "Translate to Spanish: the cat sleeps on the roof");
    assert_eq!((category.as_str(), place), ("translation", None), "known, but not of this alias");
    for category in &compiled.categories[1..] {
        let trained = category.trained.as_ref().unwrap();
        assert!(!trained.is_poor() && trained.leave_one_out_percent <= 100, "{trained:?}");
    }
}

#[test]
fn a_category_of_ones_own_leaves_other_prompts_alone() {
    let compiled = legal_and_cooking();
    let classifier = Classifier::new(&compiled).unwrap();
    let mut scratch = Scratch::default();
    for other in [
        "Fix this borrow checker error in my Rust code",
        "Who discovered the moons of Jupiter?",
        "Did polio medicine save the life of polio vaccine creator?",
        "Find all the mp3 files in the entire file system whose size is bigger than 10MB",
        "Write a sad poem about a lighthouse.",
        "What is the integral of x^2 from 0 to 3?",
        "Translate to Spanish: the cat sleeps on the roof",
        "hello",
    ] {
        let verdict = classifier.classify(other, &mut scratch);
        let own = verdict.routed(60).filter(|place| *place > 0);
        assert_eq!(own, None, "{other}: {verdict:?}");
    }
    let alone = Classifier::new(&compile(&[spec("cooking", &COOKING, &[])]).unwrap()).unwrap();
    for other in ["Who discovered the moons of Jupiter?", "Write a sad poem about a lighthouse."] {
        let verdict = alone.classify(other, &mut scratch);
        assert_eq!(verdict.routed(60), None, "{other}: {verdict:?}");
    }
    for (text, place) in [
        ("What are the obligations of the seller under this contract?", 1),
        ("Review the attached employment agreement for risks", 1),
        ("What spices do I need for a soup with chicken?", 2),
    ] {
        let verdict = classifier.classify(text, &mut scratch);
        assert_eq!(verdict.routed(60), Some(place), "{text}: {verdict:?}");
    }
}

#[test]
fn examples_that_have_nothing_in_common_are_told_to_be_poor() {
    let mixed =
        [LEGAL[0], COOKING[0], "Translate to French: good night", "Prove that 2 is prime", "tl;dr"];
    let other = [LEGAL[3], COOKING[4], "Say hello in Polish", "Solve 3x = 9", "Summarize the text"];
    let compiled = compile(&[spec("this", &mixed, &[]), spec("that", &other, &[])]).unwrap();
    assert!(
        compiled.categories.iter().any(|one| one.trained.as_ref().unwrap().is_poor()),
        "{compiled:?}"
    );
}

#[test]
fn rules_come_before_everything_in_the_order_of_the_categories() {
    let mut first = spec("tickets", &[], &["refund"]);
    first.regexes = vec![r"\bINV-\d{6}\b".to_owned()];
    let compiled =
        compile(&[first, spec("legal", &LEGAL, &["contract", "force majeure"])]).unwrap();
    let classifier = Classifier::new(&compiled).unwrap();
    for (text, expected) in [
        ("Is a refund owed under this contract?", "tickets"),
        ("where is inv-204815", "tickets"),
        ("FORCE\nMAJEURE, is it?", "legal"),
    ] {
        let (category, by, _) = told(&classifier, text);
        assert_eq!((category.as_str(), by), (expected, By::Rule), "{text}");
    }
    let mut scratch = Scratch::default();
    let verdict = classifier.classify("refund", &mut scratch);
    assert_eq!(verdict.routed(100), Some(0), "a rule is sure");
}

#[test]
fn what_is_compiled_survives_being_sent_and_is_the_same_each_time() {
    let specs = [spec("legal", &LEGAL, &["statute"]), spec("cooking", &COOKING, &[])];
    let compiled = compile(&specs).unwrap();
    assert_eq!(compile(&specs).unwrap(), compiled);
    let sent = serde_json::to_string(&compiled).unwrap();
    assert!(sent.len() < 20_000, "{} bytes", sent.len());
    let back: CompiledCategories = serde_json::from_str(&sent).unwrap();
    assert_eq!(back, compiled);
    let text = "How long should the soup boil?";
    let (one, other) = (Classifier::new(&compiled).unwrap(), Classifier::new(&back).unwrap());
    assert_eq!(told(&one, text), told(&other, text));
    assert_eq!(told(&one, text).0, "cooking");
}

#[test]
fn a_description_alone_needs_a_judge() {
    let described = CustomSpec {
        name: "legal".into(),
        description: Some("contracts and statutes".into()),
        ..CustomSpec::default()
    };
    let compiled = compile(&[described, spec("coding", &[], &[])]).unwrap();
    assert_eq!(
        compiled.categories.iter().map(classify::custom::needs_judge).collect::<Vec<_>>(),
        [true, false]
    );
}

#[test]
fn everything_that_is_wrong_is_told_at_once() {
    let mut bad = spec("a", &LEGAL[..4], &["ok", "  "]);
    bad.regexes = vec!["(".into(), "x*".into()];
    let errors = compile(&[bad, spec("b", &[], &[]), spec("b", &[], &["x"])]).unwrap_err();
    let count =
        |wanted: fn(&CustomError) -> bool| errors.iter().filter(|error| wanted(error)).count();
    assert_eq!(count(|error| matches!(error, CustomError::Examples { count: 4, .. })), 1);
    assert_eq!(count(|error| matches!(error, CustomError::EmptyKeyword { at: 2, .. })), 1);
    assert_eq!(count(|error| matches!(error, CustomError::Regex { .. })), 2);
    assert_eq!(count(|error| matches!(error, CustomError::Unknowable(_))), 1);
    assert_eq!(count(|error| matches!(error, CustomError::Twice(_))), 1);
}

#[test]
fn what_was_trained_beside_another_model_is_refused() {
    let mut compiled = compile(&[spec("legal", &LEGAL, &[])]).unwrap();
    let sent = serde_json::to_string(&compiled).unwrap();
    let broken = sent.replacen("\"weights\":\"", "\"weights\":\"AAAA", 1);
    compiled = serde_json::from_str(&broken).unwrap();
    assert_eq!(Classifier::new(&compiled).unwrap_err(), CustomError::Weights("legal".into()));
}
