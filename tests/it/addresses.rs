//! The addresses of the target. Only real sockets have them.

use runner_test_support::phases::closed;
use runner_test_support::ran::count;
use runner_test_support::target::Target;

use crate::support::runner::Runner;

#[test]
fn a_plan_can_name_the_only_address_and_the_report_counts_the_connections_to_each() {
    let target = Target::fast();
    let port: u16 = target.url().rsplit(':').next().unwrap().parse().unwrap();
    // No name server knows this name (RFC 6761).
    let url = format!("http://kms.invalid:{port}");
    let plan =
        closed(2, "500ms") + "[users.any]\nwait = \"50ms\"\n[[users.any.tasks]]\nrequest = \"GET /\"\n";
    let run = Runner::plan(&plan).at(&url).target("address = \"127.0.0.1\"").run().exits(0);
    let phase = run.phase("a");
    assert_eq!((count(&phase["requests"]), count(&phase["errors"])), (target.count(), 0));
    assert_eq!(target.received()[0].header("host"), Some(&*format!("kms.invalid:{port}")));
    let addresses = phase["connections"]["addresses"].as_object().unwrap();
    assert_eq!(addresses.keys().collect::<Vec<_>>(), [&format!("127.0.0.1:{port}")]);
    assert_eq!(addresses.values().map(count).sum::<usize>(), 2);
    // Another target has its own address.
    let other =
        Runner::plan(&plan).at(&url).target("address = \"192.0.2.1\"").with("--target").with(&target.url());
    assert_eq!(count(&other.run().exits(0).phase("a")["errors"]), 0);
}
