//! Renders the report as text for a terminal of 80 columns.

use crate::generator::CheckVerdict;
use crate::plan::{Decision, GateTier, Tier};
use crate::resources::metric::Metric;
use crate::slo::judge::Verdict;
use crate::slo::objective::ObjectiveKind;
use comfy_table::ColumnConstraint;

use crate::report::model::{
    CheckReport, ConnectionsReport, EndedBy, ErrorReport, HostReport, LimitName, ObjectiveReport,
    PhaseReport, ProvenTier, Report,
};
use crate::report::neutral::neutral;
use crate::report::table::{WIDTH, number, plain_table};
use crate::units::{Unit, format_amount, format_amount_against, format_exact, format_limit};

/// More events of a host are only counted.
const MAX_SHOWN_EVENTS: usize = 3;
/// More messages of failures of one kind are only counted.
const MAX_SHOWN_MESSAGES: usize = 5;
/// The maximum number of lines after the verdict, so that verdict, reasons and path stand in the last ten lines.
const MAX_UNMET_LINES: usize = 6;

/// The whole report: for each phase the tables of operations, objectives, hosts and generator checks, then the notices
/// and the verdict.
pub fn render(report: &Report) -> String {
    let mut text = String::new();
    for phase in &report.phases {
        text.push_str(&phase_text(report, phase));
        text.push('\n');
    }
    if let Some(ended) = &report.ended_early {
        text.push_str(&wrapped(
            "ended early:",
            &format!("in `{}` at {}: {}", ended.phase, to_second(&ended.at), ended.why),
        ));
    }
    if !report.not_run.is_empty() {
        let named = report.not_run.iter().map(|phase| {
            let objectives = if phase.gated_objectives == 1 { "objective" } else { "objectives" };
            format!("`{}` ({} gated {objectives})", phase.name, phase.gated_objectives)
        });
        text.push_str(&wrapped("did not run:", &named.collect::<Vec<_>>().join(", ")));
    }
    for notice in &report.notices {
        text.push_str(&wrapped("notice:", notice));
    }
    text.push_str(&verdict_text(report));
    neutral(&text)
}

fn phase_text(report: &Report, phase: &PhaseReport) -> String {
    let mut text = heading(phase) + &operations_table(phase) + "\n";
    for error in &phase.errors_by_kind {
        text.push_str(&wrapped(&format!("  {}:", error.operation), &failures_text(error)));
    }
    text.push_str(&connections_text(&phase.connections));
    if phase.network_latency {
        text.push('\n');
        text.push_str(&(latency_table(phase) + "\n"));
    }
    let objectives: Vec<&ObjectiveReport> =
        report.objectives.iter().filter(|objective| objective.phase == phase.name).collect();
    if !objectives.is_empty() {
        text.push('\n');
        text.push_str(&(objectives_table(&objectives) + "\n"));
    }
    for objective in objectives.iter().filter(|objective| objective.verdict != Verdict::Met) {
        let gated = if objective.gated { "" } else { " (not gated)" };
        let label = format!("  {}, {}{gated}:", objective.name, objective.verdict);
        text.push_str(&wrapped(&label, &objective.why));
    }
    for cause in &phase.causes {
        text.push_str(&wrapped("  likely cause:", cause));
    }
    text.push_str(&hosts_text(report, phase));
    text.push('\n');
    text.push_str(&generator_text(phase));
    text
}

/// The connections, if the target closed some or requests had to be sent again.
fn connections_text(connections: &ConnectionsReport) -> String {
    let ConnectionsReport { opened, reused, closed_by_target, reconnected, reconnected_unclear, addresses } =
        connections;
    if closed_by_target + reconnected + reconnected_unclear == 0 && addresses.len() < 2 {
        return String::new();
    }
    let again = [(reconnected, ""), (reconnected_unclear, ", with an unclear fate")];
    let again = again.map(|(count, fate)| match *count {
        0 => String::new(),
        count => format!("; {count} requests sent again over a new one{fate}"),
    });
    let text =
        format!("{opened} opened, reused {reused} times, {closed_by_target} closed by the target while idle");
    let to = match addresses.len() {
        ..2 => String::new(),
        _ => {
            let each = addresses.iter().map(|(address, count)| format!("{count} to {address}"));
            format!("; {}", each.collect::<Vec<_>>().join(", "))
        }
    };
    wrapped("  connections:", &(text + &again.concat() + &to))
}

