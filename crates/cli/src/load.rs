//! Reads the YAML and JSON files of `moniker dev` and `moniker validate`: every document becomes an
//! object, or problems with their file, line and field. Nothing is read as something else than a
//! cluster would read it.

mod boolean;
mod core;
mod document;
mod files;
mod locate;
mod object;
mod path;
mod problem;
mod rules;
mod structure;
mod world;

use std::{collections::BTreeMap, ops::Range, path::PathBuf, sync::Arc};

use api::rules::Kind;
use compiler::Settings;
use routing::ObjectId;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

pub use self::core::Variables;
pub use problem::{Problem, Severity, Stage};

use self::{
    core::Core,
    document::Document,
    files::File,
    object::AnyKind,
    path::Path,
    rules::Checker,
    structure::{Misfit, Schema},
    world::Objects,
};

/// How files are read.
#[derive(Clone, Debug)]
pub struct Options {
    /// The namespace of objects that name none.
    pub namespace: String,
    /// The version that all objects get, as a cluster's resourceVersion: higher with every load.
    pub version: u64,
    /// What the compiler is told. With `dev`, the rules are those of `moniker dev`, and the files
    /// are all there is; without it, they are a part of what a cluster has.
    pub settings: Settings,
    /// Where the variables in Secrets come from.
    pub variables: Variables,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            namespace: "default".to_owned(),
            version: 1,
            settings: Settings::default(),
            variables: |name| std::env::var(name).ok(),
        }
    }
}

/// What was read. It holds Secrets, so it cannot be printed.
pub struct Loaded {
    /// What is wrong, in the order of the files.
    pub problems: Vec<Problem>,
    options: Options,
    files: Vec<Arc<File>>,
    objects: Objects,
    origins: BTreeMap<(&'static str, ObjectId), Origin>,
}

/// Where an object stands.
#[derive(Clone)]
struct Origin {
    file: usize,
    /// The document within the text of the file, and the lines before it.
    range: Range<usize>,
    before: usize,
    /// The object's path in its document: not empty in a `List`.
    path: Path,
}

/// Reads files, the files of directories, and `-`, standard input.
pub fn load(paths: &[PathBuf], options: Options) -> Loaded {
    let mut problems = Vec::new();
    let files = files::read(paths, &mut problems);
    read(files, problems, options)
}

/// The text of a file that is none of ours; `-` is standard input.
pub(crate) fn text_of(path: &std::path::Path) -> std::io::Result<String> {
    files::one(path)
}

/// Reads one text, as if it were a file of this name.
pub fn load_text(name: &str, text: &str, options: Options) -> Loaded {
    let file = File { name: name.to_owned(), text: text.to_owned() };
    read(vec![file], Vec::new(), options)
}

fn read(files: Vec<File>, problems: Vec<Problem>, options: Options) -> Loaded {
    let checker = rules::checker(options.settings.dev);
    let objects = Objects::default();
    let loaded = Loaded { problems, options, files: Vec::new(), objects, origins: BTreeMap::new() };
    let mut reader = Reader { checker, metadata: object::metadata_schema(), loaded };
    for (number, file) in files.into_iter().enumerate() {
        let file = Arc::new(file);
        reader.loaded.files.push(Arc::clone(&file));
        let mut end = file.text.len() - document::text(&file.text).len();
        for document in document::split(&file.text) {
            let range = end..end + document.text.len();
            end = range.end;
            let origin =
                Origin { file: number, range, before: document.before, path: Path::default() };
            let at = At { file: &file.name, document, origin };
            reader.document(&at);
        }
    }
    reader.loaded
}

impl Loaded {
    /// Whether nothing is wrong but warnings.
    pub fn is_fine(&self) -> bool {
        self.problems.iter().all(|problem| problem.severity != Severity::Error)
    }

    /// How many files were read.
    pub fn files(&self) -> usize {
        self.files.len()
    }

    /// How many objects were read.
    pub fn objects(&self) -> usize {
        self.origins.len()
    }

    /// The file and the line of a field of an object.
    fn place(&self, kind: &'static str, id: &ObjectId, path: &Path) -> (String, Option<usize>) {
        let origin = self.origins.get(&(kind, id.clone()));
        let Some((origin, file)) = origin.and_then(|o| Some((o, self.files.get(o.file)?))) else {
            return (String::new(), None);
        };
        let text = file.text.get(origin.range.clone()).unwrap_or_default();
        let document = Document { before: origin.before, text };
        (file.name.clone(), document.line(&path.below(&origin.path)))
    }
}

/// Where the reader is.
#[derive(Clone)]
struct At<'a> {
    file: &'a str,
    document: Document<'a>,
    origin: Origin,
}

struct Reader {
    checker: &'static Checker,
    metadata: Schema,
    loaded: Loaded,
}

impl Reader {
    fn document(&mut self, at: &At<'_>) {
        match at.document.value() {
            Ok(Value::Null) => {}
            Ok(value) => match object::items(&value) {
                Some(items) => {
                    for (i, item) in items.iter().enumerate() {
                        let path = Path::default().member("items").item(i);
                        let origin = Origin { path, ..at.origin.clone() };
                        self.object(&At { origin, ..at.clone() }, item);
                    }
                }
                None => self.object(at, &value),
            },
            Err(error) => {
                let line = error.line;
                let message = format!("is no YAML: {}", error.message);
                let stage = Stage::Syntax;
                let problem = Problem { stage, line, ..Problem::file(at.file, message) };
                self.loaded.problems.push(problem);
            }
        }
    }

