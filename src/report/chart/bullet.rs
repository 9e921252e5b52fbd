//! Bullet charts: an observed value and its interval among limits.

use maud::{Markup, html};

use crate::report::chart::{COLOURS, LIMIT_COLOUR, coordinate};

const WIDTH: f64 = 160.0;
const HEIGHT: f64 = 24.0;

/// The observed value as a bar, its interval as a whisker, and each limit as a mark.
pub(in crate::report) fn bullet(
    observed: Option<f64>,
    interval: Option<[f64; 2]>,
    limits: &[f64],
    described: &str,
) -> Markup {
    let known = observed.into_iter().chain(limits.iter().copied()).filter(|value| value.is_finite());
    let highest = known.clone().fold(0.0_f64, f64::max);
    let lowest = known.fold(0.0_f64, f64::min);
    let span = if highest > lowest { (highest - lowest) * 1.12 } else { 1.0 };
    let x = |value: f64| ((value - lowest) / span).clamp(0.0, 1.0) * (WIDTH - 2.0) + 1.0;
    html! {
        svg xmlns="http://www.w3.org/2000/svg" viewBox=(format!("0 0 {WIDTH} {HEIGHT}")) width=(WIDTH) height=(HEIGHT)
            role="img" {
            title { (described) }
            rect x="0.5" y="5" width=(WIDTH - 1.0) height="14" fill="currentColor" fill-opacity="0.08" {}
            @if let Some(observed) = observed {
                @let (from, to) = (x(0.0_f64.max(lowest)), x(observed));
                rect x=(coordinate(from.min(to))) y="8" width=(coordinate((to - from).abs().max(2.0))) height="8"
                    fill=(COLOURS[0]) {}
            }
            @if let Some([low, high]) = interval {
                line x1=(coordinate(x(low))) x2=(coordinate(x(high))) y1="12" y2="12" stroke="currentColor"
                    stroke-width="1.5" {}
            }
            @for limit in limits {
                line x1=(coordinate(x(*limit))) x2=(coordinate(x(*limit))) y1="2" y2="22" stroke=(LIMIT_COLOUR)
                    stroke-width="2" {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_stands_among_its_limits() {
        let drawn = bullet(Some(50.0), Some([40.0, 60.0]), &[25.0, 100.0], "p95 is 50 ms").into_string();
        assert_eq!(drawn.matches("<line").count(), 3);
        // 112 is the end of the scale: 50 is at 71.5 of 160.
        assert!(drawn.contains("width=\"70.5\"") && drawn.contains("<title>p95 is 50 ms</title>"), "{drawn}");
    }

    #[test]
    fn without_data_only_the_limits_are_drawn() {
        let drawn = bullet(None, None, &[1.0], "no data").into_string();
        assert_eq!((drawn.matches("<line").count(), drawn.matches("<rect").count()), (1, 1));
    }
}
