//! TLS and HTTP/2 against nginx.

use std::collections::BTreeSet;

use runner_test_support::phases::{closed, open};
use runner_test_support::ran::{Ran, assert_adds_up, count};

use crate::support::certificates::{Authority, Identity, Validity};
use crate::support::nginx::{Access, Nginx};
use crate::support::runner::Runner;

const GET: &str =
    "[[users.any.tasks]]\noperation = \"get\"\nrequest = \"GET /\"\nexpect = { contains = \"ok\" }\n";
/// A name that is not one of this machine.
const ELSEWHERE: &str = "kms.internal";

/// A plan for a server over TLS with further keys of `tls` and of the target; this authority is in `ca.pem`.
fn plan(nginx: &Nginx, authority: &Authority, tls: &str, target: &str) -> Runner {
    of(&open(4, "1s", "100/s"), nginx, authority, tls, target)
}

/// The plan of [`plan`] with this phase.
fn of(phase: &str, nginx: &Nginx, authority: &Authority, tls: &str, target: &str) -> Runner {
    let keys = format!("ready = \"GET /ready\"\nready_within = \"300ms\"\ntls = {{ {tls} }}\n{target}");
    Runner::plan(&(phase.to_owned() + GET))
        .at(&format!("https://127.0.0.1:{}", nginx.port()))
        .target(&keys)
        .file("plans/certificates/ca.pem", authority.certificate())
}

const TRUSTING: &str = "ca_file = \"certificates/ca.pem\"";

fn here(authority: &Authority) -> Identity {
    authority.server("127.0.0.1", Validity::Current)
}

/// Asserts that the log of nginx has exactly the requests of the report, all over this version of HTTP; returns them.
fn assert_same_counts(run: &Ran, log: &[Access], http: &str) -> Vec<Access> {
    let phase = run.phase("a");
    assert_adds_up(&phase);
    let load: Vec<Access> = log.iter().filter(|access| access.what == "GET /").cloned().collect();
    assert_eq!((load.len(), count(&phase["errors"])), (count(&phase["requests"]), 0), "{phase:#}");
    assert!(load.len() >= 100);
    assert!(load.iter().all(|access| access.status == 200 && access.http == http), "{:?}", load[0]);
    load
}

#[test]
fn a_private_authority_is_trusted_over_http_1_1() {
    let authority = Authority::new("private");
    let nginx = Nginx::tls(&here(&authority), "http2", "", &[]);
    let run = plan(&nginx, &authority, TRUSTING, "").run().exits(0);
    // HTTP/1.1 is used although the server offers HTTP/2.
    let load = assert_same_counts(&run, &nginx.log(), "HTTP/1.1");
    assert!(load.iter().all(|access| access.tls == "TLSv1.3"), "{:?}", load[0]);
}

#[test]
fn http_2_over_alpn_uses_one_connection_per_user() {
    let authority = Authority::new("private");
    let nginx = Nginx::tls(&here(&authority), "http2", "", &[]);
    let phase = closed(4, "1s") + "[users.any]\nwait = \"10ms\"\n";
    let run = of(&phase, &nginx, &authority, TRUSTING, "http = \"2\"").run().exits(0);
    let load = assert_same_counts(&run, &nginx.log(), "HTTP/2.0");
    assert!(load.iter().all(|access| access.tls == "TLSv1.3"), "{:?}", load[0]);
    let connections: BTreeSet<&str> = load.iter().map(|access| access.connection.as_str()).collect();
    assert_eq!(connections.len(), 4, "{connections:?}");
}

#[test]
fn http_2_without_tls_uses_prior_knowledge() {
    let nginx = Nginx::plain("http2");
    let run = Runner::plan(&(closed(4, "1s") + "[users.any]\nwait = \"10ms\"\n" + GET))
        .at(&format!("http://127.0.0.1:{}", nginx.port()))
        .target("http = \"2\"\nready = \"GET /ready\"\nready_within = \"300ms\"")
        .run()
        .exits(0);
    let load = assert_same_counts(&run, &nginx.log(), "HTTP/2.0");
    assert!(load.iter().all(|access| access.tls == "-"), "{:?}", load[0]);
    let connections: BTreeSet<&str> = load.iter().map(|access| access.connection.as_str()).collect();
    assert_eq!(connections.len(), 4);
}

#[test]
fn a_connection_closed_by_the_server_is_replaced() {
    let authority = Authority::new("private");
    for (http, spoken) in [("1.1", "HTTP/1.1"), ("2", "HTTP/2.0")] {
        let nginx = Nginx::tls(&here(&authority), "http2", "keepalive_requests 20;", &[]);
        // Users without a wait have no pause in which they could notice the closed connection.
        let version = format!("http = \"{http}\"");
        let run = of(&closed(4, "1s"), &nginx, &authority, TRUSTING, &version).run().exits(0);
        let load = assert_same_counts(&run, &nginx.log(), spoken);
        let connections: BTreeSet<&str> = load.iter().map(|access| access.connection.as_str()).collect();
        assert!(load.len() > 200 && connections.len() >= load.len() / 20, "{} requests", load.len());
    }
}