/// "40 × status 5xx: 30 × HTTP status 503, 10 × HTTP status 500".
fn failures_text(error: &ErrorReport) -> String {
    let of = format!("{} × {}", error.count, error.kind);
    let shown = &error.messages[..error.messages.len().min(MAX_SHOWN_MESSAGES)];
    let rest = error.count.saturating_sub(shown.iter().map(|message| message.count).sum());
    match shown {
        [] | [_] if rest == 0 || error.messages.len() < 2 => format!("{of}: {}", error.example),
        shown => {
            let named = shown.iter().map(|shown| format!("{} × {}", shown.count, shown.message));
            let rest = (rest > 0).then(|| format!("{rest} × other messages"));
            format!("{of}: {}", named.chain(rest).collect::<Vec<_>>().join(", "))
        }
    }
}

/// The table of hosts and the remarks about them.
fn hosts_text(report: &Report, phase: &PhaseReport) -> String {
    let hosts: Vec<&HostReport> = report.resources.iter().filter(|host| host.phase == phase.name).collect();
    if hosts.is_empty() {
        return String::new();
    }
    let mut table = plain_table(&["host", "cpu %", "peak", "memory %", "peak", "disk_io %", "peak"]);
    for host in &hosts {
        let shares = [Metric::Cpu, Metric::Memory, Metric::DiskIo].map(|metric| host.metrics.get(&metric));
        let shares = shares.into_iter().flat_map(|it| [it.map(|it| it.mean), it.map(|it| it.max)]);
        table.add_row(std::iter::once(host.host.clone()).chain(shares.map(number)));
    }
    let mut text = format!("\n{table}\n");
    for host in hosts {
        text.push_str(&host_text(host));
    }
    if let Some(shared) = &phase.shared_machine {
        text.push_str(&wrapped("  on this machine:", &shared.told));
    }
    text
}

/// The memory of a host, and the bytes that it read, wrote, received and sent.
fn used(host: &HostReport) -> String {
    let memory =
        [Metric::ProcessMemory, Metric::MemoryUsed].iter().find_map(|metric| host.metrics.get(metric));
    let memory = memory.map(|memory| format!("{} of memory", format_amount(memory.mean, memory.unit)));
    let totals = [
        (host.totals.disk_read_bytes, "read"),
        (host.totals.disk_written_bytes, "written"),
        (host.totals.network_received_bytes, "received"),
        (host.totals.network_sent_bytes, "sent"),
    ];
    let totals = totals.into_iter().filter_map(|(total, verb)| {
        total.map(|total| format!("{} {verb}", format_amount(total as f64, Unit::Bytes)))
    });
    memory.into_iter().chain(totals).collect::<Vec<_>>().join(", ")
}

/// The usage of a host, its missing readings and its events.
fn host_text(host: &HostReport) -> String {
    let mut text = match used(host).as_str() {
        "" => String::new(),
        used => wrapped(&format!("  {}, {}:", host.host, host.source), used),
    };
    if host.readings < host.expected {
        let coverage = format!("{} of {} expected readings", host.readings, host.expected);
        let why = host.missing.values().next().filter(|_| host.events.is_empty());
        let why = why.map_or(String::new(), |why| format!(": {why}"));
        text.push_str(&wrapped(&format!("  {}:", host.host), &(coverage + &why)));
    }
    for event in host.events.iter().take(MAX_SHOWN_EVENTS) {
        let time = |at: &str| at.get(11..19).unwrap_or(at).to_owned();
        let when = match event.from == event.to {
            true => format!("{} UTC", time(&event.from)),
            false => format!("{}–{} UTC", time(&event.from), time(&event.to)),
        };
        text.push_str(&wrapped(&format!("  {}, {when}:", host.host), &event.what));
    }
    if host.events.len() > MAX_SHOWN_EVENTS {
        let more = format!("and {} more events, see `report.json`", host.events.len() - MAX_SHOWN_EVENTS);
        text.push_str(&wrapped(&format!("  {}:", host.host), &more));
    }
    text
}

