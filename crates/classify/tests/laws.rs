//! What holds for any text at all.
#![cfg(test)]

use classify::{
    CATEGORIES, Category, Detector, Scratch, clip,
    custom::{Classifier, CustomSpec, compile},
};
use proptest::prelude::*;

/// Shares are likelihoods, the best is the category, and the same text gives the same again.
fn check(text: &str, scratch: &mut Scratch) {
    let found = Detector::builtin().detect(text, scratch);
    let sum: f32 = found.scores.iter().sum();
    assert!((sum - 1.0).abs() < 1e-4, "{sum}");
    assert!(found.scores.iter().all(|score| (0.0..=1.0).contains(score)), "{found:?}");
    let best = found.scores.iter().copied().fold(0.0, f32::max);
    let same = |share: f32| share.to_bits() == best.to_bits();
    assert!(same(found.confidence) && same(found.scores[found.category.index()]), "{found:?}");
    assert_eq!(Detector::builtin().detect(text, &mut Scratch::default()), found);
}

#[test]
fn absurd_texts_are_told_as_calmly_as_others() {
    let mut scratch = Scratch::default();
    for text in [
        "",
        " \n\t\u{2003}",
        "\0\u{1}\u{7f}",
        "????????",
        "\u{202e}\u{200d}\u{fe0f}\u{301}\u{301}",
        "ﷺ\u{1f468}\u{200d}\u{1f469}\u{200d}\u{1f467}",
        "İıſK",
        "$",
        "$$$$$$$$$$$$",
        "(((((((((((())))))))",
        "a(",
        "`````````",
        "......//////",
        "\u{10ffff}",
    ] {
        check(text, &mut scratch);
        check(&text.repeat(700), &mut scratch);
    }
    for million in ["a", "a ", "語", "(", "\n", "translate ", "how many ", "1+1 ", "🙂"] {
        check(&million.repeat(1_000_000 / million.len()), &mut scratch);
    }
}

#[test]
fn the_middle_of_a_long_text_is_not_looked_at() {
    let mut scratch = Scratch::default();
    let (head, tail) = ("Write a poem. ".repeat(60), " Make it rhyme.".repeat(40));
    let short = Detector::builtin().detect(&[head.as_str(), "x", &tail].concat(), &mut scratch);
    let long = [head.as_str(), &"def f(x): return x\n".repeat(10_000), &tail].concat();
    assert_eq!(Detector::builtin().detect(&long, &mut scratch), short);
    assert_eq!(clip(&long).chars().count(), 901);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn any_text_has_shares_of_one(text in "\\PC{0,400}|[\\x00-\\x7f]{0,1200}|(\\w|\\s|[(){};=<>$\\\\`?]){0,900}") {
        check(&text, &mut Scratch::default());
    }

    #[test]
    fn pieces_of_prompts_have_them_too(words in prop::collection::vec(
        prop::sample::select(vec!["translate", "to", "french", "how", "many", "```", "def f(x):", "\n", "\u{a0}",
            "positive or", "negative", "?", "1 + 1", "$x$", "résumé", "总结", "A) x", "- y", "or not?", "tl;dr"]),
        0..120,
    )) {
        check(&words.join(" "), &mut Scratch::default());
    }

    #[test]
    fn names_read_back(at in 0..CATEGORIES) {
        prop_assert_eq!(Category::ALL[at].name().parse(), Ok(Category::ALL[at]));
    }

    #[test]
    fn no_keyword_breaks_the_set(keyword in "\\PC{1,30}", text in "\\PC{0,60}") {
        let spec = CustomSpec { name: "own".into(), keywords: vec![keyword.clone()], ..CustomSpec::default() };
        if let Ok(compiled) = compile(&[spec]) {
            let classifier = Classifier::new(&compiled).unwrap();
            let mut scratch = Scratch::default();
            classifier.classify(&text, &mut scratch);
            // A keyword alone is found in itself, in whatever case its letters are written.
            let verdict = classifier.classify(&keyword, &mut scratch);
            prop_assert_eq!(verdict.place, Some(0), "{:?}", keyword);
        } else {
            prop_assert!(keyword.trim().is_empty());
        }
    }
}
