//! The statistics equal the tables of this folder, which SciPy and statsmodels computed. README.md says how.

#![expect(clippy::unwrap_used, reason = "a table that cannot be read has failed the test")]

use std::fmt::Debug;

use runner::measure::blocks::BlockSums;
use runner::statistics::{Allowed, BatchMeans, Proportion, Side, Trend, holm, trend};
use serde::Deserialize;
use serde::de::DeserializeOwned;

/// The largest relative deviation where both sides evaluate the same formula.
const TOLERANCE: f64 = 1e-9;

/// The rows of a table.
fn table<Row: DeserializeOwned>(name: &str) -> Vec<Row> {
    let rows = csv::Reader::from_path(format!("tests/oracle/{name}.csv")).unwrap().into_deserialize();
    let rows: Vec<Row> = rows.map(Result::unwrap).collect();
    assert!(rows.len() > 10, "{name} has {} rows", rows.len());
    rows
}

/// The numbers of a cell.
fn numbers(cell: &str) -> Vec<f64> {
    cell.split(' ').map(|number| number.parse().unwrap()).collect()
}

fn pairs(first: &str, second: &str) -> Vec<(f64, f64)> {
    numbers(first).into_iter().zip(numbers(second)).collect()
}

/// Asserts that a value deviates from the expected one by at most `tolerance` times `scale`.
fn assert_close(value: f64, expected: f64, (tolerance, scale): (f64, f64), row: &dyn Debug) {
    let deviation = (value - expected).abs();
    assert!(
        deviation <= tolerance * scale.abs(),
        "{value} is not {expected}, by {:.1e} of {scale}: {row:?}",
        deviation / scale
    );
}

fn assert_equal(value: f64, expected: f64, tolerance: f64, row: &dyn Debug) {
    assert_close(value, expected, (tolerance, expected), row);
}

/// The tolerance of a p-value or bound of N cases. The crate takes them from logarithms of the size of N·ln N. The
/// rounding errors of these, about 1e-16·N·ln N, become relative errors of the result.
fn binomial_tolerance(cases: f64) -> f64 {
    TOLERANCE.max(1e-14 * cases)
}

