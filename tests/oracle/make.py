"""Writes the tables of this folder with SciPy and statsmodels. README.md says how to run it, and when.

The functions of these libraries give every result. Own code only selects the inputs, and adds the formulas that
neither library has; a comment gives the source of each. No code of the crate takes part.
"""

import csv
import math
import sys
from importlib.metadata import version
from pathlib import Path

import numpy as np
import statsmodels.api as sm
from scipy import stats
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.proportion import proportion_confint
from statsmodels.tsa.stattools import acf

FOLDER = Path(__file__).parent
CASES = [1, 3, 59, 500, 5_000, 86_400, 1_000_000, 36_000_000, 500_000_000]
SHARES = [0.001, 0.01, 0.05, 0.2, 0.5]
ALPHAS = [0.2, 0.05, 0.01, 0.001, 1e-6]
# P-values below this say the same for every decision, and are not compared.
LEAST_P = 1e-14


def write(name, header, rows):
    rows = [list(row) for row in rows]
    assert 0 < len(rows) < 200, (name, len(rows))
    with open(FOLDER / f"{name}.csv", "w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(header)
        writer.writerows([cell(value) for value in row] for row in rows)


def cell(value):
    """A number in the shortest form that reads back as the same number; a list with spaces between its items."""
    if isinstance(value, (list, tuple, np.ndarray)):
        return " ".join(cell(item) for item in value)
    if isinstance(value, (bool, np.bool_)):
        return "true" if value else "false"
    return repr(float(value)) if isinstance(value, (float, np.floating)) else str(value)


def counts_near(cases, share):
    """Counts of bad cases at and around the allowed number, and at both ends."""
    middle, error = cases * share, math.sqrt(cases * share * (1 - share))
    near = [round(middle + factor * error) for factor in (-4, -2, 0, 2, 4)]
    return sorted({0, *(k for k in near if 0 <= k <= cases), cases})


def binomial_bounds():
    """One-sided Clopper-Pearson bounds. Two-sided at 2 alpha, each end has risk alpha."""
    for index, cases in enumerate(CASES):
        counts = {0, 1, cases // 1000, cases // 20, cases // 2, cases - 1, cases}
        for step, counted in enumerate(sorted(counts)):
            for alpha in (ALPHAS[(index + step) % 5], ALPHAS[(index + step + 2) % 5], ALPHAS[(index + step + 3) % 5]):
                low, high = proportion_confint(counted, cases, alpha=2 * alpha, method="beta")
                yield cases, counted, alpha, low, high


def binomial_p_values():
    """The exact binomial tests of K of N against a share: P(X <= K) for a pass, P(X >= K) for a breach."""
    for cases in CASES:
        for share in SHARES:
            counts = counts_near(cases, share)
            counts = counts if cases <= 500 else counts[1:-1]
            for counted in counts[:: 2 if len(counts) > 4 else 1]:
                pass_p = stats.binomtest(counted, cases, share, alternative="less").pvalue
                breach_p = stats.binomtest(counted, cases, share, alternative="greater").pvalue
                if min(pass_p, breach_p) > LEAST_P:
                    yield cases, counted, share, pass_p, breach_p


def binomial_decisions():
    """The largest K that passes (-1 if none does) and the smallest K that breaches (N + 1 if none does)."""
    for cases in [1, 2, 13, 14, 58, 59, 298, 299, 2_994, 2_995, *CASES[3:]]:
        for share in SHARES:
            for alpha in (0.05, 0.001) if cases < 500 else (0.1, 0.05, 0.01):
                passes = int(stats.binom.ppf(alpha, cases, share))
                passes -= stats.binom.cdf(passes, cases, share) > alpha
                breaches = int(stats.binom.isf(alpha, cases, share)) + 1
                assert stats.binom.cdf(passes, cases, share) <= alpha < stats.binom.cdf(passes + 1, cases, share)
                assert stats.binom.sf(breaches - 1, cases, share) <= alpha < stats.binom.sf(breaches - 2, cases, share)
                if alpha != 0.1 or share in (0.01, 0.05):
                    yield cases, share, alpha, passes, breaches


def effective_counts():
    """Korn and Graubard (1998): Clopper-Pearson with N* = N/D and K* = K/D, which need not be whole numbers."""
    for cases, counted in [(60, 3), (500, 0), (500, 12), (5_000, 224), (5_000, 4_990), (86_400, 900),
                           (1_000_000, 1_017), (36_000_000, 1_805_000), (500_000_000, 499_000)]:
        for effect in (1.25, 2.0, 7.3, 41.7):
            n, k = cases / effect, counted / effect
            for alpha, share in ((0.05, 0.05), (0.01, 0.5), (1e-4, min(counted / cases * 1.01 + 1e-4, 0.9995))):
                low, high = proportion_confint(k, n, alpha=2 * alpha, method="beta")
                # The binomial distribution function, continued to counts that are not whole.
                pass_p = stats.beta.cdf(1 - share, n - k, k + 1)
                breach_p = stats.beta.cdf(share, k, n - k + 1) if k > 0 else 1.0
                yield cases, counted, effect, alpha, low, high, share, pass_p, breach_p


def seconds_of(seed, seconds, spell):
    """Cases and bad cases of each second, with spells of this many seconds in which half of the cases are bad."""
    random = np.random.default_rng(seed)
    cases = random.poisson(20, seconds)
    slow = np.repeat(random.random(seconds // spell + 1) < 0.15, spell)[:seconds]
    return cases, random.binomial(cases, np.where(slow, 0.5, 0.02))


def blocks_of(values, length):
    """The sums over complete blocks of this many seconds."""
    values = np.asarray(values)
    return values[: len(values) // length * length].reshape(-1, length).sum(axis=1)


def lengths_of(seconds):
    """Block lengths of 1, 2, 4 ... seconds with at least 16 blocks; 1 s if there are fewer seconds."""
    return [2**i for i in range(32) if seconds >> i >= 16] or [1]


def design_effects():
    """The variance of a share by the cluster-robust estimator of statsmodels, with a block as cluster, divided by
    that of independent cases. The largest one over the block lengths is inflated as the verdict page says."""
    for seed, (seconds, spell) in enumerate(
        [(4, 1), (9, 2), (15, 1), (16, 1), (31, 3), (32, 1), (64, 2), (64, 8), (64, 10), (96, 1), (100, 5), (128, 20)]
    ):
        cases, bad = seconds_of(100 + seed, seconds, spell)
        largest, of = 1.0, 0
        for length in lengths_of(seconds):
            n, k = blocks_of(cases, length), blocks_of(bad, length)
            outcomes = np.concatenate([np.repeat([1.0, 0.0], [b, a - b]) for a, b in zip(n, k)])
            fit = sm.OLS(outcomes, np.ones_like(outcomes)).fit(
                cov_type="cluster", cov_kwds={"groups": np.repeat(np.arange(len(n)), n)}
            )
            share = fit.params[0]
            effect = fit.cov_params()[0][0] / (share * (1 - share) / n.sum())
            largest, of = max((largest, of), (effect, len(n)))
            # The crate takes the share of all cases for every length. It is equal if no second is left out.
            assert seconds % length == 0
        inflated = largest * (1 + 1.28 * math.sqrt(2 / (of - 1))) if largest > 1 else 1.0
        yield list(map(int, cases)), list(map(int, bad)), largest, inflated


def mean_series():
    """Requests and sums of their times of each second."""
    random = np.random.default_rng(7)
    yield "four seconds", np.ones(4), np.array([7.0, 9.0, 11.0, 13.0])
    yield "throughput", np.ones(15), random.poisson(40, 15)
    yield "throughput, 31 seconds", np.ones(31), random.poisson(300, 31)
    yield "throughput, 10000 a second", np.ones(24), random.poisson(10_000, 24)
    yield "steady throughput", np.ones(20), 10_000 + random.integers(-3, 4, 20)
    for seconds, rate in [(12, 5), (30, 9), (64, 4)]:
        n = random.poisson(rate, seconds) + 1
        yield f"mean time, {seconds} seconds", n, np.round(random.gamma(n, 0.12), 6)
    level = np.round(0.2 + 0.1 * np.sin(np.arange(128) / 9), 3)
    yield "mean time in slow waves", np.full(128, 6), np.round(6 * level + random.normal(0, 0.02, 128), 5)


def student():
    """Student's interval of a mean, and the p-values of a limit on either side.

    For a constant number of requests the standard error is `scipy.stats.sem` of the block means. Otherwise the mean
    is a ratio estimate: its error is that of the residuals k - mean n, divided by the mean n (Cochran 1977, 6.4).
    """
    for name, n, k in mean_series():
        errors = []
        for length in lengths_of(len(n)):
            of_n, of_k = blocks_of(n, length), blocks_of(k, length)
            mean = of_k.sum() / of_n.sum()
            errors.append((stats.sem(of_k - mean * of_n) / of_n.mean(), mean, len(of_n)))
        error, mean, batches = max(errors)
        means = blocks_of(k, len(n) // batches) / blocks_of(n, len(n) // batches)
        equal = np.all(n == n[0])
        for alpha, errors_off in ((0.05, 0.4), (0.01, 1.6), (0.2, -2.3), (0.001, 5.0), (1e-6, -12.0)):
            half = stats.t.isf(alpha, batches - 1) * error
            limit = float(f"{mean + errors_off * error:.7g}")
            if equal:
                at_most, at_least = (
                    stats.ttest_1samp(means, limit, alternative=side).pvalue for side in ("less", "greater")
                )
            else:
                at_most = stats.t.sf((limit - mean) / error, batches - 1)
                at_least = stats.t.sf((mean - limit) / error, batches - 1)
            lists = [[float(value) for value in values] for values in (n, k)]
            yield name, *lists, batches, alpha, mean, error, mean - half, mean + half, limit, at_most, at_least


def drift_series():
    """Readings over (0, 1000) s, of which the first 100 s do not count: (name, segments, times, values).

    In most series each segment has one reading. Values are rounded, so that some series have ties."""
    random = np.random.default_rng(11)

    def times(segments, readings=1):
        width = 900 / segments
        places = np.sort(random.uniform(0.05, 0.95, (segments, readings)), axis=1)
        return np.round(100 + width * (np.arange(segments)[:, None] + places), 2).ravel()

    for segments in (32, 24):
        at = times(segments)
        yield "independent noise", segments, at, np.round(200 + random.normal(0, 5, segments), 3)
        yield "growth and noise", segments, at, np.round(200 + 0.05 * at + random.normal(0, 4, segments), 3)
        yield "shrinking", segments, at, np.round(90 - 0.02 * at + random.normal(0, 3, segments), 3)
        yield "heavy tails", segments, at, np.round(50 + 0.01 * at + random.standard_t(2, segments), 3)
        yield "coarse steps with ties", segments, at, np.floor(4 + 0.01 * at + random.normal(0, 2, segments))
        walk = np.cumsum(random.normal(0, 1, segments))
        yield "random walk", segments, at, np.round(300 + walk, 3)
        yield "slow wave", segments, at, np.round(100 + 10 * np.sin(at / 90) + random.normal(0, 1, segments), 3)
        alternating = 6.0 * (-1.0) ** np.arange(segments)
        yield "alternating", segments, at, np.round(100 + 0.03 * at + alternating + random.normal(0, 2, segments), 3)
    at = times(32, 3)
    yield "three readings a segment", 32, at, np.round(70 + 0.02 * at + random.exponential(8, 96), 3)


def troughs(segments, times, values):
    """The lowest reading of each segment, at its own time."""
    segment = ((times - 100) / 900 * segments).astype(int)
    lowest = [min(np.flatnonzero(segment == s), key=lambda i: values[i]) for s in range(segments)]
    return times[lowest], values[lowest]


def inflation(times, values, slope):
    """The factor of the verdict page by which dependent neighbours increase the variance of Kendall's S."""
    n = len(values)
    rho = acf(stats.rankdata(values - slope * times), nlags=1, fft=False)[1]
    rho = min(max((n * rho + 2) / (n - 4), 0.0), 1.0)
    lags = np.arange(1, n)
    return 1 + 2 / (n * (n - 1) * (n - 2)) * np.sum((n - lags) * (n - lags - 1) * (n - lags - 2) * rho**lags)


def theil_sen():
    """Slope, Sen's interval and the level at 0 s. `rank` is the side to which SciPy rounds the rank of a bound."""
    for name, segments, times, values in drift_series():
        x, y = troughs(segments, times, values)
        pairs = segments * (segments - 1) / 2
        ties = sum(t * (t - 1) * (2 * t + 5) for t in np.unique(y, return_counts=True)[1])
        variance = (segments * (segments - 1) * (2 * segments + 5) - ties) / 18
        for alpha in (0.05, 0.01, 0.002):
            fit = stats.theilslopes(y, x, alpha=1 - 2 * alpha, method="joint")
            rank = (pairs - stats.norm.isf(alpha) * math.sqrt(variance)) / 2
            assert abs(rank - math.floor(rank) - 0.5) > 1e-6
            rounded = "up" if rank - math.floor(rank) > 0.5 else "down"
            factor = inflation(x, y, fit.slope)
            yield (name, segments, times, values, alpha, rounded, fit.slope, fit.low_slope, fit.high_slope,
                   fit.intercept, factor)


def holm():
    """Which hypotheses Holm's procedure rejects. Some p-values are exactly at a step, some equal, some 0 or 1."""
    random = np.random.default_rng(5)
    special = [([0.05], 0.05), ([0.025, 0.05], 0.05), ([0.04, 0.04], 0.05), ([0.0, 1.0, 0.5], 0.01), ([1.0] * 4, 0.2)]
    yield from ([p, alpha, list(multipletests(p, alpha, method="holm")[0])] for p, alpha in special)
    for m in range(1, 21):
        for alpha in (0.05, 0.01, 0.2):
            p = [float(f"{value:.3g}") for value in random.random(m) ** random.choice([1, 3, 8])]
            yield p, alpha, list(multipletests(p, alpha, method="holm")[0])


def main():
    pins = dict(line.split("==") for line in (FOLDER / "requirements.txt").read_text().split())
    found = {name: version(name) for name in pins}
    if found != pins:
        sys.exit(f"these versions are installed: {found}; install those of requirements.txt")
    write("binomial_bounds", ["cases", "counted", "alpha", "low", "high"], binomial_bounds())
    write("binomial_p_values", ["cases", "counted", "share", "pass_p", "breach_p"], binomial_p_values())
    write("binomial_decisions", ["cases", "share", "alpha", "passes_up_to", "breaches_from"], binomial_decisions())
    write("effective_counts", ["cases", "counted", "design_effect", "alpha", "low", "high", "share", "pass_p",
                               "breach_p"], effective_counts())
    write("design_effects", ["cases", "counted", "largest", "inflated"], design_effects())
    write("student", ["series", "n", "k", "batches", "alpha", "mean", "error", "low", "high", "limit", "at_most_p",
                      "at_least_p"], student())
    write("theil_sen", ["series", "segments", "times", "values", "alpha", "rank", "slope", "low", "high", "level",
                        "inflation"], theil_sen())
    write("holm", ["p_values", "alpha", "rejected"], holm())


if __name__ == "__main__":
    main()
