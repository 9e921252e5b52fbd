//! The files of a plan as they were written. Only `plan` sees these.

mod monitor;

pub(super) use monitor::{MonitorDocument, SourceDocument};

use serde_json::{Value as Json, json};

use crate::diagnostic::Problems;
use crate::document::{
    Choice, Definitions, FromNode, Map, Node, PlainOrTable, Spanned, TableRule, document, read_choice,
    words_schema,
};
use crate::units::{Rate, Share, Size, TimeSpan};

document! {
    /// A plan: what is sent to whom, when, and what is expected of it.
    pub(super) struct PlanDocument ("a table") {
        /// The plan's name; run folders bear it.
        name: String = required,
        /// What the plan is for.
        description: String,
        /// Files with `[lists]` and `[users.NAME]`.
        include: Vec<Spanned<String>>,
        /// Files with objectives.
        thresholds: Vec<Spanned<PlainOrTable<String, ThresholdsEntryDocument>>>,
        /// What chance depends on; without it one is drawn.
        seed: u64 = otherwise("drawn for each run"),
        /// Who is tested.
        target: TargetDocument = required("a table `[target]` with its `url`"),
        /// What happens, one phase after another.
        phases: Vec<Spanned<PhaseDocument>> = required("a table `[[phases]]` for each stretch of load"),
        /// Values to pick from.
        lists: Map<PlainOrTable<Vec<Spanned<Node>>, ListFileDocument>>,
        /// User classes.
        users: Map<ClassDocument>,
        /// How the verdict is reached.
        gate: GateDocument = implied,
        /// The hosts whose resources are measured meanwhile.
        monitor: MonitorDocument,
        reserved { baseline, capacity, recovery, start, timezone, pause, continuity }
        rules [TableRule::NotEmpty(&["phases"])]
    }
}

document! {
    /// A file that plans include.
    pub(super) struct IncludeDocument ("a table") {
        /// More files with `[lists]` and `[users.NAME]`.
        include: Vec<Spanned<String>>,
        /// Values to pick from.
        lists: Map<PlainOrTable<Vec<Spanned<Node>>, ListFileDocument>>,
        /// User classes.
        users: Map<ClassDocument>,
    }
}

document! {
    /// A file with objectives, taken in part.
    pub(super) struct ThresholdsEntryDocument ("a table such as `{ file = \"…\" }`") {
        /// The file.
        file: String = required,
        /// Only the objectives of these names.
        only: Vec<Spanned<String>>,
        /// Whether they are judged.
        gate: bool = default(true),
    }
}

document! {
    /// A list whose rows stand in a file: CSV with a header row, or JSON lines.
    pub(super) struct ListFileDocument ("a table such as `{ file = \"…\" }`") {
        /// The file, `….csv` or `….jsonl`.
        file: String = required,
    }
}

document! {
    /// Who is tested and how to reach it.
    pub(super) struct TargetDocument ("a table") {
        /// Where it is.
        url: String = required,
        /// What is asked until it answers 2xx, before any load.
        ready: String = otherwise("a TCP connection"),
        /// How long the target may take to get ready.
        ready_within: TimeSpan = default("30s"),
        /// A request that takes longer, from sent, has failed.
        timeout: TimeSpan = default("30s"),
        /// A connection that takes longer has failed.
        connect_timeout: TimeSpan = default("5s"),
        /// The version of HTTP.
        http: HttpVersionDocument = default("1.1"),
        /// Headers of every request.
        headers: Map<String>,
        /// How to reach it over TLS.
        tls: TlsDocument,
        /// How many redirects a request may follow, to the same origin only.
        follow_redirects: u16 = default(0),
        reserved { allow }
    }
}

document! {
    /// How to reach a target over TLS.
    pub(super) struct TlsDocument ("a table such as `{ ca_file = \"ca.pem\" }`") {
        /// Certificates, in PEM, that are trusted instead of the system's.
        ca_file: String = otherwise("the system's certificates"),
        /// The client's certificate chain, in PEM.
        client_cert: String,
        /// The key of the client's certificate, in PEM.
        client_key: String,
        /// The name that the target's certificate must bear, instead of the url's host.
        server_name: String,
        /// Whether any certificate is taken.
        insecure: bool = default(false),
        rules [TableRule::Needs("client_cert", "client_key"), TableRule::Needs("client_key", "client_cert")]
    }
}