/// The generator checks in one line, and each that is not ok with its explanation.
fn generator_text(phase: &PhaseReport) -> String {
    let checks = &phase.generator.checks;
    let (ok, others): (Vec<&CheckReport>, Vec<&CheckReport>) =
        checks.iter().partition(|check| check.verdict == CheckVerdict::Ok);
    let found = ["send lag", "processor"]
        .map(|name| ok.iter().find(|check| check.name == name && check.value != "–"));
    let found: Vec<String> =
        found.into_iter().flatten().map(|check| format!("{} {}", check.name, check.value)).collect();
    let found = if found.is_empty() { String::new() } else { format!(": {}", found.join(", ")) };
    let line = format!("{} of {} checks ok{found}", ok.len(), checks.len());
    let mut text = if checks.is_empty() { String::new() } else { wrapped("  generator:", &line) };
    for check in others {
        text.push_str(&wrapped(&format!("  {}, {}:", check.name, check.verdict), &check.why));
    }
    text
}

fn heading(phase: &PhaseReport) -> String {
    let load = match &phase.arrivals {
        None if let Some(iterations) = &phase.iterations => {
            format!("{} of {} iterations", iterations.started, iterations.planned)
        }
        Some(arrivals) if arrivals.dropped > 0 => {
            format!("{} of {} arrivals dropped", arrivals.dropped, arrivals.scheduled)
        }
        Some(arrivals) => format!("{} arrivals", arrivals.scheduled),
        None => format!("{} requests", phase.requests),
    };
    let times = format!("{} judged of {}", seconds(phase.judged_s), seconds(phase.ran_s));
    wrapped(&phase.name, &format!("· {} users · {times} · {load}", phase.users)) + "\n"
}

fn operations_table(phase: &PhaseReport) -> String {
    // Ramp and warm-up are sent and not judged; response times and rates are of the judged requests alone.
    let has_unjudged = phase.operations.iter().any(|operation| operation.judged != operation.requests);
    let of = |requests: u64, judged: u64| {
        let judged = has_unjudged.then(|| judged.to_string());
        std::iter::once(requests.to_string()).chain(judged)
    };
    let judged_header = has_unjudged.then_some("judged");
    let has_dropped = phase.dropped > 0;
    let ended = |failed: u64, dropped: u64| {
        std::iter::once(failed.to_string()).chain(has_dropped.then(|| dropped.to_string()))
    };
    let headers = ["operation", "sent"].into_iter().chain(judged_header).chain(["failed"]);
    let headers = headers.chain(has_dropped.then_some("never sent"));
    let headers: Vec<&str> = headers.chain(["per s", "p50 ms", "p95", "p99", "max"]).collect();
    let mut table = plain_table(&headers);
    for operation in &phase.operations {
        let times = operation.response_ms;
        let rest = [operation.throughput_per_s, times.p50, times.p95, times.p99, times.max].map(number);
        let counts =
            of(operation.requests, operation.judged).chain(ended(operation.errors, operation.dropped));
        table.add_row([operation.name.clone()].into_iter().chain(counts).chain(rest));
    }
    if phase.operations.len() > 1 {
        let judged = phase.operations.iter().map(|operation| operation.judged).sum();
        let counts = of(phase.requests, judged).chain(ended(phase.errors, phase.dropped));
        let rest = [number(phase.throughput_per_s)];
        table.add_row(["all together".to_owned()].into_iter().chain(counts).chain(rest));
    }
    table.to_string()
}

/// The times that users waited with the network latency of the plan. All other tables leave the latency out.
fn latency_table(phase: &PhaseReport) -> String {
    let mut table = plain_table(&["with network latency", "p50 ms", "p95", "p99", "max"]);
    for operation in &phase.operations {
        let times = operation.user_ms;
        let times = [times.p50, times.p95, times.p99, times.max].map(number);
        table.add_row([operation.name.clone()].into_iter().chain(times));
    }
    table.to_string()
}

