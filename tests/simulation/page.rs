//! Shared parts of the simulations: the number of runs, and the tables of the page.

use rand::RngExt;
use rand_xoshiro::Xoshiro256PlusPlus;

pub(crate) const ALPHA: f64 = 0.05;

/// The page with the tables.
const PAGE: &str = "docs/concepts/verdict.md";

/// The number of runs per row of the tables in the docs.
const RUNS: u32 = 2000;

pub(crate) fn runs() -> u32 {
    std::env::var("SIMULATED_RUNS").map_or(RUNS, |runs| runs.parse().unwrap())
}

/// Draws from an exponential distribution with mean 1.
pub(crate) fn exponential(random: &mut Xoshiro256PlusPlus) -> f64 {
    -(1.0 - random.random::<f64>()).ln()
}

pub(crate) fn percent(share: f64) -> String {
    format!("{:.1} %", 100.0 * share)
}

pub(crate) fn table(head: &[&str], rows: impl IntoIterator<Item = Vec<String>>) -> String {
    let mut text = format!("| {} |\n|{}\n", head.join(" | "), "---|".repeat(head.len()));
    rows.into_iter().for_each(|row| text += &format!("| {} |\n", row.join(" | ")));
    text
}

/// Compares a table with the one between its marks in the page, or replaces that with `UPDATE_EXPECTED=1`.
pub(crate) fn publish(mark: &str, table: &str) {
    println!("{table}");
    if runs() != RUNS {
        return;
    }
    // Each test is a process of its own, and all of them write to one page.
    let lock = std::fs::File::open(PAGE).unwrap();
    lock.lock().unwrap();
    let page = std::fs::read_to_string(PAGE).unwrap();
    let (begin, end) = (format!("<!-- table: {mark} -->\n"), "<!-- end of table -->");
    let from = page.find(&begin).unwrap_or_else(|| panic!("no table `{mark}`")) + begin.len();
    let to = from + page[from..].find(end).unwrap();
    if std::env::var_os("UPDATE_EXPECTED").is_some() {
        std::fs::write(PAGE, format!("{}\n{table}\n{}", &page[..from], &page[to..])).unwrap();
    } else {
        assert_eq!(page[from..to].trim(), table.trim(), "run with UPDATE_EXPECTED=1 to update it");
    }
}