document! {
    /// A stretch of the plan with one load.
    pub(super) struct PhaseDocument ("a table") {
        /// The phase's name.
        name: String = required,
        /// From its start, the ramp included.
        duration: TimeSpan = required unless stages,
        /// Virtual users; where arrivals are given, as many tasks as can be under way.
        users: u32 = required unless stages,
        /// Users started per second; all at once without it.
        spawn_rate: f64 = otherwise("all at once") with users,
        /// User classes and their weights.
        mix: Map<f64> = required("the user classes and their weights, such as `{ steady = 1 }`"),
        /// Tasks started per time, whatever the target does.
        arrivals: PlainOrTable<Rate, ArrivalsRampDocument>,
        /// The name that throughput objectives select on.
        scenario: String = otherwise("the phase's name"),
        /// Not judged, in addition to the ramp.
        warmup: TimeSpan = default("0s"),
        /// How arrivals are spaced.
        spacing: Spacing = default("even") with arrivals,
        /// Users that come and go over time, instead of `users` and `duration`.
        stages: Vec<Spanned<StageDocument>>,
        reserved { start, pause, continuity }
        rules [
            TableRule::ExactlyOne(&[&["users", "duration"], &["stages"]]),
            TableRule::Alone("stages", &["users", "duration", "spawn_rate", "arrivals"]),
            TableRule::Needs("spacing", "arrivals"),
            TableRule::NotEmpty(&["mix", "stages"]),
        ]
    }
}

document! {
    /// A number of users, and the way there from the number before.
    pub(super) struct StageDocument ("a table such as `{ users = 50, over = \"5m\", hold = \"10m\" }`") {
        /// So many users.
        users: u32 = required,
        /// In this time the users of the stage before become these; at once without it.
        over: TimeSpan = default("0s"),
        /// For so long they stay; not at all without it.
        hold: TimeSpan = default("0s"),
    }
}

document! {
    /// Arrivals that grow or shrink over the phase.
    pub(super) struct ArrivalsRampDocument ("a table such as `{ from = \"10/s\", to = \"100/s\" }`") {
        /// At the phase's start.
        from: Rate = required,
        /// At its end.
        to: Rate = required,
    }
}

document! {
    /// A kind of virtual user.
    pub(super) struct ClassDocument ("a table") {
        /// A user's pause between two tasks.
        wait: WaitDocument = otherwise("none"),
        /// What it does.
        tasks: Vec<Spanned<TaskDocument>> = required("a table `[[users.NAME.tasks]]` for each thing a user does"),
        /// How far away a user is: drawn once per user, slept before each of its requests.
        network_latency: LatencyDocument,
        /// Headers of every request of the class.
        headers: Map<String>,
        /// Requests of a user before its first task.
        on_start: Vec<Spanned<RequestDocument>>,
        /// Requests of a user when it leaves.
        on_stop: Vec<Spanned<RequestDocument>>,
        /// Whether a user keeps the cookies that it is given.
        cookies: bool = default(false),
        rules [TableRule::NotEmpty(&["tasks"])]
    }
}

/// A wait: one duration, two between which it is drawn, or a table.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum WaitDocument {
    /// Always as long, or drawn between two.
    Durations(Vec<Spanned<TimeSpan>>),
    /// `{ exponential = … }` or `{ pace = … }`.
    Table(WaitTableDocument),
}

