//! The category of a request, for aliases that choose by it: told by the caller's header, by the
//! alias's keywords and regexes, by the detector that every router carries, or by a judge. Nothing
//! of it fails a request: whatever is not told, or not surely, goes to Default.

mod judge;
mod text;
mod told;

use std::{cell::RefCell, sync::Arc};

use classify::{Scratch, custom::By};
use http::{HeaderMap, HeaderName};
use routing::category::{DEFAULT, DetectorKind};
use telemetry::{CategoryBy, JudgeOutcome};

pub(crate) use self::{
    judge::{Answers, instructions},
    told::told,
};
use crate::{
    facts::Asked,
    live::{LiveAlias, choice::LiveChoice},
    pipeline::Traffic,
    record::Record,
};

/// The caller's own word of its request's category.
pub(crate) const CATEGORY: HeaderName = HeaderName::from_static("x-moniker-category");

thread_local! {
    static SCRATCH: RefCell<Scratch> = RefCell::default();
}

/// Where a request goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// To Default's lineup.
    Default,
    /// To that of the category at this place.
    Category(usize),
}

impl From<Option<usize>> for Place {
    fn from(place: Option<usize>) -> Self {
        place.map_or(Self::Default, Self::Category)
    }
}

/// What a detector told of a request.
#[derive(Clone, Debug)]
pub(crate) struct Told {
    /// Whose lineup it takes.
    pub(crate) place: Place,
    /// What told it.
    pub(crate) by: CategoryBy,
    /// The likeliest category and how likely it is, where a detector says so, whatever came of it.
    pub(crate) likeliest: Option<(Box<str>, f32)>,
    /// What became of the question to a judge.
    pub(crate) judge: Option<JudgeOutcome>,
}

impl Told {
    fn by(by: CategoryBy, place: impl Into<Place>) -> Self {
        Self { place: place.into(), by, likeliest: None, judge: None }
    }
}

/// The alias as this request takes it: of one that chooses by category, the lineup of its
/// category. A judge is asked only for a request that is served.
pub(crate) async fn lineup(
    traffic: &Traffic,
    alias: Arc<LiveAlias>,
    asked: &Asked,
    headers: &HeaderMap,
    explain_only: bool,
    record: &mut Record,
) -> Arc<LiveAlias> {
    let Some(choice) = &alias.choice else { return alias };
    let told = match at_once(choice, asked, headers) {
        Ok(told) => told,
        Err(question) => {
            let judge = judge::ask(traffic, &alias, choice, asked, question, explain_only, record);
            let (place, outcome) = Box::pin(judge).await;
            let by = match outcome {
                JudgeOutcome::Answered | JudgeOutcome::Cached => CategoryBy::Judge,
                _ => CategoryBy::Nothing,
            };
            Told { judge: Some(outcome), ..Told::by(by, place) }
        }
    };
    let taken = match told.place {
        Place::Default => None,
        Place::Category(place) => choice.lineups.get(place),
    };
    let taken = Arc::clone(taken.unwrap_or(&alias));
    if !explain_only {
        if let Some(category) = &taken.category {
            let confidence = told.likeliest.as_ref().map(|(_, confidence)| *confidence);
            category.metrics.told(told.by, confidence);
        }
        if let Some(outcome) = told.judge {
            alias.metrics.judge.ended(outcome);
        }
    }
    record.takes(&taken, told);
    taken
}

/// What can be told without asking anybody; else the text that a judge is to tell.
fn at_once(choice: &LiveChoice, asked: &Asked, headers: &HeaderMap) -> Result<Told, String> {
    let detector = &choice.compiled.detector;
    if (detector.allow_header || detector.kind == DetectorKind::Header)
        && let Some(place) = named(choice, headers)
    {
        return Ok(Told::by(CategoryBy::Header, place));
    }
    let Some(text) = text::of(asked, detector.sticky) else {
        return Ok(Told::by(CategoryBy::Nothing, Place::Default));
    };
    let tell = |scratch: &mut Scratch| match detector.kind {
        DetectorKind::Builtin => {
            let verdict = choice.classifier.classify(&text, scratch);
            Some(Told {
                place: verdict.routed(detector.confidence_percent).into(),
                by: match verdict.by {
                    By::Rule => CategoryBy::Rule,
                    By::Examples => CategoryBy::Examples,
                    By::Builtin => CategoryBy::Builtin,
                },
                likeliest: Some((verdict.category.into(), verdict.confidence)),
                judge: None,
            })
        }
        DetectorKind::Header | DetectorKind::Alias => {
            let place = choice.classifier.rule(&text, scratch)?;
            Some(Told::by(CategoryBy::Rule, Some(place)))
        }
    };
    match SCRATCH.with_borrow_mut(tell) {
        Some(told) => Ok(told),
        None if detector.kind == DetectorKind::Alias => Err(text),
        None => Ok(Told::by(CategoryBy::Nothing, Place::Default)),
    }
}

/// Where the caller's header sends a request; `None`: there is none, or it names no category.
fn named(choice: &LiveChoice, headers: &HeaderMap) -> Option<Place> {
    let name = headers.get(CATEGORY)?.to_str().ok()?.trim().to_ascii_lowercase();
    let place = choice.classifier.place(&name);
    let known = name == DEFAULT || name.parse::<classify::Category>().is_ok();
    (place.is_some() || known).then_some(place.into())
}
