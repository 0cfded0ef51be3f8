//! Prices and costs: exact whatever is fed in.

#![cfg(test)]

use proptest::prelude::*;
use routing::{
    Money, Price, Usage,
    price::{DecimalError, LongContext, PerMillion},
};

fn per_million(text: &str) -> PerMillion {
    PerMillion::parse(text).unwrap()
}

fn money(text: &str) -> Money {
    Money::parse(text).unwrap()
}

/// Input 2.50, cached 1.25, output 10.
fn price() -> Price {
    Price {
        input: per_million("2.50"),
        cached_input: Some(per_million("1.25")),
        output: per_million("10.00"),
        ..Price::default()
    }
}

#[test]
fn decimals_are_read_and_written_exactly() {
    for (text, want) in [
        ("0", "0"),
        ("0.0", "0"),
        ("2.50", "2.5"),
        ("007", "7"),
        ("0.000000000001", "0.000000000001"),
        ("999999.999999999999", "999999.999999999999"),
    ] {
        assert_eq!(per_million(text).to_string(), want, "{text}");
        assert_eq!(money(text).to_string(), want, "{text}");
    }
    for text in
        ["", ".", ".5", "5.", "-1", "+1", "1e-6", "1,5", " 1", "1 ", "0x1", "1.2.3", "NaN", "١"]
    {
        assert_eq!(PerMillion::parse(text), Err(DecimalError::Form), "{text:?}");
        assert_eq!(Money::parse(text), Err(DecimalError::Form), "{text:?}");
    }
    assert_eq!(PerMillion::parse("0.0000000000001"), Err(DecimalError::TooFine(12)));
    assert_eq!(PerMillion::parse("1000000"), Err(DecimalError::TooLarge(6)));
    assert_eq!(Money::parse("0.0000000000000000001"), Err(DecimalError::TooFine(18)));
    assert_eq!(Money::parse("999999999999999999999"), Err(DecimalError::TooLarge(21)));
    assert_eq!(Money::parse(&Money::MAX.to_string()), Ok(Money::MAX));
}

#[test]
fn each_part_has_its_price() {
    let usage = Usage {
        input: 1_000,
        cache_read: 2_000,
        cache_write: 100,
        output: 500,
        reasoning: 400,
        audio_in: 10,
        audio_out: 20,
        images: 2,
        stated_cost: None,
    };
    // (1000 + 100 + 10) x 2.5 + 2000 x 1.25 + (500 + 20) x 10, by the million.
    assert_eq!(price().cost(&usage).to_string(), "0.010475");
    let whole = Price {
        cache_write: Some(per_million("3.75")),
        audio_input: Some(per_million("40")),
        audio_output: Some(per_million("80")),
        per_image: Some(money("0.04")),
        per_request: Some(money("0.001")),
        ..price()
    };
    // 2.5 + 2.5 + .375 + 5 + .4 + 1.6 thousandths, and .08 and .001.
    assert_eq!(whole.cost(&usage).to_string(), "0.093375");
    assert_eq!(Price::default().cost(&usage), Money::ZERO);
}

#[test]
fn one_token_at_the_lowest_price_is_not_rounded_away() {
    let price = Price { input: per_million("0.000000000001"), ..Price::default() };
    let cost = price.cost(&Usage { input: 1, ..Usage::default() });
    assert_eq!(cost.to_string(), "0.000000000000000001");
}

#[test]
fn a_long_prompt_has_the_tiers_prices_for_the_whole_request() {
    let tiered = Price {
        above: Some(LongContext {
            input_tokens: 200_000,
            input: per_million("5"),
            cached_input: None,
            cache_write: None,
            output: Some(per_million("15")),
        }),
        ..price()
    };
    let usage = |input, cache_read| Usage { input, cache_read, output: 1_000, ..Usage::default() };
    // At the bound, with its cached tokens: 100,000 x 2.5 + 100,000 x 1.25 + 1,000 x 10.
    assert_eq!(tiered.cost(&usage(100_000, 100_000)).to_string(), "0.385");
    // One more: everything by the tier, whose cached input costs what its input does.
    assert_eq!(tiered.cost(&usage(100_000, 100_001)).to_string(), "1.015005");
    let mut partial = tiered.clone();
    partial.above.as_mut().unwrap().output = None;
    assert_eq!(partial.rates(200_001).output, per_million("10.00"));
}

