//! The report as a terminal shows it, readable at 80 columns.

use comfy_table::{CellAlignment, Table};

use crate::report::model::{ObjectiveReport, PhaseReport, Report};

/// No line is longer, whatever names the plan has.
const WIDTH: u16 = 80;

/// The whole report: a table of operations and one of objectives per phase, then the verdict.
pub fn render(report: &Report) -> String {
    let mut text = String::new();
    for phase in &report.phases {
        text.push_str(&phase_text(report, phase));
        text.push('\n');
    }
    for notice in &report.notices {
        text.push_str(&wrapped("notice: ", notice));
    }
    text.push_str(&verdict_line(report));
    text
}

fn phase_text(report: &Report, phase: &PhaseReport) -> String {
    let mut text = heading(phase);
    text.push_str(&operations_table(phase));
    text.push('\n');
    for error in &phase.errors_by_kind {
        let told = format!("{} × {}: {}", error.count, error.kind, error.example);
        text.push_str(&wrapped(&format!("  {} ", error.operation), &told));
    }
    let objectives: Vec<&ObjectiveReport> =
        report.objectives.iter().filter(|objective| objective.phase == phase.name).collect();
    if !objectives.is_empty() {
        text.push('\n');
        text.push_str(&objectives_table(&objectives));
        text.push('\n');
    }
    for objective in objectives.iter().filter(|objective| objective.verdict != "met") {
        let gated = if objective.gated { "" } else { " (not gated)" };
        let label = format!("  {} {}{gated}: ", objective.name, objective.verdict);
        text.push_str(&wrapped(&label, &objective.why));
    }
    text
}

fn heading(phase: &PhaseReport) -> String {
    let load = match &phase.arrivals {
        Some(arrivals) => format!(
            "{} arrivals, {} started, {} dropped",
            arrivals.scheduled, arrivals.started, arrivals.dropped
        ),
        None => format!("{} requests", phase.requests),
    };
    let times = format!("ran {}, judged {}", seconds(phase.ran_s), seconds(phase.judged_s));
    wrapped(&format!("{} ", phase.name), &format!("· {} users · {times} · {load}", phase.users))
}

fn operations_table(phase: &PhaseReport) -> String {
    let mut table =
        new_table(&["operation", "requests", "errors", "per s", "p50 ms", "p95 ms", "p99 ms", "max ms"]);
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

fn objectives_table(objectives: &[&ObjectiveReport]) -> String {
    let mut table = new_table(&["objective", "observed", "target", "accept.", "limit", "tier", "verdict"]);
    for objective in objectives {
        let limit = |name: &str| number(objective.limits.get(name).copied());
        let last = if objective.kind == "throughput" { "minimum" } else { "maximum" };
        let statistic = match objective.kind {
            "response_time" => format!("{} ", objective.statistic),
            _ => String::new(),
        };
        let unit = if objective.unit == "/s" { "/s".to_owned() } else { format!(" {}", objective.unit) };
        let observed = match objective.observed {
            Some(_) => format!("{statistic}{}{unit}", number(objective.observed)),
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

fn new_table(headers: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_style(comfy_table::presets::UTF8_HORIZONTAL_ONLY);
    table.set_content_arrangement(comfy_table::ContentArrangement::Dynamic);
    table.set_width(WIDTH);
    table.set_header(headers.to_vec());
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table
}

fn verdict_line(report: &Report) -> String {
    let assessed = report.objectives.iter().filter(|o| o.verdict != "not assessed").count();
    let gated = report.objectives.iter().filter(|o| o.gated).count();
    let met = report.objectives.iter().filter(|o| o.gated && o.verdict == "met").count();
    let told = match report.rehearsal {
        true => format!("{assessed} of {} objectives assessed", report.objectives.len()),
        false => format!("{met} of {gated} gated objectives met at tier {}", report.gate),
    };
    format!("verdict: {} ({told}; exit {})\n", report.verdict, report.exit_code)
}

/// A number in about three digits.
fn number(value: Option<f64>) -> String {
    let Some(value) = value else { return "–".to_owned() };
    let digits = match value.abs() {
        v if v >= 100.0 => 0,
        v if v >= 10.0 => 1,
        _ => 2,
    };
    let text = format!("{value:.digits$}");
    match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.').to_owned(),
        false => text,
    }
}

fn seconds(value: f64) -> String {
    let span = crate::units::TimeSpan::from(std::time::Duration::from_millis((value * 1000.0) as u64));
    span.to_string()
}

/// A label and a text, broken between words, the lines after the first indented.
fn wrapped(label: &str, text: &str) -> String {
    let mut lines = vec![label.to_owned()];
    for word in text.split(' ') {
        let line = lines.last_mut().expect("there is always a line");
        let fits = line.chars().count() + word.chars().count() < usize::from(WIDTH);
        if fits || line.trim().is_empty() {
            if !line.ends_with(' ') {
                line.push(' ');
            }
            line.push_str(word);
        } else {
            lines.push(format!("    {word}"));
        }
    }
    lines.iter().map(|line| format!("{}\n", line.trim_end())).collect()
}