#[test]
fn tls_1_2_is_used_where_the_target_requires_it() {
    let authority = Authority::new("private");
    let nginx = Nginx::tls(&here(&authority), "", "ssl_protocols TLSv1.2;", &[]);
    let run = plan(&nginx, &authority, TRUSTING, "").run().exits(0);
    let load = assert_same_counts(&run, &nginx.log(), "HTTP/1.1");
    assert!(load.iter().all(|access| access.tls == "TLSv1.2"), "{:?}", load[0]);
}

/// Asserts that the target does not get ready, that the message names TLS and this reason, and that no request arrived.
fn assert_unavailable(runner: Runner, nginx: Nginx, why: &str) {
    let run = runner.run().exits(5);
    let said = run.stderr.to_lowercase();
    assert!(said.contains("tls") && said.contains(why), "{}", run.stderr);
    assert_eq!(nginx.log(), []);
}

#[test]
fn an_expired_certificate_is_refused_with_the_reason() {
    let authority = Authority::new("private");
    let nginx = Nginx::tls(&authority.server("127.0.0.1", Validity::Expired), "", "", &[]);
    assert_unavailable(plan(&nginx, &authority, TRUSTING, ""), nginx, "expired");
}

#[test]
fn a_certificate_for_another_host_is_refused_with_the_reason() {
    let authority = Authority::new("private");
    let nginx = Nginx::tls(&authority.server(ELSEWHERE, Validity::Current), "", "", &[]);
    assert_unavailable(plan(&nginx, &authority, TRUSTING, ""), nginx, "not valid for name");
}

#[test]
fn a_certificate_of_an_untrusted_authority_is_refused() {
    let (authority, other) = (Authority::new("private"), Authority::new("other"));
    let nginx = Nginx::tls(&here(&authority), "", "", &[]);
    assert_unavailable(plan(&nginx, &other, TRUSTING, ""), nginx, "issuer");
    // The trust store of the system does not have the authority either.
    let nginx = Nginx::tls(&here(&authority), "", "", &[]);
    assert_unavailable(plan(&nginx, &authority, "", ""), nginx, "issuer");
}

/// A plan for a server that trusts exactly this certificate.
fn naming(nginx: &Nginx, certificate: &str) -> Runner {
    plan(nginx, &Authority::new("private"), TRUSTING, "").file("plans/certificates/ca.pem", certificate)
}

#[test]
fn a_certificate_that_is_named_itself_is_trusted_for_its_own_name_and_dates() {
    let own = Authority::self_signed("127.0.0.1", Validity::Current);
    let nginx = Nginx::tls(&own, "", "", &[]);
    let run = naming(&nginx, &own.certificate).run().exits(0);
    assert_same_counts(&run, &nginx.log(), "HTTP/1.1");
    // The same for a certificate of a server whose authority is not named.
    let signed = here(&Authority::new("private"));
    let nginx = Nginx::tls(&signed, "", "", &[]);
    let run = naming(&nginx, &signed.certificate).run().exits(0);
    assert_same_counts(&run, &nginx.log(), "HTTP/1.1");
    for (identity, named, why) in [
        (Authority::self_signed("127.0.0.1", Validity::Expired), None, "expired"),
        (Authority::self_signed(ELSEWHERE, Validity::Current), None, "not valid for name"),
        (own, Some(Authority::self_signed("127.0.0.1", Validity::Current)), "authority"),
    ] {
        let nginx = Nginx::tls(&identity, "", "", &[]);
        let named = named.map_or(identity.certificate, |other| other.certificate);
        assert_unavailable(naming(&nginx, &named), nginx, why);
    }
}

#[test]
fn an_encrypted_key_is_named_as_such() {
    let authority = Authority::new("private");
    let client = authority.client("load");
    let nginx = Nginx::tls(&here(&authority), "", "", &[]);
    let encrypted = client.key.replace("PRIVATE KEY", "ENCRYPTED PRIVATE KEY");
    let identity = "client_cert = \"client.pem\", client_key = \"client-key.pem\"";
    let plan = plan(&nginx, &authority, identity, "");
    let refused = plan
        .file("plans/client.pem", &client.certificate)
        .file("plans/client-key.pem", &encrypted)
        .run()
        .exits(2);
    assert!(refused.stderr.contains("`client_key` is encrypted"), "{}", refused.stderr);
}