/// A time without fractions of a second.
fn to_second(time: &str) -> String {
    let parsed = time.parse::<jiff::Timestamp>().ok();
    let rounded = parsed.and_then(|time| time.round(jiff::Unit::Second).ok());
    rounded.map_or_else(|| time.to_owned(), |time| time.to_string())
}

fn objectives_table(objectives: &[&ObjectiveReport]) -> String {
    let headers = ["objective", "observed", "target", "acceptable", "maximum", "tier", "verdict"];
    let mut table = plain_table(&headers);
    // Only names are broken into lines.
    for column in table.column_iter_mut().skip(1) {
        column.set_constraint(ColumnConstraint::ContentWidth);
    }
    for objective in objectives {
        table.add_row([
            objective.name.clone(),
            observed(objective),
            limit(objective, LimitName::Target),
            limit(objective, LimitName::Acceptable),
            limit(objective, last_limit(objective)),
            objective.tier.map_or("–", ProvenTier::as_str).to_owned(),
            if objective.gated { objective.verdict.to_string() } else { format!("({})", objective.verdict) },
        ]);
    }
    table.to_string()
}

/// The observed value with its statistic and unit.
pub(super) fn observed(objective: &ObjectiveReport) -> String {
    let statistic = match objective.kind {
        ObjectiveKind::Throughput | ObjectiveKind::ErrorRate => String::new(),
        ObjectiveKind::ResponseTime
        | ObjectiveKind::Resource
        | ObjectiveKind::Drift
        | ObjectiveKind::Outage => {
            format!("{} ", objective.statistic)
        }
    };
    let limits: Vec<f64> = objective.limits.values().copied().collect();
    let value = objective.observed.map(|value| format_amount_against(value, &limits, objective.unit));
    value.map_or_else(|| "–".to_owned(), |value| statistic + &value)
}

/// The limit of a tier as the plan has it. Sizes have units of their own; of all others the observed value shows the unit.
fn limit(objective: &ObjectiveReport, name: LimitName) -> String {
    let least = if objective.kind == ObjectiveKind::Throughput { "≥ " } else { "" };
    match objective.limits.get(&name) {
        Some(limit) if matches!(objective.unit, Unit::Bytes | Unit::BytesPerSecond) => {
            format_limit(*limit, objective.unit)
        }
        Some(limit) => format!("{least}{}", format_exact(*limit)),
        None => "–".to_owned(),
    }
}

/// The limits of an objective: "target 50 ms, maximum 200 ms".
pub(super) fn limits(objective: &ObjectiveReport) -> String {
    let names = [LimitName::Target, LimitName::Acceptable, last_limit(objective)];
    let limits = names.into_iter().filter_map(|name| Some((name, objective.limits.get(&name)?)));
    let named = limits.map(|(name, limit)| format!("{name} {}", format_limit(*limit, objective.unit)));
    named.collect::<Vec<_>>().join(", ")
}

/// The numbers of an objective in one line.
pub(super) fn objective_line(objective: &ObjectiveReport) -> String {
    let known: Vec<f64> = objective.limits.values().copied().collect();
    let shown = |value: f64| format_amount_against(value, &known, objective.unit);
    let observed = objective.observed.map_or_else(|| "nothing".to_owned(), shown);
    let interval = objective
        .interval
        .map_or(String::new(), |[low, high]| format!(" (interval {} to {})", shown(low), shown(high)));
    let ObjectiveReport { statistic, operations, samples, .. } = objective;
    let of = if operations.is_empty() { String::new() } else { format!(" of {}", operations.join(", ")) };
    format!("{statistic}{of}: observed {observed}{interval}; {}; {samples} samples", limits(objective))
}

fn last_limit(objective: &ObjectiveReport) -> LimitName {
    if objective.kind == ObjectiveKind::Throughput { LimitName::Minimum } else { LimitName::Maximum }
}

