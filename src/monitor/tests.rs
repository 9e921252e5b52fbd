//! Tests of probes, with this machine's kernel and with HTTP servers that return fixed responses.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::Duration;

use http::HeaderMap;

use crate::monitor::Probe;
use crate::resources::metric::Metric;
use crate::resources::rates::between;
use crate::resources::snapshot::{Cpu, Snapshot};
use crate::resources::source::{DeviceFilter, HttpEndpoint, MetricQuery, ProcessSelector, QueryUnit, Source};

const LIMIT: Duration = Duration::from_secs(5);

/// A server with the same response to every request; an empty status means that it never responds.
fn server(status: &'static str, body: String) -> HttpEndpoint {
    server_of(status, vec![body])
}

/// A server that returns one body after the other, and the last one forever.
fn server_of(status: &'static str, bodies: Vec<String>) -> HttpEndpoint {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        let mut bodies = bodies.iter().chain(std::iter::repeat(&bodies[bodies.len() - 1]));
        for mut stream in listener.incoming().flatten() {
            let mut request = [0; 4096];
            while stream.read(&mut request).is_ok_and(|read| read > 0) {
                if !status.is_empty() {
                    let body = bodies.next().unwrap();
                    let length = body.len();
                    let answer = format!("HTTP/1.1 {status}\r\ncontent-length: {length}\r\n\r\n{body}");
                    let _ = stream.write_all(answer.as_bytes());
                }
            }
        }
    });
    HttpEndpoint {
        url: format!("http://{address}"),
        redacted: "http://host".to_owned(),
        headers: HeaderMap::new(),
    }
}

async fn exporter(status: &'static str, body: &str) -> Result<Snapshot, String> {
    let source = Source::NodeExporter(server(status, body.to_owned()), DeviceFilter::default());
    Probe::open(&source).unwrap().snapshot(LIMIT).await
}

async fn prometheus(status: &'static str, data: &str) -> Snapshot {
    let source = Source::Prometheus(
        server(status, data.to_owned()),
        vec![MetricQuery { metric: Metric::Cpu, text: "up{} > 0".to_owned(), unit: None }],
    );
    Probe::open(&source).unwrap().snapshot(LIMIT).await.unwrap()
}

async fn refused_because(status: &'static str, data: &str) -> String {
    prometheus(status, data).await.missing[&Metric::Cpu].clone()
}

fn vector(series: &[&str]) -> String {
    let series: Vec<String> = series
        .iter()
        .enumerate()
        .map(|(index, value)| {
            format!(r#"{{"metric":{{"instance":"{index}"}},"value":[1435781451.781,"{value}"]}}"#)
        })
        .collect();
    let series = series.join(",");
    format!(r#"{{"status":"success","data":{{"resultType":"vector","result":[{series}]}}}}"#)
}

async fn process(name: ProcessSelector) -> Result<Snapshot, String> {
    Probe::open(&Source::Process(name)).unwrap().snapshot(LIMIT).await
}

#[tokio::test]
async fn this_machine_gives_cpu_and_memory() {
    let mut probe = Probe::open(&Source::Local(DeviceFilter::default())).unwrap();
    let before = probe.snapshot(LIMIT).await.unwrap();
    assert!(matches!(before.cpu, Some(Cpu::Whole { total, .. }) if total > 0.0), "{before:?}");
    // The kernel counts in hundredths of a second.
    tokio::time::sleep(Duration::from_millis(50)).await;
    let values = between(&before, &probe.snapshot(LIMIT).await.unwrap());
    assert!(values.of(Metric::Memory).is_some_and(|share| share > 0.0 && share < 100.0), "{values:?}");
    assert!(values.of(Metric::Threads).is_some_and(|threads| threads > 1.0), "{values:?}");
    assert!(values.of(Metric::Cpu).is_some(), "{values:?}");
    assert!(values.counter_reset.is_none(), "{values:?}");
}

#[tokio::test]
async fn a_process_is_found_by_its_number_by_a_file_and_by_its_port() {
    let own = std::process::id();
    let by_number = process(ProcessSelector::Pid(own)).await.unwrap();
    assert_eq!(by_number.incarnation.start_event, format!("process {own} was started"));
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), format!("{own}\n")).unwrap();
    let by_file = process(ProcessSelector::File(file.path().display().to_string())).await.unwrap();
    assert_eq!(by_file.incarnation.start_event, by_number.incarnation.start_event);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let by_port = process(ProcessSelector::Port(address.port())).await.unwrap();
    assert_eq!(by_port.incarnation.start_event, by_number.incarnation.start_event);
    let _both = (TcpStream::connect(address).unwrap(), listener.accept().unwrap());
    let connected = process(ProcessSelector::Pid(own)).await.unwrap();
    assert!(connected.gauges[&Metric::Connections].value >= 2.0, "{connected:?}");
    assert!(connected.gauges[&Metric::OpenFiles].value >= 5.0, "{connected:?}");
    assert!(connected.gauges[&Metric::ProcessMemory].value > 1e6, "{connected:?}");
    assert!(connected.missing.is_empty(), "{connected:?}");
}

