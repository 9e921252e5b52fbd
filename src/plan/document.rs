//! The documents of a plan: its TOML files as written. Only the module `plan` uses these types.

mod expect;
mod monitor;
mod words;

pub(super) use expect::{CaptureDocument, ExpectDocument, ReadyDocument, StatusDocument};
pub(super) use monitor::{MonitorDocument, QueryDocument, SourceDocument};
pub(super) use words::{ColumnTypeDocument, ConnectionsDocument, HttpVersionDocument, RestartDocument};
pub use words::{Decision, Inconclusive, Spacing};

use serde_json::{Value as Json, json};

use crate::diagnostic::Problems;
use crate::document::{Definitions, FromNode, Map, Node, PlainOrTable, Spanned, TableRule, document};
use crate::plan::tier::GateTier;
use crate::units::{Rate, Share, TimeSpan};

document! {
    /// A load-test plan: the target, the load over time and the objectives.
    pub(super) struct PlanDocument ("a table") {
        /// Name of the plan and of its run folders: up to 100 letters, digits, `-`, `_`, `.` and spaces.
        name: String = required,
        /// Purpose of the plan.
        description: String,
        /// Files with `[lists]` and `[users.NAME]`.
        include: Vec<Spanned<String>>,
        /// Files with objectives.
        thresholds: Vec<Spanned<PlainOrTable<String, ThresholdsEntryDocument>>>,
        /// Random seed. Two runs with the same seed send the same requests.
        seed: u64 = otherwise("drawn for each run"),
        /// The service under test.
        target: TargetDocument = required("a table `[target]` with its `url`"),
        /// Phases of the load. They run in the order written.
        phases: Vec<Spanned<PhaseDocument>> = required("a table `[[phases]]` for each phase of the load"),
        /// Lists of values for the holes `${pick(list)}` and `${list.column}`.
        lists: Map<PlainOrTable<Vec<Spanned<Node>>, ListFileDocument>>,
        /// User classes by name.
        users: Map<ClassDocument>,
        /// Rules for the verdict.
        gate: GateDocument = implied,
        /// Hosts whose resource usage is measured while phases run.
        monitor: MonitorDocument,
        reserved { baseline, capacity, recovery, start, timezone, pause, continuity }
        rules [TableRule::NotEmpty(&["phases"])]
    }
}

document! {
    /// A file with lists and user classes for plans to include.
    pub(super) struct IncludeDocument ("a table") {
        /// More files with `[lists]` and `[users.NAME]`.
        include: Vec<Spanned<String>>,
        /// Lists of values for the holes `${pick(list)}` and `${list.column}`.
        lists: Map<PlainOrTable<Vec<Spanned<Node>>, ListFileDocument>>,
        /// User classes by name.
        users: Map<ClassDocument>,
    }
}

document! {
    /// A threshold file, with a selection of its objectives.
    pub(super) struct ThresholdsEntryDocument ("a table such as `{ file = \"…\" }`") {
        /// Path of the threshold file. It may occur more than once only if each entry has `only`.
        file: String = required,
        /// Names of the objectives to use; `*` matches any text.
        only: Vec<Spanned<String>>,
        /// With `false` the objectives are shown but not judged.
        gate: bool = default(true),
    }
}

document! {
    /// A list from a file: CSV with a header row, or JSON lines.
    pub(super) struct ListFileDocument ("a table such as `{ file = \"…\" }`") {
        /// Path of the file, `….csv` or `….jsonl`.
        file: String = required,
        /// Types of columns of a CSV file.
        types: Map<ColumnTypeDocument> = otherwise("strings"),
        /// Whether arrivals begin with the first row again in each open phase.
        restart: RestartDocument = default("never"),
    }
}

