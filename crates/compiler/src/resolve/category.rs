//! The categories of an alias as they are meant: the detector, by what each category is known, and
//! the lineup of each. Examples are trained from here, once for as long as they stay as they are.

use api::{
    ModelAliasSpec,
    category::{Categories, Detector, Match},
};
use classify::custom::{self, CustomSpec};
use routing::{
    ObjectId,
    category::{CompiledCategories, CompiledDetector, CompiledJudge, DEFAULT, DetectorKind},
};

use super::{
    alias::{LineupSpec, lineup, reference},
    learnt,
    problems::{At, Problems},
};
use crate::text;

const MAX_OVERRIDES: usize = 64;
/// Examples or keywords that a judge is told of a category.
const TOLD: usize = 5;
/// How long a request waits for a judge, in milliseconds.
const JUDGE_TIMEOUT: u64 = 300;
/// How long it may be made to wait.
const MAX_JUDGE_TIMEOUT: u64 = 30_000;

/// Categories that make sense.
#[derive(Debug)]
pub(crate) struct CategoriesSpec<'a> {
    pub(crate) detector: CompiledDetector,
    pub(crate) known: CompiledCategories,
    pub(crate) overrides: Vec<OverrideSpec<'a>>,
}

/// A category's lineup.
#[derive(Debug)]
pub(crate) struct OverrideSpec<'a> {
    pub(crate) name: &'a str,
    /// Default's lineup stands behind it.
    pub(crate) fallback_to_default: bool,
    pub(crate) lineup: LineupSpec<'a>,
}

/// The lineup of Default, and all that stands beside it.
pub(super) fn check<'a>(
    id: &ObjectId,
    spec: &'a ModelAliasSpec,
    categories: &'a Categories,
    problems: &mut Problems,
) -> (LineupSpec<'a>, CategoriesSpec<'a>) {
    problems.check(
        spec.targets.is_none(),
        "spec.targets",
        "means nothing beside spec.categories: remove one of them",
    );
    let default = &categories.default;
    let at = "spec.categories.default".to_owned();
    let main = lineup(id, at, &default.strategy, &default.targets, problems);
    let written = categories.overrides.as_deref().unwrap_or_default();
    problems.check(
        written.len() <= MAX_OVERRIDES,
        "spec.categories.overrides",
        format_args!("has {} items, and at most {MAX_OVERRIDES} are supported", written.len()),
    );
    let mut overrides = Vec::with_capacity(written.len().min(MAX_OVERRIDES));
    let mut specs = Vec::with_capacity(written.len().min(MAX_OVERRIDES));
    for (i, one) in written.iter().take(MAX_OVERRIDES).enumerate() {
        let path = format!("spec.categories.overrides[{i}]");
        let name = one.name.as_str();
        let at = At(&path, "name");
        problems.check(
            is_label(name),
            at,
            "must be lower-case letters, digits and `-`, 63 at most, with neither end a `-`",
        );
        problems.check(
            name != DEFAULT,
            at,
            "is no category: the lineup of default is spec.categories.default",
        );
        specs.push(custom(name, one.matching.as_ref()));
        overrides.push(OverrideSpec {
            name,
            fallback_to_default: one.fallback_to_default.unwrap_or_default(),
            lineup: lineup(id, path, &one.strategy, &one.targets, problems),
        });
    }
    let mut known = match learnt::compile(&specs).as_ref() {
        Ok(known) => known.clone(),
        Err(errors) => {
            for error in errors {
                problems.add("spec.categories.overrides:", error);
            }
            CompiledCategories::default()
        }
    };
    let detector = detector(id, categories.detector.as_ref(), problems);
    if detector.kind == DetectorKind::Alias {
        describe(&mut known, &specs);
    }
    (main, CategoriesSpec { detector, known, overrides })
}

/// A judge goes by words: a category without any has the beginnings of some examples, or its
/// keywords.
fn describe(known: &mut CompiledCategories, specs: &[CustomSpec]) {
    for (category, spec) in known.categories.iter_mut().zip(specs) {
        if category.description.is_some() {
            continue;
        }
        let such = if spec.examples.is_empty() { &spec.keywords } else { &spec.examples };
        let such = such.iter().take(TOLD).map(|text| text::quote(text)).collect::<Vec<_>>();
        if !such.is_empty() {
            category.description = Some(format!("such as {}", such.join(", ")));
        }
    }
}

/// What a name must be to stand in a header and in a label of metrics.
fn is_label(name: &str) -> bool {
    let inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    (1..=63).contains(&name.len())
        && name.bytes().all(|byte| inner(byte) || byte == b'-')
        && !name.starts_with('-')
        && !name.ends_with('-')
}

fn custom(name: &str, matching: Option<&Match>) -> CustomSpec {
    let Match { description, examples, keywords, regexes } = matching.cloned().unwrap_or_default();
    CustomSpec {
        name: name.to_owned(),
        description,
        examples: examples.unwrap_or_default(),
        keywords: keywords.unwrap_or_default(),
        regexes: regexes.unwrap_or_default(),
    }
}

fn detector(id: &ObjectId, spec: Option<&Detector>, problems: &mut Problems) -> CompiledDetector {
    let at = "spec.categories.detector";
    let spec = spec.cloned().unwrap_or_default();
    let percent = problems.number(
        spec.confidence_percent,
        (0, 100),
        classify::CONFIDENCE_PERCENT.into(),
        At(at, "confidencePercent"),
    );
    problems.check(
        (spec.kind == DetectorKind::Alias) == spec.alias.is_some(),
        At(at, "alias"),
        "goes with `type: Alias`, and only with it",
    );
    let judge = spec.alias.map(|judge| {
        let at = "spec.categories.detector.alias";
        let timeout = problems.duration(judge.timeout.as_deref(), At(at, "timeout"));
        problems.check(
            timeout.is_none_or(|timeout| timeout <= MAX_JUDGE_TIMEOUT),
            At(at, "timeout"),
            "is longer than 30s, and every request may wait so long",
        );
        let namespace = judge.namespace.as_deref().unwrap_or(&id.namespace);
        let alias = reference(namespace, &judge.name, at, problems);
        CompiledJudge { alias, timeout_ms: timeout.unwrap_or(JUDGE_TIMEOUT) }
    });
    CompiledDetector {
        kind: spec.kind,
        confidence_percent: u8::try_from(percent).unwrap_or(100),
        sticky: spec.sticky.unwrap_or_default(),
        allow_header: spec.allow_header.unwrap_or_default(),
        judge,
    }
}

/// A category that the detector tells hardly or never, and why.
pub(crate) fn unreliable(
    spec: &CompiledCategories,
    detector: &CompiledDetector,
) -> Vec<(api::Reason, String)> {
    let mut found = Vec::new();
    for category in &spec.categories {
        let name = &category.name;
        if detector.kind == DetectorKind::Builtin && custom::needs_judge(category) {
            let message = format!(
                "the category {name} has nothing but a description, which only a model can go by: \
                 set detector.type: Alias, or give it examples, keywords or regexes"
            );
            found.push((api::Reason::JudgeNeeded, message));
        }
        let poor = category.trained.as_ref().filter(|trained| trained.is_poor());
        if let Some(trained) = poor.filter(|_| detector.kind == DetectorKind::Builtin) {
            let message = format!(
                "of the {} examples of the category {name}, {}% are told right by what was learnt \
                 from the others: give it more of them, or such as have more in common, or \
                 keywords",
                trained.examples, trained.leave_one_out_percent
            );
            found.push((api::Reason::ExamplesPoor, message));
        }
    }
    found
}