/// The end of the report: the verdict with the exit code, and a line for each gated objective that was not met.
fn verdict_text(report: &Report) -> String {
    let assessed = report
        .objectives
        .iter()
        .filter(|o| !matches!(o.verdict, Verdict::NotAssessed | Verdict::NotJudged))
        .count();
    let gated = report.objectives.iter().filter(|o| o.gated).count();
    let met = report.objectives.iter().filter(|o| o.gated && o.verdict == Verdict::Met).count();
    let counts = match report.rehearsal {
        true => format!("{assessed} of {} objectives assessed", report.objectives.len()),
        false => format!("{met} of {gated} gated objectives met at tier {}", report.gate),
    };
    let observed = if report.decision == Decision::Observed { "; observed, not proven" } else { "" };
    let mut text =
        wrapped("verdict:", &format!("{} ({counts}{observed}; exit {})", report.verdict, report.exit_code));
    if let Some(reason) = &report.reason {
        text.push_str(&wrapped("  reason:", reason));
    }
    if let Some(ended) = report.ended_early.as_ref().filter(|ended| ended.by == EndedBy::Breaker) {
        let word = if report.gate == GateTier::NOTHING { "ended early" } else { "missed" };
        text.push_str(&format!("  {word}: {} · {}\n", ended.phase, ended.why));
    }
    let unmet = |verdict| report.objectives.iter().filter(move |o| o.gated && o.verdict == verdict);
    let unmet: Vec<_> =
        [Verdict::Missed, Verdict::Inconclusive, Verdict::NoData].into_iter().flat_map(unmet).collect();
    for objective in unmet.iter().take(MAX_UNMET_LINES) {
        text.push_str(&unmet_line(report, objective));
    }
    if unmet.len() > MAX_UNMET_LINES {
        text.push_str(&format!("  and {} more, see the tables above\n", unmet.len() - MAX_UNMET_LINES));
    }
    text
}

/// "  missed: peak · Single search: p95 312 ms, maximum 200 ms: proven beyond maximum". It is not broken, so that
/// a log can be searched for it.
fn unmet_line(report: &Report, objective: &ObjectiveReport) -> String {
    // A gate asks for the next looser tier where an objective lacks its own.
    let last = last_limit(objective);
    let names: &[LimitName] = match report.gate {
        GateTier(Some(Tier::Target)) => &[LimitName::Target, LimitName::Acceptable, last],
        GateTier(Some(Tier::Acceptable)) => &[LimitName::Acceptable, last],
        GateTier(Some(Tier::Maximum) | None) => &[last],
    };
    let limit = names.iter().find_map(|name| Some((name, objective.limits.get(name)?)));
    let limit = limit
        .map_or(String::new(), |(name, limit)| format!(", {name} {}", format_limit(*limit, objective.unit)));
    format!(
        "  {}: {} · {}: {}{limit}: {}\n",
        objective.verdict,
        objective.phase,
        objective.name,
        observed(objective),
        objective.reason
    )
}

fn seconds(value: f64) -> String {
    let span = crate::units::TimeSpan::from(std::time::Duration::from_millis((value * 1000.0) as u64));
    span.to_string()
}

/// Wraps a label and a text between words and indents the following lines. A number stays on the line of its unit.
fn wrapped(label: &str, text: &str) -> String {
    let mut words: Vec<String> = Vec::new();
    for word in text.split(' ') {
        match words.last_mut().filter(|last| belongs(word, last)) {
            Some(last) => *last = format!("{last} {word}"),
            None => words.push(word.to_owned()),
        }
    }
    let mut lines = vec![label.to_owned()];
    for word in words {
        let line = lines.last_mut().expect("the list starts with the label");
        if line.chars().count() + word.chars().count() < usize::from(WIDTH) {
            line.push(' ');
            line.push_str(&word);
        } else {
            lines.push(format!("    {word}"));
        }
    }
    lines.join("\n") + "\n"
}

/// Whether a word continues the number before it: as its unit or as its next group of three digits.
fn belongs(word: &str, last: &str) -> bool {
    let unit = word.trim_end_matches([';', ',', ':', '.', ')']);
    let digits = word.get(..3).is_some_and(|digits| digits.bytes().all(|byte| byte.is_ascii_digit()));
    last.ends_with(|c: char| c.is_ascii_digit()) && (["%", "ms", "s"].contains(&unit) || digits)
}
