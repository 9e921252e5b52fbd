//! The folder that a run's files go to, named after its plan and the second it began in (UTC).

use std::fs::{DirBuilder, File};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, symlink};
use std::path::{Path, PathBuf};

use anyhow::Context;

/// Makes the folder of a run that starts now; a second one in the same second gets `-2`.
///
/// `latest` is pointed at it; where that fails, the second value says why.
pub(super) fn create(
    out: &Path,
    plan: &str,
    at: jiff::Timestamp,
) -> anyhow::Result<(PathBuf, Option<String>)> {
    let failed_to_make = |path: &Path| format!("could not make the folder `{}`", path.display());
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
                    pointed.err().map(|why| format!("`latest` does not lead to this run: {why}")),
                ));
            }
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error).with_context(|| failed_to_make(&path)),
        }
    }
    unreachable!("there are more numbers than folders")
}

/// Makes `latest` a link to this run, in one step, so that it never leads nowhere.
fn point_latest_at(out: &Path, name: &str) -> std::io::Result<()> {
    let made = out.join(format!(".latest-{}", std::process::id()));
    // One of an earlier process of this number is of no use to anyone.
    let _ = std::fs::remove_file(&made);
    symlink(name, &made)?;
    std::fs::rename(&made, out.join("latest"))
}

/// Writes a file of the run, whole or not at all.
pub(super) fn write(folder: &Path, name: &str, text: &str) -> anyhow::Result<()> {
    let path = folder.join(name);
    let temporary = folder.join(format!(".{name}"));
    let written = File::create(&temporary).and_then(|mut file| {
        file.write_all(text.as_bytes())?;
        file.sync_all()
    });
    let renamed = written.and_then(|()| std::fs::rename(&temporary, &path));
    renamed.with_context(|| format!("could not write the report to `{}`", path.display()))
}
