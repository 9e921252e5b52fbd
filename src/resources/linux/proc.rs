//! Reads the counters of a machine from the kernel's files below `/proc`.
//!
//! The caller provides the contents of the files. A file that is unreadable or malformed makes its metrics missing,
//! with the reason.

use std::collections::BTreeMap;
use std::io;

use procfs_core::net::InterfaceDeviceStatus;
use procfs_core::{
    CpuTime, DiskStats, ExplicitSystemInfo, FromBufRead, FromBufReadSI, FromRead, KernelStats, LoadAverage,
};

use crate::resources::device_filter::Mount;
use crate::resources::machine::{MachineCounters, MemoryInfo, Modes, Swap};
use crate::resources::metric::Metric;
use crate::resources::snapshot::{Disk, Gauge, Traffic};

/// Ticks per second (`USER_HZ`), the same on all supported machines.
pub const TICKS_PER_SECOND: f64 = 100.0;
/// The kernel counts the bytes of every disk in sectors of this size.
const SECTOR_BYTES: f64 = 512.0;
/// A limit from this value on means unlimited: current kernels allow as many open files as fit in an integer.
const UNLIMITED_FROM: f64 = 1e15;
/// An argument that procfs-core requires; none of the values that are parsed here depends on it.
const UNUSED_SYSTEM_INFO: ExplicitSystemInfo =
    ExplicitSystemInfo { boot_time_secs: 0, ticks_per_second: 100, page_size: 4096, is_little_endian: true };

/// Returns the bytes of a file by its path below the root, such as `proc/stat`.
pub type ReadFile<'a> = dyn Fn(&str) -> io::Result<Vec<u8>> + 'a;

/// Reads all counters of a machine below `/proc`, without its mounts.
///
/// # Errors
/// If `/proc/uptime` cannot be read, because the time of the counters is then unknown.
pub fn machine(read: &ReadFile<'_>) -> Result<MachineCounters, String> {
    let uptime = first_number(&text(read, "proc/uptime")?).ok_or("/proc/uptime contains no number")?;
    let mut machine = MachineCounters { at: uptime, age: Some(uptime), ..MachineCounters::default() };
    let mut reader = ProcReader { read, missing: BTreeMap::new() };
    use Metric::{
        Connections, Cpu, DiskIo, DiskPressure, DiskQueue, DiskRead, DiskWrite, MemoryUsed, NetworkIn,
        NetworkOut, OpenFiles, Steal, Threads,
    };
    machine.cores = reader.read_metrics(&[Cpu, Steal], "proc/stat", cores).unwrap_or_default();
    for core in machine.cores.values() {
        reader.note_missing_modes(*core);
    }
    machine.memory = reader.read_metrics(&[Metric::Memory, MemoryUsed], "proc/meminfo", memory);
    machine.swap = reader.read_metrics(&[Metric::Swap], "proc/meminfo", swap);
    let of_disks = [DiskIo, DiskQueue, DiskRead, DiskWrite];
    machine.disks = reader.read_metrics(&of_disks, "proc/diskstats", disks).unwrap_or_default();
    machine.network =
        reader.read_metrics(&[NetworkIn, NetworkOut], "proc/net/dev", network).unwrap_or_default();
    machine.pressure = reader.read_metrics(&[DiskPressure], "proc/pressure/io", pressure);
    if let Some(why) = reader.missing.get_mut(&DiskPressure).filter(|why| why.starts_with("there is no")) {
        why.push_str(" (pressure stall information needs Linux 4.20 and, on some systems, `psi=1` at boot)");
    }
    machine.files = reader.read_metrics(&[OpenFiles], "proc/sys/fs/file-nr", files);
    machine.threads = reader.read_metrics(&[Threads], "proc/loadavg", threads);
    if let (Some(threads), Ok(most)) = (&mut machine.threads, text(read, "proc/sys/kernel/threads-max")) {
        threads.most = first_number(&most);
    }
    machine.connections = reader.read_metrics(&[Connections], "proc/net/snmp", connections);
    machine.missing = reader.missing;
    Ok(machine)
}

/// Reads files one after another and collects the reasons for missing metrics.
struct ProcReader<'a> {
    read: &'a ReadFile<'a>,
    missing: BTreeMap<Metric, String>,
}

