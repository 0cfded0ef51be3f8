//! What a prompt is about.

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

pub use category::{CATEGORIES, Category, UnknownCategory};
pub use detector::{Detection, Detector, Scratch};
pub use explain::Reason;
pub use model::{ModelError, SIZE_LIMIT};
pub use report::Report;
pub use text::{HEAD, Part, Role, TAIL, clip, prompt_text};