document! {
    /// The service under test and how to connect to it.
    pub(super) struct TargetDocument ("a table") {
        /// `http://host:port/base` or `https://…`. The paths of requests are appended to it.
        url: String = required,
        /// Readiness probe: a method and a path, or a table. It is repeated before the first phase until the response is
        /// as expected.
        ready: PlainOrTable<String, ReadyDocument> = otherwise("a TCP connection"),
        /// Time limit for readiness, above 0 and up to 1h. After it the run ends and has sent no load.
        ready_within: TimeSpan = default("30s"),
        /// Time limit for a response, from the first byte sent to the last byte received: above 0 and up to 1h.
        timeout: TimeSpan = default("30s"),
        /// Time limit for a connection, TLS handshake included: above 0 and up to 1h.
        connect_timeout: TimeSpan = default("5s"),
        /// HTTP version of the requests.
        http: HttpVersionDocument = default("1.1"),
        /// Headers of every request.
        headers: Map<String>,
        /// TLS settings of an `https` URL.
        tls: TlsDocument,
        /// Maximum number of redirects per request, from 0 to 20. Only redirects to the same origin are followed.
        follow_redirects: u16 = default(0),
        /// IP address to connect to, instead of those of the URL's host.
        address: String = otherwise("all of the host's"),
        /// How long users keep a connection.
        connections: ConnectionsDocument = default("keep"),
        /// Age from which a connection is not used for another request, above 0.
        max_connection_age: TimeSpan = otherwise("unlimited"),
        reserved { allow }
    }
}

document! {
    /// TLS settings of the target.
    pub(super) struct TlsDocument ("a table such as `{ ca_file = \"ca.pem\" }`") {
        /// PEM file with trusted certificates; they replace those of the system.
        ca_file: String = otherwise("the system's certificates"),
        /// PEM file with the client certificate and its chain; requires `client_key`.
        client_cert: String,
        /// PEM file with the private key of the client certificate; requires `client_cert`.
        client_key: String,
        /// Name to request (SNI) instead of the URL's host. The target's certificate must carry it.
        server_name: String,
        /// Accept any certificate.
        insecure: bool = default(false),
        rules [TableRule::Needs("client_cert", "client_key"), TableRule::Needs("client_key", "client_cert")]
    }
}

document! {
    /// A part of the plan with one load.
    pub(super) struct PhaseDocument ("a table") {
        /// Name of the phase, unique in the plan: 1 to 200 characters.
        name: String = required,
        /// Length of the phase from 1ms to 366d, ramp and warm-up included.
        duration: TimeSpan = required unless stages | iterations,
        /// Number of tasks, from 1 to 1000000000, dealt to users or arrivals in advance. Replaces `duration`.
        iterations: u64,
        /// Longest time of a closed phase with `iterations`, from 1ms to 366d.
        max_duration: TimeSpan = otherwise("24h"),
        /// Number of virtual users, from 1 to 1000000. With `arrivals` also the maximum number of concurrent tasks.
        users: u32 = required unless stages,
        /// Users started per second, above 0.
        spawn_rate: f64 = otherwise("all at once") with users,
        /// User classes and their weights. A weight is above 0 and up to 1000000000.
        mix: Map<f64> = required("the user classes and their weights, such as `{ steady = 1 }`"),
        /// Arrival rate of tasks, regardless of the speed of the target: above 0 and up to 1000000/s.
        arrivals: PlainOrTable<Rate, ArrivalsRampDocument>,
        /// Name by which throughput objectives select the phase.
        scenario: String = otherwise("the phase's name"),
        /// Time after the ramp that is not judged either.
        warmup: TimeSpan = default("0s"),
        /// Distribution of the gaps between arrivals.
        spacing: Spacing = default("even") with arrivals,
        /// Number of users over time. Replaces `users`, `duration` and `spawn_rate`.
        stages: Vec<Spanned<StageDocument>>,
        reserved { start, pause, continuity }
        rules [
            TableRule::ExactlyOne(&[&["users", "duration"], &["users", "iterations"], &["stages"]]),
            TableRule::Alone("stages", &["users", "duration", "iterations", "max_duration", "spawn_rate", "arrivals"]),
            TableRule::Needs("max_duration", "iterations"),
            TableRule::AtMostOne(&["max_duration", "arrivals"]),
            TableRule::Needs("spacing", "arrivals"),
            TableRule::NotEmpty(&["mix", "stages"]),
        ]
    }
}

