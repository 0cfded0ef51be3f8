//! Patches of ProviderTargets: objects that hold what is to change and nothing else, for
//! `kubectl apply --server-side`, which merges `models` by name.

use std::{
    fmt::Display,
    io::{self, Write},
};

use api::{ProviderTarget, price::Price};
use routing::ObjectId;
use serde::Serialize;

use super::{families::Family, litellm::Catalog};

/// The most models of a ProviderTarget.
const MAX_MODELS: usize = 256;

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Patch {
    api_version: String,
    kind: &'static str,
    metadata: Metadata,
    spec: Spec,
}

#[derive(Debug, Serialize)]
struct Metadata {
    name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    namespace: Option<String>,
}

#[derive(Debug, Serialize)]
struct Spec {
    models: Vec<ModelPatch>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct ModelPatch {
    name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    context_window: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_output_tokens: Option<i64>,
    price: Price,
}

/// What was found: patches, and what is to be said beside them.
#[derive(Debug, Default)]
pub(super) struct Patches {
    pub(super) documents: Vec<Patch>,
    /// Models that are named and have no price now: `where: why`.
    pub(super) missing: Vec<String>,
    /// What was left out or rounded.
    pub(super) notes: Vec<String>,
    /// How many models have a price now.
    pub(super) priced: usize,
}

impl Patches {
    /// Prices for the models that these targets name.
    pub(super) fn of_targets<'t>(
        catalog: &Catalog,
        targets: impl Iterator<Item = (&'t ObjectId, &'t ProviderTarget)>,
    ) -> Self {
        let mut patches = Self::default();
        for (id, target) in targets {
            let family = Family::of_target(&target.spec);
            let mut models = Vec::new();
            for model in &target.spec.models {
                let place = format!("ProviderTarget {id}: model {:?}", model.name);
                let Some(family) = family else {
                    patches.missing.push(format!(
                        "{place} has no price: the list is not for servers of your own, nor for \
                         hosts that are not known; write `price` yourself"
                    ));
                    continue;
                };
                // What the provider calls it says best what it is.
                let mut names = model.upstream_name.iter().chain([&model.name]);
                let Some(found) = names.find_map(|name| catalog.model(family, name)) else {
                    let upstream = match &model.upstream_name {
                        Some(upstream) => format!(", upstreamName {upstream:?},"),
                        None => String::new(),
                    };
                    let list = family.name;
                    patches.missing.push(format!(
                        "{place}{upstream} is not in the list of {list}; write `price` yourself"
                    ));
                    continue;
                };
                if let Some(upstream) = &model.upstream_name
                    && catalog.model(family, upstream).is_none()
                {
                    patches.notes.push(format!(
                        "{place} is priced by its name, for upstreamName {upstream:?} is not in the \
                         list of {}",
                        family.name
                    ));
                }
                let notes = found.notes.iter().map(|note| format!("{place} {note}"));
                patches.notes.extend(notes);
                match &found.price {
                    Ok(price) => models.push(ModelPatch {
                        name: model.name.clone(),
                        // What its owner wrote stays.
                        context_window: found
                            .context_window
                            .filter(|_| model.context_window.is_none()),
                        max_output_tokens: found
                            .max_output_tokens
                            .filter(|_| model.max_output_tokens.is_none()),
                        price: price.clone(),
                    }),
                    Err(why) => {
                        patches.missing.push(format!("{place} {why}; write `price` yourself"));
                    }
                }
            }
            patches.add(&id.name, Some(id.namespace.to_string()), models);
        }
        patches
    }

    /// Prices for everything in the list, a document for each provider.
    pub(super) fn of_all(catalog: &Catalog) -> Self {
        let mut patches = Self::default();
        let mut models: Vec<(&'static str, ModelPatch)> = Vec::new();
        for (family, name, model) in catalog.models() {
            match &model.price {
                Ok(price) => models.push((
                    family,
                    ModelPatch {
                        name: name.to_owned(),
                        context_window: model.context_window,
                        max_output_tokens: model.max_output_tokens,
                        price: price.clone(),
                    },
                )),
                Err(why) => {
                    patches.notes.push(format!("{family}: {name:?} {why}, and is left out"));
                }
            }
            let notes = model.notes.iter().map(|note| format!("{family}: {name:?} {note}"));
            patches.notes.extend(notes);
        }
        let mut rest = models.into_iter().peekable();
        while let Some((family, first)) = rest.next() {
            let mut models = vec![first];
            while let Some((_, model)) = rest.next_if(|(name, _)| *name == family) {
                models.push(model);
            }
            if models.len() > MAX_MODELS {
                patches.notes.push(format!(
                    "{family}: a ProviderTarget holds {MAX_MODELS} models, so the first of {} are \
                     written; use --targets to price those that you use",
                    models.len()
                ));
                models.truncate(MAX_MODELS);
            }
            patches.add(family, None, models);
        }
        patches
    }

    fn add(&mut self, name: impl Display, namespace: Option<String>, models: Vec<ModelPatch>) {
        if models.is_empty() {
            return;
        }
        self.priced += models.len();
        self.documents.push(Patch {
            api_version: format!("{}/{}", api::GROUP, api::VERSION),
            kind: api::rules::Kind::ProviderTarget.name(),
            metadata: Metadata { name: name.to_string(), namespace },
            spec: Spec { models },
        });
    }

    /// Writes the documents.
    pub(super) fn write(&self, out: &mut dyn Write) -> io::Result<()> {
        for document in &self.documents {
            let text = serde_yaml::to_string(document).map_err(io::Error::other)?;
            write!(out, "---\n{text}")?;
        }
        Ok(())
    }
}
