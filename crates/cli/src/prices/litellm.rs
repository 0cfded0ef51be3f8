//! LiteLLM's list of prices: a JSON object from a model's key to what is known of it, prices in
//! dollars per token. Numbers are read from their text.

use std::collections::BTreeMap;

use api::price::{LongContext, Price};
use routing::{Money, price::PerMillion};
use serde_json::value::RawValue;

use super::{
    decimal::{self, Misfit, Scaled},
    families::Family,
};

/// The modes of what Moniker routes.
const MODES: [&str; 7] =
    ["chat", "completion", "responses", "embedding", "image_generation", "moderation", "rerank"];

/// The modes whose answers have no tokens.
const WITHOUT_OUTPUT: [&str; 4] = ["embedding", "image_generation", "moderation", "rerank"];

/// What a list of prices holds, by family and by the provider's own name of the model.
#[derive(Debug, Default)]
pub(super) struct Catalog {
    models: BTreeMap<(&'static str, String), Model>,
}

/// A model of the list.
#[derive(Clone, Debug)]
pub(super) struct Model {
    /// Its price, or why it has none.
    pub(super) price: Result<Price, String>,
    /// Tokens that fit a prompt.
    pub(super) context_window: Option<i64>,
    /// The most tokens of an answer.
    pub(super) max_output_tokens: Option<i64>,
    /// What was left out or rounded.
    pub(super) notes: Vec<String>,
}

type Fields = BTreeMap<String, Box<RawValue>>;

impl Catalog {
    /// Reads the list; the error is for people.
    pub(super) fn read(list: &str) -> Result<Self, String> {
        let entries: BTreeMap<String, Box<RawValue>> =
            serde_json::from_str(list).map_err(|error| format!("is no JSON object: {error}"))?;
        let mut catalog = Self::default();
        for (key, value) in &entries {
            // Whatever is no object of fields is no model.
            let Ok(fields) = serde_json::from_str::<Fields>(value.get()) else { continue };
            let said = |name| fields.get(name).and_then(|raw| text(raw));
            let Some(family) = Family::of_entry(key, said("litellm_provider").as_deref()) else {
                continue;
            };
            let mode = said("mode").unwrap_or_else(|| "chat".to_owned());
            if !MODES.contains(&mode.as_str()) {
                continue;
            }
            let name = (family.name, family.model(key).to_owned());
            let mut reader = Reader { fields: &fields, notes: Vec::new() };
            let model = Model {
                price: reader.price(&mode),
                context_window: reader.tokens("max_input_tokens"),
                max_output_tokens: reader.tokens("max_output_tokens"),
                notes: reader.notes,
            };
            // Of two keys for one model, as with and without the provider before it, the one that
            // has a price counts.
            match catalog.models.get(&name) {
                Some(before) if before.price.is_ok() => {}
                _ => drop(catalog.models.insert(name, model)),
            }
        }
        if catalog.models.is_empty() {
            return Err("holds no model of a provider that Moniker knows; is it LiteLLM's \
                        model_prices_and_context_window.json?"
                .to_owned());
        }
        Ok(catalog)
    }

    /// The model that a provider of this family calls so.
    pub(super) fn model(&self, family: &Family, name: &str) -> Option<&Model> {
        self.models.get(&(family.name, name.to_owned()))
    }

    /// Every model with its family's name and its own, in order.
    pub(super) fn models(&self) -> impl Iterator<Item = (&'static str, &str, &Model)> {
        self.models.iter().map(|((family, name), model)| (*family, name.as_str(), model))
    }
}

struct Reader<'a> {
    fields: &'a Fields,
    notes: Vec<String>,
}

