//! Prices and what a request costs, exact: decimal integers throughout, never a float.
//!
//! Prices are written per million tokens with at most twelve digits behind the point. So a price is
//! a whole number of 10^-12 per million tokens, which is the same number of 10^-18 per token; costs
//! are counted in 10^-18, and nothing is ever rounded. The currency is whatever the prices are
//! written in; it is the same for all of them.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::usage::Usage;

/// The pattern of a price in the schema: at most six digits before the point, twelve behind it.
pub const PATTERN: &str = r"^[0-9]{1,6}(\.[0-9]{1,12})?$";

/// The longest such string.
pub const MAX_LENGTH: u32 = 19;

/// Digits behind the point of a written price.
const PRICE_DIGITS: usize = 12;
/// Digits before it.
const PRICE_WHOLE: usize = 6;
/// Digits behind the point of an amount.
const MONEY_DIGITS: usize = 18;
/// Digits before it: all that fit 128 bits.
const MONEY_WHOLE: usize = 21;

/// Why a text is no price or amount.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecimalError {
    /// A sign, an exponent, a space, or no digits where some must be.
    #[error("is no decimal number: write digits and at most one point, such as \"2.50\"")]
    Form,
    /// Too many digits behind the point.
    #[error("has more than {0} digits behind the point")]
    TooFine(usize),
    /// Too many digits before the point.
    #[error("is too large: at most {0} digits may stand before the point")]
    TooLarge(usize),
}

/// An amount of money, in 10^-18 of the currency. Sums stop at the largest amount, which no price
/// reaches.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Money(u128);

impl Money {
    /// Nothing.
    pub const ZERO: Self = Self(0);
    /// The largest amount.
    pub const MAX: Self = Self(u128::MAX);

    /// So many 10^-18 of the currency.
    pub fn from_atto(atto: u128) -> Self {
        Self(atto)
    }

    /// The amount in 10^-18 of the currency.
    pub fn atto(self) -> u128 {
        self.0
    }

    /// Reads a decimal such as `0.0125`, with at most 18 digits behind the point.
    pub fn parse(text: &str) -> Result<Self, DecimalError> {
        decimal(text, MONEY_WHOLE, MONEY_DIGITS).map(Self)
    }

    /// The sum, or the largest amount.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }

    /// The difference, or nothing where `other` is more.
    #[must_use]
    pub fn minus(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }

    /// So many times the amount, or the largest one.
    #[must_use]
    pub fn times(self, count: u64) -> Self {
        Self(self.0.saturating_mul(u128::from(count)))
    }

    /// So many billionths of the amount, rounded down.
    #[must_use]
    pub fn part(self, billionths: u32) -> Self {
        const WHOLE: u128 = 1_000_000_000;
        let of = |atto: u128| atto * u128::from(billionths.min(1_000_000_000));
        // The amount is divided first: a product of all of it may not fit.
        Self(of(self.0 / WHOLE) + of(self.0 % WHOLE) / WHOLE)
    }

    /// Close to the amount, for metrics and for comparing what is only estimated. Finite.
    pub fn to_f64(self) -> f64 {
        #[expect(clippy::cast_precision_loss, reason = "an approximation is what is asked for")]
        let atto = self.0 as f64;
        atto / 1e18
    }
}

impl fmt::Display for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_decimal(f, self.0, MONEY_DIGITS)
    }
}

/// A price of a million tokens.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PerMillion(
    /// In 10^-12 of the currency for a million tokens: in 10^-18 for one.
    u64,
);

impl PerMillion {
    /// Reads a price as it is written, such as `2.50`: at most six digits before the point and
    /// twelve behind it.
    pub fn parse(text: &str) -> Result<Self, DecimalError> {
        let pico = decimal(text, PRICE_WHOLE, PRICE_DIGITS)?;
        u64::try_from(pico).map(Self).map_err(|_| DecimalError::TooLarge(PRICE_WHOLE))
    }

    /// So many 10^-12 of the currency; `None` where that has more than six digits before the point.
    pub fn from_pico(pico: u64) -> Option<Self> {
        const ABOVE: u64 = 10_u64.pow(18);
        (pico < ABOVE).then_some(Self(pico))
    }

    /// What so many tokens cost. A product of two 64-bit numbers: it always fits.
    pub fn of(self, tokens: u64) -> Money {
        Money(u128::from(self.0).saturating_mul(u128::from(tokens)))
    }
}

impl fmt::Display for PerMillion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_decimal(f, self.0.into(), PRICE_DIGITS)
    }
}

macro_rules! as_string {
    ($($name:ident)+) => { $(
        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
                s.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
                let text = String::deserialize(d)?;
                Self::parse(&text).map_err(|error| {
                    de::Error::custom(format_args!("{text:?} {error}"))
                })
            }
        }
    )+ };
}
as_string! { Money PerMillion }