#[test]
fn a_price_travels_as_strings() {
    let json = serde_json::to_string(&price()).unwrap();
    assert_eq!(json, r#"{"input":"2.5","cachedInput":"1.25","output":"10"}"#);
    assert_eq!(serde_json::from_str::<Price>(&json).unwrap(), price());
    let error = serde_json::from_str::<Price>(r#"{"input":"1e9","output":"1"}"#).unwrap_err();
    assert!(error.to_string().contains("\"1e9\" is no decimal number"), "{error}");
    assert!(serde_json::from_str::<Price>(r#"{"input":1.5,"output":"1"}"#).is_err());
}

fn any_per_million() -> impl Strategy<Value = PerMillion> {
    (0_u64..1_000_000, 0_u64..1_000_000_000_000)
        .prop_map(|(whole, fraction)| per_million(&format!("{whole}.{fraction:012}")))
}

fn any_money() -> impl Strategy<Value = Money> {
    any::<u128>().prop_map(Money::from_atto)
}

prop_compose! {
    fn any_price()(
        input in any_per_million(),
        cached_input in prop::option::of(any_per_million()),
        cache_write in prop::option::of(any_per_million()),
        output in any_per_million(),
        audio_input in prop::option::of(any_per_million()),
        audio_output in prop::option::of(any_per_million()),
        per_image in prop::option::of(any_money()),
        per_request in prop::option::of(any_money()),
    ) -> Price {
        Price {
            input, cached_input, cache_write, output, audio_input, audio_output,
            per_image, per_request, above: None,
        }
    }
}

prop_compose! {
    fn any_usage(max: u64)(parts in prop::array::uniform7(0..=max)) -> Usage {
        let [input, cache_read, cache_write, output, audio_in, audio_out, images] = parts;
        Usage {
            input, cache_read, cache_write, output, reasoning: output / 2, audio_in, audio_out,
            images, stated_cost: None,
        }
    }
}

fn sum(a: &Usage, b: &Usage) -> Usage {
    Usage {
        input: a.input + b.input,
        cache_read: a.cache_read + b.cache_read,
        cache_write: a.cache_write + b.cache_write,
        output: a.output + b.output,
        reasoning: a.reasoning + b.reasoning,
        audio_in: a.audio_in + b.audio_in,
        audio_out: a.audio_out + b.audio_out,
        images: a.images + b.images,
        stated_cost: None,
    }
}

proptest! {
    #[test]
    fn what_is_written_is_read_again(amount in any_money(), price in any_per_million()) {
        prop_assert_eq!(Money::parse(&amount.to_string()), Ok(amount));
        prop_assert_eq!(PerMillion::parse(&price.to_string()), Ok(price));
    }

    #[test]
    fn no_usage_is_too_large(price in any_price(), usage in any_usage(u64::MAX)) {
        prop_assert!(price.cost(&usage).to_f64().is_finite());
        let cost = price.cost(&Usage::default());
        prop_assert!(price.cost(&usage) >= cost, "a request costs what it does at least");
    }

    #[test]
    fn costs_add_up_and_grow(
        mut price in any_price(),
        a in any_usage(1 << 40),
        b in any_usage(1 << 40),
    ) {
        // Below any amount at which sums stop.
        price.per_image = price.per_image.map(|money| Money::from_atto(money.atto() >> 64));
        price.per_request = None;
        let both = price.cost(&sum(&a, &b));
        prop_assert_eq!(price.cost(&a).plus(price.cost(&b)), both);
        prop_assert!(price.cost(&a) <= both);
    }

    #[test]
    fn what_is_cheaper_costs_no_more(a in any_per_million(), b in any_per_million(), tokens: u64) {
        prop_assert_eq!(a < b, a < b && a.of(tokens) <= b.of(tokens));
    }

    #[test]
    fn no_text_makes_it_fail(text in "\\PC{0,40}") {
        let _ = Money::parse(&text);
        let _ = PerMillion::parse(&text);
    }
}
