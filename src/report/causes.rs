//! Likely causes of what a phase shows: one sentence with its numbers for each pattern that the data show.

use std::time::Duration;

use jiff::Timestamp;

use crate::measure::causes::freeze::Freeze;
use crate::measure::causes::interference::Interference;
use crate::measure::causes::saturation::Plateau;
use crate::measure::causes::silence::Silence;
use crate::measure::causes::{AFTERMATH_S, Failures, keep_alive_timeout};
use crate::measure::hosts::{HostSummary, Series};
use crate::measure::sample::ErrorKind;
use crate::measure::summary::{OperationSummary, PhaseSummary};
use crate::plan::model::{Host, Load, OperationId, Phase, Plan};
use crate::report::table::number;
use crate::resources::metric::Metric;
use crate::resources::reading::CounterReset;
use crate::units::TimeSpan;

/// A target that used less of its processor, in percent, is not limited by it.
const MAX_IDLE_CPU_PERCENT: f64 = 10.0;
/// A part of a phase with a silence that takes more of it is not saturated.
const MAX_SILENT_PART: f64 = 0.1;
/// A smaller share of failures among the phase's requests is not a likely cause.
const MIN_FAILED_SHARE: f64 = 0.01;
/// Response times after the first failure are reported if they grew at least by this factor.
const MIN_SLOWDOWN_RATIO: f64 = 2.0;

/// A phase whose causes are wanted.
#[derive(Clone, Copy)]
pub(super) struct PhaseCauses<'p> {
    pub(super) plan: &'p Plan,
    pub(super) phase: &'p Phase,
    pub(super) counted: &'p PhaseSummary,
    pub(super) started_at: Timestamp,
    pub(super) standing: PhaseStanding,
}

/// Which causes of a phase are of interest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum PhaseStanding {
    /// All its objectives were met: only what the target did.
    Met,
    /// Some were not.
    Unmet,
    /// A limit on times or throughput was missed, or the phase collapsed: also why the target is slow.
    Slow,
}

/// The likely causes in order: a silent target, an operation that freezes or slows the others, failures, saturation, and a
/// target that waits. Empty if the data show none.
pub(super) fn causes(of: PhaseCauses<'_>) -> Vec<String> {
    let PhaseCauses { plan, counted, .. } = of;
    let causes = &counted.causes;
    let freeze = causes.freezes.detect();
    let interference = causes.interference.detect();
    // If both methods find the same operation, one sentence has the numbers of both.
    let apart = interference
        .filter(|interference| freeze.is_none_or(|freeze| freeze.operation != interference.operation));
    let together = interference.filter(|_| apart.is_none());
    let is_explained = freeze.is_some() || interference.is_some();
    let sentences = [
        causes.silences.longest().map(|silence| of.silent(silence)),
        freeze.map(|freeze| frozen(plan, freeze, together)),
        of.restarted(),
        keep_alive_timeout(&counted.connections.crossed_after).map(crossed),
    ];
    let of_slowness = || {
        [
            of.failures(),
            apart.filter(|_| freeze.is_none()).map(|interference| slowed(plan, interference)),
            causes.aftermath.detect().filter(|_| !is_explained).map(|found| slowed_after(plan, found)),
            causes.saturation.plateau().filter(|plateau| of.is_saturated(*plateau)).map(saturated),
            of.idle().filter(|_| of.standing == PhaseStanding::Slow),
        ]
    };
    let slowness = if of.standing == PhaseStanding::Met { [const { None }; 5] } else { of_slowness() };
    sentences.into_iter().chain(slowness).flatten().collect()
}

