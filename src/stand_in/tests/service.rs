//! Facts about the responses of the stand-in, which are those of the service that it replaces.

use std::time::Instant;

use hyper::header::{ALLOW, CONTENT_TYPE};
use serde_json::{Value, json};

use super::super::kms::ROUTES;
use super::{Behaviour, Client, NONE, Seen, query, request, start};

fn keys(value: &Value) -> Vec<&str> {
    value.as_object().unwrap().keys().map(String::as_str).collect()
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
async fn all_problems_of_a_request_are_reported_together() {
    let target = start(Behaviour::steady());
    let mut client = Client::of(&target).await;
    let answer = client.ask("GET /search?top_k=x&threshold=-1", NONE).await;
    assert_eq!(answer.status, 422);
    let problems = answer.body["detail"].as_array().unwrap();
    let reported: Vec<_> = problems.iter().map(|problem| (&problem["type"], &problem["loc"][1])).collect();
    assert_eq!(
        json!(reported),
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
    let reported = client.search(query("outage")).await.body["search_time_ms"].as_f64().unwrap();
    assert!(reported > 0.0 && reported <= sent.elapsed().as_secs_f64() * 1e3, "{reported} ms");
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