#[test]
fn the_wrong_version_of_http_is_told_in_words() {
    let authority = Authority::new("private");
    let nginx = Nginx::plain("");
    let url = format!("http://127.0.0.1:{}", nginx.port());
    let clear = |http: &str| {
        let phase = open(1, "1s", "5/s") + GET;
        Runner::plan(&phase)
            .at(&url)
            .target(&format!("http = \"{http}\"\nready = \"GET /ready\"\nready_within = \"300ms\""))
    };
    let refused = clear("2").run().exits(5);
    assert!(refused.stderr.contains("set `http = \"1.1\"`"), "{}", refused.stderr);
    let plain = plan(&Nginx::tls(&here(&authority), "", "", &[]), &authority, TRUSTING, "");
    let refused = plain.at(&url.replace("http:", "https:")).run().exits(5);
    assert!(refused.stderr.contains("does not speak TLS at this port"), "{}", refused.stderr);
}

#[test]
fn server_name_allows_a_certificate_for_another_host() {
    let authority = Authority::new("private");
    let nginx = Nginx::tls(&authority.server(ELSEWHERE, Validity::Current), "", "", &[]);
    let named = format!("{TRUSTING}, server_name = \"{ELSEWHERE}\"");
    let run = plan(&nginx, &authority, &named, "").run().exits(0);
    let load = assert_same_counts(&run, &nginx.log(), "HTTP/1.1");
    assert!(load.iter().all(|access| access.server_name == ELSEWHERE), "{:?}", load[0]);
}

#[test]
fn insecure_accepts_any_certificate_with_a_notice() {
    let authority = Authority::new("private");
    for identity in
        [authority.server("127.0.0.1", Validity::Expired), authority.server(ELSEWHERE, Validity::Current)]
    {
        let nginx = Nginx::tls(&identity, "", "", &[]);
        let run = plan(&nginx, &authority, "insecure = true", "").run().exits(0);
        assert_same_counts(&run, &nginx.log(), "HTTP/1.1");
        let notices = run.report()["notices"].to_string();
        for said in [&run.stderr, &notices] {
            assert!(said.contains("insecure"), "{said}");
        }
    }
}

#[test]
fn a_client_certificate_is_sent_where_the_target_requires_it() {
    let authority = Authority::new("private");
    let client = authority.client("load");
    let knowing = || {
        let more = "ssl_client_certificate clients.pem; ssl_verify_client on;";
        Nginx::tls(&here(&authority), "http2", more, &[("clients", &authority.certificate())])
    };
    for (http, spoken) in [("1.1", "HTTP/1.1"), ("2", "HTTP/2.0")] {
        let nginx = knowing();
        let tls = format!("{TRUSTING}, client_cert = \"client.pem\", client_key = \"client-key.pem\"");
        let run = plan(&nginx, &authority, &tls, &format!("http = \"{http}\""))
            .file("plans/client.pem", &client.certificate)
            .file("plans/client-key.pem", &client.key)
            .run()
            .exits(0);
        let load = assert_same_counts(&run, &nginx.log(), spoken);
        assert!(load.iter().all(|access| access.client == "SUCCESS"), "{:?}", load[0]);
    }
    // Without a client certificate nginx responds with status 400.
    let nginx = knowing();
    let run = plan(&nginx, &authority, TRUSTING, "").run().exits(5);
    assert!(run.stderr.contains("400"), "{}", run.stderr);
    assert!(nginx.log().iter().all(|access| access.status == 400 && access.client == "NONE"));
}

#[test]
fn unusable_certificate_files_are_refused_before_any_request() {
    let authority = Authority::new("private");
    let client = authority.client("load");
    let other = authority.client("other");
    let nginx = Nginx::tls(&here(&authority), "", "", &[]);
    let identity = "client_cert = \"client.pem\", client_key = \"client-key.pem\"";
    for (tls, certificate, key) in [
        ("ca_file = \"client-key.pem\"", &client.certificate, &client.key),
        (identity, &client.key, &client.key),
        (identity, &client.certificate, &client.certificate),
        (identity, &client.certificate, &other.key),
        ("client_cert = \"client.pem\"", &client.certificate, &client.key),
        ("ca_file = \"nothing.pem\"", &client.certificate, &client.key),
    ] {
        let plan = plan(&nginx, &authority, tls, "");
        plan.file("plans/client.pem", certificate).file("plans/client-key.pem", key).run().exits(2);
    }
    assert_eq!(nginx.log(), []);
}

#[test]
fn a_request_that_meets_the_end_of_an_idle_connection_is_sent_again() {
    let authority = Authority::new("private");
    let nginx = Nginx::tls(&here(&authority), "", "keepalive_timeout 1040ms;", &[]);
    let phase = closed(30, "5s") + "[users.any]\nwait = [\"1020ms\", \"1060ms\"]\n";
    let run = of(&phase, &nginx, &authority, TRUSTING, "").run().exits(0);
    let phase = run.phase("a");
    assert_eq!(count(&phase["errors"]), 0, "{phase:#}");
    assert!(count(&phase["connections"]["closed_by_target"]) > 0, "{phase:#}");
}
