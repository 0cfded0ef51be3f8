//! `moniker classify`: what a prompt is about, as the router's detector sees it. With labels, how
//! often it is right, so that a team can test its categories in CI.

use std::{
    fs,
    io::{self, Read, Write},
    path::{Path, PathBuf},
};

use clap::{Args as ClapArgs, ValueEnum};
use classify::{
    Category, Detector, Report, Scratch,
    custom::{By, Classifier, CompiledCategories, Verdict},
    dataset::{self, Prompt},
};
use routing::category::{DEFAULT, DetectorKind};
use serde::Serialize;

use crate::{
    load,
    validate::{FINE, WRONG, WRONG_USE},
};

/// How sure a category must be, in percent, where nobody says otherwise.
const CONFIDENCE_PERCENT: u8 = classify::CONFIDENCE_PERCENT;
/// Reasons that are told of a single prompt.
const REASONS: usize = 8;

/// Tells what a prompt is about: its category, and how sure that is.
///
/// Of the built-in categories, or of those of an alias (`-f`). With labels (`--jsonl`, lines with
/// `category`), also accuracy, macro-F1 and confusion.
/// Exit code: 0 fine, 1 a line is no prompt, the alias is wrong, or the accuracy is too low, 2 wrong
/// use.
#[derive(Clone, Debug, ClapArgs)]
pub struct Args {
    /// The prompt, or `-` for standard input.
    #[arg(value_name = "TEXT", required_unless_present = "jsonl", conflicts_with = "jsonl")]
    pub text: Option<String>,

    /// A file with one JSON object a line: `text` or `messages`, and `category` where it is known.
    /// `-` for standard input.
    #[arg(long, env = "MONIKER_JSONL", value_name = "FILE")]
    pub jsonl: Option<PathBuf>,

    /// A YAML file with a ModelAlias whose strategy is Category: its categories, with what they are
    /// known by. `-` for standard input.
    #[arg(short = 'f', long = "file", env = "MONIKER_FILE", value_name = "FILE")]
    pub file: Option<PathBuf>,

    /// Which alias of the file, by metadata.name. Default: the only one.
    #[arg(long, env = "MONIKER_ALIAS", value_name = "NAME", requires = "file")]
    pub alias: Option<String>,

    /// What is printed.
    #[arg(short = 'o', long, env = "MONIKER_OUTPUT", value_enum, default_value = "text")]
    pub output: Output,

    /// How sure a category must be to be routed to, in percent; below, prompts go to Default.
    /// Default: what the alias says, else 60.
    #[arg(
        long,
        env = "MONIKER_CONFIDENCE_PERCENT",
        value_name = "PERCENT",
        value_parser = clap::value_parser!(u8).range(0..=100)
    )]
    pub confidence_percent: Option<u8>,

    /// The lowest accuracy on labelled prompts that is fine, in percent; below, the exit code is 1.
    #[arg(
        long,
        env = "MONIKER_MIN_ACCURACY",
        value_name = "PERCENT",
        requires = "jsonl",
        value_parser = clap::value_parser!(u8).range(0..=100)
    )]
    pub min_accuracy: Option<u8>,
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

/// The categories that prompts are told to be of.
struct Categories {
    known: CompiledCategories,
    /// Those of an alias: only what it names is a place to go to. Without one each category is.
    of_alias: bool,
    /// The router goes by the built-in detector; else keywords and regexes alone are told here.
    builtin: bool,
    confidence_percent: u8,
}

/// What is classified and with what.
struct Run<'a> {
    classifier: Classifier,
    categories: Categories,
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
    let mut categories = match &args.file {
        None => Categories {
            known: CompiledCategories::default(),
            of_alias: false,
            builtin: true,
            confidence_percent: CONFIDENCE_PERCENT,
        },
        Some(file) => match of_alias(file, args.alias.as_deref(), out)? {
            Ok(categories) => categories,
            Err(code) => return Ok(code),
        },
    };
    if let Some(percent) = args.confidence_percent {
        categories.confidence_percent = percent;
    }
    let classifier = Classifier::new(&categories.known).map_err(io::Error::other)?;
    let mut run = Run { classifier, categories, args, scratch: Scratch::default() };
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
        Ok(prompts) => run.all(&prompts, out),
        Err(error) => {
            writeln!(out, "error: {name}: {error}")?;
            Ok(WRONG)
        }
    }
}

