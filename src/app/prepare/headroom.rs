//! Headroom: the estimated disk space and memory of a run, compared with the free amounts.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::forecast::{LookedInto, Needs};
use crate::kernel::Kernel;
use crate::units::Size;

/// The needs of a run and the free resources of this machine, in bytes.
pub(in crate::app) struct Headroom {
    needs: Needs,
    /// Bytes that this process has needed to load the plan, with its lists and bodies. They are part of the run's memory.
    loaded: u64,
    /// The folder for the files of the run.
    folder: PathBuf,
    /// Free bytes on the file system of `folder`; `None` if unknown.
    free: Option<u64>,
    /// Available bytes of memory; `None` if unknown.
    available: Option<u64>,
}

impl Headroom {
    /// Compares the needs of a run that writes to `folder` with the free amounts.
    pub(super) fn of(needs: Needs, folder: &Path) -> Self {
        let kernel = Kernel::this_machine();
        Self {
            needs,
            loaded: kernel.own_peak_memory().unwrap_or(0),
            folder: folder.to_owned(),
            free: free_disk(folder),
            available: kernel.available_memory().map(|bytes| bytes as u64),
        }
    }

    /// The memory of the run.
    fn memory(&self) -> f64 {
        self.loaded as f64 + self.needs.memory
    }

    /// One line with the needs and the free amounts.
    pub(in crate::app) fn summary(&self) -> String {
        let there = |there: Option<u64>, word: &str| {
            there.map_or(String::new(), |there| format!(" ({} {word})", size(there as f64)))
        };
        let disk = self
            .needs
            .disk
            .map_or("an unknown amount of disk".to_owned(), |disk| format!("about {} of disk", size(disk)));
        let LookedInto { at_once, copies } = self.needs.looked_into;
        let looked_into = match at_once {
            0 => String::new(),
            _ => format!(
                "\n  and {copies} times the size of each response body that is looked into, of up to {at_once} at once"
            ),
        };
        format!(
            "needs {disk}{} and {} of memory{}{looked_into}\n",
            there(self.free, "free"),
            size(self.memory()),
            there(self.available, "available"),
        )
    }

    /// One message for each resource that is too small.
    pub(in crate::app) fn shortages(&self) -> Vec<String> {
        let short = |needed: Option<f64>, there: Option<u64>| {
            needed.zip(there).filter(|(needed, there)| *needed > *there as f64)
        };
        let disk = short(self.needs.disk, self.free).map(|(needed, there)| {
            let folder = self.folder.display();
            format!(
                "the run needs about {} of disk in `{folder}`, but {} is free",
                size(needed),
                size(there as f64)
            )
        });
        let memory = short(Some(self.needs.memory), self.available).map(|(needed, there)| {
            format!(
                "the run needs about {} more of memory, but {} is available",
                size(needed),
                size(there as f64)
            )
        });
        disk.into_iter().chain(memory).collect()
    }

    /// The `disk` object of `check --format json`.
    pub(in crate::app) fn disk_json(&self) -> Value {
        let needed = self.needs.disk.map(|bytes| bytes.round() as u64);
        let folder = self.folder.display().to_string();
        json!({ "folder": folder, "needed_bytes": needed, "free_bytes": self.free })
    }

    /// The `memory` object of `check --format json`.
    pub(in crate::app) fn memory_json(&self) -> Value {
        let needed = self.memory().round() as u64;
        let LookedInto { at_once, copies } = self.needs.looked_into;
        json!({
            "needed_bytes": needed,
            "available_bytes": self.available,
            "looked_into": { "at_once": at_once, "bytes_per_byte": copies },
        })
    }
}

/// A size with two significant digits, because the needs are estimates.
fn size(bytes: f64) -> String {
    let unit = [30, 20, 10, 0].map(|power| f64::from(1 << power)).into_iter().find(|unit| bytes >= *unit);
    let unit = unit.unwrap_or(1.0);
    let value = bytes / unit;
    let step = 10_f64.powf((value.max(1.0).log10().floor() - 1.0).max(-1.0));
    Size::of_bytes(((value / step).round() * step * unit).round() as u64).to_string()
}

/// Free bytes on the file system of a folder or, until it exists, of its nearest existing ancestor.
fn free_disk(folder: &Path) -> Option<u64> {
    let here = Path::new(".");
    let there = folder.ancestors().map(|path| if path == Path::new("") { here } else { path });
    let stat = there.into_iter().find_map(|path| rustix::fs::statvfs(path).ok())?;
    Some(stat.f_bavail.saturating_mul(stat.f_frsize))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_estimate_has_two_digits() {
        assert_eq!(size(123.0), "120B");
        assert_eq!(size(1.26 * 1024.0), "1.3KiB");
        assert_eq!(size(31.2 * 1024.0 * 1024.0), "31MiB");
    }

    #[test]
    fn a_missing_folder_has_the_free_disk_of_its_ancestor() {
        assert_eq!(free_disk(Path::new("not/there/yet")).is_some(), free_disk(Path::new(".")).is_some());
        assert!(free_disk(Path::new(".")).is_some());
    }

    #[test]
    fn shortages_name_the_needed_and_the_free_amount() {
        let needs = Needs { disk: Some(5e9), memory: 3e9, looked_into: LookedInto::default() };
        let headroom = Headroom {
            needs,
            loaded: 1 << 20,
            folder: "reports".into(),
            free: Some(1 << 30),
            available: Some(1 << 30),
        };
        assert_eq!(
            headroom.shortages(),
            [
                "the run needs about 4.7GiB of disk in `reports`, but 1GiB is free",
                "the run needs about 2.8GiB more of memory, but 1GiB is available",
            ]
        );
        assert!(Headroom { free: None, available: Some(4 << 30), ..headroom }.shortages().is_empty());
    }
}