document! {
    /// A step of the load: a number of users and the change to it.
    pub(super) struct StageDocument ("a table such as `{ users = 50, over = \"5m\", hold = \"10m\" }`") {
        /// Number of users in this stage, from 0 to 1000000.
        users: u32 = required,
        /// Time of the linear change from the previous number of users to this one. It is not judged.
        over: TimeSpan = default("0s"),
        /// Time for which the number of users stays constant. It is judged.
        hold: TimeSpan = default("0s"),
    }
}

document! {
    /// An arrival rate that changes linearly over the phase. One of its ends may be 0.
    pub(super) struct ArrivalsRampDocument ("a table such as `{ from = \"10/s\", to = \"100/s\" }`") {
        /// Rate at the start of the phase.
        from: Rate = required,
        /// Rate at the end of the phase.
        to: Rate = required,
    }
}

document! {
    /// A kind of virtual user.
    pub(super) struct ClassDocument ("a table") {
        /// Think time of a user between two tasks.
        wait: WaitDocument = otherwise("none"),
        /// Tasks of a user.
        tasks: Vec<Spanned<TaskDocument>> = required("a table `[[users.NAME.tasks]]` for each task"),
        /// Simulated network distance of a user, up to 1m: one duration, or two between which it is drawn once per
        /// user. A user sleeps for this time before each of its requests.
        network_latency: LatencyDocument,
        /// Headers of every request of the class.
        headers: Map<String>,
        /// Requests of a user before its first task, in order.
        on_start: Vec<Spanned<RequestDocument>>,
        /// Requests of a user when it leaves, in order.
        on_stop: Vec<Spanned<RequestDocument>>,
        /// Keep the cookies that responses set.
        cookies: bool = default(false),
        /// List from a file of which each user has a row of its own, for `${row.column}`.
        row: String,
        /// How long users of the class keep a connection.
        connections: ConnectionsDocument = otherwise("as `[target]` says"),
        /// Age from which a connection is not used for another request, above 0.
        max_connection_age: TimeSpan = otherwise("as `[target]` says"),
        rules [TableRule::NotEmpty(&["tasks"])]
    }
}

/// A wait: one duration, two durations between which it is drawn, or a table.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum WaitDocument {
    /// One constant duration, or two between which the wait is drawn.
    Durations(Vec<Spanned<TimeSpan>>),
    /// `{ exponential = … }` or `{ pace = … }`.
    Table(WaitTableDocument),
}

document! {
    /// A wait from an exponential distribution, or a constant pace. It has exactly one of its two keys.
    pub(super) struct WaitTableDocument ("a table") {
        /// Mean of the exponential distribution.
        exponential: TimeSpan,
        /// Time from the start of one task to the start of the next. Lost time is not made up for.
        pace: TimeSpan,
        rules [TableRule::ExactlyOne(&[&["exponential"], &["pace"]])]
    }
}

impl FromNode for WaitDocument {
    fn expected() -> String {
        "a wait such as `\"35s\"`, `[\"30s\", \"40s\"]`, `{ exponential = \"35s\" }` or `{ pace = \"35s\" }`"
            .into()
    }

    fn read(node: &Node, problems: &mut Problems) -> Option<Self> {
        match &node.value {
            crate::document::Value::Table(_) => WaitTableDocument::read(node, problems).map(Self::Table),
            crate::document::Value::Array(_) => Vec::read(node, problems).map(Self::Durations),
            _ => {
                TimeSpan::read(node, problems).map(|one| Self::Durations(vec![Spanned::new(one, node.span)]))
            }
        }
    }

    fn schema(definitions: &mut Definitions) -> Json {
        let one = TimeSpan::schema(definitions);
        json!({ "anyOf": [one, one_or_two(&one), WaitTableDocument::schema(definitions)] })
    }
}

/// Network latency of a user: one constant duration, or two between which it is drawn.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct LatencyDocument(pub(super) Vec<Spanned<TimeSpan>>);

impl FromNode for LatencyDocument {
    fn expected() -> String {
        "a latency such as `\"40ms\"` or `[\"20ms\", \"50ms\"]`".into()
    }