/// What a model costs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Price {
    /// Tokens of the prompt.
    pub input: PerMillion,
    /// Prompt tokens that a cache held; `None`: as `input`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cached_input: Option<PerMillion>,
    /// Prompt tokens that were written to a cache; `None`: as `input`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cache_write: Option<PerMillion>,
    /// Tokens of the answer, reasoning included.
    pub output: PerMillion,
    /// Tokens of audio in the prompt; `None`: as `input`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub audio_input: Option<PerMillion>,
    /// Tokens of audio in the answer; `None`: as `output`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub audio_output: Option<PerMillion>,
    /// An image that was made; `None`: nothing beside its tokens.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub per_image: Option<Money>,
    /// A request; `None`: nothing beside its tokens.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub per_request: Option<Money>,
    /// What holds instead for long prompts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub above: Option<LongContext>,
}

/// Prices of a request whose prompt has more than so many tokens: for the whole of it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LongContext {
    /// The prompt, cached tokens counted, must have more than these.
    pub input_tokens: u64,
    /// Tokens of the prompt.
    pub input: PerMillion,
    /// Prompt tokens that a cache held; `None`: as this `input`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cached_input: Option<PerMillion>,
    /// Prompt tokens that were written to a cache; `None`: as this `input`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cache_write: Option<PerMillion>,
    /// Tokens of the answer; `None`: as without the tier.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output: Option<PerMillion>,
}

/// The prices of tokens that hold for one request, every default applied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rates {
    /// Prompt tokens that came from no cache.
    pub input: PerMillion,
    /// Prompt tokens that a cache held.
    pub cached_input: PerMillion,
    /// Prompt tokens that were written to a cache.
    pub cache_write: PerMillion,
    /// Tokens of the answer.
    pub output: PerMillion,
    /// Tokens of audio in the prompt.
    pub audio_input: PerMillion,
    /// Tokens of audio in the answer.
    pub audio_output: PerMillion,
}

impl Price {
    /// The prices that hold for a request whose prompt has so many tokens, cached ones counted.
    pub fn rates(&self, prompt_tokens: u64) -> Rates {
        let above = self.above.as_ref().filter(|above| prompt_tokens > above.input_tokens);
        let (input, cached, write, output) = match above {
            Some(long) => (
                long.input,
                long.cached_input,
                long.cache_write,
                long.output.unwrap_or(self.output),
            ),
            None => (self.input, self.cached_input, self.cache_write, self.output),
        };
        Rates {
            input,
            cached_input: cached.unwrap_or(input),
            cache_write: write.unwrap_or(input),
            output,
            audio_input: self.audio_input.unwrap_or(input),
            audio_output: self.audio_output.unwrap_or(output),
        }
    }

    /// Whether whatever is used costs nothing.
    pub fn is_free(&self) -> bool {
        let Self { input, cached_input, cache_write, output, audio_input, audio_output, .. } = self;
        let own =
            [Some(*input), *cached_input, *cache_write, Some(*output), *audio_input, *audio_output];
        let long = self
            .above
            .as_ref()
            .map(|above| [Some(above.input), above.cached_input, above.cache_write, above.output]);
        let tokens = own.into_iter().chain(long.into_iter().flatten()).flatten();
        tokens.into_iter().all(|price| price == PerMillion::default())
            && [self.per_image, self.per_request].into_iter().flatten().all(|m| m == Money::ZERO)
    }

    /// What the usage of one request costs: exact, unless it is more than the largest amount.
    pub fn cost(&self, usage: &Usage) -> Money {
        let rates = self.rates(usage.prompt());
        [
            rates.input.of(usage.input),
            rates.cached_input.of(usage.cache_read),
            rates.cache_write.of(usage.cache_write),
            rates.output.of(usage.output),
            rates.audio_input.of(usage.audio_in),
            rates.audio_output.of(usage.audio_out),
            self.per_image.unwrap_or_default().times(usage.images),
            self.per_request.unwrap_or_default(),
        ]
        .into_iter()
        .fold(Money::ZERO, Money::plus)
    }
}

/// The number in units of 10^-`digits`.
fn decimal(text: &str, whole_digits: usize, digits: usize) -> Result<u128, DecimalError> {
    let (whole, fraction) = match text.split_once('.') {
        Some((whole, fraction)) if !fraction.is_empty() => (whole, fraction),
        Some(_) => return Err(DecimalError::Form),
        None => (text, ""),
    };
    if whole.is_empty() || !whole.bytes().chain(fraction.bytes()).all(|b| b.is_ascii_digit()) {
        return Err(DecimalError::Form);
    }
    if fraction.len() > digits {
        return Err(DecimalError::TooFine(digits));
    }
    let too_large = DecimalError::TooLarge(whole_digits);
    if whole.len() > whole_digits {
        return Err(too_large);
    }
    let zeros = digits - fraction.len();
    let all = whole.bytes().chain(fraction.bytes()).map(|b| b - b'0');
    all.chain(std::iter::repeat_n(0, zeros))
        .try_fold(0_u128, |number, digit| number.checked_mul(10)?.checked_add(digit.into()))
        .ok_or(too_large)
}

/// Writes a number of 10^-`digits` without zeros at its end.
fn write_decimal(f: &mut fmt::Formatter<'_>, number: u128, digits: usize) -> fmt::Result {
    let padded = format!("{number:0width$}", width = digits + 1);
    let (whole, fraction) = padded.split_at(padded.len() - digits);
    let fraction = fraction.trim_end_matches('0');
    f.write_str(whole)?;
    if fraction.is_empty() { Ok(()) } else { write!(f, ".{fraction}") }
}