    fn object(&mut self, at: &At<'_>, value: &Value) {
        let Value::Object(object) = value else {
            let message = "must be a mapping with apiVersion, kind, metadata and spec".to_owned();
            let misfit = Misfit { path: Path::default(), message };
            return self.complain(at, None, None, Stage::Structure, vec![misfit]);
        };
        let kind = match AnyKind::of(object) {
            Ok(kind) => kind,
            Err(misfit) => return self.complain(at, None, None, Stage::Structure, vec![misfit]),
        };
        let id = object::id(object, &self.loaded.options.namespace);
        let (stage, misfits) = self.misfits(kind, value, object);
        if !misfits.is_empty() {
            return self.complain(at, Some(kind), id.as_ref(), stage, misfits);
        }
        let is_plain =
            |path: &Path, text: &str| at.document.is_plain(&path.below(&at.origin.path), text);
        let misread = boolean::misread(object, matches!(kind, AnyKind::Ours(_)), &is_plain);
        if !misread.is_empty() {
            return self.complain(at, Some(kind), id.as_ref(), Stage::Structure, misread);
        }
        let Some(id) = id else { return };
        let key = (kind.name(), id.clone());
        if self.loaded.origins.contains_key(&key) {
            let (file, line) = self.loaded.place(kind.name(), &id, &Path::default());
            let line = line.map_or_else(String::new, |line| format!(":{line}"));
            let message = format!("stands twice: also at {file}{line}; remove or rename one");
            let misfit =
                Misfit { path: Path::default().member("metadata").member("name"), message };
            return self.complain(at, Some(kind), Some(&id), Stage::Structure, vec![misfit]);
        }
        if let Err(misfits) = self.keep(kind, &id, object) {
            return self.complain(at, Some(kind), Some(&id), Stage::Structure, misfits);
        }
        self.loaded.origins.insert(key, at.origin.clone());
    }

    /// Everything about an object that its kind does not have.
    fn misfits(
        &self,
        kind: AnyKind,
        value: &Value,
        object: &Map<String, Value>,
    ) -> (Stage, Vec<Misfit>) {
        let mut misfits = object::metadata_misfits(&self.metadata, object);
        match kind {
            AnyKind::Core(core) => misfits.extend(core.unknown_fields(object)),
            AnyKind::Ours(kind) => {
                let (stage, found) = self.checker.check(kind, value);
                if misfits.is_empty() {
                    return (stage, found);
                }
                misfits.extend(found.into_iter().filter(|_| stage == Stage::Structure));
            }
        }
        (Stage::Structure, misfits)
    }

    /// Decodes an object and keeps it.
    fn keep(
        &mut self,
        kind: AnyKind,
        id: &ObjectId,
        object: &Map<String, Value>,
    ) -> Result<(), Vec<Misfit>> {
        let Loaded { options, objects, .. } = &mut self.loaded;
        match kind {
            AnyKind::Ours(Kind::ModelAlias) => {
                objects.aliases.insert(id.clone(), decode(object, id)?);
            }
            AnyKind::Ours(Kind::ProviderTarget) => {
                objects.targets.insert(id.clone(), decode(object, id)?);
            }
            AnyKind::Ours(Kind::AccessKey) => {
                objects.keys.insert(id.clone(), decode(object, id)?);
            }
            AnyKind::Core(Core::Secret) => {
                let (version, dev) = (options.version, options.settings.dev);
                let secret = core::secret(object, version, options.variables, dev)?;
                objects.secrets.insert(id.clone(), secret.map(Arc::new));
            }
            AnyKind::Core(Core::ConfigMap) => {
                objects.config_maps.insert(id.clone(), Arc::new(core::config_map(object)?));
            }
            AnyKind::Core(Core::Service) => {
                objects.services.insert(id.clone(), core::service(object));
            }
            AnyKind::Core(Core::Namespace) => {
                let labels = object::namespace_labels(&id.name, object).into_iter().collect();
                objects.namespaces.insert(id.name.to_string(), labels);
            }
        }
        Ok(())
    }

    fn complain(
        &mut self,
        at: &At<'_>,
        kind: Option<AnyKind>,
        id: Option<&ObjectId>,
        stage: Stage,
        misfits: Vec<Misfit>,
    ) {
        for Misfit { path, message } in misfits {
            self.loaded.problems.push(Problem {
                stage,
                line: at.document.line(&path.below(&at.origin.path)),
                kind: kind.map(|kind| kind.name().to_owned()),
                object: id.map(|id| match kind {
                    Some(AnyKind::Core(Core::Namespace)) => id.name.to_string(),
                    _ => id.to_string(),
                }),
                path: (!path.0.is_empty()).then(|| path.to_string()),
                ..Problem::file(at.file, message)
            });
        }
    }
}

/// Decodes one of our kinds, with the namespace that it is in.
fn decode<T>(object: &Map<String, Value>, id: &ObjectId) -> Result<Arc<T>, Vec<Misfit>>
where
    T: DeserializeOwned + kube::Resource,
{
    let value = Value::Object(object.clone());
    let mut decoded: T = serde_path_to_error::deserialize(value).map_err(|error| {
        let path = Path::parse(&error.path().to_string());
        vec![Misfit { path, message: error.inner().to_string() }]
    })?;
    decoded.meta_mut().namespace = Some(id.namespace.to_string());
    Ok(Arc::new(decoded))
}
