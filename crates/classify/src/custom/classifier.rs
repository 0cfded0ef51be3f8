//! Puts compiled categories to use: rules first, then what was trained, together with the built-in
//! detector.

use regex::RegexSet;

use super::{CompiledCategories, CustomError, learnt::Learnt, rules};
use crate::{Category, Detection, Detector, Scratch, text::clipped};

/// What decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum By {
    /// A keyword or a regex.
    Rule,
    /// What was learnt from examples.
    Examples,
    /// The built-in detector.
    Builtin,
}

/// What a prompt is about, among the categories of an alias.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Verdict<'a> {
    /// The likeliest category; never Default.
    pub category: &'a str,
    /// How likely it is, of one; 1 by a rule.
    pub confidence: f32,
    /// Its place among the alias's categories; `None` for a built-in one that the alias does not
    /// name, whose prompts go to Default however sure it is.
    pub place: Option<usize>,
    /// What decided.
    pub by: By,
    /// What the built-in detector says.
    pub builtin: Detection,
}

impl Verdict<'_> {
    /// The place to go to, if the confidence suffices; `None` is Default.
    pub fn routed(&self, confidence_percent: u8) -> Option<usize> {
        self.place.filter(|_| self.confidence * 100.0 >= f32::from(confidence_percent))
    }
}

/// Tells prompts apart for one alias. Shared by threads.
#[derive(Debug)]
pub struct Classifier {
    detector: &'static Detector,
    names: Vec<String>,
    /// The place of each built-in category.
    builtin: [Option<usize>; crate::CATEGORIES],
    rules: RegexSet,
    /// The category of each pattern.
    owners: Vec<usize>,
    learnt: Learnt,
    /// No category of the alias is built in: one of its own is the likeliest, if any.
    own_only: bool,
}

impl Default for Classifier {
    /// For the built-in categories, none of which an alias names.
    fn default() -> Self {
        Self {
            detector: Detector::builtin(),
            names: Vec::new(),
            builtin: [None; crate::CATEGORIES],
            rules: RegexSet::empty(),
            owners: Vec::new(),
            learnt: Learnt::default(),
            own_only: false,
        }
    }
}

impl Classifier {
    /// For an alias without categories of its own, or with these.
    pub fn new(compiled: &CompiledCategories) -> Result<Self, CustomError> {
        let detector = Detector::builtin();
        let mut builtin = [None; crate::CATEGORIES];
        let mut owners = Vec::new();
        for (place, category) in compiled.categories.iter().enumerate() {
            if let Some(known) = super::built_in(category) {
                builtin[known.index()] = Some(place);
            }
            owners.extend(category.patterns.iter().map(|_| place));
        }
        let learnt = Learnt::read(detector, compiled)?;
        Ok(Self {
            detector,
            names: compiled.categories.iter().map(|category| category.name.clone()).collect(),
            own_only: !learnt.is_empty() && builtin.iter().all(Option::is_none),
            builtin,
            rules: rules::set(&compiled.categories)?,
            owners,
            learnt,
        })
    }

    /// Tells what a text is about. The first category in order, of those that have a rule that
    /// matches; else the likeliest.
    pub fn classify(&self, text: &str, scratch: &mut Scratch) -> Verdict<'_> {
        let (builtin, shapes) = self.detector.found(text, scratch);
        if let Some(place) = self.rule(text, scratch) {
            let category = &self.names[place];
            return Verdict {
                category,
                confidence: 1.0,
                place: Some(place),
                by: By::Rule,
                builtin,
            };
        }
        let known = builtin.category;
        let place = self.builtin[known.index()];
        let mut best = Verdict {
            category: known.name(),
            confidence: builtin.confidence,
            place,
            by: By::Builtin,
            builtin,
        };
        if self.learnt.is_empty() {
            return best;
        }
        let odds = self.learnt.odds(&builtin, &shapes, &scratch.words);
        // What is in no trained category is divided as the built-in detector says.
        let all = 1.0 + odds.iter().map(|(_, odds)| odds).sum::<f32>();
        best.confidence = builtin.confidence / all;
        if self.own_only {
            best.confidence = 0.0;
        }
        for (place, odds) in odds {
            if odds / all > best.confidence {
                let category = &self.names[place];
                let confidence = odds / all;
                best =
                    Verdict { category, confidence, place: Some(place), by: By::Examples, builtin };
            }
        }
        best
    }

    /// How likely each category is that the built-in detector or examples tell, the likeliest
    /// first. The shares are of one.
    pub fn scores(&self, text: &str, scratch: &mut Scratch) -> Vec<(&str, f32)> {
        let (builtin, shapes) = self.detector.found(text, scratch);
        let odds = self.learnt.odds(&builtin, &shapes, &scratch.words);
        let all = 1.0 + odds.iter().map(|(_, odds)| odds).sum::<f32>();
        let known = Category::ALL.into_iter().zip(builtin.scores);
        let mut scores: Vec<(&str, f32)> =
            known.map(|(category, share)| (category.name(), share / all)).collect();
        for (place, odds) in odds {
            let name = self.names[place].as_str();
            match scores.iter_mut().find(|(of, _)| *of == name) {
                // A built-in one that has examples as well.
                Some((_, share)) => *share = share.max(odds / all),
                None => scores.push((name, odds / all)),
            }
        }
        scores.sort_by(|a, b| b.1.total_cmp(&a.1));
        scores
    }

    /// The place of the first category that has a keyword or regex for the text.
    pub fn rule(&self, text: &str, scratch: &mut Scratch) -> Option<usize> {
        self.pattern(text, scratch).map(|pattern| self.owners[pattern])
    }

    /// The pattern that decides by [`Self::rule`], as it was compiled: for explanations.
    pub fn rule_pattern(&self, text: &str, scratch: &mut Scratch) -> Option<&str> {
        self.pattern(text, scratch).map(|pattern| self.rules.patterns()[pattern].as_str())
    }

    /// The first pattern of the first category that has one for the text. They stand in the order
    /// of the categories.
    fn pattern(&self, text: &str, scratch: &mut Scratch) -> Option<usize> {
        if self.rules.is_empty() {
            return None;
        }
        let (head, tail) = clipped(text);
        scratch.clipped.clear();
        scratch.clipped.push_str(head);
        if !tail.is_empty() {
            scratch.clipped.push('\n');
            scratch.clipped.push_str(tail);
        }
        self.rules.matches(&scratch.clipped).iter().next()
    }

    /// The place of a category, built in or not.
    pub fn place(&self, name: &str) -> Option<usize> {
        let built_in = name.parse::<Category>().ok().and_then(|known| self.builtin[known.index()]);
        built_in.or_else(|| self.names.iter().position(|one| one == name))
    }
}
