//! The trainer of the built-in model: the same data give the same bytes.
//!
//! Everything is summed in a fixed order; exponentials and logarithms are `libm`'s, which does not
//! depend on the machine. Beside the figures on `dev`, whole families of sources are held out: the
//! figure on sources that were never seen is the one to look at, since callers' prompts are from
//! none of the sources of the data.

mod few;
mod held_out;
mod learn;
mod rows;
mod seeds;

use std::fmt::Write as _;

use crate::{Category, Detector, Report, Scratch, dataset::Prompt};
use rows::{Labelled, Split};

/// What to learn from and to measure with.
#[derive(Clone, Copy, Debug)]
pub struct Data<'a> {
    /// Prompts to learn from.
    pub train: &'a [Prompt],
    /// Instruction templates without real content: to learn from, at a lower weight.
    pub templates: &'a [Prompt],
    /// Prompts to measure with: the model never learns from them.
    pub dev: &'a [Prompt],
}

/// A prompt that cannot be learnt from.
#[derive(Debug, thiserror::Error)]
pub enum TrainError {
    /// Its label.
    #[error("prompt {at} of {split}: {problem}")]
    Label {
        /// `train`, `templates` or `dev`.
        split: &'static str,
        /// From 1.
        at: usize,
        /// What is wrong.
        problem: String,
    },
    /// What came out cannot be read back.
    #[error("the model that came out cannot be read: {0}")]
    Model(#[from] crate::ModelError),
}

/// A model and how good it is.
#[derive(Clone, Debug)]
pub struct Trained {
    /// The file.
    pub model: Vec<u8>,
    /// On prompts of known sources, by the file itself.
    pub dev: Report,
    /// On prompts of sources that were held out.
    pub held_out: Report,
    /// Of these, what people wrote for themselves.
    pub natural: Report,
    /// Everything there is to say, for people.
    pub text: String,
}

/// Trains, calibrates and measures. A minute of a release build for a few thousand prompts.
pub fn train(data: &Data<'_>) -> Result<Trained, TrainError> {
    let mut rows = rows::of(Split::Train, "train", data.train)?;
    rows.extend(rows::of(Split::Template, "templates", data.templates)?);
    rows.extend(rows::seeds());
    rows.extend(rows::of(Split::Dev, "dev", data.dev)?);
    let learnt: Vec<&Labelled> = rows.iter().filter(|row| row.split != Split::Dev).collect();
    let weights = learn::weights_of(&learnt);
    let folds = held_out::folds(&rows);

    // Half the weight for known sources, half for unknown ones: what callers send is in between.
    let mut answers = Vec::new();
    let dev: Vec<&Labelled> = rows.iter().filter(|row| row.split == Split::Dev).collect();
    let share = 1.0 / f64::from(u32::try_from(dev.len().max(1)).unwrap_or(u32::MAX));
    answers.extend(dev.iter().map(|row| (weights.scores(&row.row), row.category.index(), share)));
    let unseen: usize = folds.iter().map(|fold| fold.answers.len()).sum();
    let share = 1.0 / f64::from(u32::try_from(unseen.max(1)).unwrap_or(u32::MAX));
    let unseen = folds.iter().flat_map(|fold| &fold.answers);
    answers.extend(unseen.map(|(at, scores)| (scores.clone(), rows[*at].category.index(), share)));
    let calibration = learn::calibration(&answers);

    let model = learn::model(&weights, calibration, learn::anchors(&learnt)).encode();
    let dev = measure(&Detector::from_model(&model)?, &dev);
    let (held_out, natural, told) = held_out::told(&rows, &folds, calibration);
    let seeds = learnt.iter().filter(|row| row.split == Split::Seed).count();
    let mut text = format!("learnt from {} prompts, {seeds} of them Moniker's own\n", learnt.len());
    let _ = writeln!(text, "model: {} bytes, {calibration:.3?}", model.len());
    let _ = writeln!(text, "\ndev: {}\n{}", dev.summary(), dev.confusion());
    text.push_str(&told);
    Ok(Trained { model, dev, held_out, natural, text })
}

/// What a detector says about rows.
fn measure(detector: &Detector, rows: &[&Labelled]) -> Report {
    let mut report = Report::new(Category::ALL.map(Category::name));
    let mut scratch = Scratch::default();
    for row in rows {
        let found = detector.detect(&row.text, &mut scratch);
        report.count(row.category.name(), found.category.name(), found.confidence);
    }
    report
}
