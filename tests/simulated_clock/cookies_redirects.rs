//! Cookies of a user, and redirects with `follow_redirects`.

use std::collections::BTreeMap;

use runner_test_support::phases::open;
use runner_test_support::ran::{Ran, assert_sums, count, failed_as, named};
use runner_test_support::target::{Answer, Received, Target};

use super::runner::Runner;

/// The cookies of a request.
fn cookies(received: &Received) -> BTreeMap<String, String> {
    let pairs = received.header("cookie").into_iter().flat_map(|value| value.split("; "));
    pairs.map(|pair| pair.split_once('=').unwrap()).map(|(k, v)| (k.to_owned(), v.to_owned())).collect()
}

/// A target that sets a cookie for `/` and one for `/deep` per user, and deletes the first one at `/out`.
fn giving() -> Target {
    Target::scripted(|_, received| {
        let (_, user) = received.what.split_once("?u=").unwrap();
        let headers = match received.what.split('?').next().unwrap() {
            "GET /start" => format!(
                "set-cookie: sid=s{user}; Path=/; HttpOnly\r\nset-cookie: deep=d{user}; Path=/deep\r\n\
                 set-cookie: foreign=x; Domain=example.com\r\n"
            ),
            "GET /out" => "set-cookie: sid=gone; Path=/; Max-Age=0\r\n".to_owned(),
            _ => String::new(),
        };
        Answer::Full { status: 200, headers, body: String::new() }
    })
}

/// The requests of three users who repeat a task with all paths of `giving`.
fn visited(class: &str) -> Vec<Received> {
    let plan = open(3, "1s", "40/s")
        + &format!(
            r#"
            [users.any]
            {class}
            [[users.any.tasks]]
            steps = [
                {{ request = "GET /start?u=${{user()}}" }},
                {{ request = "GET /shallow?u=${{user()}}" }},
                {{ request = "GET /deep/er?u=${{user()}}" }},
                {{ request = "GET /deeper?u=${{user()}}" }},
                {{ request = "GET /out?u=${{user()}}" }},
                {{ request = "GET /after?u=${{user()}}" }},
            ]
            "#
        );
    let target = giving();
    let run = Runner::plan(&plan).against(&target).run().exits(0);
    assert_eq!((count(&run.phase("a")["requests"]), target.count()), (240, 240));
    target.received()
}

#[test]
fn a_user_with_cookies_sends_each_where_it_belongs() {
    for received in visited("cookies = true") {
        let (what, user) = received.what.split_once("?u=").unwrap();
        let sid = ("sid", format!("s{user}"));
        let expected = match what {
            "GET /start" | "GET /after" => vec![],
            "GET /deep/er" => vec![sid, ("deep", format!("d{user}"))],
            _ => vec![sid],
        };
        let expected = expected.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        assert_eq!(cookies(&received), expected, "{}", received.what);
    }
}

#[test]
fn a_user_without_cookies_sends_none() {
    for class in ["", "cookies = false"] {
        assert!(visited(class).iter().all(|received| received.header("cookie").is_none()));
    }
}

/// Runs ten tasks of one request, with these keys of the target.
fn ten(target: &Target, keys: &str, request: &str) -> Ran {
    let plan = open(2, "1s", "10/s")
        + "[users.any]\ncookies = true\nheaders = { x-team = \"support\" }\n[[users.any.tasks]]\noperation = \"visit\"\n"
        + request;
    let run = Runner::plan(&plan).against(target).target(keys).run().exits(0);
    let phase = run.phase("a");
    assert_sums(&phase);
    assert_eq!(count(&phase["requests"]), target.count());
    assert_eq!(count(&named(&phase["operations"], "visit")["requests"]), target.count());
    run
}

const FOLLOWING: &str = "follow_redirects = 3";

/// Redirects `/first` to `/second` by a relative path, and `/second` to `/third` by a full URL.
fn chain() -> Target {
    Target::scripted(|_, received| match received.what.as_str() {
        "GET /first?q=1" => Answer::redirect(302, "second"),
        "GET /second" => {
            let host = received.header("host").unwrap();
            Answer::redirect(301, &format!("http://{host}/third?x=y"))
        }
        _ => Answer::text("there"),
    })
}

#[test]
fn each_hop_is_a_request_of_the_same_operation() {
    let target = chain();
    let run = ten(&target, FOLLOWING, "request = \"GET /first?q=1\"\nexpect = { contains = \"there\" }");
    let hops = ["GET /first?q=1", "GET /second", "GET /third?x=y"].map(|what| target.count_of(what));
    assert_eq!((hops, count(&run.phase("a")["errors"])), ([10, 10, 10], 0));
    assert!(target.received().iter().all(|received| received.header("x-team") == Some("support")));
}

#[test]
fn redirects_are_not_followed_by_default() {
    let target = chain();
    let run = ten(&target, "", "request = \"GET /first?q=1\"");
    assert_eq!((target.count_of("GET /first?q=1"), target.count()), (10, 10));
    assert_eq!(count(&run.phase("a")["errors"]), 0);
}

