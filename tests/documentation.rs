//! README and docs: their plans pass `check`, their tables equal the code, and their links exist.

#![expect(clippy::unwrap_used, reason = "a page that cannot be parsed has failed the test")]

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::path::{Path, PathBuf};

use runner::diagnostic::{Code, Problems, render};
use runner::gate::Ending;
use runner::plan::{Environment, Settings};
use runner::resources::metric::Metric;
use runner::resources::source::{DeviceFilter, HttpEndpoint, ProcessSelector, Source};
use runner::{forecast, plan, slo};
use serde_json::Value as Json;
use toml::de::{DeTable, DeValue};

/// All Markdown pages: those of the root, `benches`, `reports`, and `docs` with its folders.
fn pages() -> Vec<(PathBuf, String)> {
    let mut folders: Vec<PathBuf> = [".", "benches", "docs", "reports", "tests"].map(PathBuf::from).to_vec();
    let mut pages = Vec::new();
    while let Some(folder) = folders.pop() {
        for path in std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()) {
            if path.is_dir() && folder.starts_with("docs") {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "md") {
                let text = std::fs::read_to_string(&path).unwrap();
                pages.push((path, text));
            }
        }
    }
    assert!(pages.len() > 8, "the test looks at the wrong folders");
    pages
}

/// The fenced blocks of a page, each as info string and content.
fn blocks(page: &str) -> Vec<(&str, String)> {
    let mut blocks = Vec::new();
    let mut lines = page.lines();
    while let Some(line) = lines.next() {
        if let Some(info) = line.strip_prefix("```") {
            let inside = lines.by_ref().take_while(|line| *line != "```");
            blocks.push((info, inside.fold(String::new(), |text, line| text + line + "\n")));
        }
    }
    blocks
}

/// The files of a page by path. A block ```` ```toml plans/name.toml ```` is that file; blocks of CSV and JSON Lines
/// work alike. A block ```` ```toml part ```` is a part of a plan, and ```` ```toml thresholds part ```` a part of a
/// threshold file; both are completed to a whole plan.
fn files_of(page: &str, text: &str) -> BTreeMap<PathBuf, String> {
    let mut files = BTreeMap::new();
    for (index, (info, inside)) in blocks(text).into_iter().enumerate() {
        let plan = PathBuf::from(format!("plans/part-{index}.toml"));
        match info.split_once(' ') {
            Some(("toml", "part")) => {
                files.insert(plan, completed(&inside));
            }
            Some(("toml", "thresholds part")) => {
                let file = format!("thresholds/part-{index}.toml");
                files.insert(plan, completed(&format!("thresholds = [\"../{file}\"]\n")));
                files.insert(file.into(), inside);
            }
            Some((_, path)) => {
                let twice = files.insert(PathBuf::from(path), inside);
                assert_eq!(twice, None, "{page}: {path} is there twice");
            }
            None => assert_ne!(info, "toml", "{page}: a TOML block that is neither a file nor a part"),
        }
    }
    files
}

/// A TOML text as JSON; values other than tables, arrays and strings become `null`.
fn parsed(text: &str) -> Json {
    fn json(value: &DeValue<'_>) -> Json {
        match value {
            DeValue::Table(table) => {
                table.iter().map(|(key, value)| (key.get_ref().to_string(), json(value.get_ref()))).collect()
            }
            DeValue::Array(items) => items.iter().map(|item| json(item.get_ref())).collect(),
            other => other.as_str().map_or(Json::Null, Json::from),
        }
    }
    let table = DeTable::parse(text).unwrap_or_else(|error| panic!("{error}\n{text}"));
    json(&DeValue::Table(table.into_inner()))
}

fn keys(table: &Json) -> Vec<String> {
    table.as_object().into_iter().flat_map(|table| table.keys().cloned()).collect()
}

