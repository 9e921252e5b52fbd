//! Waits of a user class, measured at the target.

use std::time::Duration;

use runner_test_support::target::{Answer, Target};
use tokio::time::Instant;

use super::runner::Runner;

/// The arrival times of each user's requests, for three users of a closed phase of three seconds.
fn arrivals(wait: &str, target: &Target) -> Vec<Vec<Instant>> {
    let plan = format!(
        "[[phases]]\nname = \"a\"\nduration = \"3s\"\nusers = 3\nmix = {{ any = 1 }}\n\
         [users.any]\nwait = {wait}\n[[users.any.tasks]]\nrequest = \"GET /${{user()}}\""
    );
    Runner::plan(&plan).against(target).run().exits(0);
    let received = target.received();
    let of_user = |user: u32| {
        let mine = received.iter().filter(|received| received.what == format!("GET /{user}"));
        mine.map(|received| received.at).collect()
    };
    (0..3).map(of_user).collect()
}

fn gaps(moments: &[Instant]) -> Vec<Duration> {
    moments.windows(2).map(|pair| pair[1] - pair[0]).collect()
}

const fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

#[test]
fn a_constant_wait_follows_every_response() {
    // A response takes 50 ms, so a user sends a request every 150 ms.
    let target = Target::always(Answer::Late(200, ms(50)));
    for user in arrivals(r#""100ms""#, &target) {
        assert!((10..=20).contains(&user.len()), "{} requests", user.len());
        assert!(gaps(&user).iter().all(|gap| *gap >= ms(150)), "{:?}", gaps(&user));
    }
}

#[test]
fn a_uniform_wait_covers_its_range() {
    let gaps: Vec<Duration> =
        arrivals(r#"["50ms", "150ms"]"#, &Target::fast()).iter().flat_map(|user| gaps(user)).collect();
    assert!(gaps.len() >= 45, "{} gaps", gaps.len());
    assert!(gaps.iter().all(|gap| *gap >= ms(50)), "{gaps:?}");
    assert!(gaps.iter().min().unwrap() < &ms(100) && gaps.iter().max().unwrap() > &ms(130), "{gaps:?}");
}

#[test]
fn a_pace_counts_from_start_to_start() {
    // A response takes 100 ms of the 200 ms.
    let target = Target::always(Answer::Late(200, ms(100)));
    for user in arrivals(r#"{ pace = "200ms" }"#, &target) {
        // A wait of 200 ms after each response would give 10 requests.
        assert!((13..=15).contains(&user.len()), "{} requests", user.len());
        for (k, at) in user.iter().enumerate() {
            assert!(*at - user[0] + ms(50) >= ms(200) * k as u32, "request {k} of {:?}", gaps(&user));
        }
    }
}

#[test]
fn a_delayed_pace_does_not_catch_up() {
    // The first response of each user takes 1 s, as long as five periods.
    let target = Target::scripted(
        |number, _| if number < 3 { Answer::Late(200, ms(1000)) } else { Answer::Status(200) },
    );
    for user in arrivals(r#"{ pace = "200ms" }"#, &target) {
        let gaps = gaps(&user);
        assert!(gaps[0] >= ms(1000), "{gaps:?}");
        assert!((7..=10).contains(&gaps.len()), "{gaps:?}");
        for (k, at) in user[1..].iter().enumerate() {
            assert!(*at - user[1] + ms(50) >= ms(200) * k as u32, "request {k} of {gaps:?}");
        }
    }
}
