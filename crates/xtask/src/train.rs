//! `cargo xtask train-classifier DIR`: the built-in model of `crates/classify` from labelled
//! prompts. The same prompts give the same bytes.

use std::{fs, path::PathBuf};

use anyhow::{Context, Result};
use classify::{
    dataset::{self, Prompt},
    training::{Data, train},
};

use crate::assets;

/// What to learn from.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// A directory with train.jsonl, train_templates.jsonl and dev.jsonl: one JSON object a line with
    /// `text` or `messages`, `category`, `source`, `style`.
    dir: PathBuf,

    /// Where the model is written. Default: where the crate embeds it from.
    #[arg(long)]
    out: Option<PathBuf>,

    /// Compare with what is there, and write nothing.
    #[arg(long)]
    check: bool,
}

/// Trains, prints the figures and writes the model.
pub(crate) fn run(args: &Args) -> Result<()> {
    let [learn, templates, dev] = ["train", "train_templates", "dev"].map(|name| read(args, name));
    let (learn, templates, dev) = (learn?, templates?, dev?);
    let trained = train(&Data { train: &learn, templates: &templates, dev: &dev })?;
    println!("{}", trained.text);
    let built_in = || assets::workspace().join("crates/classify/model/builtin.bin");
    let out = args.out.clone().unwrap_or_else(built_in);
    let same = fs::read(&out).is_ok_and(|there| there == trained.model);
    println!("{}: {}", out.display(), if same { "the same bytes" } else { "other bytes" });
    anyhow::ensure!(
        trained.model.len() <= classify::SIZE_LIMIT,
        "the model is {} bytes, which is more than {}",
        trained.model.len(),
        classify::SIZE_LIMIT
    );
    if args.check {
        anyhow::ensure!(same, "the model is not what these prompts give: run without --check");
        return Ok(());
    }
    fs::write(&out, &trained.model).with_context(|| out.display().to_string())
}

fn read(args: &Args, name: &str) -> Result<Vec<Prompt>> {
    let file = args.dir.join(name).with_extension("jsonl");
    let text = fs::read_to_string(&file).with_context(|| file.display().to_string())?;
    dataset::prompts(&text).with_context(|| file.display().to_string())
}
