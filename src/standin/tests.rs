use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::header::{ALLOW, AUTHORIZATION, CONNECTION, CONTENT_TYPE};
use hyper::{HeaderMap, Request};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpStream;

use super::kms::ROUTES;
use super::{Behaviour, Standin};

/// Far longer than any test takes.
const AGES: Duration = Duration::from_secs(600);
const NONE: Value = Value::Null;

fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

fn start(behaviour: Behaviour) -> Standin {
    Standin::start(0, behaviour).unwrap()
}

/// One kept-alive connection.
struct Client {
    sender: SendRequest<Full<Bytes>>,
}

struct Seen {
    status: u16,
    headers: HeaderMap,
    body: Value,
}

impl Client {
    async fn of(target: &Standin) -> Self {
        let stream = TcpStream::connect(target.address()).await.unwrap();
        let (sender, connection) = handshake(TokioIo::new(stream)).await.unwrap();
        tokio::spawn(connection);
        Self { sender }
    }

    async fn try_send(&mut self, request: Request<Full<Bytes>>) -> hyper::Result<Seen> {
        self.sender.ready().await?;
        let (head, body) = self.sender.send_request(request).await?.into_parts();
        let body = body.collect().await?.to_bytes();
        let body = serde_json::from_slice(&body).expect("every answer is JSON");
        Ok(Seen { status: head.status.as_u16(), headers: head.headers, body })
    }

    /// `"POST /search"`, with a body unless it is null.
    async fn ask(&mut self, line: &str, body: Value) -> Seen {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        self.try_send(request(line, body)).await.unwrap()
    }

    async fn search(&mut self, body: Value) -> Seen {
        self.ask("POST /search", body).await
    }

    async fn case(&mut self, id: &str, token: &str) -> Seen {
        let mut request = request(&format!("GET /cases/{id}"), String::new());
        request.headers_mut().insert(AUTHORIZATION, format!("Bearer {token}").parse().unwrap());
        self.try_send(request).await.unwrap()
    }

    /// Asks until the answer is as wanted; an answer that never comes fails.
    async fn ask_until(&mut self, line: &str, body: Value, wanted: impl Fn(&Seen) -> bool) {
        let begin = Instant::now();
        while begin.elapsed() < Duration::from_secs(30) {
            if wanted(&self.ask(line, body.clone()).await) {
                return;
            }
            tokio::time::sleep(ms(5)).await;
        }
        panic!("`{line}` was never answered as wanted");
    }
}

fn request(line: &str, body: String) -> Request<Full<Bytes>> {
    let (method, path) = line.split_once(' ').unwrap();
    let request = Request::builder().method(method).uri(path).header("host", "stand-in");
    request.header(CONTENT_TYPE, "application/json").body(Full::from(body)).unwrap()
}

fn keys(value: &Value) -> Vec<&str> {
    value.as_object().unwrap().keys().map(String::as_str).collect()
}

fn query(text: &str) -> Value {
    json!({ "query": text })
}

fn scores(answer: &Seen) -> Vec<f64> {
    let results = answer.body["results"].as_array().unwrap();
    results.iter().map(|hit| hit["similarity_score"].as_f64().unwrap()).collect()
}

