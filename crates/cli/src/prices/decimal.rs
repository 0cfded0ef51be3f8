//! A number out of JSON text, exactly: what stands there, never the float next to it.

/// Why a number is none that a price or a count can be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Misfit {
    /// It is no number at all.
    Form,
    /// It is below 0.
    Negative,
    /// It is larger than anything that is paid or counted.
    TooLarge,
}

/// A number in a small unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Scaled {
    pub(super) number: u128,
    /// It was finer than the unit, and is rounded to the nearest.
    pub(super) rounded: bool,
}

/// The literal's value times 10^`power`, such as `2.5e-06` by 18: 2,500,000,000,000.
pub(super) fn scaled(literal: &str, power: i32) -> Result<Scaled, Misfit> {
    let (mantissa, exponent) = match literal.find(['e', 'E']) {
        Some(at) => {
            let (mantissa, exponent) = literal.split_at(at);
            let exponent = exponent.get(1..).unwrap_or_default();
            (mantissa, exponent.parse::<i32>().map_err(|_| Misfit::Form)?)
        }
        None => (literal, 0),
    };
    let (negative, mantissa) = match mantissa.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, mantissa),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let all = || whole.bytes().chain(fraction.bytes());
    if whole.is_empty() || !all().all(|b| b.is_ascii_digit()) {
        return Err(Misfit::Form);
    }
    let digits: Vec<u8> = all().map(|b| b - b'0').skip_while(|digit| *digit == 0).collect();
    if digits.is_empty() {
        return Ok(Scaled { number: 0, rounded: false });
    }
    if negative {
        return Err(Misfit::Negative);
    }
    // How many of the digits stand before the point, once it is moved.
    let places =
        i64::try_from(digits.len()).unwrap_or(i64::MAX) + i64::from(exponent) + i64::from(power)
            - i64::try_from(fraction.len()).unwrap_or(i64::MAX);
    // Those of the largest u128.
    if places > 39 {
        return Err(Misfit::TooLarge);
    }
    let kept = usize::try_from(places).unwrap_or(0);
    let padded = digits.iter().copied().chain(std::iter::repeat(0)).take(kept);
    let number = padded
        .into_iter()
        .try_fold(0_u128, |number, digit| number.checked_mul(10)?.checked_add(digit.into()));
    let next = if places < 0 { 0 } else { digits.get(kept).copied().unwrap_or(0) };
    let rounded = if places < 0 {
        true
    } else {
        digits.get(kept..).is_some_and(|rest| rest.iter().any(|digit| *digit != 0))
    };
    let number = number.and_then(|number| number.checked_add(u128::from(next >= 5)));
    Ok(Scaled { number: number.ok_or(Misfit::TooLarge)?, rounded })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn exact(literal: &str, power: i32) -> u128 {
        let scaled = scaled(literal, power).unwrap();
        assert!(!scaled.rounded, "{literal}");
        scaled.number
    }

    #[test]
    fn a_literal_is_read_as_it_stands() {
        assert_eq!(exact("2.5e-06", 18), 2_500_000_000_000);
        assert_eq!(exact("2.5E-6", 18), 2_500_000_000_000);
        assert_eq!(exact("0.0000025", 18), 2_500_000_000_000);
        assert_eq!(exact("25e-7", 18), 2_500_000_000_000);
        // The nearest float is 1.0000000000000000052e-7.
        assert_eq!(exact("1e-07", 18), 100_000_000_000);
        assert_eq!(exact("0", 18), 0);
        assert_eq!(exact("-0.0", 18), 0);
        assert_eq!(exact("0e999999999", 18), 0);
        assert_eq!(exact("128000", 0), 128_000);
        assert_eq!(exact("1e6", 0), 1_000_000);
        assert_eq!(exact("8192.0", 0), 8_192);
    }

    #[test]
    fn what_is_finer_than_the_unit_is_rounded_and_said_to_be() {
        let round = |literal| scaled(literal, 18).unwrap();
        assert_eq!(round("1.25e-18"), Scaled { number: 1, rounded: true });
        assert_eq!(round("1.5e-18"), Scaled { number: 2, rounded: true });
        assert_eq!(round("0.5e-18"), Scaled { number: 1, rounded: true });
        assert_eq!(round("4.9e-19"), Scaled { number: 0, rounded: true });
        assert_eq!(round("9e-999"), Scaled { number: 0, rounded: true });
        assert_eq!(round("3.0000000000000002e-07").number, 300_000_000_000);
    }

    #[test]
    fn what_is_no_price_is_refused() {
        for literal in ["", "-", "x", "1e", "1e+-2", ".5", "1.2.3", "null", "1e99999999999"] {
            assert_eq!(scaled(literal, 18), Err(Misfit::Form), "{literal}");
        }
        assert_eq!(scaled("-1e-6", 18), Err(Misfit::Negative));
        assert_eq!(scaled("1e30", 18), Err(Misfit::TooLarge));
        assert_eq!(scaled("9e2147483647", 18), Err(Misfit::TooLarge));
    }

    proptest! {
        #[test]
        fn moving_the_point_and_back_changes_nothing(number: u64, shift in 0_i32..30) {
            let literal = format!("{number}e-{shift}");
            prop_assert_eq!(exact(&literal, shift), u128::from(number));
        }

        #[test]
        fn no_text_makes_it_fail(text in "[-+0-9.eE]{0,30}", power in -20_i32..20) {
            let _ = scaled(&text, power);
        }
    }
}
