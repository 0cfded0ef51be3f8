//! `moniker prices`: prices from lists that others keep, as patches of ProviderTargets.

mod decimal;
mod families;
mod litellm;
mod patch;

use std::{
    io::{self, Write},
    path::PathBuf,
};

use clap::{Args as ClapArgs, Subcommand};
use compiler::{Settings, World};

use self::{litellm::Catalog, patch::Patches};
use crate::{
    load::{self, Options, Severity, Stage},
    validate::{FINE, WRONG, WRONG_USE},
};

/// Prices from lists that others keep.
#[derive(Clone, Debug, ClapArgs)]
pub struct Args {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What can be done with prices.
#[derive(Clone, Debug, Subcommand)]
pub enum Command {
    /// Writes the prices of LiteLLM's list as ProviderTarget patches.
    ///
    /// FILE is a copy of model_prices_and_context_window.json. The patches go to standard output,
    /// for `kubectl apply --server-side --field-manager moniker-prices -f -`; what has no price goes
    /// to standard error. Exit code: 0 fine, 1 a model that is named has no price, or a file is
    /// wrong, 2 wrong use.
    Import(Import),
}

/// Arguments of `moniker prices import`.
#[derive(Clone, Debug, ClapArgs)]
pub struct Import {
    /// The list, or `-` for standard input.
    #[arg(value_name = "FILE")]
    pub file: PathBuf,

    /// Files or directories with ProviderTargets: the models that they name get prices, found by
    /// upstreamName, else by name. Default: every model of the list, a document for each provider.
    #[arg(
        long,
        env = "MONIKER_TARGETS",
        value_name = "PATH",
        num_args = 1..,
        value_delimiter = ','
    )]
    pub targets: Vec<PathBuf>,

    /// The namespace of ProviderTargets that name none.
    #[arg(
        long,
        env = "MONIKER_NAMESPACE",
        value_name = "NAMESPACE",
        default_value = "default",
        value_parser = api::common::namespace
    )]
    pub namespace: String,
}

/// Does what the arguments say; gives the exit code.
pub fn run(args: &Args, out: &mut dyn Write, err: &mut dyn Write) -> u8 {
    let Command::Import(import) = &args.command;
    match imported(import, err) {
        Ok((patches, code)) => {
            let told =
                patches.write(out).and_then(|()| out.flush()).and_then(|()| tell(&patches, err));
            match told {
                Ok(()) if patches.missing.is_empty() => code,
                _ => WRONG,
            }
        }
        Err(Refused { code, message }) => {
            let _ = writeln!(err, "error: {message}");
            code
        }
    }
}

/// Why there is nothing to write.
struct Refused {
    code: u8,
    message: String,
}

fn imported(import: &Import, err: &mut dyn Write) -> Result<(Patches, u8), Refused> {
    let name = import.file.display();
    let wrong_use = |message: String| Refused { code: WRONG_USE, message };
    let text = load::text_of(&import.file)
        .map_err(|error| wrong_use(format!("{name} cannot be read: {error}")))?;
    let catalog = Catalog::read(&text).map_err(|message| wrong_use(format!("{name} {message}")))?;
    if import.targets.is_empty() {
        return Ok((Patches::of_all(&catalog), FINE));
    }
    let (world, code) = targets(import, err)?;
    if world.targets.is_empty() && code == FINE {
        return Err(wrong_use("--targets names no ProviderTarget".to_owned()));
    }
    let targets = world.targets.iter().map(|(id, stored)| (id, &*stored.object));
    Ok((Patches::of_targets(&catalog, targets), code))
}

/// The targets of the files. What is wrong with one is told, and the others go on.
fn targets(import: &Import, err: &mut dyn Write) -> Result<(World, u8), Refused> {
    // What `moniker dev` serves has prices as well. The values of Secrets are none of ours.
    let settings = Settings { dev: true, ..Settings::default() };
    let options = Options {
        namespace: import.namespace.clone(),
        settings,
        variables: |_| Some("unused".to_owned()),
        ..Options::default()
    };
    let loaded = load::load(&import.targets, options);
    let target = api::rules::Kind::ProviderTarget.name();
    let mut code = FINE;
    let concerns = loaded.problems.iter().filter(|problem| {
        problem.severity == Severity::Error
            && problem.kind.as_deref().is_none_or(|kind| kind == target)
    });
    for problem in concerns {
        let written = writeln!(err, "{problem}");
        code = code.max(if problem.stage == Stage::File { WRONG_USE } else { WRONG });
        written.map_err(|error| Refused { code: WRONG, message: error.to_string() })?;
    }
    if code == WRONG_USE {
        let message = "--targets: a file cannot be read".to_owned();
        return Err(Refused { code, message });
    }
    Ok((loaded.world(), code))
}

fn tell(patches: &Patches, err: &mut dyn Write) -> io::Result<()> {
    for note in &patches.notes {
        writeln!(err, "note: {note}")?;
    }
    for missing in &patches.missing {
        writeln!(err, "no price: {missing}")?;
    }
    let count = |n: usize, what: &str| format!("{n} {what}{}", if n == 1 { "" } else { "s" });
    let (models, targets) =
        (count(patches.priced, "model"), count(patches.documents.len(), "ProviderTarget"));
    let without = patches.missing.len();
    if without == 0 {
        writeln!(err, "{models} of {targets} priced")
    } else {
        writeln!(err, "{models} of {targets} priced, {without} without a price")
    }
}
