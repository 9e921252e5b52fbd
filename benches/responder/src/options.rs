//! The command line.

use std::time::Duration;

/// How the server behaves.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Options {
    /// 0: any free one.
    pub(crate) port: u16,
    /// How long after its request an answer leaves.
    pub(crate) delay: Option<Duration>,
    /// How long it stalls, and how often.
    pub(crate) stall: Option<(Duration, Duration)>,
    /// Requests per second that are expected, where their lateness is to be told.
    pub(crate) lag: Option<f64>,
}

pub(crate) fn parse(mut words: impl Iterator<Item = String>) -> Result<Options, String> {
    let mut options = Options::default();
    let (mut stall, mut every) = (None, None);
    while let Some(name) = words.next() {
        let value = words.next().ok_or_else(|| format!("`{name}` needs a value"))?;
        let wrong = || format!("`{value}` is no value for `{name}`");
        match name.as_str() {
            "--port" => options.port = value.parse().map_err(|_| wrong())?,
            "--delay" => options.delay = Some(duration(&value).ok_or_else(wrong)?),
            "--stall" => stall = Some(duration(&value).ok_or_else(wrong)?),
            "--every" => every = Some(duration(&value).ok_or_else(wrong)?),
            "--lag" => {
                let rate = value.parse().ok().filter(|rate: &f64| rate.is_finite() && *rate > 0.0);
                options.lag = Some(rate.ok_or_else(wrong)?);
            }
            _ => return Err(format!("unknown option `{name}`")),
        }
    }
    options.stall = match (stall, every) {
        (None, None) => None,
        (Some(stall), Some(every)) if stall < every => Some((stall, every)),
        _ => return Err("`--stall` and the longer `--every` go together".to_owned()),
    };
    Ok(options)
}

/// `"5ms"`, `"1s"`.
fn duration(text: &str) -> Option<Duration> {
    let (number, unit) = match text.strip_suffix("ms") {
        Some(number) => (number, 1e-3),
        None => (text.strip_suffix('s')?, 1.0),
    };
    Duration::try_from_secs_f64(number.parse::<f64>().ok()? * unit).ok()
}