#[tokio::test]
async fn every_endpoint_answers_with_its_fields() {
    let target = start(Behaviour::steady());
    let mut client = Client::of(&target).await;
    for (line, body, fields) in [
        ("POST /search", query("outage"), "query results total_results search_time_ms"),
        ("GET /search?q=outage", NONE, "query results total_results search_time_ms"),
        ("GET /health", NONE, "status vector_db_ready total_vectors model_name"),
        ("GET /health/detailed", NONE, "timestamp status checks alerts"),
        (
            "GET /stats",
            NONE,
            "is_trained total_vectors model_name index_type dimension memory_usage_mb last_updated",
        ),
        ("GET /sync/status", NONE, "stats validation scheduler_running"),
        ("POST /sync/manual", NONE, "status message"),
        ("POST /sync/manual", json!({ "start_date": "2025-01-01", "end_date": null }), "status message"),
        (
            "GET /performance/report",
            NONE,
            "report_generated system_performance api_performance vector_operations",
        ),
        ("GET /openapi.json", NONE, "openapi info paths components"),
        ("POST /login", json!({ "user": "ada" }), "access_token token_type"),
    ] {
        let answer = client.ask(line, body).await;
        assert_eq!(answer.status, 200, "{line}");
        assert_eq!(answer.headers[CONTENT_TYPE], "application/json", "{line}");
        assert_eq!(keys(&answer.body).join(" "), fields, "{line}");
    }
}

#[tokio::test]
async fn nested_fields_are_those_of_the_service() {
    let target = start(Behaviour::steady());
    let mut client = Client::of(&target).await;
    let hit = client.search(query("server performance issues")).await.body["results"][0].clone();
    let fields = "similarity_score case_id case_number subject_description description_description issue_plain_text \
                  cause_plain_text resolution_plain_text status_text textbody created_date preview_text";
    assert_eq!(keys(&hit).join(" "), fields);
    let checks = client.ask("GET /health/detailed", NONE).await.body["checks"].clone();
    assert_eq!(keys(&checks), ["system", "index", "performance", "data"]);
    let status = client.ask("GET /sync/status", NONE).await.body;
    assert_eq!(keys(&status["stats"])[..2], ["last_sync", "total_cases_synced"]);
    assert_eq!(keys(&status["validation"]), ["is_valid", "checks", "warnings", "errors"]);
    let jobs = client.ask("GET /scheduler/jobs", NONE).await.body;
    let fields =
        "id name description enabled schedule last_run next_run status last_success last_error".to_owned();
    assert_eq!(keys(&jobs[0]).join(" "), fields);
}

#[tokio::test]
async fn the_openapi_document_names_every_endpoint() {
    let target = start(Behaviour::steady());
    let paths = Client::of(&target).await.ask("GET /openapi.json", NONE).await.body["paths"].clone();
    let mut documented = Vec::new();
    for (path, methods) in paths.as_object().unwrap() {
        documented.extend(keys(methods).iter().map(|method| format!("{} {path}", method.to_uppercase())));
    }
    let served = ROUTES.iter().filter(|(_, path, _)| *path != "/openapi.json");
    let mut served: Vec<_> = served.map(|(method, path, _)| format!("{method} {path}")).collect();
    documented.sort();
    served.sort();
    assert_eq!(documented, served);
}

#[tokio::test]
async fn unknown_paths_are_404_and_wrong_methods_405() {
    let target = start(Behaviour::steady());
    let mut client = Client::of(&target).await;
    let unknown = client.ask("GET /nothing", NONE).await;
    assert_eq!((unknown.status, unknown.body), (404, json!({ "detail": "Not Found" })));
    let wrong = client.ask("DELETE /search", NONE).await;
    assert_eq!((wrong.status, wrong.body), (405, json!({ "detail": "Method Not Allowed" })));
    assert_eq!(wrong.headers[ALLOW], "POST, GET");
}

