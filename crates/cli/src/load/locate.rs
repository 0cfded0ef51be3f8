//! Finds the line of a field: the YAML parser is led along the path, and fails on purpose when it is
//! there, since its errors know their line.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::path::Step;

/// The line, from 1, of what the path leads to in this document, or of what is nearest above it.
pub(super) fn line(text: &str, path: &[Step]) -> Option<usize> {
    let error = Seek(path).deserialize(serde_yaml::Deserializer::from_str(text)).err()?;
    Some(error.location()?.line())
}

/// Whether the text that the path leads to stands there without quotes.
pub(super) fn is_plain(text: &str, path: &[Step], value: &str) -> bool {
    // Nothing is below a text, so that the parser fails at its first character.
    let below = [path, &[Step::Index(0)]].concat();
    let error = Seek(&below).deserialize(serde_yaml::Deserializer::from_str(text)).err();
    let Some(at) = error.as_ref().and_then(serde_yaml::Error::location) else { return false };
    let line = text.lines().nth(at.line().saturating_sub(1)).unwrap_or_default();
    let before = line.char_indices().nth(at.column().saturating_sub(1));
    before.and_then(|(i, _)| line.get(i..)).is_some_and(|rest| rest.starts_with(value))
}

/// Fails at the end of the path.
struct Seek<'a>(&'a [Step]);

impl<'de> DeserializeSeed<'de> for Seek<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Seek<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("what the path leads to")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        if let Some((Step::Member(name), rest)) = self.0.split_first() {
            while let Some(found) = map.next_key_seed(Key { name, last: rest.is_empty() })? {
                if found {
                    map.next_value_seed(Seek(rest))?;
                } else {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        Err(A::Error::custom("here"))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        if let Some((Step::Index(index), rest)) = self.0.split_first() {
            for _ in 0..*index {
                list.next_element::<IgnoredAny>()?;
            }
            list.next_element_seed(Seek(rest))?;
        }
        Err(A::Error::custom("here"))
    }
}

/// A key; fails if it is the last one.
struct Key<'a> {
    name: &'a str,
    last: bool,
}

impl<'de> DeserializeSeed<'de> for Key<'_> {
    type Value = bool;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<bool, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for Key<'_> {
    type Value = bool;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<bool, E> {
        let found = text == self.name;
        if found && self.last { Err(E::custom("here")) } else { Ok(found) }
    }
}

#[cfg(test)]
mod tests {
    use super::super::path::Path;
    use super::{is_plain, line};

    #[test]
    fn fields_are_found_or_what_is_above_them() {
        let text = "\n# c\nkind: X\nspec:\n  a: {b: 1,\n    c: 2}\n  list:\n  - name: x\n  - name: y\n    z: 3\n";
        for (path, want) in [
            ("", 3),
            ("kind", 3),
            ("spec", 4),
            ("spec.a", 5),
            ("spec.a.c", 6),
            ("spec.list[0]", 8),
            ("spec.list[1].z", 10),
            ("spec.list[1].missing", 9),
            ("spec.missing", 5),
            ("spec.a.b.deeper", 5),
        ] {
            assert_eq!(line(text, &Path::parse(path).0), Some(want), "{path}");
        }
        assert_eq!(line("{\"a\": {\n\t\"b\": [1,\n2]}}", &Path::parse("a.b[1]").0), Some(3));
    }

    #[test]
    fn quotes_are_told_from_none() {
        let text = "a: yes\nb: 'yes'\nü: [\"yes\", yes, !!str yes]\nc: {d: yes}\ne: |-\n  yes\n";
        for (path, want) in [
            ("a", true),
            ("b", false),
            ("ü[0]", false),
            ("ü[1]", true),
            ("ü[2]", false),
            ("c.d", true),
            ("e", false),
        ] {
            assert_eq!(is_plain(text, &Path::parse(path).0, "yes"), want, "{path}");
        }
    }
}
