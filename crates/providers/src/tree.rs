//! JSON as a tree that keeps its order. A translation rewrites whole documents, and in two of its
//! places order has a meaning: the properties of a schema are generated in the order in which they
//! stand, and a prompt cache compares bytes.

use std::fmt;

use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{MapAccess, SeqAccess, Visitor},
    ser::SerializeMap as _,
};
use serde_json::Number;

/// A value.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Json {
    /// `null`. An absent member reads as it.
    #[default]
    Null,
    /// `true`, `false`.
    Bool(bool),
    /// A number.
    Number(Number),
    /// A string.
    String(String),
    /// An array.
    Array(Vec<Json>),
    /// An object, its members in order. Of two with one name the later is read.
    Object(Vec<(String, Json)>),
}

/// What an absent member is.
static NULL: Json = Json::Null;

/// An object of these members, in this order.
macro_rules! object {
    ($($name:literal : $value:expr),* $(,)?) => {
        $crate::tree::Json::Object(vec![
            $(($name.to_owned(), $crate::tree::Json::from($value))),*
        ])
    };
}
pub(crate) use object;

impl Json {
    /// Parses a document. Depth is limited to 128.
    pub fn parse(bytes: &[u8]) -> Result<Self, serde_json::Error> {
        serde_json::from_slice(bytes)
    }

    /// The document, without spaces.
    pub fn to_vec(&self) -> Vec<u8> {
        // A tree has string keys and finite numbers: it can always be written.
        serde_json::to_vec(self).unwrap_or_default()
    }

    /// The document as text, without spaces.
    pub fn to_text(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }

    /// A member; `null` where there is none, or where this is no object.
    pub fn get(&self, name: &str) -> &Json {
        let found = self.members().iter().rev().find(|(key, _)| key == name);
        found.map_or(&NULL, |(_, value)| value)
    }

    /// The member at the end of this path.
    pub fn at(&self, path: &[&str]) -> &Json {
        path.iter().fold(self, |value, name| value.get(name))
    }

    /// Whether it has this member, `null` or not.
    pub fn has(&self, name: &str) -> bool {
        self.members().iter().any(|(key, _)| key == name)
    }

    /// The members; none where this is no object.
    pub fn members(&self) -> &[(String, Json)] {
        if let Self::Object(members) = self { members } else { &[] }
    }

    /// The items; none where this is no array.
    pub fn items(&self) -> &[Json] {
        if let Self::Array(items) = self { items } else { &[] }
    }

    /// The string, if it is one.
    pub fn str(&self) -> Option<&str> {
        if let Self::String(text) = self { Some(text) } else { None }
    }

    /// The string, or an empty one.
    pub fn text(&self) -> &str {
        self.str().unwrap_or_default()
    }

    /// The number as a count. Fractions of zero (`3.0`) count.
    pub fn u64(&self) -> Option<u64> {
        let Self::Number(number) = self else { return None };
        number.as_u64().or_else(|| {
            let value = number.as_f64().filter(|v| v.fract() == 0.0)?;
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "whole and within the bounds"
            )]
            (0.0..9e15).contains(&value).then_some(value as u64)
        })
    }

    /// The number.
    pub fn f64(&self) -> Option<f64> {
        if let Self::Number(number) = self { number.as_f64() } else { None }
    }

    /// The truth value, if it is one.
    pub fn bool(&self) -> Option<bool> {
        if let Self::Bool(value) = self { Some(*value) } else { None }
    }

    /// Whether it is `null`.
    pub fn is_null(&self) -> bool {
        *self == Self::Null
    }

    /// Whether it is `true`.
    pub fn is_true(&self) -> bool {
        *self == Self::Bool(true)
    }

    /// Whether it is an object.
    pub fn is_object(&self) -> bool {
        matches!(self, Self::Object(_))
    }

    /// Whether it says anything: neither `null` nor an empty string, array or object.
    pub fn filled(&self) -> bool {
        match self {
            Self::Null => false,
            Self::Bool(_) | Self::Number(_) => true,
            Self::String(text) => !text.is_empty(),
            Self::Array(items) => !items.is_empty(),
            Self::Object(members) => !members.is_empty(),
        }
    }

    /// Takes a member out; `null` where there is none.
    #[expect(clippy::return_self_not_must_use, reason = "it also removes")]
    pub fn take(&mut self, name: &str) -> Json {
        let Self::Object(members) = self else { return Self::Null };
        let mut found = Self::Null;
        while let Some(at) = members.iter().position(|(key, _)| key == name) {
            found = members.remove(at).1;
        }
        found
    }

    /// Sets a member, in its place if it is there. What is no object becomes one.
    pub fn set(&mut self, name: &str, value: impl Into<Json>) {
        if !self.is_object() {
            *self = Self::Object(Vec::new());
        }
        let Self::Object(members) = self else { return };
        match members.iter_mut().rev().find(|(key, _)| key == name) {
            Some((_, slot)) => *slot = value.into(),
            None => members.push((name.to_owned(), value.into())),
        }
    }

    /// Sets a member, if there is a value.
    pub fn set_some(&mut self, name: &str, value: Option<impl Into<Json>>) {
        if let Some(value) = value {
            self.set(name, value);
        }
    }

    /// Sets the member at the end of this path, making objects on the way.
    pub fn set_at(&mut self, path: &[&str], value: impl Into<Json>) {
        match path {
            [] => {}
            [last] => self.set(last, value),
            [first, rest @ ..] => {
                let mut inner = self.take(first);
                inner.set_at(rest, value);
                self.set(first, inner);
            }
        }
    }

    /// The object with this member.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<Json>) -> Self {
        self.set(name, value);
        self
    }

    /// The object with this member, if there is a value.
    #[must_use]
    pub fn with_some(mut self, name: &str, value: Option<impl Into<Json>>) -> Self {
        self.set_some(name, value);
        self
    }

    /// An object without members.
    pub fn empty() -> Self {
        Self::Object(Vec::new())
    }
}