#[tokio::test]
async fn bodies_that_do_not_validate_are_422_as_fastapi_writes_them() {
    let target = start(Behaviour::steady());
    let mut client = Client::of(&target).await;
    for (body, r#type, field, msg) in [
        (json!({}), "missing", "query", "Field required"),
        (json!({ "query": "" }), "string_too_short", "query", "String should have at least 1 character"),
        (query(&"é".repeat(1001)), "string_too_long", "query", "String should have at most 1000 characters"),
        (json!({ "query": 1 }), "string_type", "query", "Input should be a valid string"),
        (
            json!({ "query": "a", "top_k": 0 }),
            "greater_than_equal",
            "top_k",
            "Input should be greater than or equal to 1",
        ),
        (
            json!({ "query": "a", "top_k": 101 }),
            "less_than_equal",
            "top_k",
            "Input should be less than or equal to 100",
        ),
        (json!({ "query": "a", "top_k": null }), "int_type", "top_k", "Input should be a valid integer"),
        (
            json!({ "query": "a", "top_k": 1.5 }),
            "int_from_float",
            "top_k",
            "Input should be a valid integer, got a number with a fractional part",
        ),
        (
            json!({ "query": "a", "similarity_threshold": 1.1 }),
            "less_than_equal",
            "similarity_threshold",
            "Input should be less than or equal to 1",
        ),
        (
            json!({ "query": "a", "similarity_threshold": "high" }),
            "float_parsing",
            "similarity_threshold",
            "Input should be a valid number, unable to parse string as a number",
        ),
    ] {
        let answer = client.search(body.clone()).await;
        assert_eq!(answer.status, 422, "{body}");
        let [problem] = &answer.body["detail"].as_array().unwrap()[..] else {
            panic!("{body} has one problem, not {}", answer.body);
        };
        assert_eq!(problem["type"], r#type, "{body}");
        assert_eq!(problem["loc"], json!(["body", field]), "{body}");
        assert_eq!(problem["msg"], msg, "{body}");
        assert_eq!(problem["input"], body.get(field).unwrap_or(&json!({})).clone(), "{body}");
    }
}

#[tokio::test]
async fn every_problem_of_a_request_is_told_at_once() {
    let target = start(Behaviour::steady());
    let mut client = Client::of(&target).await;
    let answer = client.ask("GET /search?top_k=x&threshold=-1", NONE).await;
    assert_eq!(answer.status, 422);
    let problems = answer.body["detail"].as_array().unwrap();
    let told: Vec<_> = problems.iter().map(|problem| (&problem["type"], &problem["loc"][1])).collect();
    assert_eq!(
        json!(told),
        json!([["missing", "q"], ["int_parsing", "top_k"], ["greater_than_equal", "threshold"]])
    );
}

#[tokio::test]
async fn bodies_that_are_no_json_object_are_422() {
    let target = start(Behaviour::steady());
    let mut client = Client::of(&target).await;
    for (body, r#type) in [("", "missing"), ("{\"query\": ", "json_invalid"), ("[]", "model_attributes_type")]
    {
        let answer = client.try_send(request("POST /search", body.to_owned())).await.unwrap();
        assert_eq!((answer.status, &answer.body["detail"][0]["type"]), (422, &json!(r#type)), "{body:?}");
        assert_eq!(answer.body["detail"].as_array().unwrap().len(), 1, "{body:?}");
    }
    let mut text = request("POST /search", query("outage").to_string());
    text.headers_mut().insert(CONTENT_TYPE, "text/plain".parse().unwrap());
    assert_eq!(client.try_send(text).await.unwrap().status, 422);
}

#[tokio::test]
async fn a_sync_over_dates_that_are_none_is_400() {
    let target = start(Behaviour::steady());
    let mut client = Client::of(&target).await;
    for dates in [
        json!({ "start_date": "yesterday" }),
        json!({ "start_date": "2025-02-01", "end_date": "2025-01-01" }),
    ] {
        let answer = client.ask("POST /sync/manual", dates).await;
        assert_eq!(answer.status, 400);
        assert!(answer.body["detail"].is_string());
    }
}

#[tokio::test]
async fn top_k_is_the_most_and_threshold_the_least() {
    let target = start(Behaviour::steady());
    let mut client = Client::of(&target).await;
    for top_k in [1, 20, 100] {
        let answer = client.search(json!({ "query": "network outage", "top_k": top_k })).await;
        assert_eq!(scores(&answer).len(), top_k);
        assert_eq!(answer.body["total_results"], top_k);
    }
    assert_eq!(scores(&client.search(query("network outage")).await).len(), 10);
    let all = scores(&client.search(json!({ "query": "network outage", "top_k": 100 })).await);
    assert!(all.is_sorted_by(|a, b| a >= b), "best first");
    let few = json!({ "query": "network outage", "top_k": 100, "similarity_threshold": all[30] });
    let few = scores(&client.search(few).await);
    assert_eq!(few, all.iter().copied().filter(|score| *score >= all[30]).collect::<Vec<_>>());
}

#[tokio::test]
async fn the_guides_queries_find_something_at_the_guides_thresholds() {
    let target = start(Behaviour::steady());
    let mut client = Client::of(&target).await;
    for text in ["server performance issues", "SSL certificate errors", "critical system outage"] {
        let answer = client.search(json!({ "query": text, "similarity_threshold": 0.8 })).await;
        assert!(!scores(&answer).is_empty(), "{text}");
        let subject = answer.body["results"][0]["subject_description"].as_str().unwrap();
        assert!(subject.starts_with(text), "{text} found {subject}");
    }
}

#[tokio::test]
async fn searches_do_not_depend_on_case_nor_on_how_they_are_asked_but_on_the_seed() {
    let target = start(Behaviour::steady());
    let mut client = Client::of(&target).await;
    let results = client.search(query("user login problems")).await.body["results"].clone();
    assert_eq!(client.search(query("User LOGIN problems")).await.body["results"], results);
    let by_url = client.ask("GET /search?q=user+login%20problems&top_k=10&threshold=0", NONE).await;
    assert_eq!(by_url.body["query"], "user login problems");
    assert_eq!(by_url.body["results"], results);
    let again = start(Behaviour::steady());
    assert_eq!(Client::of(&again).await.search(query("user login problems")).await.body["results"], results);
    let other = start(Behaviour::steady().seed(2));
    assert_ne!(Client::of(&other).await.search(query("user login problems")).await.body["results"], results);
}

#[tokio::test]
async fn the_search_time_is_that_of_the_search() {
    let target = start(Behaviour::steady());
    let mut client = Client::of(&target).await;
    let sent = Instant::now();
    let told = client.search(query("outage")).await.body["search_time_ms"].as_f64().unwrap();
    assert!(told > 0.0 && told <= sent.elapsed().as_secs_f64() * 1e3, "{told} ms");
}

#[tokio::test]
async fn the_first_hit_can_be_fetched_with_a_token_and_not_without() {
    let target = start(Behaviour::steady());
    let mut client = Client::of(&target).await;
    let login = client.ask("POST /login", json!({ "user": "ada" })).await;
    let token = login.body["access_token"].as_str().unwrap();
    let hit = client.search(query("outage")).await.body["results"][0].clone();
    let id = hit["case_id"].as_str().unwrap();

    let case = client.case(id, token).await;
    assert_eq!(case.status, 200);
    assert_eq!(case.body["subject_description"], hit["subject_description"]);
    assert_eq!(client.case("nobody", token).await.status, 404);
    assert_eq!(client.case(id, "0-0000000000000000").await.status, 401);
    assert_eq!(client.ask(&format!("GET /cases/{id}"), NONE).await.status, 401);
}

#[tokio::test]
async fn what_was_received_is_counted_by_method_and_path() {
    let target = start(Behaviour::steady());
    let mut client = Client::of(&target).await;
    client.search(query("outage")).await;
    client.ask("GET /search?q=outage", NONE).await;
    client.ask("GET /search?q=crash", NONE).await;
    client.ask("GET /nothing", NONE).await;
    assert_eq!(target.received(), 4);
    assert_eq!(target.received_of("GET /search"), 2);
    assert_eq!(target.received_of("POST /search"), 1);
    assert_eq!(target.received_of("GET /health"), 0);
}

#[tokio::test]
async fn a_delay_is_waited_for_by_each_answer_and_held_by_none() {
    let target = start(Behaviour::steady().delay(ms(50)));
    let (mut one, mut other) = (Client::of(&target).await, Client::of(&target).await);
    let sent = Instant::now();
    tokio::join!(one.ask("GET /health", NONE), other.ask("GET /health", NONE));
    let took = sent.elapsed();
    assert!(took >= ms(50), "{took:?}");
}

#[tokio::test]
async fn a_freeze_holds_every_connection() {
    let target = start(Behaviour::steady().stall(ms(300), ms(250)));
    let (mut one, mut other) = (Client::of(&target).await, Client::of(&target).await);
    let begin = Instant::now();
    let mut longest = [Duration::ZERO; 2];
    while longest.iter().any(|longest| *longest < ms(200)) {
        assert!(begin.elapsed() < Duration::from_secs(20), "never froze both: {longest:?}");
        let timed = async |client: &mut Client| {
            let sent = Instant::now();
            client.ask("GET /health", NONE).await;
            sent.elapsed()
        };
        let took = tokio::join!(timed(&mut one), timed(&mut other));
        longest = [longest[0].max(took.0), longest[1].max(took.1)];
    }
}

#[tokio::test]
async fn the_detailed_health_check_holds_up_everyone_else() {
    let target = start(Behaviour::steady().blocking_health(ms(300)));
    let (mut one, mut other) = (Client::of(&target).await, Client::of(&target).await);
    let sent = Instant::now();
    let check = tokio::spawn(async move { one.ask("GET /health/detailed", NONE).await });
    while target.received_of("GET /health/detailed") == 0 {
        tokio::time::sleep(ms(1)).await;
    }
    other.ask("GET /health", NONE).await;
    let took = sent.elapsed();
    assert!(took >= ms(300), "{took:?}");
    assert_eq!(check.await.unwrap().status, 200);
}

#[tokio::test]
async fn about_the_scripted_share_of_answers_are_errors() {
    let target = start(Behaviour::steady().error_share(0.2).seed(3));
    let mut client = Client::of(&target).await;
    let mut errors = 0;
    for _ in 0..1000 {
        let answer = client.ask("GET /health", NONE).await;
        match answer.status {
            500 => {
                assert_eq!(answer.body, json!({ "detail": "Internal server error" }));
                errors += 1;
            }
            status => assert_eq!(status, 200),
        }
    }
    assert!((150..250).contains(&errors), "{errors} of 1000");
}

#[tokio::test]
async fn about_the_scripted_share_of_answers_close_their_connection() {
    let target = start(Behaviour::steady().close_share(0.3));
    let mut closed = 0;
    let mut client = Client::of(&target).await;
    for _ in 0..200 {
        let answer = client.ask("GET /health", NONE).await;
        if answer.headers.get(CONNECTION).is_some_and(|value| value == "close") {
            assert!(client.try_send(request("GET /health", String::new())).await.is_err());
            client = Client::of(&target).await;
            closed += 1;
        }
    }
    assert!((35..85).contains(&closed), "{closed} of 200");
}

#[tokio::test]
async fn a_slow_start_refuses_everything_and_then_nothing() {
    let target = start(Behaviour::steady().slow_start(ms(1500)));
    let mut client = Client::of(&target).await;
    for line in ["GET /health", "GET /stats", "GET /nothing"] {
        assert_eq!(client.ask(line, NONE).await.status, 503, "{line}");
    }
    client.ask_until("GET /health", NONE, |answer| answer.status == 200).await;
}

#[tokio::test]
async fn an_absent_index_refuses_searches_and_says_so() {
    let target = start(Behaviour::steady().index_absent(ms(1500)));
    let mut client = Client::of(&target).await;
    assert_eq!(client.search(query("outage")).await.status, 503);
    assert_eq!(client.search(json!({})).await.status, 422);
    let health = client.ask("GET /health", NONE).await;
    assert_eq!((health.status, &health.body["vector_db_ready"]), (200, &json!(false)));
    client.ask_until("POST /search", query("outage"), |answer| answer.status == 200).await;
    assert_eq!(client.ask("GET /health", NONE).await.body["vector_db_ready"], true);
}

#[tokio::test]
async fn syncs_asked_for_while_one_runs_are_that_one() {
    let target = start(Behaviour::steady().sync_lasting(AGES));
    let mut client = Client::of(&target).await;
    for _ in 0..3 {
        assert_eq!(client.ask("POST /sync/manual", NONE).await.body["status"], "triggered");
    }
    let stats = client.ask("GET /sync/status", NONE).await.body["stats"].clone();
    assert_eq!((&stats["total_syncs"], &stats["sync_running"]), (&json!(1), &json!(true)));
    assert_eq!(client.ask("GET /scheduler/jobs", NONE).await.body[0]["status"], "running");
}

#[tokio::test]
async fn a_sync_ends_and_another_can_follow() {
    let target = start(Behaviour::steady().sync_lasting(ms(20)));
    let mut client = Client::of(&target).await;
    for syncs in 1..=2 {
        client.ask("POST /sync/manual", NONE).await;
        let over = |answer: &Seen| answer.body["stats"]["sync_running"] == false;
        client.ask_until("GET /sync/status", NONE, over).await;
        let status = client.ask("GET /sync/status", NONE).await;
        assert_eq!(status.body["stats"]["total_syncs"], syncs);
    }
}

#[tokio::test]
async fn a_running_sync_doubles_what_a_search_takes() {
    let target = start(Behaviour::steady().delay(ms(40)).sync_lasting(AGES));
    let mut client = Client::of(&target).await;
    client.ask("POST /sync/manual", NONE).await;
    let sent = Instant::now();
    client.search(query("outage")).await;
    let took = sent.elapsed();
    assert!(took >= ms(80), "{took:?}");
}

#[tokio::test]
async fn a_leak_grows_with_every_request() {
    let target = start(Behaviour::steady().leak(1 << 18));
    let mut client = Client::of(&target).await;
    let memory = async |client: &mut Client| {
        client.ask("GET /stats", NONE).await.body["memory_usage_mb"].as_f64().unwrap()
    };
    let before = memory(&mut client).await;
    for _ in 0..15 {
        client.ask("GET /nothing", NONE).await;
    }
    let grown = memory(&mut client).await - before;
    assert!((grown - 4.0).abs() < 1e-6, "{grown} MiB in 16 requests");
}

#[tokio::test]
async fn burning_a_core_leaves_the_service_answering() {
    let target = start(Behaviour::steady().burn_cpu(0.5));
    assert_eq!(Client::of(&target).await.search(query("outage")).await.status, 200);
}

#[tokio::test]
async fn stopping_closes_every_connection_and_the_port_even_in_a_freeze() {
    let target = start(Behaviour::steady().blocking_health(AGES));
    let address = target.address();
    let (mut one, mut other) = (Client::of(&target).await, Client::of(&target).await);
    other.ask("GET /health", NONE).await;
    let check = tokio::spawn(async move {
        one.try_send(request("GET /health/detailed", String::new())).await.map(|answer| answer.status)
    });
    while target.received_of("GET /health/detailed") == 0 {
        tokio::time::sleep(ms(1)).await;
    }
    tokio::task::spawn_blocking(move || target.stop()).await.unwrap();
    assert!(other.try_send(request("GET /health", String::new())).await.is_err());
    assert!(TcpStream::connect(address).await.is_err());
    // Whether the freeze ended with an answer or without is a race that nobody should care for.
    let _ = check.await.unwrap();
}

#[tokio::test]
async fn a_taken_port_is_an_error() {
    let target = start(Behaviour::steady());
    let error = Standin::start(target.address().port(), Behaviour::steady()).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::AddrInUse);
}
