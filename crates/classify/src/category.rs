//! The built-in categories: one table, from which names, labels and the model's columns follow.

use std::{fmt, str::FromStr};

macro_rules! categories {
    ($($variant:ident $name:literal $about:literal,)*) => {
        /// What a prompt asks for. `Default` is no category: it is where a prompt goes whose
        /// category is not sure enough.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(u8)]
        pub enum Category {
            $(#[doc = $about] $variant,)*
        }

        impl Category {
            /// Every category, in the order of the model's columns.
            pub const ALL: [Self; [$($name),*].len()] = [$(Self::$variant),*];

            /// The name in YAML, headers, metrics and reports.
            pub fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }

            /// What belongs to it, in one sentence.
            pub fn about(self) -> &'static str {
                match self { $(Self::$variant => $about,)* }
            }
        }
    };
}

categories! {
    Coding "coding" "Programs and commands: written, explained, mended, reviewed.",
    ContentWriting "content-writing" "Text that is to be composed or reworked: stories, letters, articles.",
    Translation "translation" "The same text in another language.",
    Classification "classification" "A label out of a few for what is given: sentiment, topic, yes or no.",
    Summarization "summarization" "The gist of a given text, its title or its main points.",
    MathReasoning "math-reasoning" "Calculations, proofs and word problems.",
    QuestionAnswering "question-answering" "Facts, explanations and advice, with or without a passage.",
}

/// How many built-in categories there are.
pub const CATEGORIES: usize = Category::ALL.len();

impl Category {
    /// Its column in tables of scores.
    pub fn index(self) -> usize {
        self as usize
    }
}

impl fmt::Display for Category {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// A name that is no built-in category's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is no built-in category; they are coding, content-writing, translation, classification, summarization, math-reasoning and question-answering"
)]
pub struct UnknownCategory(pub String);

impl FromStr for Category {
    type Err = UnknownCategory;

    /// Reads a name; `_` reads as `-`.
    fn from_str(name: &str) -> Result<Self, Self::Err> {
        let same = |one: &Self| {
            let mut given = name.bytes().map(|byte| if byte == b'_' { b'-' } else { byte });
            one.name().bytes().eq(given.by_ref())
        };
        Self::ALL.into_iter().find(same).ok_or_else(|| UnknownCategory(name.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_reads_back_with_either_sign() {
        for (index, category) in Category::ALL.into_iter().enumerate() {
            assert_eq!(category.index(), index);
            assert_eq!(category.name().parse(), Ok(category));
            assert_eq!(category.name().replace('-', "_").parse(), Ok(category));
        }
        let error = "cooking".parse::<Category>().unwrap_err().to_string();
        assert!(Category::ALL.iter().all(|one| error.contains(one.name())), "{error}");
    }
}