impl From<bool> for Json {
    fn from(value: bool) -> Self {
        Self::Bool(value)
    }
}

impl From<u64> for Json {
    fn from(value: u64) -> Self {
        Self::Number(value.into())
    }
}

impl From<u32> for Json {
    fn from(value: u32) -> Self {
        Self::Number(value.into())
    }
}

impl From<i64> for Json {
    fn from(value: i64) -> Self {
        Self::Number(value.into())
    }
}

impl From<usize> for Json {
    fn from(value: usize) -> Self {
        Self::Number(value.into())
    }
}

impl From<f64> for Json {
    /// A whole number is written without a fraction; what is not finite is `null`.
    fn from(value: f64) -> Self {
        #[expect(clippy::cast_possible_truncation, reason = "whole and within the bounds")]
        if value.fract() == 0.0 && value.abs() < 9e15 {
            return Self::from(value as i64);
        }
        Number::from_f64(value).map_or(Self::Null, Self::Number)
    }
}

impl From<&str> for Json {
    fn from(value: &str) -> Self {
        Self::String(value.to_owned())
    }
}

impl From<String> for Json {
    fn from(value: String) -> Self {
        Self::String(value)
    }
}

impl From<&String> for Json {
    fn from(value: &String) -> Self {
        Self::String(value.clone())
    }
}

impl From<Vec<Json>> for Json {
    fn from(items: Vec<Json>) -> Self {
        Self::Array(items)
    }
}

impl From<&Json> for Json {
    fn from(value: &Json) -> Self {
        value.clone()
    }
}

impl<T: Into<Json>> From<Option<T>> for Json {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}

impl FromIterator<Json> for Json {
    fn from_iter<I: IntoIterator<Item = Json>>(items: I) -> Self {
        Self::Array(items.into_iter().collect())
    }
}

impl Serialize for Json {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Null => s.serialize_unit(),
            Self::Bool(value) => s.serialize_bool(*value),
            Self::Number(number) => number.serialize(s),
            Self::String(text) => s.serialize_str(text),
            Self::Array(items) => s.collect_seq(items),
            Self::Object(members) => {
                let mut map = s.serialize_map(Some(members.len()))?;
                for (name, value) in members {
                    map.serialize_entry(name, value)?;
                }
                map.end()
            }
        }
    }
}

impl<'de> Deserialize<'de> for Json {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        d.deserialize_any(Read)
    }
}

struct Read;

impl<'de> Visitor<'de> for Read {
    type Value = Json;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Json, E> {
        Ok(Json::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Json, E> {
        Ok(Json::Bool(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Json, E> {
        Ok(Json::from(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Json, E> {
        Ok(Json::from(value))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Json, E> {
        Ok(Number::from_f64(value).map_or(Json::Null, Json::Number))
    }

    fn visit_str<E>(self, value: &str) -> Result<Json, E> {
        Ok(Json::from(value))
    }

    fn visit_string<E>(self, value: String) -> Result<Json, E> {
        Ok(Json::String(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Json, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = seq.next_element()? {
            items.push(item);
        }
        Ok(Json::Array(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Json, A::Error> {
        let mut members = Vec::new();
        while let Some(member) = map.next_entry()? {
            members.push(member);
        }
        Ok(Json::Object(members))
    }
}

#[cfg(test)]
#[path = "tree_tests.rs"]
mod tests;