impl ProcReader<'_> {
    fn read_metrics<T>(
        &mut self,
        metrics: &[Metric],
        path: &str,
        parse: fn(&[u8]) -> Result<T, String>,
    ) -> Option<T> {
        let bytes = (self.read)(path).map_err(|error| read_error(path, &error));
        match bytes.and_then(|bytes| parse(&bytes).map_err(|why| format!("/{path}: {why}"))) {
            Ok(found) => Some(found),
            Err(why) => {
                self.missing.extend(metrics.iter().map(|metric| (*metric, why.clone())));
                None
            }
        }
    }

    /// Old kernels do not count all modes of a core.
    fn note_missing_modes(&mut self, core: Modes) {
        let why = |mode: &str| format!("/proc/stat: no {mode} time");
        if let Some(mode) = core.lacking() {
            self.missing.extend([Metric::Cpu, Metric::Steal].map(|metric| (metric, why(mode))));
        } else if core.steal.is_none() {
            self.missing.insert(Metric::Steal, why("steal"));
        }
    }
}

/// The message for a file that cannot be read.
pub fn read_error(path: &str, error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::NotFound => format!("there is no /{path}"),
        io::ErrorKind::PermissionDenied => format!("not permitted to read /{path}"),
        _ => format!("could not read /{path}: {error}"),
    }
}

/// The text of a file.
///
/// # Errors
/// If the file cannot be read; the message contains its path.
pub fn text(read: &ReadFile<'_>, path: &str) -> Result<String, String> {
    let bytes = read(path).map_err(|error| read_error(path, &error))?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// The number at the start of a text.
pub fn first_number(text: &str) -> Option<f64> {
    text.split_ascii_whitespace().next()?.parse().ok().filter(|number: &f64| number.is_finite())
}

/// The number after a key at the start of a line, as in `MemTotal: 5 kB`, without its unit.
pub fn keyed_number(text: &str, key: &str) -> Option<f64> {
    let rest = |line: &str| {
        let rest = line.strip_prefix(key)?;
        rest.starts_with([' ', '\t', ':']).then(|| first_number(rest.trim_start_matches(':')))?
    };
    text.lines().find_map(rest)
}

fn cores(bytes: &[u8]) -> Result<BTreeMap<String, Modes>, String> {
    let stats =
        KernelStats::from_buf_read(bytes, &UNUSED_SYSTEM_INFO).map_err(|_| "unexpected format".to_owned())?;
    let modes = stats.cpu_time.iter().map(modes);
    let cores: BTreeMap<_, _> = (0..).map(|core: u32| core.to_string()).zip(modes).collect();
    if cores.is_empty() { Err("no core".to_owned()) } else { Ok(cores) }
}

/// Processor time of all cores, in ticks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct MachineTicks {
    pub total: u64,
    /// Used by processes and the kernel of this machine.
    pub used: u64,
    /// Given to other machines by the hypervisor.
    pub stolen: u64,
}

/// The processor time in `stat`; `None` if it is malformed or a mode is missing.
pub fn machine_ticks(stat: &[u8]) -> Option<MachineTicks> {
    // The first line also covers cores that were taken offline.
    let time = KernelStats::from_buf_read(stat, &UNUSED_SYSTEM_INFO).ok()?.total;
    let modes = modes(&time);
    let ticks = |seconds: f64| (seconds * TICKS_PER_SECOND).round() as u64;
    let (total, stolen) = (modes.total()?, modes.steal.unwrap_or(0.0));
    let unused = modes.idle? + modes.iowait.unwrap_or(0.0) + stolen;
    Some(MachineTicks { total: ticks(total), used: ticks(total - unused), stolen: ticks(stolen) })
}

/// Memory that programs can use without swapping, from `meminfo`, in bytes.
pub fn available_memory(meminfo: &[u8]) -> Option<f64> {
    memory(meminfo).ok().map(|memory| memory.available)
}

/// The number of local ports for connections to one address, from `sys/net/ipv4/ip_local_port_range`.
pub fn local_ports(range: &str) -> Option<u64> {
    let mut ends = range.split_ascii_whitespace().map(str::parse::<u64>);
    let (low, high) = (ends.next()?.ok()?, ends.next()?.ok()?);
    Some(high.saturating_sub(low) + 1)
}

fn modes(time: &CpuTime) -> Modes {
    let seconds = |ticks: u64| ticks as f64 / TICKS_PER_SECOND;
    Modes {
        user: Some(seconds(time.user)),
        nice: Some(seconds(time.nice)),
        system: Some(seconds(time.system)),
        idle: Some(seconds(time.idle)),
        iowait: time.iowait.map(seconds),
        irq: time.irq.map(seconds),
        softirq: time.softirq.map(seconds),
        steal: time.steal.map(seconds),
    }
}

fn memory(bytes: &[u8]) -> Result<MemoryInfo, String> {
    Ok(MemoryInfo {
        total: meminfo_bytes(bytes, "MemTotal")?,
        available: meminfo_bytes(bytes, "MemAvailable")?,
    })
}

fn swap(bytes: &[u8]) -> Result<Swap, String> {
    Ok(Swap { total: meminfo_bytes(bytes, "SwapTotal")?, free: meminfo_bytes(bytes, "SwapFree")? })
}

