//! The path of a field, as problems show it and as it is found again in the text.

use std::fmt;

/// One step into an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// A member of a mapping.
    Member(String),
    /// An item of a list.
    Index(usize),
}

/// A path from the root of a document.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Path(pub(super) Vec<Step>);

impl Path {
    /// A member of what is here.
    pub(super) fn member(&self, name: &str) -> Self {
        self.then(Step::Member(name.to_owned()))
    }

    /// An item of what is here.
    pub(super) fn item(&self, index: usize) -> Self {
        self.then(Step::Index(index))
    }

    /// Reads what `Display` writes, and what the compiler and the rules give.
    pub(super) fn parse(text: &str) -> Self {
        let mut steps = Vec::new();
        let mut rest = text;
        while !rest.is_empty() {
            if let Some(quoted) = rest.strip_prefix("[\"")
                && let Some((name, after)) = quoted.split_once("\"]")
            {
                steps.push(Step::Member(name.to_owned()));
                rest = after;
            } else if let Some(bracket) = rest.strip_prefix('[')
                && let Some((inner, after)) = bracket.split_once(']')
            {
                let name = || Step::Member(inner.to_owned());
                steps.push(inner.parse().map_or_else(|_| name(), Step::Index));
                rest = after;
            } else {
                rest = rest.strip_prefix('.').unwrap_or(rest);
                let end = rest.find(['.', '[']).unwrap_or(rest.len());
                let (name, after) = rest.split_at(end);
                if !name.is_empty() {
                    steps.push(Step::Member(name.to_owned()));
                }
                rest = if end == 0 { after.get(1..).unwrap_or_default() } else { after };
            }
        }
        Self(steps)
    }

    /// This path below another.
    pub(super) fn below(&self, parent: &Self) -> Self {
        Self([parent.0.as_slice(), self.0.as_slice()].concat())
    }

    fn then(&self, step: Step) -> Self {
        let mut steps = self.0.clone();
        steps.push(step);
        Self(steps)
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, step) in self.0.iter().enumerate() {
            match step {
                Step::Index(index) => write!(f, "[{index}]")?,
                Step::Member(name) if name.contains(['.', '[', ']']) => write!(f, "[\"{name}\"]")?,
                Step::Member(name) if i == 0 => f.write_str(name)?,
                Step::Member(name) => write!(f, ".{name}")?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_read_as_it_is_written() {
        for text in ["", "spec", "spec.targets[0].name", "data[\"tls.crt\"]", "items[1].a[2][3]"] {
            assert_eq!(Path::parse(text).to_string(), text);
        }
        assert_eq!(Path::parse("a[\"b.c\"].d").0.len(), 3);
        assert_eq!(Path::parse("a..b[").to_string(), "a.b", "nonsense ends");
    }
}