/// Completes a part to a whole plan by adding every required key that it lacks.
fn completed(part: &str) -> String {
    let table = parsed(part);
    let has = |key: &str| table.get(key).is_some();
    let defined = keys(&table["users"]);
    let phases = table["phases"].as_array();
    let mut mixed: Vec<String> = phases.into_iter().flatten().flat_map(|phase| keys(&phase["mix"])).collect();
    // Top-level keys go before the part, tables after it.
    let (mut before, mut after) = (String::new(), String::new());
    for (key, text) in [
        ("name", "name = \"part\""),
        ("target", "target.url = \"http://localhost:8008\""),
        ("gate", if has("thresholds") { "" } else { "gate.tier = \"none\"" }),
    ] {
        if !has(key) {
            writeln!(before, "{text}").unwrap();
        }
    }
    if has("gate") && !has("thresholds") && table["gate"]["tier"] != "none" {
        before += "thresholds = [\"../thresholds/anything.toml\"]\n";
    }
    if phases.is_none() {
        mixed = if defined.is_empty() { vec!["guest".to_owned()] } else { defined.clone() };
        let mix: Vec<String> = mixed.iter().map(|class| format!("{class} = 1")).collect();
        for name in ["morning", "peak"] {
            let phase =
                format!("name = \"{name}\"\nduration = \"1h\"\nusers = 50\nmix = {{ {} }}", mix.join(", "));
            writeln!(after, "\n[[phases]]\n{phase}").unwrap();
        }
    }
    if has("thresholds") && !has("monitor") {
        let hosts = "target = \"local\"\nservice = { process = \"port 8008\" }";
        writeln!(after, "\n[monitor.hosts]\n{hosts}").unwrap();
    }
    // A part with `include` takes its other classes from the included file.
    let known = |class: &String| defined.contains(class) || has("include");
    mixed.sort_unstable();
    mixed.dedup();
    let idle = defined.iter().filter(|class| table["users"][class]["tasks"].is_null());
    for class in mixed.iter().filter(|class| !known(class)).chain(idle) {
        for operation in ["search", "login"] {
            let task = format!("operation = \"{operation}\"\nrequest = \"POST /{operation}\"");
            writeln!(after, "\n[[users.{class}.tasks]]\n{task}").unwrap();
        }
    }
    format!("{before}{part}{after}")
}

/// The content of files that pages name but do not show: objectives for a part with only a gate, and files of no text.
fn off_the_page(path: &Path) -> Option<&'static str> {
    match path.to_str()? {
        "thresholds/anything.toml" => {
            Some("[[error_rate]]\nname = \"Anything\"\noperations = [\"*\"]\nmaximum = \"1%\"\n")
        }
        "plans/ca.pem" | "plans/client.pem" | "plans/client.key" | "plans/manual.pdf" => {
            Some("not looked into")
        }
        _ => None,
    }
}

/// The rendered problems of a plan among these files, including warnings.
fn shortcomings(plan: &Path, files: &BTreeMap<PathBuf, String>) -> String {
    let missing = || std::io::Error::from(std::io::ErrorKind::NotFound);
    let read = |path: &Path| {
        let text = files.get(path).map(String::as_str).or_else(|| off_the_page(path));
        text.map(|text| text.as_bytes().to_vec()).ok_or_else(missing)
    };
    // Other variables are unset, so pages must show defaults; secrets cannot have defaults.
    let environment =
        Environment { read: &read, variable: &|name| name.starts_with("KMS_").then(|| "s3cret".to_owned()) };
    let mut problems = Problems::default();
    let loaded = plan::load(plan, &Settings::default(), &environment, &mut problems);
    let objectives = slo::load(&loaded.thresholds, &loaded.names, loaded.plan.as_ref(), &mut problems);
    if let Some(plan) = &loaded.plan {
        forecast::check(plan, &objectives.all, &forecast::forecast(plan), Code::NeverProven, &mut problems);
    }
    render(&problems, false)
}

#[test]
fn every_plan_in_a_page_passes_check_with_its_thresholds() {
    let mut plans = 0;
    for (page, text) in pages() {
        let files = files_of(&page.display().to_string(), &text);
        let is_plan =
            |path: &Path| path.parent() == Some(Path::new("plans")) && path.extension().unwrap() == "toml";
        let (of_page, others): (Vec<&PathBuf>, Vec<_>) = files.keys().partition(|path| is_plan(path));
        for plan in of_page {
            assert_eq!(shortcomings(plan, &files), "", "{}\n{}", page.display(), files[plan]);
            plans += 1;
        }
        for file in others {
            let name = file.file_name().unwrap().to_str().unwrap();
            let taken = files.values().any(|text| text.contains(&format!("{name}\"")));
            assert!(taken, "{}: no plan of the page takes {}", page.display(), file.display());
        }
    }
    assert!(plans >= 2, "{plans} plans were found");
}

#[test]
fn a_partial_plan_is_completed_only_where_needed() {
    let whole = "name = \"a\"\ntarget.url = \"http://a.example\"\ngate.tier = \"none\"\n\
                 users.a.tasks = [{ request = \"GET /\" }]\n\
                 phases = [{ name = \"a\", duration = \"1s\", users = 1, mix = { a = 1 } }]\n";
    assert_eq!(completed(whole), whole);
    for (part, lacks) in [
        ("", ["[[phases]]", "[[users.guest.tasks]]", "gate.tier"]),
        ("[users.a]\nwait = \"1s\"\n", ["a = 1", "[[users.a.tasks]]", "gate.tier"]),
        ("[gate]\ntier = \"target\"\n", ["guest = 1", "target.url", "thresholds"]),
    ] {
        let plan = completed(part);
        assert!(lacks.iter().all(|text| plan.contains(text)), "{plan}");
        assert_eq!(shortcomings(Path::new("plans/a.toml"), &[("plans/a.toml".into(), plan)].into()), "");
    }
}