#[tokio::test]
async fn children_belong_to_their_parent() {
    let before = process(ProcessSelector::Pid(std::process::id())).await.unwrap();
    let mut child = std::process::Command::new("cat").stdin(std::process::Stdio::piped()).spawn().unwrap();
    let with = process(ProcessSelector::Pid(std::process::id())).await.unwrap();
    child.kill().unwrap();
    child.wait().unwrap();
    let threads = |snapshot: &Snapshot| snapshot.gauges[&Metric::Threads].value;
    assert!(threads(&with) >= threads(&before) + 1.0, "{before:?} {with:?}");
}

#[tokio::test]
async fn a_missing_or_ended_process_is_an_error() {
    let mut child = std::process::Command::new("cat").stdin(std::process::Stdio::piped()).spawn().unwrap();
    let pid = child.id();
    let mut probe = Probe::open(&Source::Process(ProcessSelector::Pid(pid))).unwrap();
    let first = probe.snapshot(LIMIT).await;
    assert!(first.is_ok(), "{:?}", first.map(drop));
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(probe.snapshot(LIMIT).await.map(drop), Err(format!("process {pid} is gone")));
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let unused = process(ProcessSelector::Port(port)).await.map(drop);
    assert_eq!(unused, Err(format!("no process listens on TCP port {port}")));
}

#[tokio::test]
async fn an_exporter_is_read_and_its_errors_are_in_words() {
    let snapshot = exporter("200 OK", "node_time_seconds 5\nnode_filefd_allocated 7\n").await.unwrap();
    assert_eq!((snapshot.at, snapshot.gauges[&Metric::OpenFiles].value), (5.0, 7.0));
    let missing = exporter("404 Not Found", "").await;
    assert_eq!(missing.map(drop), Err("HTTP status 404: is the path /metrics?".to_owned()));
    for page in ["<html>\n", "\n \r\n <!DOCTYPE html><html>", "\u{feff}<html>", "\u{feff}\n<html>"] {
        let garbage = exporter("200 OK", page).await.map(drop).unwrap_err();
        assert!(garbage.starts_with("line ") && garbage.ends_with("; is the path /metrics?"), "{garbage}");
    }
    let other = exporter("200 OK", "go_threads 5\n").await.map(drop).unwrap_err();
    assert!(other.contains("no node_exporter metric"), "{other}");
}

#[tokio::test]
async fn an_unused_port_and_a_silent_one_are_distinct_errors() {
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let endpoint = HttpEndpoint {
        url: format!("http://{address}/metrics"),
        redacted: "shown".to_owned(),
        headers: HeaderMap::new(),
    };
    let mut refused = Probe::open(&Source::NodeExporter(endpoint.clone(), DeviceFilter::default())).unwrap();
    assert_eq!(refused.snapshot(LIMIT).await.map(drop), Err("connection refused".to_owned()));
    let queries = vec![
        MetricQuery { metric: Metric::Cpu, text: "up".to_owned(), unit: None },
        MetricQuery { metric: Metric::Memory, text: "up".to_owned(), unit: None },
    ];
    let mut refused = Probe::open(&Source::Prometheus(endpoint, queries)).unwrap();
    assert_eq!(refused.snapshot(LIMIT).await.map(drop), Err("connection refused".to_owned()));
    let mut silent =
        Probe::open(&Source::NodeExporter(server("", String::new()), DeviceFilter::default())).unwrap();
    let silence = silent.snapshot(Duration::from_millis(100)).await.map(drop);
    assert_eq!(silence, Err("no response within 0.1 s".to_owned()));
}

#[tokio::test]
async fn one_series_or_a_scalar_is_a_value() {
    let snapshot = prometheus("200 OK", &vector(&["71.5"])).await;
    assert_eq!(snapshot.gauges[&Metric::Cpu].value, 71.5);
    assert_eq!(prometheus("200 OK", &scalar(1435781451.781, "1")).await.gauges[&Metric::Cpu].value, 1.0);
}

