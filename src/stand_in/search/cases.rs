//! Support cases, invented from a seeded vocabulary.

use jiff::ToSpan;
use jiff::civil::{Date, date};
use rand::seq::IndexedRandom;
use rand::{RngExt, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;
use serde::Serialize;

/// One support case, with the fields of the service's responses.
#[derive(Debug, Serialize)]
pub(in crate::stand_in) struct SupportCase {
    pub(in crate::stand_in) case_id: String,
    pub(super) case_number: String,
    pub(super) subject_description: String,
    description_description: String,
    issue_plain_text: String,
    cause_plain_text: String,
    resolution_plain_text: String,
    status_text: &'static str,
    textbody: String,
    created_date: String,
    preview_text: String,
}

const SYSTEMS: [&str; 24] = [
    "server",
    "user login",
    "network",
    "application",
    "database",
    "SSL certificate",
    "memory",
    "disk space",
    "production server",
    "critical system",
    "security",
    "email gateway",
    "VPN tunnel",
    "printer queue",
    "nightly backup",
    "storage array",
    "customer portal",
    "message broker",
    "payment service",
    "reporting job",
    "load balancer",
    "search index",
    "mobile client",
    "file share",
];
const SYMPTOMS: [&str; 18] = [
    "performance issues",
    "problems",
    "connectivity failure",
    "crashes",
    "connection timeout",
    "errors",
    "leak investigation",
    "warnings",
    "outage",
    "corruption emergency",
    "breach investigation",
    "not responding",
    "down",
    "troubleshooting",
    "access denied",
    "data loss",
    "slow response",
    "configuration issue",
];
const CIRCUMSTANCES: [&str; 16] = [
    "",
    "",
    "",
    "affecting users",
    "after upgrade",
    "east coast",
    "europe",
    "apac",
    "during peak hours",
    "since Monday",
    "in production",
    "for new accounts",
    "after failover",
    "on one node",
    "at month end",
    "with large files",
];
const CAUSES: [&str; 10] = [
    "an expired credential was still cached by the connection pool",
    "a change of the firewall rules dropped long idle sessions",
    "the log volume had filled up and writes were refused",
    "a query without an index scanned the whole table",
    "the last release raised the number of worker threads too far",
    "a certificate of the intermediate authority had run out",
    "two nodes disagreed about the leader after a short partition",
    "a scheduled job overlapped with its own previous run",
    "the name server answered with an address that was retired",
    "a driver update reset the interface to half duplex",
];
const REMEDIES: [&str; 10] = [
    "restarted the service and purged the cache",
    "rolled the release back and opened a problem record",
    "extended the volume and rotated the logs",
    "added the missing index and verified the plan",
    "renewed the certificate on all nodes",
    "corrected the firewall rule and monitored for a day",
    "moved the job to a quieter hour",
    "replaced the driver and rebooted the host",
    "updated the name record and lowered its lifetime",
    "failed over by hand and rebuilt the second node",
];
const STATUSES: [&str; 4] = ["New", "In Progress", "Resolved", "Closed"];
const FIRST_DAY: Date = date(2023, 1, 1);

/// Invents `count` cases. The same seed gives the same cases.
pub(super) fn invent(seed: u64, count: u32) -> Vec<SupportCase> {
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(seed);
    (0..count).map(|number| SupportCase::invent(number, &mut rng)).collect()
}

impl SupportCase {
    fn invent(number: u32, rng: &mut Xoshiro256PlusPlus) -> Self {
        let (system, symptom) = (pick(&SYSTEMS, rng), pick(&SYMPTOMS, rng));
        let circumstance = pick(&CIRCUMSTANCES, rng);
        let (cause, remedy) = (pick(&CAUSES, rng), pick(&REMEDIES, rng));
        let users = rng.random_range(1..500);
        let subject = format!("{system} {symptom} {circumstance}").trim_end().to_owned();
        let issue = format!("{subject}: {users} users report {symptom} of the {system}.");
        let textbody = format!(
            "Reported by phone. {issue} First seen by the monitoring of the {system} {circumstance}. \
             We found that {cause}. The team {remedy}. The customer confirmed that {symptom} did not come back."
        );
        Self {
            case_id: format!("500{number:012}"),
            case_number: format!("{:08}", number + 1),
            description_description: format!("{users} users are affected; a workaround is not known."),
            cause_plain_text: format!("It turned out that {cause}."),
            resolution_plain_text: format!("We {remedy}."),
            status_text: pick(&STATUSES, rng),
            created_date: (FIRST_DAY + rng.random_range(0..900).days()).to_string(),
            preview_text: textbody.chars().take(100).collect(),
            subject_description: subject,
            issue_plain_text: issue,
            textbody,
        }
    }
}

fn pick(of: &[&'static str], rng: &mut Xoshiro256PlusPlus) -> &'static str {
    of.choose(rng).expect("no list of words is empty")
}