/// The categories of the alias in a file, or the exit code.
fn of_alias(
    file: &Path,
    name: Option<&str>,
    out: &mut impl Write,
) -> io::Result<Result<Categories, u8>> {
    let loaded = load::load(&[file.to_owned()], load::Options::default());
    if !loaded.is_fine() {
        for problem in &loaded.problems {
            writeln!(out, "{problem}")?;
        }
        return Ok(Err(WRONG));
    }
    let world = loaded.world();
    let mut found = Vec::new();
    for (id, stored) in &world.aliases {
        if name.is_none_or(|name| name == &*id.name)
            && let Some(categories) = compiler::categories(id, &stored.object.spec)
        {
            found.push((id, categories));
        }
    }
    let file = file.display();
    let (id, categories) = match found.len() {
        1 => found.remove(0),
        0 => {
            let which = name.map_or_else(String::new, |name| format!(" called {name}"));
            writeln!(out, "error: {file} has no ModelAlias{which} whose strategy is Category")?;
            return Ok(Err(WRONG_USE));
        }
        _ => {
            let names: Vec<_> = found.iter().map(|(id, _)| &*id.name).collect();
            let names = names.join(", ");
            writeln!(out, "error: {file} has several aliases ({names}): name one with --alias")?;
            return Ok(Err(WRONG_USE));
        }
    };
    Ok(match categories {
        Ok((detector, known)) => Ok(Categories {
            known,
            of_alias: true,
            builtin: detector.kind == DetectorKind::Builtin,
            confidence_percent: detector.confidence_percent,
        }),
        Err(message) => {
            writeln!(out, "error: {file}: ModelAlias {id}: {message}")?;
            Err(WRONG)
        }
    })
}

fn from_stdin() -> io::Result<String> {
    let mut text = String::new();
    io::stdin().lock().read_to_string(&mut text)?;
    Ok(text)
}