#[tokio::test]
async fn a_result_that_is_not_one_number_makes_the_metric_missing() {
    assert_eq!(refused_because("200 OK", &vector(&[])).await, "the query gives no series");
    let two = refused_because("200 OK", &vector(&["1", "2"])).await;
    assert_eq!(two, "the query gives 2 series instead of one: {instance=\"0\"}, {instance=\"1\"}");
    assert!(refused_because("200 OK", &vector(&["1"; 9])).await.ends_with("{instance=\"2\"}, …"));
    assert_eq!(
        refused_because("200 OK", &vector(&["NaN"])).await,
        "the query gives NaN, which is not a number"
    );
    assert_eq!(
        refused_because("200 OK", &vector(&["+Inf"])).await,
        "the query gives +Inf, which is not a number"
    );
    let less = refused_because("200 OK", &vector(&["-3.5"])).await;
    assert_eq!(less, "the query gives -3.5, but the minimum is 0");
    let more = refused_because("200 OK", &vector(&["140"])).await;
    assert_eq!(more, "the query gives 140, but the maximum is 100 %");
    let wrong = r#"{"status":"error","errorType":"bad_data","error":"parse error"}"#;
    assert_eq!(refused_because("400 Bad Request", wrong).await, "the query failed: parse error");
    let obeyed = format!(r#"{{"status":"error","error":"\u001b[2J{}"}}"#, "x".repeat(200));
    let obeyed = refused_because("400 Bad Request", &obeyed).await;
    assert!(obeyed.starts_with("the query failed: \\u{1b}[2Jx") && obeyed.len() < 120, "{obeyed}");
    let unavailable = refused_because("503 Service Unavailable", &scalar(1.5, "12")).await;
    assert_eq!(unavailable, "HTTP status 503");
    assert_eq!(refused_because("200 OK", "<html>").await, "the response is not JSON: is it a Prometheus?");
    assert!(refused_because("404 Not Found", "no").await.starts_with("HTTP status 404"));
    let matrix = r#"{"status":"success","data":{"resultType":"matrix","result":[]}}"#;
    assert_eq!(refused_because("200 OK", matrix).await, "the query gives a matrix instead of one number");
}

/// The response of a Prometheus with one number and its evaluation time, in seconds.
fn scalar(time: f64, value: &str) -> String {
    format!(r#"{{"status":"success","data":{{"resultType":"scalar","result":[{time},"{value}"]}}}}"#)
}

#[tokio::test]
async fn a_response_with_an_old_evaluation_time_is_refused() {
    let vector = |time, value: &str| vector(&[value]).replace("1435781451.781", time);
    // Two queries in turn: the first gets a copy at two snapshots, then its clock is set back once.
    let bodies = vec![
        vector("100.5", "10"),
        scalar(100.5, "1"),
        vector("100.5", "10"),
        scalar(101.5, "2"),
        vector("100.5", "10"),
        scalar(101.5, "2"),
        vector("103.5", "40"),
        scalar(103.5, "4"),
        vector("3.5", "50"),
        scalar(104.5, "5"),
        vector("4.5", "60"),
        scalar(105.5, "6"),
    ];
    let queries = vec![
        MetricQuery { metric: Metric::Cpu, text: "a".to_owned(), unit: None },
        MetricQuery { metric: Metric::Memory, text: "b".to_owned(), unit: None },
    ];
    let mut probe = Probe::open(&Source::Prometheus(server_of("200 OK", bodies), queries)).unwrap();
    let kept = "the response is a copy of an earlier one: its evaluation time did not advance";
    let mut before = probe.snapshot(LIMIT).await.unwrap();
    for (cpu, memory) in
        [(None, Some(2.0)), (None, None), (Some(40.0), Some(4.0)), (None, Some(5.0)), (Some(60.0), Some(6.0))]
    {
        let now = probe.snapshot(LIMIT).await.unwrap();
        let values = between(&before, &now);
        assert_eq!((values.of(Metric::Cpu), values.of(Metric::Memory)), (cpu, memory), "{values:?}");
        assert!(values.missing.iter().all(|(_, why)| why == kept), "{values:?}");
        before = now;
    }
}

#[tokio::test]
async fn a_compressed_response_is_an_error_naming_its_encoding() {
    let gzip = "200 OK\r\ncontent-encoding: gzip";
    let why = "the response is compressed (gzip); turn compression off";
    assert_eq!(exporter(gzip, "\u{1f}x").await.map(drop), Err(why.to_owned()));
    assert_eq!(refused_because(gzip, "\u{1f}x").await, why);
    let missing = exporter("404 Not Found\r\ncontent-encoding: br", "x").await.map(drop);
    assert_eq!(missing, Err("HTTP status 404: is the path /metrics?".to_owned()));
    let unavailable = refused_because("503 Service Unavailable\r\ncontent-encoding: gzip", "\u{1f}x").await;
    assert_eq!(unavailable, "HTTP status 503");
    let as_it_is = exporter("200 OK\r\ncontent-encoding: Identity", "node_filefd_allocated 7\n").await;
    assert_eq!(as_it_is.unwrap().gauges[&Metric::OpenFiles].value, 7.0);
}

#[tokio::test]
async fn a_closed_tls_handshake_suggests_http() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("https://{}/metrics", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            // The whole greeting is read, so that closing the connection sends no reset.
            let _ = stream.read(&mut [0; 4096]);
        }
    });
    let endpoint = HttpEndpoint { url, redacted: "shown".to_owned(), headers: HeaderMap::new() };
    let mut probe = Probe::open(&Source::NodeExporter(endpoint, DeviceFilter::default())).unwrap();
    let why = probe.snapshot(LIMIT).await.map(drop).unwrap_err();
    assert_eq!(why, "tls handshake eof: should the URL start with `http://`?");
}