document! {
    /// A wait that is drawn from an exponential distribution, or a cadence.
    pub(super) struct WaitTableDocument ("a table") {
        /// The mean of the distribution.
        exponential: TimeSpan,
        /// The time between the starts of two tasks.
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

/// A user's network latency: always the same, or drawn between two.
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

/// The schema of a value, or of two between which it is drawn.
fn one_or_two(one: &Json) -> Json {
    json!({ "type": "array", "items": one, "minItems": 1, "maxItems": 2 })
}

/// The keys that a body can be given by.
const BODIES: &[&str] = &["json", "body", "form", "body_file"];
/// The keys that belong to a request, and so not beside a list of them.
const REQUEST_KEYS: &[&str] =
    &["operation", "headers", "json", "body", "form", "body_file", "expect", "capture"];

document! {
    /// Something a user does: one request, one of several, or several in order.
    pub(super) struct TaskDocument ("a table") {
        /// How often it is chosen, against the other tasks of the class.
        weight: f64 = default(1),
        /// What objectives and reports call it.
        operation: String = otherwise("its method and path") with request,
        /// A method and a path.
        request: String,
        /// Headers of this request.
        headers: Map<String>,
        /// A body of JSON.
        json: Node,
        /// A body of text.
        body: String,
        /// A body of form fields.
        form: Map<Node>,
        /// A file with the body.
        body_file: String,
        /// What the answer must be.
        expect: ExpectDocument = otherwise("a status of 2xx or 3xx") with request,
        /// Values to keep of a JSON answer: names and JSON pointers.
        capture: Map<String>,
        /// One of these, equally likely.
        any_of: Vec<Spanned<RequestDocument>>,
        /// One after another; a failed one ends the task.
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
        /// What objectives and reports call it.
        operation: String = otherwise("its method and path"),
        /// A method and a path.
        request: String = required,
        /// Headers of this request.
        headers: Map<String>,
        /// A body of JSON.
        json: Node,
        /// A body of text.
        body: String,
        /// A body of form fields.
        form: Map<Node>,
        /// A file with the body.
        body_file: String,
        /// What the answer must be.
        expect: ExpectDocument = otherwise("a status of 2xx or 3xx"),
        /// Values to keep of a JSON answer: names and JSON pointers.
        capture: Map<String>,
        rules [TableRule::AtMostOne(BODIES)]
    }
}

document! {
    /// What the answer must be.
    pub(super) struct ExpectDocument ("a table") {
        /// One of these.
        status: Vec<Spanned<u16>> = otherwise("2xx and 3xx"),
        /// JSON pointers and the values that stand there.
        json: Map<Node>,
        /// A text that is in the body.
        contains: String,
        /// The largest body.
        max_bytes: Size,
        rules [TableRule::NotEmpty(&["status"])]
    }
}

document! {
    /// How the verdict is reached.
    pub(super) struct GateDocument ("a table") {
        /// The tier at which objectives are judged.
        tier: GateTier = default("maximum"),
        /// What an inconclusive objective does.
        inconclusive: Inconclusive = default("fail"),
        /// Whether a verdict must be proven or is read off what was observed.
        decision: Decision = default("proven"),
        /// How sure a verdict must be: from "90%" to "99.9%".
        confidence: Share = default("95%"),
        /// Whether a run ends when more than half of all requests have failed for a minute.
        breaker: bool = default(true),
    }
}

macro_rules! words {
    ($(#[doc = $about:literal])+ $vis:vis enum $name:ident { $( $(#[doc = $doc:literal])+ $variant:ident = $word:literal ,)+ }) => {
        $(#[doc = $about])+
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        $vis enum $name { $( $(#[doc = $doc])+ $variant, )+ }

        impl Choice for $name {
            const WORDS: &'static [(&'static str, Self)] = &[$( ($word, Self::$variant), )+];
        }

        impl FromNode for $name {
            fn expected() -> String {
                [$( concat!("`\"", $word, "\"`"), )+].join(" or ")
            }

            fn read(node: &Node, problems: &mut Problems) -> Option<Self> {
                read_choice(node, problems)
            }

            fn schema(_: &mut Definitions) -> Json {
                words_schema::<Self>()
            }
        }
    };
}

words! {
    /// The versions of HTTP.
    pub(super) enum HttpVersionDocument {
        /// HTTP/1.1.
        One = "1.1",
        /// HTTP/2.
        Two = "2",
    }
}

words! {
    /// How arrivals are spaced.
    pub enum Spacing {
        /// Evenly.
        Even = "even",
        /// By independent gaps with an exponential distribution.
        Poisson = "poisson",
    }
}

words! {
    /// The tier at which objectives are judged.
    pub enum GateTier {
        /// The last tier; for throughput the minimum.
        Maximum = "maximum",
        /// The middle tier.
        Acceptable = "acceptable",
        /// The first tier.
        Target = "target",
        /// Nothing is judged.
        Nothing = "none",
    }
}

words! {
    /// What an inconclusive objective does to the exit code.
    pub enum Inconclusive {
        /// The run does not pass.
        Fail = "fail",
        /// The word stays, the exit is 0.
        Warn = "warn",
    }
}

words! {
    /// Whether a verdict must be proven.
    pub enum Decision {
        /// Met or missed only with confidence.
        Proven = "proven",
        /// The observed value is compared with the limit.
        Observed = "observed",
    }
}
