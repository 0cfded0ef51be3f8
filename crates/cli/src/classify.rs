//! `moniker classify`: what a prompt is about, as the router's detector sees it. With labels, how
//! often it is right, so that a team can test its categories in CI.

use std::{
    fs,
    io::{self, Read, Write},
    path::PathBuf,
};

use clap::{Args as ClapArgs, ValueEnum};
use classify::{
    Category, Detector, Report, Scratch,
    custom::{Classifier, CompiledCategories, Verdict},
    dataset::{self, Prompt},
};
use serde::Serialize;

use crate::validate::{FINE, WRONG, WRONG_USE};

/// How sure a category must be, in percent, where nobody says otherwise.
const CONFIDENCE_PERCENT: u8 = classify::CONFIDENCE_PERCENT;
/// Reasons that are told of a single prompt.
const REASONS: usize = 8;

/// Tells what a prompt is about: its category, and how sure that is.
///
/// With labels (`--jsonl`, lines with `category`), also accuracy, macro-F1 and confusion.
/// Exit code: 0 fine, 1 a line is no prompt, 2 wrong use.
#[derive(Clone, Debug, ClapArgs)]
pub struct Args {
    /// The prompt, or `-` for standard input.
    #[arg(value_name = "TEXT", required_unless_present = "jsonl", conflicts_with = "jsonl")]
    pub text: Option<String>,

    /// A file with one JSON object a line: `text` or `messages`, and `category` where it is known.
    /// `-` for standard input.
    #[arg(long, env = "MONIKER_JSONL", value_name = "FILE")]
    pub jsonl: Option<PathBuf>,

    /// What is printed.
    #[arg(short = 'o', long, env = "MONIKER_OUTPUT", value_enum, default_value = "text")]
    pub output: Output,

    /// How sure a category must be to be routed to, in percent; below, prompts go to Default.
    #[arg(
        long,
        env = "MONIKER_CONFIDENCE_PERCENT",
        value_name = "PERCENT",
        default_value_t = CONFIDENCE_PERCENT,
        value_parser = clap::value_parser!(u8).range(0..=100)
    )]
    pub confidence_percent: u8,
}

/// What is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Output {
    /// For people.
    Text,
    /// One JSON object a line, in order: `category`, `confidence`, `routed`.
    Json,
}

/// The JSON form of one prompt.
#[derive(Debug, Serialize)]
struct Line<'a> {
    /// The likeliest category, never Default.
    category: &'a str,
    /// From 0 to 1.
    confidence: f32,
    /// Where it would go: the category, or `default`.
    routed: &'a str,
}

impl<'a> Line<'a> {
    fn of(verdict: &Verdict<'a>, confidence_percent: u8) -> Self {
        // Of the built-in categories each is a place to go to.
        let routed = verdict.confidence * 100.0 >= f32::from(confidence_percent);
        let routed = if routed { verdict.category } else { "default" };
        Self { category: verdict.category, confidence: verdict.confidence, routed }
    }
}

/// What is classified and with what.
struct Run<'a> {
    classifier: Classifier,
    args: &'a Args,
    scratch: Scratch,
}

/// Runs the command and gives the exit code. Reports go to `out`; what is wrong with the use is
/// written there, too.
pub fn run(args: &Args, out: &mut impl Write) -> u8 {
    match run_with(args, out) {
        Ok(code) => code,
        // A reader that went away, such as `head`, is no fault.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => FINE,
        Err(error) => {
            let _ = writeln!(out, "error: {error}");
            WRONG_USE
        }
    }
}

fn run_with(args: &Args, out: &mut impl Write) -> io::Result<u8> {
    // Categories of an alias are compiled here, from the file that names them, once there is one.
    let classifier = Classifier::new(&CompiledCategories::default()).map_err(io::Error::other)?;
    let mut run = Run { classifier, args, scratch: Scratch::default() };
    let Some(file) = &args.jsonl else {
        let text = match args.text.as_deref() {
            Some("-") | None => from_stdin()?,
            Some(text) => text.to_owned(),
        };
        run.one(&text, out)?;
        return Ok(FINE);
    };
    let name = file.display();
    let text = if file.as_os_str() == "-" {
        from_stdin()?
    } else {
        fs::read_to_string(file)
            .map_err(|error| io::Error::new(error.kind(), format!("cannot read {name}: {error}")))?
    };
    match dataset::prompts(&text) {
        Ok(prompts) => run.all(&prompts, out).map(|()| FINE),
        Err(error) => {
            writeln!(out, "error: {name}: {error}")?;
            Ok(WRONG)
        }
    }
}

fn from_stdin() -> io::Result<String> {
    let mut text = String::new();
    io::stdin().lock().read_to_string(&mut text)?;
    Ok(text)
}

