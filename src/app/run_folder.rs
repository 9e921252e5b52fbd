//! The folder for the files of a run, named after its plan and its start time in UTC, to the second.

use std::fs::{DirBuilder, File};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, symlink};
use std::path::{Path, PathBuf};

use anyhow::Context;

/// Creates the folder of a run that starts now and points the link `latest` at it. A second run in the same second gets
/// the suffix `-2`. The second value is a notice if the link could not be updated.
///
/// # Errors
/// When the folder cannot be created.
pub(super) fn create(
    out: &Path,
    plan: &str,
    at: jiff::Timestamp,
) -> anyhow::Result<(PathBuf, Option<String>)> {
    let failed_to_make = |path: &Path| format!("could not create the folder `{}`", path.display());
    std::fs::create_dir_all(out).with_context(|| failed_to_make(out))?;
    let name = format!("{plan}-{}", at.strftime("%Y%m%d-%H%M%S"));
    for number in 1.. {
        let name = if number == 1 { name.clone() } else { format!("{name}-{number}") };
        let path = out.join(&name);
        match DirBuilder::new().mode(0o700).create(&path) {
            Ok(()) => {
                let pointed = point_latest_at(out, &name);
                return Ok((
                    path,
                    pointed.err().map(|why| format!("the link `latest` does not point to this run: {why}")),
                ));
            }
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error).with_context(|| failed_to_make(&path)),
        }
    }
    unreachable!("some number is free")
}

/// Points `latest` at this run. A rename replaces the link atomically, so that it exists at any moment.
fn point_latest_at(out: &Path, name: &str) -> std::io::Result<()> {
    let made = out.join(format!(".latest-{}", std::process::id()));
    // An earlier process with the same PID may have left its temporary link behind.
    let _ = std::fs::remove_file(&made);
    symlink(name, &made)?;
    // A folder of this name, such as a copy of a run, is not replaced.
    std::fs::rename(&made, out.join("latest")).inspect_err(|_| drop(std::fs::remove_file(&made)))
}

/// Writes a report atomically: to a temporary file first, which is then renamed.
///
/// # Errors
/// When the file cannot be written; a file of this name stays as it was.
pub(super) fn write(path: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let temporary = path.with_file_name(format!(".{name}"));
    let written = File::create(&temporary).and_then(|mut file| {
        file.write_all(bytes)?;
        file.sync_all()
    });
    let renamed = written.and_then(|()| std::fs::rename(&temporary, path));
    let renamed = renamed.inspect_err(|_| drop(std::fs::remove_file(&temporary)));
    renamed.with_context(|| format!("could not write the report to `{}`", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_named_latest_stays_and_no_link_is_left_behind() {
        let out = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(out.path().join("latest/copy")).unwrap();
        let at = "2026-03-04T05:06:07Z".parse().unwrap();
        let (path, notice) = create(out.path(), "plan", at).unwrap();
        assert!(path.is_dir() && notice.unwrap().starts_with("the link `latest` does not point to this run"));
        let entries = std::fs::read_dir(out.path()).unwrap();
        let mut names: Vec<String> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        assert_eq!(names, ["latest", "plan-20260304-050607"]);
    }
}
