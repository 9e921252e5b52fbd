//! The formats of a finished report. Each is a pure function of it: the same report gives the same bytes.

mod charts;
mod csv;
mod hlog;
mod html;
mod junit;
mod load_performance;
mod metrics;
mod series;
mod summary;

pub use metrics::response_time_bucket;

use std::path::PathBuf;

use crate::report::console;
use crate::report::full::FullReport;
use crate::report::model::Report;
use crate::units::text_enum;

text_enum! {
    /// A format of the report.
    pub enum ReportFormat {
        /// The typed report, the source of all others
        Json = "json",
        /// A page for people: one file without scripts that it needs, readable under any content policy
        Html = "html",
        /// JUnit XML, for CI systems: a suite for each phase and a case for each objective
        Junit = "junit",
        /// Markdown, for the summary of a CI job or a comment
        Summary = "summary",
        /// The text that a run prints
        Text = "text",
        /// Requests and response times of each operation, in the columns of Locust
        Stats = "stats",
        /// The same over time, in the columns of Locust
        StatsHistory = "stats-history",
        /// Failures, in the columns of Locust
        Failures = "failures",
        /// Errors of the load generator, in the columns of Locust
        Exceptions = "exceptions",
        /// Histograms of the response times over time: an interval log of HdrHistogram
        Hlog = "hlog",
        /// Everything over time, one line for each phase, interval and operation
        Timeseries = "timeseries",
        /// The readings of the hosts over time
        Resources = "resources",
        /// Metrics in the text format of Prometheus and OpenMetrics
        Metrics = "metrics",
        /// The file that the load performance widget of GitLab and that Testkube read
        LoadPerformance = "load-performance",
        /// A folder with the charts of the page, as SVG
        Charts = "charts",
    }
}

/// The bytes of a format.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Rendered {
    File(Vec<u8>),
    /// The files of a folder.
    Folder(Vec<(PathBuf, Vec<u8>)>),
}

impl ReportFormat {
    /// The name of its file in the folder of a run.
    pub fn file_name(self) -> &'static str {
        match self {
            Self::Json => "report.json",
            Self::Html => "report.html",
            Self::Junit => "junit.xml",
            Self::Summary => "summary.md",
            Self::Text => "report.txt",
            Self::Stats => "stats.csv",
            Self::StatsHistory => "stats_history.csv",
            Self::Failures => "failures.csv",
            Self::Exceptions => "exceptions.csv",
            Self::Hlog => "latency.hlog",
            Self::Timeseries => "timeseries.csv",
            Self::Resources => "resources.json",
            Self::Metrics => "metrics.txt",
            Self::LoadPerformance => "load-performance.json",
            Self::Charts => "charts",
        }
    }

    /// The report in this format.
    pub fn render(self, full: &FullReport<'_>) -> Rendered {
        let text = match self {
            Self::Json => report_json(&full.report),
            Self::Html => html::render(full),
            Self::Junit => junit::render(&full.report),
            Self::Summary => summary::render(&full.report),
            Self::Text => console::render(&full.report),
            Self::Stats => csv::stats(full),
            Self::StatsHistory => csv::stats_history(full),
            Self::Failures => csv::failures(full),
            Self::Exceptions => csv::exceptions(full),
            Self::Hlog => hlog::render(full),
            Self::Timeseries => series::timeseries(full),
            Self::Resources => series::resources(full),
            Self::Metrics => metrics::render(full),
            Self::LoadPerformance => load_performance::render(full),
            Self::Charts => return Rendered::Folder(charts::files(full)),
        };
        Rendered::File(text.into_bytes())
    }
}

/// The typed report as JSON.
pub fn report_json(report: &Report) -> String {
    serde_json::to_string_pretty(report).expect("a report is plain data") + "\n"
}

/// The report as Markdown.
pub fn report_summary(report: &Report) -> String {
    summary::render(report)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Names and messages that would do harm where they are not escaped.
    pub(super) const HOSTILE: &[&str] = &[
        "<script>alert(1)</script>",
        "\"><img src=x onerror=alert(1)>",
        "]]><failure/>",
        "a | b || c",
        "a\nb\r\n| c |",
        "[click](http://elsewhere.example)",
        "http://elsewhere.example/?a&b=<c>",
        "@team #1 *bold* _it_ `code`",
        "&lt;b&gt; &amp; &#124;",
        "\u{1b}[31mred\u{0}\u{ffff}",
        "' onmouseover='x",
        "${env:HOME} {{ x }} %0a::error::y",
    ];

    /// The report that is shipped as a sample.
    pub(super) fn sample() -> Report {
        let text = include_str!("../../reports/sample/report.json");
        serde_json::from_str(text).expect("the sample is a report")
    }
}