/// The p-value of a pass, to the last bit: the least α with which the share is within the allowed one.
fn pass_p_value(proportion: &Proportion, share: f64) -> f64 {
    let is_within = |bits: u64| proportion.is_within(Allowed { share, alpha: f64::from_bits(bits) });
    // The bits of positive numbers are in the order of the numbers.
    let (mut low, mut high) = (0, 1.0_f64.to_bits());
    assert!(is_within(high), "{proportion:?}");
    while low < high {
        let middle = low.midpoint(high);
        if is_within(middle) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    f64::from_bits(high)
}

#[derive(Debug, Deserialize)]
struct Bounds {
    cases: f64,
    counted: f64,
    alpha: f64,
    low: f64,
    high: f64,
}

#[test]
fn binomial_bounds_equal_those_of_scipy() {
    for row in table::<Bounds>("binomial_bounds") {
        let (low, high) = Proportion::independent(row.cases, row.counted).interval(row.alpha);
        let tolerance = binomial_tolerance(row.cases);
        assert_equal(low, row.low, tolerance, &row);
        assert_equal(high, row.high, tolerance, &row);
    }
}

#[derive(Debug, Deserialize)]
struct PValues {
    cases: f64,
    counted: f64,
    share: f64,
    pass_p: f64,
    breach_p: f64,
}

#[test]
fn binomial_p_values_equal_those_of_scipy() {
    for row in table::<PValues>("binomial_p_values") {
        let proportion = Proportion::independent(row.cases, row.counted);
        let tolerance = binomial_tolerance(row.cases);
        assert_equal(pass_p_value(&proportion, row.share), row.pass_p, tolerance, &row);
        // By definition, a limit is exceeded if all cases are bad, however few they are.
        let expected = if row.counted < row.cases { row.breach_p } else { 0.0 };
        assert_equal(proportion.breach_p_value(row.share), expected, tolerance, &row);
    }
}

#[derive(Debug, Deserialize)]
struct Decisions {
    cases: f64,
    share: f64,
    alpha: f64,
    passes_up_to: f64,
    breaches_from: f64,
}

#[test]
fn binomial_decisions_change_at_the_counts_of_scipy() {
    for row in table::<Decisions>("binomial_decisions") {
        let allowed = Allowed { share: row.share, alpha: row.alpha };
        let passes = |k: f64| Proportion::independent(row.cases, k).is_within(allowed);
        let breaches = |k: f64| Proportion::independent(row.cases, k).breach_p_value(row.share) <= row.alpha;
        assert!(row.passes_up_to < 0.0 || passes(row.passes_up_to), "{row:?}");
        assert!(!passes(row.passes_up_to + 1.0), "{row:?}");
        // By definition, a limit is exceeded if all cases are bad, however few they are.
        let breaches_from = row.breaches_from.min(row.cases);
        assert!(breaches(breaches_from) && !breaches(breaches_from - 1.0), "{row:?}");
    }
}

#[derive(Debug, Deserialize)]
struct EffectiveCounts {
    cases: f64,
    counted: f64,
    design_effect: f64,
    alpha: f64,
    low: f64,
    high: f64,
    share: f64,
    pass_p: f64,
    breach_p: f64,
}

#[test]
fn effective_counts_have_the_bounds_of_korn_and_graubard() {
    let mut passes_compared = 0;
    for row in table::<EffectiveCounts>("effective_counts") {
        let proportion = Proportion {
            design_effect: row.design_effect,
            ..Proportion::independent(row.cases, row.counted)
        };
        let tolerance = binomial_tolerance(row.cases / row.design_effect);
        let (low, high) = proportion.interval(row.alpha);
        assert_equal(low, row.low, tolerance, &row);
        assert_equal(high, row.high, tolerance, &row);
        assert_equal(proportion.breach_p_value(row.share), row.breach_p, tolerance, &row);
        // A pass has a condition more: enough effective cases to resolve bursts.
        if row.counted == 0.0 || proportion.resolves_bursts(row.share) {
            assert_equal(pass_p_value(&proportion, row.share), row.pass_p, tolerance, &row);
            passes_compared += 1;
        } else {
            assert!(!proportion.is_within(Allowed { share: row.share, alpha: 1.0 }), "{row:?}");
        }
    }
    assert!(passes_compared > 50, "{passes_compared}");
}

#[derive(Debug, Deserialize)]
struct DesignEffect {
    cases: String,
    counted: String,
    inflated: f64,
}

#[test]
fn design_effects_are_those_of_cluster_robust_variances() {
    for row in table::<DesignEffect>("design_effects") {
        let (mut blocks, mut cases, mut counted) = (BlockSums::default(), 0.0, 0.0);
        for (n, k) in pairs(&row.cases, &row.counted) {
            blocks.push(n, k);
            cases += n;
            counted += k;
        }
        let proportion = Proportion::of(cases, counted, &blocks);
        assert_equal(proportion.design_effect, row.inflated, TOLERANCE, &row);
    }
}

#[derive(Debug, Deserialize)]
struct Mean {
    n: String,
    k: String,
    batches: u64,
    alpha: f64,
    mean: f64,
    error: f64,
    low: f64,
    high: f64,
    limit: f64,
    at_most_p: f64,
    at_least_p: f64,
}

#[test]
fn intervals_of_means_are_students_by_scipy() {
    for row in table::<Mean>("student") {
        let mut blocks = BlockSums::default();
        pairs(&row.n, &row.k).into_iter().for_each(|(n, k)| blocks.push(n, k));
        let means = BatchMeans::of(&blocks).unwrap();
        assert_eq!(means.batches, row.batches, "{row:?}");
        assert_equal(means.mean, row.mean, TOLERANCE, &row);
        // The crate keeps sums of squares, which cancel if the seconds hardly differ.
        let batches = row.batches as f64;
        let cancelled = 1e-16 * (row.mean / row.error).powi(2) / batches;
        let tolerance = TOLERANCE.max(cancelled);
        assert_equal(means.standard_error, row.error, tolerance, &row);
        let (low, high) = means.interval(row.alpha);
        let of_width = (tolerance, row.high - row.low);
        assert_close(low, row.low, of_width, &row);
        assert_close(high, row.high, of_width, &row);
        // The tail falls with t⁻ᵈ at d degrees of freedom, so an error of t counts up to d times.
        let tolerance = TOLERANCE.max((batches - 1.0) * cancelled);
        assert_equal(means.risk(Side::AtMost, row.limit), row.at_most_p, tolerance, &row);
        assert_equal(means.risk(Side::AtLeast, row.limit), row.at_least_p, tolerance, &row);
    }
}

#[derive(Debug, Deserialize)]
struct Drift {
    segments: usize,
    times: String,
    values: String,
    alpha: f64,
    /// The side to which SciPy rounds the rank of a bound. The crate always rounds it down.
    rank: String,
    slope: f64,
    low: f64,
    high: f64,
    level: f64,
    inflation: f64,
}

#[test]
fn trends_are_the_theil_sen_slopes_of_scipy() {
    let mut wider = 0;
    for row in table::<Drift>("theil_sen") {
        let points = pairs(&row.times, &row.values);
        let Trend { per_second: [low, slope, high], level, segments } =
            trend(&points, (0.0, 1000.0), row.alpha).unwrap();
        assert_eq!(segments, row.segments, "{row:?}");
        assert_equal(slope, row.slope, TOLERANCE, &row);
        assert_equal(level, row.level, TOLERANCE, &row);
        let stretch = row.inflation.sqrt();
        let expected =
            [row.slope - stretch * (row.slope - row.low), row.slope + stretch * (row.high - row.slope)];
        let width = (TOLERANCE, expected[1] - expected[0]);
        if row.rank == "down" {
            assert_close(low, expected[0], width, &row);
            assert_close(high, expected[1], width, &row);
        } else {
            // One rank further out, so that α is kept.
            assert!(low <= expected[0] && expected[1] <= high, "{low} {high}: {row:?}");
            wider += usize::from(low < expected[0] - TOLERANCE && expected[1] + TOLERANCE < high);
        }
    }
    assert!(wider > 9, "{wider}");
}

#[derive(Debug, Deserialize)]
struct Hypotheses {
    p_values: String,
    alpha: f64,
    rejected: String,
}

#[test]
fn holm_rejects_the_hypotheses_that_statsmodels_rejects() {
    for row in table::<Hypotheses>("holm") {
        let rejected: Vec<bool> = row.rejected.split(' ').map(|cell| cell.parse().unwrap()).collect();
        assert_eq!(holm(&numbers(&row.p_values), row.alpha), rejected, "{row:?}");
    }
}