    fn read(node: &Node, problems: &mut Problems) -> Option<Self> {
        match &node.value {
            crate::document::Value::Array(_) => Vec::read(node, problems).map(Self),
            _ => TimeSpan::read(node, problems).map(|one| Self(vec![Spanned::new(one, node.span)])),
        }
    }

    fn schema(definitions: &mut Definitions) -> Json {
        let one = TimeSpan::schema(definitions);
        json!({ "anyOf": [one, one_or_two(&one)] })
    }
}

/// The schema of an array with one value, or with two between which one is drawn.
fn one_or_two(one: &Json) -> Json {
    json!({ "type": "array", "items": one, "minItems": 1, "maxItems": 2 })
}

/// The keys that set a body.
const BODIES: &[&str] = &["json", "body", "form", "body_file"];
/// The keys of a request. They are not allowed next to a list of requests.
const REQUEST_KEYS: &[&str] =
    &["operation", "headers", "json", "body", "form", "body_file", "expect", "capture"];

document! {
    /// A unit of work of a user between two waits: one request, one of several, or several in order.
    pub(super) struct TaskDocument ("a table") {
        /// Relative frequency among the tasks of the class, above 0 and up to 1000000000.
        weight: f64 = default(1),
        /// Name in objectives and reports, up to 200 bytes. Several requests may share it.
        operation: String = otherwise("its method and path") with request,
        /// Method and path, such as `GET /cases?open=true`.
        request: String,
        /// Headers of this request.
        headers: Map<String>,
        /// JSON body.
        json: Node,
        /// Text body.
        body: String,
        /// Form fields as body.
        form: Map<Node>,
        /// File whose bytes are the body, up to 16 MiB.
        body_file: String,
        /// Conditions on the response.
        expect: ExpectDocument = otherwise("a status of 2xx or 3xx") with request,
        /// Values to keep from a JSON response: names and JSON pointers.
        capture: Map<PlainOrTable<String, CaptureDocument>>,
        /// Requests of which one is drawn each time, all with the same probability.
        any_of: Vec<Spanned<RequestDocument>>,
        /// Requests that are sent one after another. A failed one ends the task.
        steps: Vec<Spanned<RequestDocument>>,
        rules [
            TableRule::ExactlyOne(&[&["request"], &["any_of"], &["steps"]]),
            TableRule::Alone("any_of", REQUEST_KEYS),
            TableRule::Alone("steps", REQUEST_KEYS),
            TableRule::AtMostOne(BODIES),
            TableRule::NotEmpty(&["any_of", "steps"]),
        ]
    }
}

document! {
    /// A request.
    pub(super) struct RequestDocument ("a table") {
        /// Name in objectives and reports, up to 200 bytes. Several requests may share it.
        operation: String = otherwise("its method and path"),
        /// Method and path, such as `GET /cases?open=true`.
        request: String = required,
        /// Headers of this request.
        headers: Map<String>,
        /// JSON body.
        json: Node,
        /// Text body.
        body: String,
        /// Form fields as body.
        form: Map<Node>,
        /// File whose bytes are the body, up to 16 MiB.
        body_file: String,
        /// Conditions on the response.
        expect: ExpectDocument = otherwise("a status of 2xx or 3xx"),
        /// Values to keep from a JSON response: names and JSON pointers.
        capture: Map<PlainOrTable<String, CaptureDocument>>,
        rules [TableRule::AtMostOne(BODIES)]
    }
}

document! {
    /// Rules for the verdict.
    pub(super) struct GateDocument ("a table") {
        /// Tier at which objectives are judged; with `"none"` nothing is judged.
        tier: GateTier = default("maximum"),
        /// Effect of an undecided objective on the exit code: 3, or with `"warn"` 0.
        inconclusive: Inconclusive = default("fail"),
        /// Whether a verdict must be proven, or the observed value is compared with the limit.
        decision: Decision = default("proven"),
        /// Confidence of a proof, from 90% to 99.9%.
        confidence: Share = default("95%"),
        /// End the run when more than half of all requests have failed for a minute.
        breaker: bool = default(true),
    }
}