/// The value of a key in `meminfo`, in bytes.
fn meminfo_bytes(bytes: &[u8], key: &str) -> Result<f64, String> {
    let kib = keyed_number(&String::from_utf8_lossy(bytes), key);
    kib.map(|kib| kib * 1024.0).ok_or_else(|| format!("no {key}"))
}

fn disks(bytes: &[u8]) -> Result<BTreeMap<String, Disk>, String> {
    let stats = DiskStats::from_buf_read(bytes).map_err(|_| "unexpected format".to_owned())?;
    let disk = |disk: procfs_core::DiskStat| {
        let counted = Disk {
            busy: Some(disk.time_in_progress as f64 / 1000.0),
            queued: Some(disk.weighted_time_in_progress as f64 / 1000.0),
            read: Some(disk.sectors_read as f64 * SECTOR_BYTES),
            written: Some(disk.sectors_written as f64 * SECTOR_BYTES),
        };
        (disk.name, counted)
    };
    let disks: BTreeMap<_, _> = stats.0.into_iter().map(disk).collect();
    if disks.is_empty() { Err("no disk".to_owned()) } else { Ok(disks) }
}

fn network(bytes: &[u8]) -> Result<BTreeMap<String, Traffic>, String> {
    let devices = InterfaceDeviceStatus::from_buf_read(bytes).map_err(|_| "unexpected format".to_owned())?.0;
    let others = devices.into_iter().filter(|(name, _)| name != "lo");
    let traffic: BTreeMap<_, _> = others
        .map(|(name, device)| {
            let (received, sent) = (device.recv_bytes as f64, device.sent_bytes as f64);
            (name, Traffic { received: Some(received), sent: Some(sent) })
        })
        .collect();
    if traffic.is_empty() { Err("no device except loopback".to_owned()) } else { Ok(traffic) }
}

/// Seconds in which some task waited, from a file such as `pressure/io`.
///
/// # Errors
/// If the file has no such number.
pub fn pressure(bytes: &[u8]) -> Result<f64, String> {
    let text = String::from_utf8_lossy(bytes);
    let some = text.lines().find_map(|line| line.strip_prefix("some "));
    let total = some.and_then(|some| some.split(' ').find_map(|part| part.strip_prefix("total=")));
    let micros = total.and_then(first_number).ok_or("no `some … total=`")?;
    Ok(micros / 1e6)
}

fn files(bytes: &[u8]) -> Result<Gauge, String> {
    let text = String::from_utf8_lossy(bytes);
    let numbers: Vec<f64> = text.split_ascii_whitespace().filter_map(|part| part.parse().ok()).collect();
    let [allocated, free, most] = numbers[..] else { return Err("expected three numbers".to_owned()) };
    Ok(Gauge { value: allocated - free, most: finite_limit(most) })
}

/// The limit; `None` if it is so high that it means unlimited.
pub fn finite_limit(most: f64) -> Option<f64> {
    (most < UNLIMITED_FROM).then_some(most)
}

fn threads(bytes: &[u8]) -> Result<Gauge, String> {
    let load = LoadAverage::from_read(bytes).map_err(|_| "unexpected format".to_owned())?;
    Ok(Gauge { value: f64::from(load.max), most: None })
}

/// `CurrEstab` from the two lines `Tcp:`, the first with names and the second with values. It covers IPv4 and IPv6.
fn connections(bytes: &[u8]) -> Result<f64, String> {
    let text = String::from_utf8_lossy(bytes);
    let mut lines =
        text.lines().filter_map(|line| line.strip_prefix("Tcp:")).map(str::split_ascii_whitespace);
    let pair = lines.next().zip(lines.next());
    let mut pairs = pair.into_iter().flat_map(|(names, values)| names.zip(values));
    let established = pairs.find(|(name, _)| *name == "CurrEstab").and_then(|(_, value)| value.parse().ok());
    established.ok_or_else(|| "no `CurrEstab`".to_owned())
}

