//! The report as a terminal shows it, readable at 80 columns.

use crate::report::model::{HostReport, ObjectiveReport, PhaseReport, Report};
use crate::report::table::{WIDTH, number, plain_table};
use crate::units::format_amount;

/// So many events of a host are shown.
const MAX_SHOWN_EVENTS: usize = 3;

/// The whole report: a table of operations and one of objectives per phase, then the verdict.
pub fn render(report: &Report) -> String {
    let mut text = String::new();
    for phase in &report.phases {
        text.push_str(&phase_text(report, phase));
        text.push('\n');
    }
    if let Some(ended) = &report.ended_early {
        text.push_str(&wrapped(
            "ended early:",
            &format!("in `{}` at {}: {}", ended.phase, ended.at, ended.why),
        ));
    }
    for notice in &report.notices {
        text.push_str(&wrapped("notice:", notice));
    }
    text.push_str(&verdict_line(report));
    text
}

fn phase_text(report: &Report, phase: &PhaseReport) -> String {
    let mut text = heading(phase) + &operations_table(phase) + "\n";
    if phase.network_latency {
        text.push('\n');
        text.push_str(&(latency_table(phase) + "\n"));
    }
    for error in &phase.errors_by_kind {
        let failures = format!("{} × {}: {}", error.count, error.kind, error.example);
        text.push_str(&wrapped(&format!("  {}:", error.operation), &failures));
    }
    let objectives: Vec<&ObjectiveReport> =
        report.objectives.iter().filter(|objective| objective.phase == phase.name).collect();
    if !objectives.is_empty() {
        text.push('\n');
        text.push_str(&(objectives_table(&objectives) + "\n"));
    }
    for objective in objectives.iter().filter(|objective| objective.verdict != "met") {
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

/// What hosts used, and what there is to say about it.
fn hosts_text(report: &Report, phase: &PhaseReport) -> String {
    let hosts: Vec<&HostReport> = report.resources.iter().filter(|host| host.phase == phase.name).collect();
    if hosts.is_empty() {
        return String::new();
    }
    let mut table = plain_table(&["host", "cpu %", "peak", "memory %", "peak", "disk_io %", "peak"]);
    for host in &hosts {
        let shares = ["cpu", "memory", "disk_io"].map(|name| host.metrics.get(name));
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

/// Its memory in bytes, and what it read, wrote, received and sent.
fn used(host: &HostReport) -> String {
    let memory = ["process_memory", "memory_used"].into_iter().find_map(|name| host.metrics.get(name));
    let memory = memory.map(|memory| format!("{} of memory", format_amount(memory.mean, memory.unit)));
    let totals = [
        (host.totals.disk_read_bytes, "read"),
        (host.totals.disk_written_bytes, "written"),
        (host.totals.network_received_bytes, "received"),
        (host.totals.network_sent_bytes, "sent"),
    ];
    let totals = totals.into_iter().filter_map(|(total, verb)| {
        total.map(|total| format!("{} {verb}", format_amount(total as f64, "B")))
    });
    memory.into_iter().chain(totals).collect::<Vec<_>>().join(", ")
}

/// What was missing of a host, and what happened to it.
fn host_text(host: &HostReport) -> String {
    let mut text = match used(host).as_str() {
        "" => String::new(),
        used => wrapped(&format!("  {}, {}:", host.host, host.source), used),
    };
    if host.readings < host.expected {
        let coverage = format!("{} of {} readings are there", host.readings, host.expected);
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
        let more =
            format!("and {} times more, see `events` in the report", host.events.len() - MAX_SHOWN_EVENTS);
        text.push_str(&wrapped(&format!("  {}:", host.host), &more));
    }
    text
}

/// The generator's own checks, also where all is well, and why those are not that are not.
fn generator_text(phase: &PhaseReport) -> String {
    let mut table = plain_table(&["generator's own check", "found", "verdict"]);
    for check in &phase.generator.checks {
        table.add_row([check.name, &check.value, check.verdict]);
    }
    let mut text = format!("{table}\n");
    for check in phase.generator.checks.iter().filter(|check| check.verdict != "ok") {
        text.push_str(&wrapped(&format!("  {}, {}:", check.name, check.verdict), &check.why));
    }
    text
}

fn heading(phase: &PhaseReport) -> String {
    let load = match &phase.arrivals {
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
    let mut table = plain_table(&["operation", "requests", "errors", "per s", "p50 ms", "p95", "p99", "max"]);
    for operation in &phase.operations {
        let times = operation.response_ms;
        table.add_row([
            operation.name.clone(),
            operation.requests.to_string(),
            (operation.errors + operation.dropped).to_string(),
            number(operation.throughput_per_s),
            number(times.p50),
            number(times.p95),
            number(times.p99),
            number(times.max),
        ]);
    }
    if phase.operations.len() > 1 {
        let errors = (phase.errors + phase.dropped).to_string();
        let rest = [phase.requests.to_string(), errors, number(phase.throughput_per_s)];
        table.add_row(["all together".to_owned()].into_iter().chain(rest));
    }
    table.to_string()
}

/// What users waited whose network latency is in the plan; the other times are without it.
fn latency_table(phase: &PhaseReport) -> String {
    let mut table = plain_table(&["with network latency", "p50 ms", "p95", "p99", "max"]);
    for operation in &phase.operations {
        let times = operation.user_ms;
        let times = [times.p50, times.p95, times.p99, times.max].map(number);
        table.add_row([operation.name.clone()].into_iter().chain(times));
    }
    table.to_string()
}

fn objectives_table(objectives: &[&ObjectiveReport]) -> String {
    let mut table = plain_table(&["objective", "observed", "target", "accept", "limit", "tier", "verdict"]);
    for objective in objectives {
        // The unit of most limits is told beside what was observed; sizes have each its own.
        let limit = |name: &str| match objective.limits.get(name) {
            Some(limit) if objective.unit.starts_with('B') => format_amount(*limit, objective.unit),
            limit => number(limit.copied()),
        };
        let last = if objective.kind == "throughput" { "minimum" } else { "maximum" };
        let statistic = match objective.kind {
            "throughput" | "error_rate" => String::new(),
            _ => format!("{} ", objective.statistic),
        };
        let observed = match objective.observed {
            Some(observed) => format!("{statistic}{}", format_amount(observed, objective.unit)),
            None => "–".to_owned(),
        };
        table.add_row([
            objective.name.clone(),
            observed,
            limit("target"),
            limit("acceptable"),
            limit(last),
            objective.tier.unwrap_or("–").to_owned(),
            if objective.gated { objective.verdict.to_owned() } else { format!("({})", objective.verdict) },
        ]);
    }
    table.to_string()
}

fn verdict_line(report: &Report) -> String {
    let assessed = report.objectives.iter().filter(|o| o.verdict != "not assessed").count();
    let gated = report.objectives.iter().filter(|o| o.gated).count();
    let met = report.objectives.iter().filter(|o| o.gated && o.verdict == "met").count();
    let counts = match report.rehearsal {
        true => format!("{assessed} of {} objectives assessed", report.objectives.len()),
        false => format!("{met} of {gated} gated objectives met at tier {}", report.gate),
    };
    let observed = if report.decision == "observed" { "; observed, not proven" } else { "" };
    wrapped("verdict:", &format!("{} ({counts}{observed}; exit {})", report.verdict, report.exit_code))
}

fn seconds(value: f64) -> String {
    let span = crate::units::TimeSpan::from(std::time::Duration::from_millis((value * 1000.0) as u64));
    span.to_string()
}

/// A label and a text, broken between words, the lines after the first indented. A number stays with its unit.
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
        let line = lines.last_mut().expect("there is always a line");
        if line.chars().count() + word.chars().count() < usize::from(WIDTH) {
            line.push(' ');
            line.push_str(&word);
        } else {
            lines.push(format!("    {word}"));
        }
    }
    lines.join("\n") + "\n"
}

/// Whether a word is the unit of the number before it, or its next three digits.
fn belongs(word: &str, last: &str) -> bool {
    let unit = word.trim_end_matches([';', ',', ':', '.', ')']);
    let digits = word.get(..3).is_some_and(|digits| digits.bytes().all(|byte| byte.is_ascii_digit()));
    last.ends_with(|c: char| c.is_ascii_digit()) && (["%", "ms", "s"].contains(&unit) || digits)
}
