//! Tests of snapshots from pages of exporters.

use super::*;
use crate::resources::exporter::exposition_writer::text;
use crate::resources::source::DeviceFilter;

fn full() -> MachineCounters {
    let core = Modes {
        user: Some(1.25),
        nice: Some(0.0),
        system: Some(3.5),
        idle: Some(100.5),
        iowait: Some(0.1),
        irq: Some(0.0),
        softirq: Some(0.75),
        steal: Some(0.2),
    };
    let disk =
        Disk { busy: Some(182.38), queued: Some(3278.657), read: Some(5.4481052672e10), written: Some(0.0) };
    let mount = Mount {
        point: "/a \"b\"\\".to_owned(),
        kind: "ext4".to_owned(),
        device: "/dev/vda".to_owned(),
        size: Some(100.0),
        free: Some(50.0),
        available: Some(40.0),
    };
    MachineCounters {
        at: 1000.5,
        clock: ClockSource::Host,
        age: Some(200.25),
        identity: Identity::default(),
        cores: [("0".to_owned(), core), ("1".to_owned(), core)].into(),
        memory: Some(MemoryInfo { total: 2.5e10, available: 2e10 }),
        swap: Some(Swap { total: 0.0, free: 0.0 }),
        pressure: Some(77.996451),
        disks: [("vda".to_owned(), disk)].into(),
        network: [("eth0".to_owned(), Traffic { received: Some(5.0), sent: Some(6.0) })].into(),
        mounts: vec![mount],
        files: Some(Gauge { value: 525.0, most: Some(2_466_177.0) }),
        threads: Some(Gauge { value: 99.0, most: None }),
        connections: Some(4.0),
        missing: BTreeMap::new(),
    }
}

#[test]
fn a_written_page_is_read_to_the_same_counters() {
    assert_eq!(machine(&text(&full()), 0.0), Ok(full()));
}

#[test]
fn every_written_family_has_its_help_and_type() {
    let text = text(&full());
    let about = text.lines().filter_map(|line| line.strip_prefix("# HELP "));
    let help_lines: Vec<(&str, &str)> = about.filter_map(|line| line.split_once(' ')).collect();
    let kinds = text.lines().filter(|line| line.starts_with("# TYPE ")).count();
    assert!(kinds > 20 && help_lines.len() == kinds, "{text}");
    assert!(help_lines.iter().all(|(_, help)| !help.is_empty()), "{text}");
}

#[test]
fn a_family_that_is_not_there_is_named_with_its_collector() {
    let found = machine(&text(&MachineCounters { threads: None, pressure: None, ..full() }), 0.0).unwrap();
    assert_eq!(
        found.missing[&Metric::Threads],
        "there is no node_processes_threads; enable `--collector.processes`"
    );
    assert_eq!(found.missing.len(), 2);
}

/// The missing metrics of a page without the lines that contain `part`.
fn without(part: &str) -> BTreeMap<Metric, String> {
    let page = text(&full());
    let kept: Vec<&str> = page.lines().filter(|line| !line.contains(part)).collect();
    machine(&kept.join("\n"), 0.0).unwrap().snapshot(&DeviceFilter::default()).missing
}

#[test]
fn an_absent_family_is_missing_by_name_and_never_zero() {
    for (part, metric) in [
        ("node_memory_SwapTotal_bytes", Metric::Swap),
        ("node_memory_SwapFree_bytes", Metric::Swap),
        ("node_disk_io_time_seconds_total", Metric::DiskIo),
        ("node_disk_io_time_weighted_seconds_total", Metric::DiskQueue),
        ("node_disk_read_bytes_total", Metric::DiskRead),
        ("node_disk_written_bytes_total", Metric::DiskWrite),
        ("node_network_receive_bytes_total", Metric::NetworkIn),
        ("node_network_transmit_bytes_total", Metric::NetworkOut),
        ("node_filesystem_size_bytes", Metric::DiskUsed),
        ("node_filesystem_free_bytes", Metric::DiskUsed),
        ("node_filesystem_avail_bytes", Metric::DiskUsed),
    ] {
        let missing = without(part);
        let names_family =
            missing.get(&metric).is_some_and(|why| why.starts_with(&format!("there is no {part};")));
        assert!(names_family && missing.len() == 1, "{part}: {missing:?}");
    }
}

#[test]
fn a_missing_mode_makes_cpu_missing_unless_it_is_steal() {
    for mode in ["user", "idle", "iowait"] {
        let missing = without(&format!("mode=\"{mode}\""));
        let why = format!("there is no node_cpu_seconds_total{{mode=\"{mode}\"}} (`--collector.cpu`)");
        assert_eq!((&missing[&Metric::Cpu], &missing[&Metric::Steal]), (&why, &why));
    }
    let missing = without("mode=\"steal\"");
    assert!(missing[&Metric::Steal].contains("steal") && missing.len() == 1, "{missing:?}");
}