impl Run<'_> {
    /// Where a router would send what it was told to be.
    fn line<'v>(&self, verdict: &Verdict<'v>) -> Line<'v> {
        let Categories { of_alias, builtin, confidence_percent, .. } = self.categories;
        let sure = verdict.confidence * 100.0 >= f32::from(confidence_percent);
        let known = !of_alias || verdict.place.is_some();
        let decided = builtin || verdict.by == By::Rule;
        let routed = if sure && known && decided { verdict.category } else { DEFAULT };
        Line { category: verdict.category, confidence: verdict.confidence, routed }
    }

    /// One prompt, with reasons.
    fn one(&mut self, text: &str, out: &mut impl Write) -> io::Result<()> {
        let mut scratch = std::mem::take(&mut self.scratch);
        let verdict = self.classifier.classify(text, &mut scratch);
        let line = self.line(&verdict);
        if self.args.output == Output::Json {
            return json(&line, out);
        }
        writeln!(out, "{} ({:.0}%)", line.category, line.confidence * 100.0)?;
        if line.routed != line.category {
            let why = if verdict.place.is_none() && self.categories.of_alias {
                "the alias has no lineup for it".to_owned()
            } else if self.categories.builtin {
                format!("below {}%", self.categories.confidence_percent)
            } else {
                "no keyword and no regex decides, so the alias's own detector does".to_owned()
            };
            writeln!(out, "routed to {}: {why}", line.routed)?;
        }
        if verdict.by == By::Rule {
            let pattern = self.classifier.rule_pattern(text, &mut scratch).unwrap_or_default();
            return writeln!(out, "\nwhat decided:\n  {pattern}");
        }
        writeln!(out, "\nscores:")?;
        for (category, share) in self.classifier.scores(text, &mut scratch) {
            writeln!(out, "  {category:20} {:>5.1}%", share * 100.0)?;
        }
        let of = verdict.category.parse().unwrap_or(verdict.builtin.category);
        writeln!(
            out,
            "\nwhat decided{}:",
            if verdict.by == By::Examples { ", of the built-in categories" } else { "" }
        )?;
        for reason in Detector::builtin().explain(text, of, REASONS) {
            writeln!(out, "  {:+.2}  {}", reason.weight, reason.what)?;
        }
        Ok(())
    }

    /// All lines, and how often the labels agree.
    fn all(&mut self, prompts: &[Prompt], out: &mut impl Write) -> io::Result<u8> {
        let mut names: Vec<&str> = Category::ALL.into_iter().map(Category::name).collect();
        let own = self.categories.known.categories.iter().map(|category| category.name.as_str());
        names.extend(own.filter(|name| name.parse::<Category>().is_err()));
        let mut report = Report::new(names);
        let mut scratch = std::mem::take(&mut self.scratch);
        for prompt in prompts {
            let verdict = self.classifier.classify(&prompt.text, &mut scratch);
            let line = self.line(&verdict);
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
            let percent = self.categories.confidence_percent;
            let (share, right) = report.at_least(percent);
            let (share, right) = (share * 100.0, right * 100.0);
            writeln!(
                out,
                "\nat least {percent}% sure: {share:.0}% of the prompts, {right:.0}% of them right"
            )?;
        }
        let low = self.args.min_accuracy.filter(|min| report.accuracy() * 100.0 < f64::from(*min));
        match low {
            Some(min) if self.args.output == Output::Text => {
                writeln!(out, "error: the accuracy is below {min}%")?;
                Ok(WRONG)
            }
            Some(_) => Ok(WRONG),
            None => Ok(FINE),
        }
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
            confidence_percent: None,
            file: None,
            alias: None,
            min_accuracy: None,
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
        let unsure = Args { confidence_percent: Some(100), ..args(Some("hm"), None, Output::Json) };
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
    fn the_categories_of_an_alias_are_told() {
        const ALIAS: &str = "
apiVersion: moniker.dev/v1alpha1
kind: ModelAlias
metadata: {name: assistant}
spec:
  strategy: {type: Category}
  categories:
    detector: {type: Builtin, confidencePercent: 30}
    default: {strategy: {type: Priority}, targets: [{name: a, model: m}]}
    overrides:
    - {name: coding, strategy: {type: Priority}, targets: [{name: a, model: m}]}
    - name: legal
      match: {keywords: [indemnify]}
      strategy: {type: Priority}
      targets: [{name: a, model: m}]
";
        let dir = tempfile::tempdir().unwrap();
        let (file, prompts) = (dir.path().join("a.yaml"), dir.path().join("p.jsonl"));
        fs::write(&file, ALIAS).unwrap();
        let of_alias = |text: &str| {
            let args = Args { file: Some(file.clone()), ..args(Some(text), None, Output::Json) };
            let (code, out) = told(&args);
            assert_eq!(code, FINE, "{out}");
            serde_json::from_str::<serde_json::Value>(&out).unwrap()
        };
        let line = of_alias("Must the seller indemnify the buyer?");
        assert_eq!((&line["category"], &line["routed"]), (&"legal".into(), &"legal".into()));
        assert_eq!(of_alias("Write a Java program that sorts a list.")["routed"], "coding");
        let line = of_alias("Translate to French: good night");
        assert_eq!(line["category"], "translation");
        assert_eq!(line["routed"], "default", "the alias has no lineup for it");

        let lines = [
            r#"{"text": "indemnify us", "category": "legal"}"#,
            r#"{"text": "Translate to French: good night", "category": "legal"}"#,
        ];
        fs::write(&prompts, lines.join("\n")).unwrap();
        let labelled = |min| {
            let args = args(None, Some(prompts.clone()), Output::Text);
            told(&Args { file: Some(file.clone()), min_accuracy: Some(min), ..args })
        };
        let (code, out) = labelled(50);
        assert_eq!(code, FINE, "{out}");
        assert!(out.contains("2 prompts: accuracy 0.500"), "{out}");
        assert_eq!(labelled(51).0, WRONG);
        fs::write(&file, ALIAS.replace("keywords: [indemnify]", "regexes: ['(']")).unwrap();
        let args = Args { file: Some(file), ..args(Some("x"), None, Output::Text) };
        let (code, out) = told(&args);
        assert!(code == WRONG && out.contains("regex `(`"), "{out}");
    }

    #[test]
    fn a_file_that_is_not_there_is_wrong_use() {
        let (code, out) = told(&args(None, Some("/no/such/file".into()), Output::Text));
        assert_eq!(code, WRONG_USE);
        assert!(out.contains("cannot read /no/such/file"), "{out}");
    }
}
