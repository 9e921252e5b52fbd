//! The files of a plan: reads them, follows `include` and refuses paths outside the allowed folder.

use std::collections::{BTreeMap, HashMap};
use std::path::{Component, Path, PathBuf};

use bytes::Bytes;
use ring::digest::{Context, SHA256};
use serde::{Deserialize, Serialize};

use crate::diagnostic::{Code, Diagnostic, FileId, Problems, Span};
use crate::document::{Node, PlainOrTable, Spanned, Value, parse};
use crate::plan::document::{PlanDocument, ThresholdsEntryDocument};
use crate::plan::model::Secrets;

/// Access to files and environment variables. It is passed in, so that compiling is pure.
pub struct Environment<'w> {
    pub read: &'w dyn Fn(&Path) -> std::io::Result<Vec<u8>>,
    /// Looks up an environment variable.
    pub variable: &'w dyn Fn(&str) -> Option<String>,
}

/// A threshold file and the selection of its objectives.
#[derive(Debug, Clone)]
pub struct ThresholdsFile {
    pub file: FileId,
    /// Place in the plan that names the file.
    pub span: Span,
    /// Names or globs of objectives; `None` selects all.
    pub only: Option<Vec<Spanned<String>>>,
    /// Whether the objectives can be judged.
    pub gated: bool,
}

/// What a plan was compiled from, without secrets, so that it can be stored and compiled again.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlanInputs {
    /// The plan, its included files and its threshold files as read. Of a list only the columns and one row of `-`, of
    /// other files only the path.
    pub files: Vec<InputFile>,
    /// The environment variables that the plan uses and their values, with stand-ins for secrets.
    pub variables: BTreeMap<String, String>,
}

/// A file of a plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InputFile {
    pub path: String,
    pub text: String,
}

impl PlanInputs {
    /// Reads a stored file, for an [`Environment`].
    ///
    /// # Errors
    /// [`NotFound`](std::io::ErrorKind::NotFound) if there is none with this path.
    pub fn read(&self, path: &Path) -> std::io::Result<Vec<u8>> {
        let path = shown(path);
        let file = self.files.iter().find(|file| file.path == path);
        file.map(|file| file.text.clone().into_bytes()).ok_or_else(|| std::io::ErrorKind::NotFound.into())
    }

    /// Looks up a stored environment variable, for an [`Environment`].
    pub fn variable(&self, name: &str) -> Option<String> {
        self.variables.get(name).cloned()
    }

    /// Stores a file that was read. What is known of it already stays.
    fn put(&mut self, path: &Path, text: String) {
        let path = shown(path);
        match self.files.iter_mut().find(|file| file.path == path) {
            Some(file) if file.text.is_empty() => file.text = text,
            Some(_) => {}
            None => self.files.push(InputFile { path, text }),
        }
    }

    /// The same without any of these secrets. A short one may be a word of the plan by chance, and is not replaced in it.
    fn redacted(self, secrets: &Secrets, stand_ins: &HashMap<String, String>) -> Self {
        let long = secrets.at_least(MIN_REPLACED_BYTES);
        let files = self.files.into_iter().map(|file| InputFile { text: long.redact(&file.text), ..file });
        let variables = self.variables.into_iter().map(|(name, value)| match stand_ins.contains_key(&name) {
            true => (name, value),
            false => (name, long.redact(&value)),
        });
        Self { files: files.collect(), variables: variables.collect() }
    }
}

/// A path as text, in the same form for every way to write it.
fn shown(path: &Path) -> String {
    normalised(path).display().to_string()
}

/// A shorter secret is not replaced in the files of a plan, which name it only by its variable.
const MIN_REPLACED_BYTES: usize = 8;

/// A stand-in for a secret, so that the plan compiles again: a URL stays a URL, and a port a port. `number` makes it differ
/// from those of other secrets.
fn masked(secret: &str, number: usize) -> String {
    let starts =
        |scheme: &&str| secret.get(..scheme.len()).is_some_and(|start| start.eq_ignore_ascii_case(scheme));
    match ["https://", "http://"].into_iter().find(starts) {
        Some(scheme) => format!("{scheme}***{number}"),
        None if secret.parse::<u16>().is_ok() => (MASKED_PORTS_FROM + number % 5000).to_string(),
        None => format!("***{number}"),
    }
}

