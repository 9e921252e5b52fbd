//! A plan in its own folder, with its threshold file and further files.

use std::path::{Path, PathBuf};

use tempfile::TempDir;

/// The folder of a run that has not started, and the parts of its plan.
pub struct Setup {
    folder: TempDir,
    plan: String,
    url: String,
    target: String,
    objectives: String,
    thresholds: String,
}

impl Setup {
    /// A plan of these phases, users and lists, in TOML. Without objectives the gate has the tier `none`.
    pub fn new(plan: &str) -> Self {
        Self {
            folder: tempfile::tempdir().expect("a folder can be made"),
            plan: plan.to_owned(),
            url: "http://127.0.0.1:9".to_owned(),
            target: String::new(),
            objectives: String::new(),
            thresholds: String::new(),
        }
    }

    /// Sets the plan's `target.url`.
    pub fn at(self, url: &str) -> Self {
        Self { url: url.to_owned(), ..self }
    }

    /// Sets further keys of the plan's `[target]`.
    pub fn target(self, keys: &str) -> Self {
        Self { target: keys.to_owned(), ..self }
    }

    /// Sets the content of the threshold file.
    pub fn objectives(self, objectives: &str) -> Self {
        Self { objectives: objectives.to_owned(), ..self }
    }

    /// Sets the plan's `thresholds`, if it is more than the threshold file alone.
    pub fn thresholds(self, entries: &str) -> Self {
        Self { thresholds: entries.to_owned(), ..self }
    }

    /// Writes a file, with its path below the folder, such as `plans/rows.csv`.
    pub fn file(self, name: &str, bytes: impl AsRef<[u8]>) -> Self {
        write(&self.folder.path().join(name), bytes.as_ref());
        self
    }

    /// The folder of plan, thresholds and files.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Writes the plan and its threshold file; returns the folder and the path of the plan.
    pub fn write(self) -> (TempDir, PathBuf) {
        let Self { folder, plan, url, target, objectives, thresholds } = self;
        let judged = match (thresholds.as_str(), objectives.as_str()) {
            ("", "") => "gate = { tier = \"none\" }".to_owned(),
            ("", _) => "thresholds = [\"../thresholds/t.toml\"]".to_owned(),
            (entries, _) => format!("thresholds = {entries}"),
        };
        let plan = format!("name = \"p\"\n{judged}\n[target]\nurl = \"{url}\"\n{target}\n{plan}\n");
        let path = folder.path().join("plans/p.toml");
        write(&folder.path().join("thresholds/t.toml"), objectives.as_bytes());
        write(&path, plan.as_bytes());
        (folder, path)
    }
}

fn write(path: &Path, bytes: &[u8]) {
    std::fs::create_dir_all(path.parent().expect("it lies in the folder")).expect("a folder");
    std::fs::write(path, bytes).expect("the folder is ours");
}
