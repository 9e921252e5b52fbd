//! Likely causes of a missed phase: one sentence with its numbers for each pattern that the data show.

use std::time::Duration;

use crate::measure::causes::freeze::Freeze;
use crate::measure::causes::interference::Interference;
use crate::measure::causes::saturation::Plateau;
use crate::measure::sample::ErrorKind;
use crate::measure::summary::PhaseSummary;
use crate::plan::model::{OperationId, Plan};
use crate::report::table::number;
use crate::units::TimeSpan;

/// A smaller share of failures among the phase's requests is not a likely cause.
const MIN_FAILED_SHARE: f64 = 0.01;
/// Response times after the first failure are reported if they grew at least by this factor.
const MIN_SLOWDOWN_RATIO: f64 = 2.0;

/// The likely causes in order: failures, an operation that slows the others, saturation. Empty if the data show none.
pub(super) fn causes(plan: &Plan, counted: &PhaseSummary) -> Vec<String> {
    let causes = &counted.causes;
    let freeze = causes.freezes.detect();
    let interference = causes.interference.detect();
    // If both methods find the same operation, one sentence has the numbers of both.
    let apart = interference
        .filter(|interference| freeze.is_none_or(|freeze| freeze.operation != interference.operation));
    let together = interference.filter(|_| apart.is_none());
    let sentences = [
        failures(plan, counted),
        freeze.map(|freeze| frozen(plan, freeze, together)),
        apart.filter(|_| freeze.is_none()).map(|interference| slowed(plan, interference)),
        causes.saturation.plateau().map(saturated),
    ];
    sentences.into_iter().flatten().collect()
}

fn name(plan: &Plan, operation: OperationId) -> &str {
    &plan.operations[operation.index()]
}

/// The most frequent combination of operation and kind of failure.
fn failures(plan: &Plan, counted: &PhaseSummary) -> Option<String> {
    let kinds = counted.operations.iter().flat_map(|(id, operation)| {
        let unserved = operation.dropped - operation.withdrawn;
        let dropped = (unserved > 0).then_some((ErrorKind::Dropped, unserved));
        let errors = operation.errors.iter().map(|(kind, count)| (*kind, *count));
        errors.chain(dropped).map(move |(kind, count)| (count, *id, kind))
    });
    let all: u64 = kinds.clone().map(|(count, ..)| count).sum();
    let (count, id, kind) =
        kinds.max_by_key(|(count, id, kind)| (*count, std::cmp::Reverse((*id, *kind))))?;
    let tried =
        |operation: &crate::measure::summary::OperationSummary| operation.requests + operation.dropped;
    let of: u64 = counted.operations.values().map(tried).sum();
    let mut sentence = match (all as f64) < MIN_FAILED_SHARE * of as f64 {
        true => return None,
        false => format!(
            "{count} of {} `{}` requests {}",
            tried(&counted.operations[&id]),
            name(plan, id),
            ended(kind)
        ),
    };
    if let Some(first) = counted.causes.failures.first.get(&(id, kind)) {
        sentence += &format!(", the first in second {} of the phase", first + 1);
    }
    if all > count {
        sentence += &format!("; {all} of {of} failed over all operations and kinds");
    }
    let times = (counted.causes.failures.before.ms(), counted.causes.failures.since.ms());
    if let (Some(before), Some(since)) = times
        && since >= MIN_SLOWDOWN_RATIO * before
    {
        let (before, since) = (number(Some(before)), number(Some(since)));
        sentence += &format!(
            "; requests took {before} ms on average before the first failure and {since} ms after it"
        );
    }
    Some(sentence)
}

/// The predicate of a sentence about requests with this kind of failure.
fn ended(kind: ErrorKind) -> String {
    match kind {
        ErrorKind::Dropped => "were never sent, because no user was idle in time".to_owned(),
        ErrorKind::Timeout => "got no response within their timeout".to_owned(),
        kind => format!("failed ({})", kind.as_str()),
    }
}

fn frozen(plan: &Plan, freeze: Freeze, interference: Option<Interference>) -> String {
    let Freeze { operation, times, of, silent, answers, held } = freeze;
    let name = name(plan, operation);
    let mut sentence = format!(
        "`{name}` freezes the other operations: of {of} freezes of at least 80 ms without any response, {times} ended \
         with a response to `{name}` ({} in total; {times} of its {answers} responses), and within 20 ms after it \
         {held} waiting requests of other operations were answered",
        span(silent)
    );
    if let Some(interference) = interference {
        sentence += &format!("; {}", contrast(name, interference));
    }
    sentence
}

fn slowed(plan: &Plan, interference: Interference) -> String {
    let name = name(plan, interference.operation);
    format!("the other operations are slower while `{name}` is in flight: {}", contrast(name, interference))
}

fn contrast(name: &str, interference: Interference) -> String {
    let Interference { operation: _, with, without, correlation } = interference;
    format!(
        "in the {} seconds with `{name}` in flight the other requests took {} ms on average, in the other {} seconds \
         {} ms (correlation {correlation:.2})",
        with.0,
        number(Some(with.1)),
        without.0,
        number(Some(without.1))
    )
}

fn saturated(plateau: Plateau) -> String {
    let Plateau { from, to, under_way, throughput, mean_throughput } = plateau;
    let kept = match throughput.1 < 0.8 * throughput.0 {
        true => format!("fell from {}/s to {}/s", number(Some(throughput.0)), number(Some(throughput.1))),
        false => format!("stayed at {}/s", number(Some(mean_throughput))),
    };
    format!(
        "saturation: from {} to {} into the phase requests in flight grew from {:.0} to {:.0}, while throughput {kept}",
        second(from),
        second(to),
        under_way.0,
        under_way.1
    )
}

fn second(second: u32) -> String {
    span(Duration::from_secs(second.into()))
}

/// A duration, rounded to tenths of a second.
fn span(time: Duration) -> String {
    TimeSpan::from(Duration::from_millis((time.as_millis() as u64 + 50) / 100 * 100)).to_string()
}

#[cfg(test)]
mod tests;