/// The mounts in `/proc/self/mountinfo`, without sizes. Of several mounts at one point, the last one hides the others.
pub fn mounts(bytes: &[u8]) -> Vec<Mount> {
    let text = String::from_utf8_lossy(bytes);
    let mount = |line: &str| {
        let (before, after) = line.split_once(" - ")?;
        let point = before.split(' ').nth(4)?;
        let mut after = after.split(' ');
        let (kind, device) = (after.next()?.to_owned(), after.next()?.to_owned());
        let point = point.replace("\\040", " ").replace("\\011", "\t").replace("\\134", "\\");
        Some(Mount { point, kind, device, ..Mount::default() })
    };
    let all = text.lines().filter_map(mount);
    let last: BTreeMap<String, Mount> = all.map(|mount| (mount.point.clone(), mount)).collect();
    last.into_values().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_are_those_established_of_both_versions() {
        let text = b"Ip: Forwarding\nIp: 1\nTcp: RtoMin CurrEstab InSegs\nTcp: 200 17 5\n";
        assert_eq!(connections(text), Ok(17.0));
        assert!(connections(b"Tcp: RtoMin\nTcp: 1\n").is_err());
        assert!(connections(b"").is_err());
    }

    #[test]
    fn an_absent_column_or_line_is_missing_and_not_zero() {
        let files = |path: &str| match path {
            "proc/uptime" => Ok(b"5 5".to_vec()),
            "proc/stat" => {
                Ok(b"cpu  1 2 3 4 5 6 7\ncpu0 1 2 3 4 5 6 7\nctxt 1\nbtime 1\nprocesses 1\n".to_vec())
            }
            "proc/meminfo" => Ok(b"MemTotal: 9 kB\nMemAvailable: 3 kB\nSwapTotal: 5 kB\n".to_vec()),
            _ => Err(io::ErrorKind::NotFound.into()),
        };
        let found = machine(&files).unwrap();
        assert_eq!(found.missing[&Metric::Steal], "/proc/stat: no steal time");
        assert!(!found.missing.contains_key(&Metric::Cpu), "{found:?}");
        assert_eq!(found.missing[&Metric::Swap], "/proc/meminfo: no SwapFree");
        assert_eq!((found.memory.is_some(), found.swap), (true, None));
        let without_iowait = |path: &str| match path {
            "proc/stat" => Ok(b"cpu  1 2 3 4\ncpu0 1 2 3 4\nctxt 1\nbtime 1\nprocesses 1\n".to_vec()),
            _ => files(path),
        };
        let found = machine(&without_iowait).unwrap();
        assert_eq!(found.missing[&Metric::Cpu], "/proc/stat: no iowait time");
    }

    #[test]
    fn a_mount_over_another_hides_it() {
        let text = b"27 1 254:0 / / rw - ext4 /dev/vda rw\n28 27 254:0 /x /mnt/bind\\040it rw shared:1 - ext4 /dev/vda rw\n\
            29 27 0:5 / /data rw - tmpfs none rw\n30 27 8:1 / /data rw - xfs /dev/sdb1 rw\nnonsense\n";
        let found = mounts(text);
        let found: Vec<_> = found.iter().map(|mount| (mount.point.as_str(), mount.kind.as_str())).collect();
        assert_eq!(found, [("/", "ext4"), ("/data", "xfs"), ("/mnt/bind it", "ext4")]);
    }

    #[test]
    fn open_files_are_those_in_use_and_no_limit_is_none() {
        assert_eq!(files(b"525\t5\t1000\n"), Ok(Gauge { value: 520.0, most: Some(1000.0) }));
        assert_eq!(files(b"525\t0\t9223372036854775807\n").map(|gauge| gauge.most), Ok(None));
        assert!(files(b"x").is_err());
    }

    proptest::proptest! {
        #[test]
        fn no_file_content_causes_a_panic(
            text in "(cpu|some|Tcp:|MemTotal:|full|eth0:|sda|1|-1|99999999999999999999|é|=|:|[()]| |\n| - ){0,60}",
            bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..40),
        ) {
            for bytes in [text.into_bytes(), bytes] {
                let read = |path: &str| {
                    if path == "proc/uptime" { Ok(b"1 1".to_vec()) } else { Ok(bytes.clone()) }
                };
                assert!(machine(&read).is_ok_and(|found| found.at == 1.0));
                mounts(&bytes);
                let _ = crate::resources::linux::cgroup::snapshot(&read, "c", "a", 0.0);
                let text = String::from_utf8_lossy(&bytes);
                crate::resources::linux::process::sockets(&text).for_each(drop);
                let _ = (crate::resources::linux::process::stat(&text), crate::resources::linux::process::cores_allowed(&text));
            }
        }
    }

    #[test]
    fn machine_ticks_are_those_of_all_cores_without_counting_guests_twice() {
        let stat = "cpu  100 10 50 800 20 5 5 10 7 7\ncpu0 60 10 50 400 20 5 5 10 7 7\ncpu1 40 0 0 400 0 0 0 0 0 0\n\
                    intr 0\nctxt 1\nbtime 1\nprocesses 1\nprocs_running 1\nprocs_blocked 0\n";
        assert_eq!(machine_ticks(stat.as_bytes()), Some(MachineTicks { total: 1000, used: 170, stolen: 10 }));
        assert_eq!(machine_ticks(b""), None);
    }

    #[test]
    fn local_ports_are_counted_with_both_ends() {
        assert_eq!((local_ports("32768\t60999\n"), local_ports("x")), (Some(28_232), None));
    }
}
