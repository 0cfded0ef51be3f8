//! How often a classifier is right: accuracy, macro-F1, calibration, confusion.

use std::fmt::Write as _;

/// What was expected and what was said, counted.
#[derive(Clone, Debug, PartialEq)]
pub struct Report {
    /// The names of rows and columns.
    names: Vec<String>,
    /// `counts[expected][said]`.
    counts: Vec<Vec<usize>>,
    /// Confidence of each answer, and whether it was right.
    answers: Vec<(f32, bool)>,
}

/// Bins of confidence for the calibration error.
const BINS: usize = 10;

impl Report {
    /// An empty one over these names.
    pub fn new(names: impl IntoIterator<Item = impl Into<String>>) -> Self {
        let names: Vec<String> = names.into_iter().map(Into::into).collect();
        let counts = vec![vec![0; names.len()]; names.len()];
        Self { names, counts, answers: Vec::new() }
    }

    /// Counts one answer. A name that is not known yet is one more row and column.
    pub fn count(&mut self, expected: &str, said: &str, confidence: f32) {
        let (row, column) = (self.place(expected), self.place(said));
        self.counts[row][column] += 1;
        self.answers.push((confidence, row == column));
    }

    fn place(&mut self, name: &str) -> usize {
        self.names.iter().position(|one| one == name).unwrap_or_else(|| {
            self.names.push(name.to_owned());
            self.counts.iter_mut().for_each(|row| row.push(0));
            self.counts.push(vec![0; self.names.len()]);
            self.names.len() - 1
        })
    }

    /// How many answers were counted.
    pub fn total(&self) -> usize {
        self.answers.len()
    }

    /// The share of right answers; 0 of none.
    pub fn accuracy(&self) -> f64 {
        ratio(self.answers.iter().filter(|(_, right)| *right).count(), self.total())
    }

    /// The mean of the F1 of every category that was expected at least once.
    pub fn macro_f1(&self) -> f64 {
        let f1 = |at: usize| {
            let expected: usize = self.counts[at].iter().sum();
            let said: usize = self.counts.iter().map(|row| row[at]).sum();
            (expected > 0).then(|| ratio(2 * self.counts[at][at], expected + said))
        };
        let all: Vec<f64> = (0..self.names.len()).filter_map(f1).collect();
        if all.is_empty() { 0.0 } else { all.iter().sum::<f64>() / real(all.len()) }
    }

    /// The share of a category's prompts that were found; `None` where none was expected.
    pub fn recall(&self, name: &str) -> Option<f64> {
        let at = self.names.iter().position(|one| one == name)?;
        let expected = self.counts[at].iter().sum();
        (expected > 0).then(|| ratio(self.counts[at][at], expected))
    }

    /// The expected calibration error over ten bins: by how much confidence and accuracy differ.
    pub fn calibration_error(&self) -> f64 {
        let mut bins = [(0_usize, 0.0_f64, 0_usize); BINS];
        for (confidence, right) in &self.answers {
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 to 1")]
            let bin = (confidence.clamp(0.0, 1.0) * 10.0) as usize;
            let bin = &mut bins[bin.min(BINS - 1)];
            bin.0 += 1;
            bin.1 += f64::from(*confidence);
            bin.2 += usize::from(*right);
        }
        let gaps = bins.iter().map(|(_, sum, right)| (sum - real(*right)).abs());
        gaps.sum::<f64>() / real(self.total().max(1))
    }

    /// Of the answers that are at least so sure: their share of all, and how many are right.
    pub fn at_least(&self, percent: u8) -> (f64, f64) {
        let sure = self.answers.iter().filter(|(one, _)| *one * 100.0 >= f32::from(percent));
        let (count, right) =
            sure.fold((0, 0), |(count, right), (_, is)| (count + 1, right + usize::from(*is)));
        (ratio(count, self.total()), ratio(right, count))
    }

    /// One line: count, accuracy, macro-F1, calibration error.
    pub fn summary(&self) -> String {
        format!(
            "{} prompts: accuracy {:.3}, macro-F1 {:.3}, calibration error {:.3}",
            self.total(),
            self.accuracy(),
            self.macro_f1(),
            self.calibration_error()
        )
    }

    /// The confusion matrix: a line for each expected category, a column for each that was said.
    pub fn confusion(&self) -> String {
        let width = self.names.iter().map(|name| name.chars().count()).max().unwrap_or(0);
        let mut text = format!("{:width$}", "expected \\ said");
        for name in &self.names {
            let short: String = name.chars().take(7).collect();
            let _ = write!(text, " {short:>7}");
        }
        for (name, row) in self.names.iter().zip(&self.counts) {
            let _ = write!(text, "\n{name:width$}");
            for count in row {
                let _ = write!(text, " {count:>7}");
            }
            if let Some(recall) = self.recall(name) {
                let _ = write!(text, "   recall {recall:.2}");
            }
        }
        text
    }
}

/// Counts of prompts are far below 2^52.
#[expect(clippy::cast_precision_loss, reason = "counts of prompts")]
fn real(count: usize) -> f64 {
    count as f64
}

fn ratio(part: usize, whole: usize) -> f64 {
    if whole == 0 { 0.0 } else { real(part) / real(whole) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn near(a: f64, b: f64) {
        assert!((a - b).abs() < 1e-6, "{a} {b}");
    }

    #[test]
    fn figures_of_a_small_case_done_by_hand() {
        let mut report = Report::new(["a", "b", "never"]);
        for (expected, said, confidence) in
            [("a", "a", 0.95), ("a", "b", 0.55), ("b", "b", 0.85), ("b", "b", 0.65)]
        {
            report.count(expected, said, confidence);
        }
        near(report.accuracy(), 0.75);
        near(report.macro_f1(), f64::midpoint(2.0 / 3.0, 0.8));
        near(report.calibration_error(), (0.05 + 0.55 + 0.15 + 0.35) / 4.0);
        near(report.at_least(80).0, 0.5);
        near(report.at_least(80).1, 1.0);
        assert_eq!(report.recall("never"), None);
        assert!(report.confusion().lines().nth(1).unwrap().ends_with("recall 0.50"));
    }

    #[test]
    fn nothing_counted_and_names_that_were_not_known() {
        let mut report = Report::new(["a"]);
        near(report.accuracy() + report.macro_f1() + report.calibration_error(), 0.0);
        report.count("z", "a", 0.5);
        near(report.accuracy(), 0.0);
        assert_eq!(report.confusion().lines().count(), 3);
    }
}
