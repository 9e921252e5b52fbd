//! Tests of the sentences about likely causes.

use std::path::Path;

use super::*;
use crate::diagnostic::Problems;
use crate::measure::mean::Mean;
use crate::measure::summary::OperationSummary;
use crate::plan::{Environment, Settings, load};

const CHECK: OperationId = OperationId(0);
const SEARCH: OperationId = OperationId(1);

fn plan() -> Plan {
    let text = "name = \"c\"\ntarget.url = \"http://127.0.0.1:1\"\ngate.tier = \"none\"\n\
                phases = [{ name = \"p\", duration = \"1m\", users = 1, mix = { u = 1 } }]\n\
                users.u.tasks = [{ operation = \"check\", request = \"GET /a\" }, \
                { operation = \"search\", request = \"GET /b\" }]";
    let environment = Environment { read: &|_| Ok(text.as_bytes().to_vec()), variable: &|_| None };
    load(Path::new("plans/c.toml"), &Settings::default(), &environment, &mut Problems::default())
        .plan
        .unwrap()
}

fn counted(failed: [u64; 2], dropped: u64) -> PhaseSummary {
    let mut counted = PhaseSummary::default();
    for (id, failed) in [CHECK, SEARCH].into_iter().zip(failed) {
        let errors = [(ErrorKind::Status5xx, failed)].into();
        let operation = OperationSummary { requests: 1000, errors, dropped, ..OperationSummary::default() };
        counted.operations.insert(id, operation);
        counted.causes.failures.first.insert((id, ErrorKind::Status5xx), 11);
        counted.causes.failures.last.insert((id, ErrorKind::Status5xx), 48);
    }
    counted
}

/// The causes of a phase that began at midnight and missed an objective.
fn causes_of(counted: &PhaseSummary) -> Vec<String> {
    let plan = plan();
    let started_at = "2026-03-04T00:00:00Z".parse().unwrap();
    causes(PhaseCauses {
        plan: &plan,
        phase: &plan.phases[0],
        counted,
        started_at,
        standing: PhaseStanding::Slow,
    })
}

#[test]
fn without_evidence_no_cause_is_given() {
    assert_eq!(causes_of(&PhaseSummary::default()), Vec::<String>::new());
    // 19 of 2000 are less than 1 %.
    assert_eq!(causes_of(&counted([9, 10], 0)), Vec::<String>::new());
}

#[test]
fn failures_come_first_with_their_count_start_and_times() {
    let mut counted = counted([10, 40], 0);
    let expected = "40 of 1000 `search` requests failed (status 5xx), the first in second 12 of the phase \
                    (00:00:11 UTC), the last in second 49 of the phase (00:00:48 UTC); 50 of 2000 failed over all operations and kinds";
    assert_eq!(causes_of(&counted), [expected]);
    counted.causes.failures.before = Mean { requests: 100, sum_ms: 1200.0 };
    counted.causes.failures.since = Mean { requests: 100, sum_ms: 2300.0 };
    assert_eq!(causes_of(&counted), [expected]);
    counted.causes.failures.since = Mean { requests: 100, sum_ms: 81_200.0 };
    let grown = "; requests took 12 ms on average before the first failure and 812 ms after it";
    assert_eq!(causes_of(&counted), [format!("{expected}{grown}")]);
}

#[test]
fn arrivals_that_were_never_sent_count_as_failures() {
    let sentence = causes_of(&counted([0, 0], 500)).remove(0);
    assert!(
        sentence.starts_with("500 of 1500 `check` requests were never sent, because no user was idle"),
        "{sentence}"
    );
}

#[test]
fn sentences_have_the_numbers_that_were_found() {
    let freeze = Freeze {
        operation: CHECK,
        times: 57,
        of: 60,
        silent: Duration::from_millis(57_230),
        answers: 58,
        held: 912,
    };
    let interference =
        Interference { operation: CHECK, with: (57, 812.3), without: (243, 12.04), correlation: 0.909 };
    let contrast = "in the 57 seconds with `check` in flight the other requests took 812 ms on average, in the other \
                    243 seconds 12 ms (correlation 0.91)";
    assert_eq!(
        frozen(&plan(), freeze, Some(interference)),
        format!(
            "`check` freezes the other operations: of 60 freezes of at least 80 ms without any response, 57 ended with \
             a response to `check` (57.2s in total; 57 of its 58 responses), and within 20 ms after it 912 waiting \
             requests of other operations were answered; {contrast}"
        )
    );
    assert_eq!(
        slowed(&plan(), interference),
        format!("the other operations are slower while `check` is in flight: {contrast}")
    );
    let plateau = Plateau {
        from: 123,
        to: 300,
        under_way: (40.2, 190.4),
        throughput: (61.3, 60.9),
        mean_throughput: 61.0,
    };
    let grew =
        "saturation: from 2m3s to 5m into the phase requests in flight grew from 40 to 190, while throughput";
    assert_eq!(saturated(plateau), format!("{grew} stayed at 61/s"));
    let fell = saturated(Plateau { throughput: (61.3, 40.0), ..plateau });
    assert_eq!(fell, format!("{grew} fell from 61.3/s to 40/s"));
}

#[test]
fn requests_that_cross_the_same_idle_time_show_a_keep_alive_timeout() {
    let crossing = |after: &[(u32, u64)]| {
        let mut counted = PhaseSummary::default();
        counted.connections.crossed_after = after.iter().copied().collect();
        causes_of(&counted)
    };
    let told = "37 requests crossed the end of a connection that had been idle for about 5 s, the target's keep-alive timeout; \
                make it longer than the users' waits";
    assert_eq!(crossing(&[(4, 3), (5, 34), (9, 2)]), [told]);
    for spread in [&[(5, 2)][..], &[(1, 10), (5, 10), (9, 10)], &[(0, 30)]] {
        assert_eq!(crossing(spread), Vec::<String>::new());
    }
}