/// Stored plans have these in place of ports that are secrets.
const MASKED_PORTS_FROM: usize = 60_000;

/// Maximum size of a plan, an included file or a threshold file.
const MAX_PLAN_BYTES: usize = 4 << 20;

/// Reads files, each at most once, and only below the parent of the plan's folder.
pub(super) struct PlanFiles<'w> {
    environment: &'w Environment<'w>,
    root: Option<PathBuf>,
    known: HashMap<PathBuf, FileId>,
    paths: HashMap<FileId, PathBuf>,
    plan: PathBuf,
    hash: Context,
    inputs: PlanInputs,
    /// The stand-ins of secrets, by the name of the variable.
    secrets: HashMap<String, String>,
}

impl<'w> PlanFiles<'w> {
    /// `allow_outside` permits files in any folder.
    pub(super) fn new(plan: &Path, allow_outside: bool, environment: &'w Environment<'w>) -> Self {
        let folder = normalised(plan.parent().unwrap_or(Path::new("")));
        let root = (!allow_outside).then(|| normalised(&folder.join("..")));
        let (known, paths) = (HashMap::new(), HashMap::new());
        Self {
            environment,
            root,
            known,
            paths,
            plan: normalised(plan),
            hash: Context::new(&SHA256),
            inputs: PlanInputs::default(),
            secrets: HashMap::new(),
        }
    }

    /// The value of an environment variable.
    pub(super) fn variable(&mut self, name: &str) -> Option<String> {
        let value = (self.environment.variable)(name)?;
        if !self.secrets.contains_key(name) {
            self.inputs.variables.insert(name.to_owned(), value.clone());
        }
        Some(value)
    }

    /// The value of an environment variable that no output may show.
    pub(super) fn secret(&mut self, name: &str) -> Option<String> {
        let value = (self.environment.variable)(name)?;
        let number = self.inputs.variables.len();
        let known = self.secrets.entry(name.to_owned()).or_insert_with(|| masked(&value, number));
        self.inputs.variables.insert(name.to_owned(), known.clone());
        Some(value)
    }

    /// Everything read so far, without secrets.
    pub(super) fn inputs(self, secrets: &Secrets) -> PlanInputs {
        self.inputs.redacted(secrets, &self.secrets)
    }

    /// Whether a file read so far has a syntax error.
    pub(super) fn any_broken(&self, problems: &Problems) -> bool {
        self.known.values().any(|file| problems.has_syntax_error(*file))
    }

