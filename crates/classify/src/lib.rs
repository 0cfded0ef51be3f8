//! What a prompt is about, told in microseconds by what the binary carries: no download, no I/O, no
//! call to anybody.
//!
//! ```
//! use classify::{CONFIDENCE_PERCENT, Category, Detector, Scratch};
//!
//! let mut scratch = Scratch::default();
//! let found = Detector::builtin().detect("Translate to Polish: good night", &mut scratch);
//! assert_eq!(found.category, Category::Translation);
//! assert_eq!(found.routed(CONFIDENCE_PERCENT), Some(Category::Translation));
//! ```
//!
//! # The way of a prompt
//!
//! 1. [`prompt_text`]: of a conversation, the last user message with text of its own.
//! 2. [`clip`]: of a long text, the first 600 and the last 300 characters.
//! 3. Hashed n-grams (CRC-32 into 65,536 buckets): one to three of the first sixteen and of the last
//!    sixteen tokens, one or two of all tokens, the first token and the first two, three and four
//!    of the first 400 characters. Each zone's features share its weight, divided by the root of
//!    their count.
//! 4. Phrases and shapes, each asked for in the first 160 characters, in the last 160, anywhere: a
//!    table of phrases as one automaton, and shapes such as lines of code, formulas and lists, in
//!    one pass. No pattern of it can take more than linear time, or more memory for one text than
//!    for another.
//! 5. Ten statistics: length, digits, signs, lines and the like.
//! 6. A linear model, one byte a weight for the buckets, and a temperature, so that the shares of the
//!    seven categories are likelihoods: of prompts told at 70%, about 70% are right.
//! 7. Below the confidence that an alias asks for, Default ([`Detection::routed`]).
//!
//! What raised the accuracy on sources that were held out, from .57 to what `model/README.md` says:
//! phrases beyond those that one would need for English sources alone (terms of trades, of stories
//! and of word problems, orders to label, the words with which other languages ask); the weight of
//! each family of sources by the root of its size; prompts of Moniker's own in twenty languages
//! (`prompts/`), in which the same texts stand under every kind of order; copies of each prompt
//! of which most features are missing, so that a prompt is told by many signs and not by one; and
//! a smaller penalty on phrases and shapes than on words. The data and the limits are there, too.
//!
//! # Categories of users
//!
//! [`custom`]: keywords and regexes decide first; five or more examples train a category in
//! milliseconds; a description alone needs a judge.
//!
//! # Training
//!
//! `cargo xtask train-classifier DIR`, by [`training`]: the same prompts give the same bytes.

mod anchors;
mod category;
pub mod custom;
pub mod dataset;
mod detector;
mod explain;
mod features;
mod grams;
mod hash;
mod model;
mod optimise;
mod patterns;
mod regression;
mod report;
mod rules;
mod shapes;
mod statistics;
mod text;
pub mod training;

/// How sure a category must be to be routed to, in percent, where an alias does not say. Chosen from
/// the calibration curve on sources that were held out (`model/README.md`): at 60%, two thirds of the
/// prompts are routed by category, five in six of them rightly; one wrong turn costs more than
/// one prompt that Default answers.
pub const CONFIDENCE_PERCENT: u8 = 60;

pub use category::{CATEGORIES, Category, UnknownCategory};
pub use detector::{Detection, Detector, Scratch};
pub use explain::Reason;
pub use model::{ModelError, SIZE_LIMIT};
pub use report::Report;
pub use text::{HEAD, Part, Role, TAIL, all_text, clip, own_text, prompt_text};
