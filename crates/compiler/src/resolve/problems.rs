//! What is wrong with a spec: collected, never thrown, so that all of it is told at once. A stored
//! object may break any rule of today's schema.

use std::fmt::{self, Display};

use crate::text;

/// A member of what stands at a path. Written only where something is wrong.
#[derive(Clone, Copy, Debug)]
pub(super) struct At<'a>(pub(super) &'a str, pub(super) &'a str);

impl Display for At<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.0, self.1)
    }
}

/// The parts of a spec that make no sense, each with its path.
#[derive(Debug, Default)]
pub(super) struct Problems(Vec<String>);

impl Problems {
    /// Notes what is wrong at this path.
    pub(super) fn add(&mut self, path: impl Display, message: impl Display) {
        self.0.push(format!("{path} {message}"));
    }

    /// Notes it unless it holds.
    pub(super) fn check(&mut self, holds: bool, path: impl Display, message: impl Display) {
        if !holds {
            self.add(path, message);
        }
    }

    /// A number within bounds, or the default.
    pub(super) fn number(
        &mut self,
        value: Option<i32>,
        (min, max): (u32, u32),
        default: u32,
        path: impl Display,
    ) -> u32 {
        let Some(value) = value else { return default };
        match u32::try_from(value) {
            Ok(number) if (min..=max).contains(&number) => number,
            _ => {
                self.add(path, format!("is {value}, and must be {min} to {max}"));
                default
            }
        }
    }

    /// The milliseconds of a duration, if it is there and is one that is not zero.
    pub(super) fn duration(&mut self, value: Option<&str>, path: impl Display) -> Option<u64> {
        let value = value?;
        let parsed = api::duration::parse(value).filter(|ms| *ms > 0);
        if parsed.is_none() {
            let value = text::quote(value);
            self.add(path, format!("is {value}, and must be a duration such as 30s or 1m30s"));
        }
        parsed
    }

    /// A name that is there, short enough and printable.
    pub(super) fn name(&mut self, value: &str, max: usize, path: impl Display) {
        if value.is_empty() {
            self.add(path, "is empty");
        } else if value.chars().count() > max {
            self.add(path, format!("is longer than {max} characters"));
        } else if value.chars().any(char::is_control) {
            self.add(path, "holds a control character");
        }
    }

    /// The message of `InvalidSpec`, if anything is wrong.
    pub(super) fn message(&self) -> Option<String> {
        (!self.0.is_empty()).then(|| text::join(&self.0))
    }
}
