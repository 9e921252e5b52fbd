//! The command line of the responder.

use std::time::Duration;

/// The behaviour of the server.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Options {
    /// The port; 0 selects a free one.
    pub(crate) port: u16,
    /// The time from a request to its response.
    pub(crate) delay: Option<Duration>,
    /// The length of a stall, and the period in which it repeats.
    pub(crate) stall: Option<(Duration, Duration)>,
    /// The expected requests per second, for the measurement of lateness.
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

/// Parses a duration such as `5ms` or `1s`.
fn duration(text: &str) -> Option<Duration> {
    let (number, unit) = match text.strip_suffix("ms") {
        Some(number) => (number, 1e-3),
        None => (text.strip_suffix('s')?, 1.0),
    };
    Duration::try_from_secs_f64(number.parse::<f64>().ok()? * unit).ok()
}