#[tokio::test]
async fn a_response_with_a_warning_is_refused_unless_it_is_a_hint() {
    let with = |warnings: &str| scalar(1.5, "12").replacen('{', &format!("{{\"warnings\":[{warnings}],"), 1);
    let hint = r#""PromQL info: metric might not be a counter, name does not end in _total""#;
    assert_eq!(prometheus("200 OK", &with(hint)).await.gauges[&Metric::Cpu].value, 12.0);
    assert_eq!(prometheus("200 OK", &with("")).await.gauges[&Metric::Cpu].value, 12.0);
    let partial = format!(r#"{hint},"PARTIAL RESPONSE: store \u001b[2J10.0.0.3 is down","another""#);
    let why = refused_because("200 OK", &with(&partial)).await;
    assert_eq!(why, "the response has a warning: PARTIAL RESPONSE: store \\u{1b}[2J10.0.0.3 is down");
}

#[tokio::test]
async fn a_partial_response_is_refused() {
    let with = |mark: &str| scalar(1.5, "12").replacen('{', &format!("{{\"isPartial\":{mark},"), 1);
    assert_eq!(prometheus("200 OK", &with("false")).await.gauges[&Metric::Cpu].value, 12.0);
    let why = refused_because("200 OK", &with("true")).await;
    assert_eq!(why, "the response is marked as partial: some of the server's stores did not answer");
}

#[test]
fn a_url_that_cannot_be_asked_is_refused_without_being_shown() {
    for url in ["ftp://secret@host/", "not a url", ""] {
        let endpoint =
            HttpEndpoint { url: url.to_owned(), redacted: "shown".to_owned(), headers: HeaderMap::new() };
        let refused =
            Probe::open(&Source::NodeExporter(endpoint, DeviceFilter::default())).map(drop).unwrap_err();
        assert!(refused.starts_with("shown "), "{refused}");
    }
}

#[tokio::test]
async fn a_share_becomes_percent_and_a_partial_answer_is_missing_for_now() {
    let of = |unit| {
        let text = "a".to_owned();
        let body = r#"{"status":"success","data":{"resultType":"scalar","result":[1.5,"0.97"]}}"#;
        let queries = vec![MetricQuery { metric: Metric::Cpu, text, unit }];
        let source = Source::Prometheus(server("200 OK", body.to_owned()), queries);
        let may_be_shares = source.may_give_shares(Metric::Cpu);
        async move {
            let snapshot = Probe::open(&source).unwrap().snapshot(LIMIT).await.unwrap();
            (snapshot.gauges[&Metric::Cpu].value, may_be_shares)
        }
    };
    assert_eq!(of(None).await, (0.97, true));
    assert_eq!(of(Some(QueryUnit::Percent)).await, (0.97, false));
    assert_eq!(of(Some(QueryUnit::Share)).await, (97.0, false));
    let partial =
        r#"{"status":"success","isPartial":true,"data":{"resultType":"scalar","result":[1.5,"4"]}}"#;
    assert!(prometheus("200 OK", partial).await.missing_for_now.contains(&Metric::Cpu));
    let lasting = prometheus("200 OK", "{}").await;
    assert!(lasting.missing_for_now.is_empty() && lasting.missing.contains_key(&Metric::Cpu));
}