    /// SHA-256 over all files in the order read, in hexadecimal.
    pub(super) fn digest(&self) -> String {
        self.hash.clone().finish().as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// The text of a file, or the reason why it cannot be read.
    pub(super) fn read(&self, path: &Path, shown: &str) -> Result<String, String> {
        let bytes = self.limited(path, MAX_PLAN_BYTES)?;
        String::from_utf8(bytes).map_err(|error| {
            let valid = &error.as_bytes()[..error.utf8_error().valid_up_to()];
            let line = valid.iter().filter(|byte| **byte == b'\n').count() + 1;
            format!("it is not UTF-8; the first invalid byte is in line {line}: {shown}:{line}")
        })
    }

    /// The bytes of a file of at most `max_bytes` bytes, or the reason why they cannot be read.
    fn limited(&self, path: &Path, max_bytes: usize) -> Result<Vec<u8>, String> {
        let bytes = (self.environment.read)(path).map_err(|error| plain_io_error(&error))?;
        match bytes.len() > max_bytes {
            true => Err(format!("it has {} bytes; at most {max_bytes} are allowed", bytes.len())),
            false => Ok(bytes),
        }
    }

    /// Registers a file that was read: diagnostics can show it, and the digest covers it.
    pub(super) fn add(
        &mut self,
        path: &Path,
        shown: String,
        text: String,
        problems: &mut Problems,
    ) -> FileId {
        self.hash.update(&(text.len() as u64).to_le_bytes());
        self.hash.update(text.as_bytes());
        self.inputs.put(path, text.clone());
        let file = problems.add_source(shown, text);
        self.known.insert(normalised(path), file);
        self.paths.insert(file, normalised(path));
        file
    }

    /// Reads a file that another one names. Returns `None` after reporting a problem.
    fn open(
        &mut self,
        base: &Path,
        named: &Spanned<String>,
        problems: &mut Problems,
    ) -> Option<(PathBuf, FileId)> {
        let path = self.resolve(base, named, problems)?;
        let shown = path.display().to_string();
        match self.read(&path, &shown) {
            Ok(text) => Some((path.clone(), self.add(&path, shown, text, problems))),
            Err(why) => {
                report_unreadable(named, &shown, &why, problems);
                None
            }
        }
    }

    /// Reads the bytes of a file that a value of a document names. Returns `None` after reporting a problem.
    pub(super) fn bytes(
        &mut self,
        named: &Spanned<String>,
        max_bytes: usize,
        problems: &mut Problems,
    ) -> Option<Bytes> {
        let base = self.paths.get(&named.span.file).unwrap_or(&self.plan).clone();
        let path = self.resolve(&base, named, problems)?;
        match self.limited(&path, max_bytes) {
            Ok(bytes) => {
                self.hash.update(&(bytes.len() as u64).to_le_bytes());
                self.hash.update(&bytes);
                self.inputs.put(&path, String::new());
                Some(bytes.into())
            }
            Err(why) => {
                report_unreadable(named, &path.display().to_string(), &why, problems);
                None
            }
        }
    }

    /// Keeps a text instead of the bytes of a file, from which the plan compiles in the same way.
    pub(super) fn keep(&mut self, named: &Spanned<String>, text: String, problems: &mut Problems) {
        if let Some(path) = self.path(named, problems) {
            self.inputs.put(&path, text);
        }
    }

    /// The path of a file that a value of a document names. The file is not read. Returns `None` after reporting a path
    /// outside the allowed folder.
    pub(super) fn path(&self, named: &Spanned<String>, problems: &mut Problems) -> Option<PathBuf> {
        let base = self.paths.get(&named.span.file).unwrap_or(&self.plan);
        self.resolve(base, named, problems)
    }

    /// The path of a file that another one names. Returns `None` after reporting a path outside the allowed folder.
    fn resolve(&self, base: &Path, named: &Spanned<String>, problems: &mut Problems) -> Option<PathBuf> {
        let path = normalised(&base.parent().unwrap_or(Path::new("")).join(&named.value));
        if self.root.as_ref().is_some_and(|root| !is_below(&path, root)) {
            let message = format!("`{}` is outside the folders that a plan may use", named.value);
            let diagnostic = Diagnostic::new(Code::OutsideFolder, message)
                .at(named.span, "outside the parent of the plan's folder")
                .help("move the file next to the plan, or allow it with `--allow-outside`");
            problems.report(diagnostic);
            return None;
        }
        Some(path)
    }

    /// All files that the plan includes, directly or through other files.
    pub(super) fn includes(
        &mut self,
        plan: &Path,
        file: FileId,
        root: &Node,
        problems: &mut Problems,
    ) -> Vec<Node> {
        let mut trail = vec![(normalised(plan), file)];
        self.follow(root, &mut trail, problems)
    }

    /// The files that the last file on the trail includes, directly or through other files.
    fn follow(
        &mut self,
        node: &Node,
        trail: &mut Vec<(PathBuf, FileId)>,
        problems: &mut Problems,
    ) -> Vec<Node> {
        let mut nodes = Vec::new();
        let (path, _) = trail.last().expect("the trail starts with the plan").clone();
        for named in include_list(node) {
            let wanted = normalised(&path.parent().unwrap_or(Path::new("")).join(&named.value));
            if trail.iter().any(|(on_trail, _)| *on_trail == wanted) {
                report_cycle(&named, trail, &wanted, problems);
                continue;
            }
            if self.known.contains_key(&wanted) {
                continue;
            }
            let Some((path, file)) = self.open(&path, &named, problems) else { continue };
            let included = parse(file, problems);
            trail.push((path, file));
            nodes.extend(self.follow(&included, trail, problems));
            trail.pop();
            nodes.push(included);
        }
        nodes
    }

    /// The threshold files of the plan, with the selection of their objectives.
    pub(super) fn thresholds(
        &mut self,
        plan: &Path,
        document: &PlanDocument,
        problems: &mut Problems,
    ) -> Vec<ThresholdsFile> {
        let mut files: Vec<ThresholdsFile> = Vec::new();
        for entry in document.thresholds.iter().flat_map(|entries| &entries.value) {
            let (named, only, gate) = match &entry.value {
                PlainOrTable::Plain(file) => (Spanned::new(file.clone(), entry.span), None, None),
                PlainOrTable::Table(ThresholdsEntryDocument { file, only, gate }) => {
                    let Some(file) = file.clone() else { continue };
                    (file, only.clone(), gate.as_ref())
                }
            };
            let path = normalised(&plan.parent().unwrap_or(Path::new("")).join(&named.value));
            let known = self.known.get(&path).copied();
            let first = files.iter().find(|file| Some(file.file) == known);
            // Several entries may select parts of one file. The names of the objectives show whether the parts overlap.
            let in_parts = |first: &ThresholdsFile| first.only.is_some() && only.is_some();
            if let Some(first) = first.filter(|first| !in_parts(first)) {
                let message = format!("threshold file `{}` is named twice", named.value);
                let diagnostic = Diagnostic::new(Code::DefinedTwice, message)
                    .at(named.span, "named again here")
                    .at(first.span, "first named here");
                problems.report(diagnostic.help("remove one of the entries, or give each its own `only`"));
                continue;
            }
            let opened = match first {
                Some(first) => Some(first.file),
                None => self.open(plan, &named, problems).map(|(_, file)| file),
            };
            files.extend(opened.map(|file| ThresholdsFile {
                file,
                span: named.span,
                only: only.map(|only| only.value),
                gated: gate.is_none_or(|gate| gate.value),
            }));
        }
        files
    }
}

fn include_list(node: &Node) -> Vec<Spanned<String>> {
    let Value::Table(entries) = &node.value else { return Vec::new() };
    let list = entries.iter().find(|(key, _)| key.name == "include").map(|(_, node)| &node.value);
    let Some(Value::Array(items)) = list else { return Vec::new() };
    let texts = items.iter().filter_map(|item| match &item.value {
        Value::Text(text) => Some(Spanned::new(text.clone(), item.span)),
        _ => None,
    });
    texts.collect()
}

fn report_unreadable(named: &Spanned<String>, shown: &str, why: &str, problems: &mut Problems) {
    let message = format!("could not read `{}`: {why}", named.value);
    let diagnostic = Diagnostic::new(Code::Unreadable, message).at(named.span, "named here");
    let help = format!("check the path: it is relative to the file that names it and leads to `{shown}`");
    problems.report(diagnostic.help(help));
}

fn report_cycle(
    named: &Spanned<String>,
    trail: &[(PathBuf, FileId)],
    wanted: &Path,
    problems: &mut Problems,
) {
    let from = trail.iter().position(|(path, _)| path == wanted).unwrap_or(0);
    let mut names: Vec<String> = trail[from..].iter().map(|(path, _)| path.display().to_string()).collect();
    names.push(wanted.display().to_string());
    let diagnostic = Diagnostic::new(Code::IncludeCycle, "files include each other in a circle")
        .at(named.span, "closes the circle")
        .help(format!("remove one `include` from the circle {}", names.join(" → ")));
    problems.report(diagnostic);
}

fn plain_io_error(error: &std::io::Error) -> String {
    match error.kind() {
        std::io::ErrorKind::NotFound => "there is no such file".into(),
        std::io::ErrorKind::PermissionDenied => "permission denied".into(),
        std::io::ErrorKind::IsADirectory => "it is a folder".into(),
        _ => error.to_string(),
    }
}

/// The path without `.` and, as far as its text allows, without `..`. Symbolic links are not followed.
fn normalised(path: &Path) -> PathBuf {
    let mut result = PathBuf::new();
    for component in path.components() {
        match component {
            Component::CurDir => {}
            Component::ParentDir if matches!(result.components().next_back(), Some(Component::Normal(_))) => {
                result.pop();
            }
            other => result.push(other),
        }
    }
    result
}

fn is_below(path: &Path, root: &Path) -> bool {
    // The text of a relative path does not show whether it is below an absolute one.
    if path.is_absolute() != root.is_absolute() {
        return false;
    }
    // A relative root such as `..` has no name. Every path that climbs no higher is below it.
    let climbs = |path: &Path| path.components().filter(|c| matches!(c, Component::ParentDir)).count();
    if climbs(root) == root.components().count() && !path.is_absolute() {
        return climbs(path) <= climbs(root);
    }
    path.starts_with(root)
}