impl PhaseCauses<'_> {
    /// The time of day at an offset from the start of the phase, in UTC.
    fn clock(&self, offset: Duration) -> String {
        let at = jiff::SignedDuration::try_from(offset).unwrap_or_default();
        let at = self.started_at.checked_add(at).unwrap_or(self.started_at);
        at.strftime("%H:%M:%S").to_string()
    }

    fn second(&self, second: u32) -> String {
        format!(
            "in second {} of the phase ({} UTC)",
            second + 1,
            self.clock(Duration::from_secs(second.into()))
        )
    }

    fn silent(&self, silence: Silence) -> String {
        let length = span(silence.length());
        let (from, to) = (self.clock(silence.from), self.clock(silence.to));
        let waiting = silence.waiting;
        match silence.is_last {
            true => {
                format!("no answer in the last {length}, from {from} UTC on; {waiting} requests were waiting")
            }
            false => format!("no answers for {length}, {from}–{to} UTC; {waiting} requests were waiting"),
        }
    }

    /// The processes of the target that were started again.
    fn restarted(&self) -> Option<String> {
        let readings = &self.counted.readings;
        let time = |tick: u32| readings.time_of(tick).map(|at| at.strftime("%H:%M:%S").to_string());
        self.target_hosts().find_map(|(host, read)| {
            let is_restart = |reset: &&(u32, CounterReset)| reset.1 == CounterReset::Restart;
            let (tick, _) = read.counter_resets.iter().find(is_restart)?;
            let last = read.read_ticks.last_before(*tick).unwrap_or_default();
            let (before, after, ticks) = (time(last)?, time(*tick)?, readings.ticks?);
            let all = self.failed_between(ticks.at(last), ticks.at(*tick));
            let all =
                all.map_or_else(String::new, |count| format!(": all {count} failures are from that time"));
            Some(format!("`{}` ended and was started again between {before} and {after} UTC{all}", host.name))
        })
    }

    /// The number of all failures, if they are from this time of the phase in seconds.
    fn failed_between(&self, from: f64, to: f64) -> Option<u64> {
        let Failures { first, last, .. } = &self.counted.causes.failures;
        let (first, last) = (first.values().min()?, last.values().max()?);
        let within = from.floor() <= f64::from(*first) && f64::from(*last) <= to.ceil();
        within.then(|| self.counted.operations.values().map(OperationSummary::failed).sum())
    }

    /// A target that is slow and has processor time to spare.
    fn idle(&self) -> Option<String> {
        self.target_hosts().find_map(|(host, read)| {
            let mean = read.shown().get(&Metric::Cpu).map(Series::mean)?;
            (mean < MAX_IDLE_CPU_PERCENT).then(|| {
                let used = number(Some(mean));
                format!("`{}` used {used} % of its processor: it waits, it does not compute", host.name)
            })
        })
    }

    fn target_hosts(&self) -> impl Iterator<Item = (&Host, &HostSummary)> {
        let hosts = self.plan.monitor.iter().flat_map(|monitor| &monitor.hosts);
        hosts.zip(&self.counted.readings.hosts).filter(|(host, _)| host.is_of_target())
    }

    /// Whether more was asked of the target than it did. Users who spend most of their time thinking ask for no more, and
    /// a silent target is not saturated.
    fn is_saturated(&self, plateau: Plateau) -> bool {
        let length = f64::from(plateau.to - plateau.from);
        let silence = self.counted.causes.silences.longest();
        if silence.is_some_and(|silence| silence.length().as_secs_f64() > MAX_SILENT_PART * length) {
            return false;
        }
        match self.phase.load {
            Load::Open(_) => true,
            Load::Closed => plateau.under_way.1 >= f64::from(self.phase.users) / 2.0,
        }
    }

    /// The most frequent combination of operation and kind of failure.
    fn failures(&self) -> Option<String> {
        let counted = self.counted;
        let kinds = counted.operations.iter().flat_map(|(id, operation)| {
            let unserved = operation.dropped - operation.withdrawn;
            let dropped = (unserved > 0).then_some((ErrorKind::Dropped, unserved));
            let errors = operation.errors.iter().map(|(kind, count)| (*kind, *count));
            errors.chain(dropped).map(move |(kind, count)| (count, *id, kind))
        });
        let all: u64 = kinds.clone().map(|(count, ..)| count).sum();
        let (count, id, kind) =
            kinds.max_by_key(|(count, id, kind)| (*count, std::cmp::Reverse((*id, *kind))))?;
        let tried = |operation: &OperationSummary| operation.requests + operation.dropped;
        let of: u64 = counted.operations.values().map(tried).sum();
        if (all as f64) < MIN_FAILED_SHARE * of as f64 {
            return None;
        }
        let name = name(self.plan, id);
        let mut sentence =
            format!("{count} of {} `{name}` requests {}", tried(&counted.operations[&id]), ended(kind));
        let Failures { first, last, before, since, .. } = &counted.causes.failures;
        if let (Some(first), Some(last)) = (first.get(&(id, kind)), last.get(&(id, kind))) {
            sentence += &format!(", the first {}, the last {}", self.second(*first), self.second(*last));
        }
        if all > count {
            sentence += &format!("; {all} of {of} failed over all operations and kinds");
        }
        if let (Some(before), Some(since)) = (before.ms(), since.ms())
            && since >= MIN_SLOWDOWN_RATIO * before
        {
            let (before, since) = (number(Some(before)), number(Some(since)));
            sentence += &format!(
                "; requests took {before} ms on average before the first failure and {since} ms after it"
            );
        }
        Some(sentence)
    }
}

fn name(plan: &Plan, operation: OperationId) -> &str {
    &plan.operations[operation.index()]
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

fn slowed_after(plan: &Plan, aftermath: Interference) -> String {
    let Interference { operation, with, without, correlation } = aftermath;
    let name = name(plan, operation);
    format!(
        "the other operations are slower in the {AFTERMATH_S} s after `{name}`, as if it left work in the background: in \
         {} such seconds they took {} ms on average, in the other {} seconds {} ms (correlation {correlation:.2})",
        with.0,
        number(Some(with.1)),
        without.0,
        number(Some(without.1))
    )
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

fn crossed((idle_s, count): (u32, u64)) -> String {
    format!(
        "{count} requests crossed the end of a connection that had been idle for about {idle_s} s, the target's keep-alive \
         timeout; make it longer than the users' waits"
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