/// The table and key of every key of a schema.
fn keys_of(schema: &Json) -> impl Iterator<Item = (String, String)> {
    let tables = schema["$defs"].as_object().unwrap().iter();
    tables.flat_map(|(table, of_table)| {
        keys(&of_table["properties"]).into_iter().map(move |key| (table.clone(), key))
    })
}

/// Adds the keys of a document to `noted`, as table and key; `schema` is the part of `whole` that describes `value`.
fn note(value: &Json, schema: &Json, whole: &Json, noted: &mut BTreeSet<(String, String)>) {
    let table = schema["$ref"].as_str().and_then(|path| path.strip_prefix("#/$defs/")).unwrap_or_default();
    let schema = if table.is_empty() { schema } else { &whole["$defs"][table] };
    for other in schema["anyOf"].as_array().into_iter().flatten() {
        note(value, other, whole, noted);
    }
    match value {
        Json::Object(entries) => {
            for (key, value) in entries {
                if let Some(of_key) = schema["properties"].get(key) {
                    noted.insert((table.to_owned(), key.clone()));
                    note(value, of_key, whole, noted);
                } else {
                    note(value, &schema["additionalProperties"], whole, noted);
                }
            }
        }
        Json::Array(items) => {
            items.iter().for_each(|item| note(item, &schema["items"], whole, noted));
        }
        _ => {}
    }
}

#[test]
fn every_key_is_documented_and_shown_in_an_example() {
    let page = std::fs::read_to_string("docs/reference/language.md").unwrap();
    let schemas = ["plans/plan.schema.json", "plans/users.schema.json", "thresholds/thresholds.schema.json"];
    let [plan, users, thresholds] = schemas.map(|path| {
        let text = std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{path}: {error}"));
        serde_json::from_str::<Json>(&text).unwrap()
    });
    let mut shown = BTreeSet::new();
    for (info, inside) in blocks(&page) {
        let schema = match info.split_once(' ') {
            Some(("toml", path)) if path.starts_with("thresholds") => &thresholds,
            Some(("toml", path)) if path.starts_with("plans/users/") => &users,
            Some(("toml", _)) => &plan,
            _ => continue,
        };
        note(&parsed(&inside), schema, schema, &mut shown);
    }
    let all: Vec<_> = [&plan, &users, &thresholds].into_iter().flat_map(keys_of).collect();
    assert!(all.len() > 50, "the test does not find the keys");
    let rows = page.lines().filter_map(|line| line.strip_prefix("| `")?.split('|').next());
    let told: Vec<&str> =
        rows.flat_map(|cell| cell.split(|c: char| !c.is_alphanumeric() && c != '_')).collect();
    let untold: Vec<_> = all.iter().filter(|(_, key)| !told.contains(&key.as_str())).collect();
    assert!(untold.is_empty(), "no row has {untold:?}");
    let unseen: Vec<_> = all.iter().filter(|key| !shown.contains(key)).collect();
    assert!(unseen.is_empty(), "no example has {unseen:?}");
}

#[test]
fn documented_defaults_equal_those_of_the_schema() {
    let page = std::fs::read_to_string("docs/reference/language.md").unwrap();
    let mut defaults = 0;
    for path in ["plans/plan.schema.json", "plans/users.schema.json", "thresholds/thresholds.schema.json"] {
        let schema: Json = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
        for (table, key) in keys_of(&schema) {
            let default = &schema["$defs"][&table]["properties"][&key]["default"];
            // The page describes defaults of zero in words.
            if default.is_null() || ["0s", "0%"].iter().any(|nothing| default == nothing) {
                continue;
            }
            let rows = || page.lines().filter(|line| line.starts_with(&format!("| `{key}` |")));
            let told = rows().any(|row| row.contains(&format!("| `{default}` |")));
            assert!(told || rows().next().is_none(), "{table}: no row of `{key}` has `{default}`");
            defaults += 1;
        }
    }
    assert!(defaults > 15, "the test does not find the defaults");
}

#[test]
fn the_exit_code_table_equals_the_code() {
    let page = std::fs::read_to_string("docs/reference/exit-codes.md").unwrap();
    let mut expected = String::from("| Code | Word | When |\n|---|---|---|\n");
    for (_, code, word, meaning) in Ending::TABLE {
        writeln!(expected, "| {code} | {word} | {meaning} |").unwrap();
    }
    assert!(page.contains(&expected), "docs/reference/exit-codes.md should hold\n{expected}");
}