/// The reason why a metric is missing if `series` has this value.
fn with(series: &str, value: &str, metric: Metric) -> String {
    let page = text(&full());
    let lines = page.lines().map(|line| match line.rsplit_once(' ') {
        Some((known, _)) if known == series => format!("{known} {value}"),
        _ => line.to_owned(),
    });
    let page: Vec<String> = lines.collect();
    let found = machine(&page.join("\n"), 0.0).unwrap().snapshot(&DeviceFilter::default());
    assert!(!found.gauges.contains_key(&metric), "{found:?}");
    found.missing[&metric].clone()
}

#[test]
fn an_impossible_value_is_dropped_and_shown() {
    let available = "node_memory_MemAvailable_bytes";
    assert_eq!(with(available, "NaN", Metric::Memory), "node_memory_MemAvailable_bytes is NaN");
    assert_eq!(with(available, "-5", Metric::MemoryUsed), "node_memory_MemAvailable_bytes is -5");
    let more = with(available, "3e10", Metric::Memory);
    assert_eq!(more, "impossible value: 30000000000 of 25000000000 bytes (MemAvailable of MemTotal)");
    let more = with("node_memory_SwapFree_bytes", "1", Metric::Swap);
    assert_eq!(more, "impossible value: 1 of 0 bytes (SwapFree of SwapTotal)");
    let busy = with("node_disk_io_time_seconds_total{device=\"vda\"}", "+Inf", Metric::DiskIo);
    assert_eq!(busy, "node_disk_io_time_seconds_total{device=\"vda\"} is +Inf");
    let sent = with("node_network_transmit_bytes_total{device=\"eth0\"}", "-1", Metric::NetworkOut);
    assert_eq!(sent, "node_network_transmit_bytes_total{device=\"eth0\"} is -1");
    let idle = with("node_cpu_seconds_total{cpu=\"1\",mode=\"idle\"}", "NaN", Metric::Cpu);
    assert_eq!(idle, "node_cpu_seconds_total{cpu=\"1\",mode=\"idle\"} is NaN");
}

#[test]
fn an_impossible_value_of_an_ignored_disk_is_harmless() {
    let page = text(&full()) + "node_disk_io_time_seconds_total{device=\"loop0\"} NaN\n";
    let found = machine(&page, 0.0).unwrap().snapshot(&DeviceFilter::default());
    assert!(found.missing.is_empty(), "{found:?}");
}

#[test]
fn two_machines_in_one_page_are_an_error() {
    let twice = text(&full()) + "node_memory_MemTotal_bytes 2.5e10\n";
    let why = machine(&twice, 0.0).unwrap_err();
    assert_eq!(why, "node_memory_MemTotal_bytes appears twice in the page; use a page of one machine");
    let hosts = "node_memory_MemTotal_bytes{host=\"a\"} 1\nnode_memory_MemTotal_bytes{host=\"b\"} 2\n";
    assert!(machine(hosts, 0.0).unwrap_err().contains("{host=\"b\"} appears twice in the page"));
    let instances = "node_filefd_allocated{instance=\"a\"} 1\nnode_load1{instance=\"b\"} 2\n\
        node_disk_io_time_seconds_total{instance=\"b\",device=\"sdb\"} 2\n";
    assert!(machine(instances, 0.0).unwrap_err().starts_with("two machines in one page: node_disk_io_time"));
}

#[test]
fn a_duplicate_of_an_impossible_series_is_an_error() {
    for series in [
        "node_memory_MemAvailable_bytes",
        "node_filefd_maximum",
        "node_cpu_seconds_total{cpu=\"1\",mode=\"idle\"}",
        "node_disk_io_time_seconds_total{device=\"vda\"}",
        "node_network_receive_bytes_total{device=\"eth0\"}",
    ] {
        for value in ["NaN", "-1", "+Inf"] {
            let first = format!("{series} {value}\n{}", text(&full()));
            let why = format!("{series} appears twice in the page; use a page of one machine");
            assert_eq!(machine(&first, 0.0), Err(why), "{value}");
        }
    }
}

#[test]
fn a_page_belongs_to_the_host_it_names() {
    let identity = |page: &str| machine(page, 0.0).unwrap().snapshot(&DeviceFilter::default()).identity;
    let of = |name: &str| Some(name.to_owned());
    assert_eq!(identity("node_filefd_allocated 5\n"), Identity::default());
    let labelled = "node_filefd_allocated{instance=\"web1:9100\"} 5\n";
    assert_eq!(identity(labelled), Identity { name: None, instance: of("web1:9100") });
    let uname = "node_uname_info{nodename=\"web1\",sysname=\"Linux\"} 1\n";
    let both = Identity { name: of("web1"), instance: of("web1:9100") };
    assert_eq!(identity(&format!("{uname}{labelled}")), both);
    let two = format!("{uname}{labelled}node_uname_info{{nodename=\"web2\"}} 1\n");
    assert!(machine(&two, 0.0).unwrap_err().starts_with("two machines in one page: node_uname_info"));
}

#[test]
fn a_page_without_a_time_gets_the_runners() {
    let found = machine("node_filefd_allocated 5\n", 17.0).unwrap();
    assert_eq!((found.at, found.age, found.clock), (17.0, None, ClockSource::Runner));
    assert!(machine("go_threads 5\n", 0.0).is_err());
    assert!(machine("<html>", 0.0).is_err());
}