impl Run<'_> {
    /// One prompt, with reasons.
    fn one(&mut self, text: &str, out: &mut impl Write) -> io::Result<()> {
        let verdict = self.classifier.classify(text, &mut self.scratch);
        let line = Line::of(&verdict, self.args.confidence_percent);
        if self.args.output == Output::Json {
            return json(&line, out);
        }
        writeln!(out, "{} ({:.0}%)", line.category, line.confidence * 100.0)?;
        if line.routed != line.category {
            writeln!(out, "routed to {}: below {}%", line.routed, self.args.confidence_percent)?;
        }
        writeln!(out, "\nscores:")?;
        let mut scores: Vec<_> = Category::ALL.into_iter().zip(verdict.builtin.scores).collect();
        scores.sort_by(|a, b| b.1.total_cmp(&a.1));
        for (category, score) in scores {
            writeln!(out, "  {category:20} {:>5.1}%", score * 100.0)?;
        }
        writeln!(out, "\nwhat decided:")?;
        for reason in Detector::builtin().explain(text, verdict.builtin.category, REASONS) {
            writeln!(out, "  {:+.2}  {}", reason.weight, reason.what)?;
        }
        Ok(())
    }

    /// All lines, and how often the labels agree.
    fn all(&mut self, prompts: &[Prompt], out: &mut impl Write) -> io::Result<()> {
        let mut report = Report::new(Category::ALL.map(Category::name));
        for prompt in prompts {
            let verdict = self.classifier.classify(&prompt.text, &mut self.scratch);
            let line = Line::of(&verdict, self.args.confidence_percent);
            if let Some(expected) = &prompt.category {
                report.count(expected, line.category, line.confidence);
            }
            if self.args.output == Output::Json {
                json(&line, out)?;
            } else {
                let start: String = prompt.text.chars().take(60).map(plain).collect();
                let percent = line.confidence * 100.0;
                writeln!(out, "{:20} {percent:>3.0}%  {:20} {start}", line.category, line.routed)?;
            }
        }
        if self.args.output == Output::Text && report.total() > 0 {
            writeln!(out, "\n{}\n{}", report.summary(), report.confusion())?;
            let (share, right) = report.at_least(self.args.confidence_percent);
            let (percent, share, right) =
                (self.args.confidence_percent, share * 100.0, right * 100.0);
            writeln!(
                out,
                "\nat least {percent}% sure: {share:.0}% of the prompts, {right:.0}% of them right"
            )?;
        }
        Ok(())
    }
}

/// One line of JSON.
fn json(line: &Line<'_>, out: &mut impl Write) -> io::Result<()> {
    serde_json::to_writer(&mut *out, line).map_err(io::Error::from)?;
    writeln!(out)
}

/// What a terminal shows as one character on the same line.
fn plain(char: char) -> char {
    if char.is_control() { ' ' } else { char }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn args(text: Option<&str>, jsonl: Option<PathBuf>, output: Output) -> Args {
        Args {
            text: text.map(str::to_owned),
            jsonl,
            output,
            confidence_percent: CONFIDENCE_PERCENT,
        }
    }

    fn told(args: &Args) -> (u8, String) {
        let mut out = Vec::new();
        let code = run(args, &mut out);
        (code, String::from_utf8(out).unwrap())
    }

    #[test]
    fn a_prompt_is_told_with_its_reasons() {
        let text = "Translate to German: where is the station?";
        let (code, out) = told(&args(Some(text), None, Output::Text));
        assert_eq!(code, FINE);
        assert!(out.starts_with("translation ("), "{out}");
        assert!(out.contains("what decided:\n") && out.contains("asks to translate"), "{out}");
    }

    #[test]
    fn json_has_three_members_and_default_below_the_confidence() {
        let unsure = Args { confidence_percent: 100, ..args(Some("hm"), None, Output::Json) };
        let (_, out) = told(&unsure);
        let line: serde_json::Value = serde_json::from_str(&out).unwrap();
        assert_eq!(line["routed"], "default");
        assert!(line["category"].as_str().unwrap().parse::<Category>().is_ok());
        assert!(line["confidence"].as_f64().unwrap() < 1.0);
        assert_eq!(line.as_object().unwrap().len(), 3);
    }

    #[test]
    fn labels_are_counted_and_lines_stay_in_order() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("p.jsonl");
        let lines = [
            r#"{"text": "Write a haiku about rain.", "category": "content_writing"}"#,
            r#"{"messages": [{"role": "user", "content": "Translate to French: good night"}], "category": "translation"}"#,
            r#"{"text": "Write a Java program that sorts a list."}"#,
        ];
        fs::write(&file, lines.join("\n")).unwrap();
        let (code, out) = told(&args(None, Some(file.clone()), Output::Text));
        assert_eq!(code, FINE);
        assert!(out.contains("2 prompts: accuracy 1.000, macro-F1 1.000"), "{out}");
        let (_, out) = told(&args(None, Some(file.clone()), Output::Json));
        let categories: Vec<String> = out
            .lines()
            .map(|line| {
                serde_json::from_str::<serde_json::Value>(line).unwrap()["category"].to_string()
            })
            .collect();
        assert_eq!(categories, ["\"content-writing\"", "\"translation\"", "\"coding\""]);
        fs::write(&file, "{\"txt\": 1}").unwrap();
        let (code, out) = told(&args(None, Some(file), Output::Json));
        assert_eq!(code, WRONG);
        assert!(out.contains("line 1: has neither"), "{out}");
    }

    #[test]
    fn a_file_that_is_not_there_is_wrong_use() {
        let (code, out) = told(&args(None, Some("/no/such/file".into()), Output::Text));
        assert_eq!(code, WRONG_USE);
        assert!(out.contains("cannot read /no/such/file"), "{out}");
    }
}