/// Posts to a target that redirects with this status; returns the redirected requests.
fn posted(status: u16) -> Vec<Received> {
    let target = Target::scripted(move |_, received| match received.what.as_str() {
        "POST /here" => Answer::redirect(status, "/there"),
        _ => Answer::Status(200),
    });
    let run = ten(&target, FOLLOWING, "request = \"POST /here\"\njson = { n = 1 }");
    assert_eq!((count(&run.phase("a")["errors"]), target.count()), (0, 20));
    target.received().into_iter().filter(|received| received.what.ends_with("/there")).collect()
}

#[test]
fn a_post_redirected_by_302_or_303_becomes_a_get() {
    for received in [posted(302), posted(303)].concat() {
        assert_eq!((received.what.as_str(), received.body.as_str()), ("GET /there", ""));
        assert_eq!(received.header("content-type"), None);
    }
}

#[test]
fn a_post_redirected_by_307_or_308_stays_a_post() {
    for received in [posted(307), posted(308)].concat() {
        assert_eq!((received.what.as_str(), received.body.as_str()), ("POST /there", "{\"n\":1}"));
        assert_eq!(received.header("content-type"), Some("application/json"));
    }
}

#[test]
fn a_cookie_set_by_a_redirect_is_sent_to_the_next_hop() {
    let target = Target::scripted(|_, received| match received.what.as_str() {
        "GET /login" => {
            let headers = "location: /home\r\nset-cookie: sid=1; Path=/\r\n".to_owned();
            Answer::Full { status: 302, headers, body: String::new() }
        }
        _ => Answer::Status(200),
    });
    ten(&target, FOLLOWING, "request = \"GET /login\"");
    let received = target.received();
    let home: Vec<_> = received.iter().filter(|received| received.what == "GET /home").collect();
    assert_eq!(home.len(), 10);
    assert!(home.iter().all(|received| received.header("cookie") == Some("sid=1")));
}

#[test]
fn a_redirect_to_another_origin_is_blocked() {
    let other = Target::fast();
    let there = other.url();
    let target = Target::scripted(move |_, _| Answer::redirect(302, &format!("{there}/x")));
    let phase = ten(&target, FOLLOWING, "request = \"GET /\"").phase("a");
    assert_eq!((target.count(), other.count(), failed_as(&phase, "blocked")), (10, 0, 10), "{phase:#}");
    assert_eq!(count(&phase["errors"]), 10);
}

#[test]
fn redirects_beyond_the_limit_are_blocked() {
    let target = Target::always(Answer::redirect(302, "/loop"));
    let phase = ten(&target, FOLLOWING, "request = \"GET /loop\"").phase("a");
    // One request and three hops; the fourth hop is blocked.
    assert_eq!(
        (target.count(), count(&phase["errors"]), failed_as(&phase, "blocked")),
        (40, 10, 10),
        "{phase:#}"
    );
}

#[test]
fn a_user_that_leaves_and_returns_has_lost_its_cookies() {
    let cookie = "set-cookie: k=v\r\n".to_owned();
    let target = Target::scripted(move |number, _| match number {
        0 => Answer::Full { status: 200, headers: cookie.clone(), body: String::new() },
        _ => Answer::Status(200),
    });
    let plan = r#"
        [[phases]]
        name = "a"
        mix = { any = 1 }
        stages = [{ users = 1, hold = "1s" }, { users = 0, hold = "1s" }, { users = 1, hold = "1s" }]
        [users.any]
        wait = "300ms"
        cookies = true
        tasks = [{ request = "GET /" }]
    "#;
    Runner::plan(plan).against(&target).run().exits(0);
    let sent: Vec<bool> = target.received().iter().map(|it| it.header("cookie").is_some()).collect();
    // The user has a cookie from its second request on, and none after it has left and returned.
    assert!(sent.len() >= 6 && !sent[0] && sent[1] && !sent[sent.len() - 1], "{sent:?}");
}

#[test]
fn bytes_of_headers_are_kept_and_cookies_are_in_the_order_of_the_rfc() {
    let target = Target::scripted(|_, received| match received.what.as_str() {
        "GET /start" => {
            let cookies = "set-cookie: old=1; Path=/\r\nset-cookie: name=café; Path=/über\r\nset-cookie: new=2; Path=/\r\n\
                           set-cookie: deep=3; Path=/%C3%BCber\r\n";
            let headers = format!("{cookies}location: /über?x=ß\r\nx-folded: one\r\n\ttwo\r\n");
            Answer::Full { status: 302, headers, body: String::new() }
        }
        _ => Answer::Status(200),
    });
    let run = ten(&target, FOLLOWING, "request = \"GET /start\"\nheaders = { cookie = \"own=é\" }");
    assert_eq!(count(&run.phase("a")["errors"]), 0);
    let followed = target.received().into_iter().find(|received| received.what != "GET /start").unwrap();
    assert_eq!(followed.what, "GET /%C3%BCber?x=%C3%9F");
    assert_eq!(followed.header("cookie"), Some("own=é; deep=3; old=1; new=2"));
}

#[test]
fn too_many_headers_are_named_as_such() {
    let headers: String = (0..150).map(|number| format!("x-{number}: 1\r\n")).collect();
    let target = Target::always(Answer::Full { status: 200, headers, body: String::new() });
    let run = ten(&target, FOLLOWING, "request = \"GET /start\"");
    let phase = run.phase("a");
    assert_eq!(failed_as(&phase, "too large"), 10, "{phase:#}");
    assert!(phase.to_string().contains("at most 400 KiB and 100 headers"), "{phase:#}");
}