impl Reader<'_> {
    fn price(&mut self, mode: &str) -> Result<Price, String> {
        let input = self.per_token("input_cost_per_token")?;
        let draws = mode == "image_generation";
        // The tokens of an image are the answer's, and then it has no price of its own beside them.
        let drawn = if draws { self.per_token("output_cost_per_image_token")? } else { None };
        let per_image = match (&drawn, self.amount("output_cost_per_image")?) {
            (Some(_), _) => None,
            (None, None) if draws => self.amount("input_cost_per_image")?,
            (None, stated) => stated,
        };
        let output = match drawn {
            None => self.per_token("output_cost_per_token")?,
            drawn => drawn,
        };
        let per_request = match self.amount("input_cost_per_request")? {
            None => self.amount("input_cost_per_query")?,
            some => some,
        };
        let without_output = WITHOUT_OUTPUT.contains(&mode);
        let free = || "0".to_owned();
        let (input, output) = match (input, output) {
            (Some(input), Some(output)) => (input, output),
            (Some(input), None) if without_output => (input, free()),
            (None, Some(output)) if without_output => (free(), output),
            (None, None) if per_image.is_some() || per_request.is_some() => (free(), free()),
            (Some(_), None) => return Err("has no price of output tokens".to_owned()),
            (None, Some(_)) => return Err("has no price of input tokens".to_owned()),
            (None, None) => {
                return Err("is not priced by tokens, images or requests".to_owned());
            }
        };
        let cached_input = self.per_token("cache_read_input_token_cost")?;
        let cache_write = self.per_token("cache_creation_input_token_cost")?;
        let above = self.above(&input, cached_input.as_ref(), cache_write.as_ref())?;
        Ok(Price {
            input,
            cached_input,
            cache_write,
            output,
            audio_input: self.per_token("input_cost_per_audio_token")?,
            audio_output: self.per_token("output_cost_per_audio_token")?,
            per_image,
            per_request,
            above,
        })
    }

    /// The first tier of long prompts: fields such as `input_cost_per_token_above_200k_tokens`.
    /// What the tier does not state is, in this list, as without it.
    fn above(
        &mut self,
        input: &str,
        cached_input: Option<&String>,
        cache_write: Option<&String>,
    ) -> Result<Option<LongContext>, String> {
        let tier = |field: &str| -> Option<u32> {
            let (head, bound) = field.split_once("_above_")?;
            let priced = matches!(
                head,
                "input_cost_per_token"
                    | "output_cost_per_token"
                    | "cache_read_input_token_cost"
                    | "cache_creation_input_token_cost"
            );
            bound.strip_suffix("k_tokens")?.parse().ok().filter(|bound| priced && *bound > 0)
        };
        let mut tiers: Vec<u32> = self.fields.keys().filter_map(|field| tier(field)).collect();
        tiers.sort_unstable();
        tiers.dedup();
        let Some(bound) = tiers.first() else { return Ok(None) };
        if let Some(more) = tiers.get(1) {
            self.notes.push(format!(
                "has further prices above {more}k tokens, which are left out: a price has one tier"
            ));
        }
        let field = |head: &str| format!("{head}_above_{bound}k_tokens");
        let or = |own: Option<String>, plain: Option<&String>| own.or_else(|| plain.cloned());
        let own_input = self.per_token(&field("input_cost_per_token"))?;
        Ok(Some(LongContext {
            input_tokens: i64::from(*bound) * 1_000,
            input: own_input.unwrap_or_else(|| input.to_owned()),
            cached_input: or(self.per_token(&field("cache_read_input_token_cost"))?, cached_input),
            cache_write: or(
                self.per_token(&field("cache_creation_input_token_cost"))?,
                cache_write,
            ),
            output: self.per_token(&field("output_cost_per_token"))?,
        }))
    }

    /// The price of a million tokens.
    fn per_token(&mut self, field: &str) -> Result<Option<String>, String> {
        // Of one token in 10^-18 is of a million in 10^-12.
        let Some(pico) = self.number(field, 18)? else { return Ok(None) };
        let price = u64::try_from(pico).ok().and_then(PerMillion::from_pico);
        let price = price.ok_or_else(|| format!("{field} is too large for a price"))?;
        Ok(Some(price.to_string()))
    }

    /// An amount of money.
    fn amount(&mut self, field: &str) -> Result<Option<String>, String> {
        let Some(pico) = self.number(field, 12)? else { return Ok(None) };
        let text = Money::from_atto(pico.saturating_mul(1_000_000)).to_string();
        // As every price that is written.
        PerMillion::parse(&text).map_err(|error| format!("{field} {error}"))?;
        Ok(Some(text))
    }

    fn tokens(&mut self, field: &str) -> Option<i64> {
        let literal = literal(self.fields.get(field)?)?;
        let Scaled { number, rounded } = decimal::scaled(&literal, 0).ok()?;
        i64::try_from(number).ok().filter(|count| *count > 0 && !rounded)
    }

    /// The number of a field in 10^-`power`, if it is there and not null.
    fn number(&mut self, field: &str, power: i32) -> Result<Option<u128>, String> {
        let Some(raw) = self.fields.get(field) else { return Ok(None) };
        if raw.get() == "null" {
            return Ok(None);
        }
        let number = match literal(raw) {
            Some(literal) => decimal::scaled(&literal, power),
            None => Err(Misfit::Form),
        };
        match number {
            Ok(Scaled { number, rounded }) => {
                if rounded {
                    self.notes.push(format!("{field} is rounded to the twelfth digit"));
                }
                Ok(Some(number))
            }
            Err(Misfit::Form) => Err(format!("{field} is no number")),
            Err(Misfit::Negative) => Err(format!("{field} is below 0")),
            Err(Misfit::TooLarge) => Err(format!("{field} is too large for a price")),
        }
    }
}

/// The text of a number, in quotes or not.
fn literal(raw: &RawValue) -> Option<String> {
    match raw.get().as_bytes().first()? {
        b'"' => text(raw),
        b'-' | b'0'..=b'9' => Some(raw.get().to_owned()),
        _ => None,
    }
}

fn text(raw: &RawValue) -> Option<String> {
    serde_json::from_str(raw.get()).ok()
}