#[test]
fn the_readme_shows_every_exit_code() {
    let readme = std::fs::read_to_string("README.md").unwrap();
    let rows = readme.lines().filter_map(|line| line.strip_prefix("| ")?.split(" | ").next());
    let mut shown: Vec<u8> =
        rows.flat_map(|cell| cell.split(", ")).filter_map(|code| code.parse().ok()).collect();
    let mut codes: Vec<u8> = Ending::TABLE.iter().map(|(_, code, ..)| *code).collect();
    codes.dedup();
    shown.sort_unstable();
    codes.sort_unstable();
    assert_eq!(shown, codes);
}

#[test]
fn a_guide_shows_the_output_of_the_command_in_the_readme() {
    let readme = std::fs::read_to_string("README.md").unwrap();
    let guide = std::fs::read_to_string("docs/guides/reading-a-report.md").unwrap();
    let (_, rest) = guide.split_once("<!-- output: ").unwrap();
    let (command, rest) = rest.split_once(" -->\n").unwrap();
    let (output, _) = rest.split_once("<!-- /output -->").unwrap();
    for page in [&readme, &guide] {
        assert!(blocks(page).contains(&("sh", format!("{command}\n"))), "{command}");
    }
    assert!(output.contains("verdict: rehearsed"), "{output}");
}

#[test]
fn every_link_to_a_file_leads_to_one() {
    for (page, text) in pages() {
        for target in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let path = target.split('#').next().unwrap_or_default();
            if path.is_empty() || target.contains("://") {
                continue;
            }
            let led_to = page.parent().unwrap().join(path);
            assert!(led_to.exists(), "{}: {target}", page.display());
        }
    }
}

#[test]
fn a_decision_fits_on_a_page_and_states_its_trade_offs() {
    let decisions =
        pages().into_iter().filter(|(page, _)| page.parent() == Some(Path::new("docs/decisions")));
    let mut numbers = Vec::new();
    for (page, text) in decisions {
        let headings: Vec<&str> = text.lines().filter_map(|line| line.strip_prefix("## ")).collect();
        assert_eq!(headings, ["Problem", "Prior art", "Decision", "Trade-offs"], "{}", page.display());
        assert!(text.split_whitespace().count() <= 450, "{} is longer than a page", page.display());
        let name = page.file_name().unwrap().to_str().unwrap();
        let number: usize = name[..4].parse().unwrap();
        assert!(text.starts_with(&format!("# {number}. ")), "{}", page.display());
        numbers.push(number);
    }
    numbers.sort_unstable();
    assert_eq!(numbers, (1..=numbers.len()).collect::<Vec<_>>());
}

/// A Markdown table.
fn table(header: &[&str], rows: impl Iterator<Item = Vec<String>>) -> String {
    let line = |cells: &[String]| format!("| {} |\n", cells.join(" | "));
    let titles: Vec<String> = header.iter().map(|&title| title.to_owned()).collect();
    let rule = format!("|{}\n", "---|".repeat(header.len()));
    rows.fold(line(&titles) + &rule, |text, row| text + &line(&row))
}

#[test]
fn the_metric_tables_equal_the_code() {
    let page = "docs/reference/resources.md";
    let mut text = std::fs::read_to_string(page).unwrap();
    let parts = DeviceFilter::default;
    let endpoint =
        HttpEndpoint { url: String::new(), redacted: String::new(), headers: http::HeaderMap::new() };
    let sources =
        [Source::Local(parts()), Source::Process(ProcessSelector::Pid(1)), Source::Cgroup("/".into())];
    let exporter = Source::NodeExporter(endpoint, parts());
    assert!(Metric::ALL.iter().all(|metric| exporter.provides(*metric) == sources[0].provides(*metric)));
    let metrics = Metric::ALL.iter().map(|metric| {
        let word = metric.as_str();
        let unit = match metric.unit().as_str() {
            "B" => "bytes",
            "B/s" => "bytes/s",
            "count" => "number",
            unit => unit,
        };
        vec![format!("`{word}`"), unit.to_owned(), metric.definition().to_owned()]
    });
    let given = Metric::ALL.iter().map(|metric| {
        let word = metric.as_str();
        let provides =
            sources.iter().map(|source| if source.provides(*metric) { "yes" } else { "–" }.to_owned());
        std::iter::once(format!("`{word}`")).chain(provides).collect()
    });
    let tables = [
        table(&["Metric", "Unit", "Definition"], metrics),
        table(&["Metric", "This machine, node_exporter", "Process", "Control group"], given),
    ];
    for right in tables {
        let header = right.lines().next().unwrap();
        let start = text.find(header).unwrap_or_else(|| panic!("{page} has no table {header}"));
        let end = start + text[start..].find("\n\n").unwrap() + 1;
        if std::env::var_os("UPDATE_EXPECTED").is_some() {
            text.replace_range(start..end, &right);
            std::fs::write(page, &text).unwrap();
        } else {
            assert_eq!(text[start..end], right, "run with UPDATE_EXPECTED=1 to update it");
        }
    }
}
