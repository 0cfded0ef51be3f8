//! Categories that users define: by words, by regexes, by examples. What a category says of itself
//! is checked and trained once, by [`compile`]; the result is small and can be sent; [`Classifier`]
//! puts it to use.

mod classifier;
mod examples;
mod kernel;
mod learnt;
mod rules;
mod trained;

pub use classifier::{By, Classifier, Verdict};
pub(crate) use learnt::Learnt;
pub use routing::category::{CompiledCategories, CompiledCategory, Trained};

use crate::Category;

/// The fewest examples that can be trained from.
pub const MIN_EXAMPLES: usize = 5;
/// The most of one category: more make it no better, and training slower.
pub const MAX_EXAMPLES: usize = 50;
/// The most of all categories of an alias.
pub const MAX_EXAMPLES_IN_ALL: usize = 400;
/// The most keywords and regexes of one category, each.
pub const MAX_RULES: usize = 128;

/// A category as it is written, in the order in which an alias lists them. One with the name of a
/// built-in category may have no rules at all: the built-in detector knows it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CustomSpec {
    /// Its name.
    pub name: String,
    /// What belongs to it, in words, for a judge.
    pub description: Option<String>,
    /// Prompts that belong to it: none, or 5 to 50.
    pub examples: Vec<String>,
    /// Words and phrases: whole words in any case, with any white space between them.
    pub keywords: Vec<String>,
    /// Regular expressions, in any case unless they say `(?-i)`, found anywhere.
    pub regexes: Vec<String>,
}

/// The built-in category of this name.
fn built_in(category: &CompiledCategory) -> Option<Category> {
    category.name.parse().ok()
}

/// Whether a category can be told by a judge alone: it has a description and nothing else, and the
/// built-in detector does not know it.
pub fn needs_judge(category: &CompiledCategory) -> bool {
    category.patterns.is_empty() && category.trained.is_none() && built_in(category).is_none()
}

/// What is wrong with a category.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CustomError {
    /// Too few or too many.
    #[error(
        "category `{name}` has {count} examples: write none, or {MIN_EXAMPLES} to {MAX_EXAMPLES}"
    )]
    Examples {
        /// The category.
        name: String,
        /// How many it has.
        count: usize,
    },
    /// Too many in all.
    #[error("the categories have {0} examples in all: {MAX_EXAMPLES_IN_ALL} at most")]
    ExamplesInAll(usize),
    /// An example without text.
    #[error("example {at} of category `{name}` is empty")]
    EmptyExample {
        /// The category.
        name: String,
        /// From 1.
        at: usize,
    },
    /// More than are needed.
    #[error("category `{name}` has {count} keywords or regexes: {MAX_RULES} of each at most")]
    Rules {
        /// The category.
        name: String,
        /// How many it has.
        count: usize,
    },
    /// A keyword that is only white space.
    #[error("keyword {at} of category `{name}` is empty")]
    EmptyKeyword {
        /// The category.
        name: String,
        /// From 1.
        at: usize,
    },
    /// A regex that is malformed, or matches everything, or is too large.
    #[error("regex `{regex}` of category `{name}` {problem}")]
    Regex {
        /// The category.
        name: String,
        /// As it is written.
        regex: String,
        /// What is wrong with it, and what to do.
        problem: String,
    },
    /// All patterns together.
    #[error("the keywords and regexes of all categories are too large together: {0}")]
    Size(String),
    /// A category that nothing tells.
    #[error("category `{0}` is not built in: give it keywords, regexes, examples or a description")]
    Unknowable(String),
    /// Two of one name.
    #[error("two categories are called `{0}`")]
    Twice(String),
    /// What was sent is damaged, or made for another version.
    #[error("category `{0}` was trained for other features: compile it again")]
    Weights(String),
}

/// Checks and trains. All errors are told, not only the first.
pub fn compile(specs: &[CustomSpec]) -> Result<CompiledCategories, Vec<CustomError>> {
    let mut errors = Vec::new();
    let mut categories: Vec<CompiledCategory> = Vec::with_capacity(specs.len());
    for spec in specs {
        if categories.iter().any(|one| one.name == spec.name) {
            errors.push(CustomError::Twice(spec.name.clone()));
        }
        examples(spec, &mut errors);
        let patterns = rules::patterns(spec, &mut errors);
        let known = spec.name.parse::<Category>().is_ok()
            || spec.description.as_ref().is_some_and(|text| !text.trim().is_empty())
            || !(spec.examples.is_empty() && spec.keywords.is_empty() && spec.regexes.is_empty());
        if !known {
            errors.push(CustomError::Unknowable(spec.name.clone()));
        }
        let description =
            spec.description.as_deref().map(str::trim).filter(|text| !text.is_empty());
        categories.push(CompiledCategory {
            name: spec.name.clone(),
            description: description.map(str::to_owned),
            patterns,
            trained: None,
        });
    }
    let total = specs.iter().map(|spec| spec.examples.len()).sum();
    if total > MAX_EXAMPLES_IN_ALL {
        errors.push(CustomError::ExamplesInAll(total));
    }
    if errors.is_empty()
        && let Err(error) = rules::set(&categories)
    {
        errors.push(error);
    }
    if !errors.is_empty() {
        return Err(errors);
    }
    let examples: Vec<&[String]> = specs.iter().map(|spec| spec.examples.as_slice()).collect();
    let (trained, sharpness) = examples::train(crate::Detector::builtin(), &examples);
    for (category, trained) in categories.iter_mut().zip(trained) {
        category.trained = trained;
    }
    Ok(CompiledCategories { categories, sharpness })
}

fn examples(spec: &CustomSpec, errors: &mut Vec<CustomError>) {
    let (name, count) = (|| spec.name.clone(), spec.examples.len());
    if count != 0 && !(MIN_EXAMPLES..=MAX_EXAMPLES).contains(&count) {
        errors.push(CustomError::Examples { name: name(), count });
    }
    let empty = |example: &String| example.trim().is_empty();
    if let Some(at) = spec.examples.iter().position(empty) {
        errors.push(CustomError::EmptyExample { name: name(), at: at + 1 });
    }
}
