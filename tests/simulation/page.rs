//! What all simulations share: how many runs there are, and the tables of the page.

use rand::RngExt;
use rand_xoshiro::Xoshiro256PlusPlus;

pub(crate) const ALPHA: f64 = 0.05;

/// The runs of each row of the tables in the docs.
const RUNS: u32 = 2000;

pub(crate) fn runs() -> u32 {
    std::env::var("SIMULATED_RUNS").map_or(RUNS, |runs| runs.parse().unwrap())
}

/// A time of an exponential distribution with mean 1.
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

/// Puts a table between its marks in the page, or compares it with what is there.
pub(crate) fn publish(mark: &str, table: &str) {
    println!("{table}");
    if runs() != RUNS {
        return;
    }
    // The tests write to one page, each from a process of its own.
    let lock = std::fs::File::open("docs/verdict.md").unwrap();
    lock.lock().unwrap();
    let page = std::fs::read_to_string("docs/verdict.md").unwrap();
    let (begin, end) = (format!("<!-- table: {mark} -->\n"), "<!-- end of table -->");
    let from = page.find(&begin).unwrap_or_else(|| panic!("no table `{mark}`")) + begin.len();
    let to = from + page[from..].find(end).unwrap();
    if std::env::var_os("UPDATE_EXPECTED").is_some() {
        std::fs::write("docs/verdict.md", format!("{}\n{table}\n{}", &page[..from], &page[to..])).unwrap();
    } else {
        assert_eq!(page[from..to].trim(), table.trim(), "UPDATE_EXPECTED=1 writes it anew");
    }
}
