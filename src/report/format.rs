//! The formats of a finished report. Each is a pure function of it: the same report gives the same bytes.

mod junit;
mod summary;

use crate::report::console;
use crate::report::model::Report;
use crate::units::text_enum;

text_enum! {
    /// A format of the report.
    pub enum ReportFormat {
        /// The typed report, the source of all others
        Json = "json",
        /// JUnit XML, for CI systems: a suite for each phase and a case for each objective
        Junit = "junit",
        /// Markdown, for the summary of a CI job or a comment
        Summary = "summary",
        /// The text that a run prints
        Text = "text",
    }
}

impl ReportFormat {
    /// The name of its file in the folder of a run.
    pub fn file_name(self) -> &'static str {
        match self {
            Self::Json => "report.json",
            Self::Junit => "junit.xml",
            Self::Summary => "summary.md",
            Self::Text => "report.txt",
        }
    }

    /// The report in this format.
    pub fn render(self, report: &Report) -> String {
        match self {
            Self::Json => serde_json::to_string_pretty(report).expect("a report is plain data") + "\n",
            Self::Junit => junit::render(report),
            Self::Summary => summary::render(report),
            Self::Text => console::render(report),
        }
    }
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

    #[test]
    fn the_same_report_gives_the_same_bytes() {
        for format in ReportFormat::ALL {
            assert_eq!(format.render(&sample()), format.render(&sample()));
        }
    }
}
