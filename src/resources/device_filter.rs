//! Selects the disks and file systems of a machine that are measured.

use std::collections::BTreeMap;

use crate::resources::sanitise::sanitise;
use crate::resources::snapshot::{Disk, Traffic};

/// Name prefixes of disks without hardware of their own: they are in memory, or on disks that are counted themselves.
const VIRTUAL_DISK_PREFIXES: [&str; 12] =
    ["loop", "ram", "zram", "dm-", "md", "sr", "fd", "nbd", "drbd", "bcache", "zd", "rbd"];
/// Name prefixes of network devices that pass on what another device sends or receives: ends of pairs, bridges, bonds,
/// VLANs and tunnels.
const STACKED_NETWORK_PREFIXES: [&str; 31] = [
    "veth", "docker", "podman", "cni", "br-", "virbr", "vnet", "lxc", "lxd", "tap", "tun", "wg", "bond",
    "team", "vlan", "vxlan", "geneve", "gre", "ipip", "sit", "ip6tnl", "flannel", "cali", "cilium", "kube",
    "ovs", "macvlan", "macvtap", "ipvlan", "dummy", "ifb",
];
/// Name prefixes of disks that are numbered by letters, such as `sda`; a number after them is a partition.
const LETTERED_DISK_PREFIXES: [&str; 4] = ["sd", "hd", "vd", "xvd"];
/// File systems on local disks. Network file systems count only if they are named, because a request for their space
/// can block forever.
const DISK_FILE_SYSTEMS: [&str; 12] =
    ["ext2", "ext3", "ext4", "xfs", "btrfs", "zfs", "f2fs", "vfat", "jfs", "reiserfs", "bcachefs", "ntfs3"];

/// A mounted file system. Sizes are in bytes; an unknown size is `None`.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Mount {
    /// Mount point, such as `/var`.
    pub point: String,
    /// Type, such as `ext4`.
    pub kind: String,
    pub device: String,
    pub size: Option<f64>,
    /// Includes the blocks that are reserved for root.
    pub free: Option<f64>,
    /// Available to ordinary users.
    pub available: Option<f64>,
}

/// The disk of which `name` is a partition; `None` if the name is not that of a partition.
fn whole(name: &str) -> Option<&str> {
    let rest = name.trim_end_matches(|digit: char| digit.is_ascii_digit());
    if rest.len() == name.len() {
        return None;
    }
    let lettered = LETTERED_DISK_PREFIXES.iter().filter_map(|letters| rest.strip_prefix(letters));
    if lettered.into_iter().any(|disk| !disk.is_empty() && disk.bytes().all(|c| c.is_ascii_lowercase())) {
        return Some(rest);
    }
    // Such as nvme0n1p1 and mmcblk0p1.
    rest.strip_suffix('p').filter(|disk| disk.ends_with(|digit: char| digit.is_ascii_digit()))
}

/// Whether a disk counts if none is named: a whole one, or a partition whose disk is not listed.
fn is_disk(name: &str, all: &BTreeMap<String, Disk>) -> bool {
    // Such as mmcblk0boot0, a firmware partition.
    let firmware = name.starts_with("mmcblk") && (name.contains("boot") || name.contains("rpmb"));
    let stacked = VIRTUAL_DISK_PREFIXES.iter().any(|beginning| name.starts_with(beginning));
    !firmware && !stacked && whole(name).is_none_or(|disk| !all.contains_key(disk))
}

/// The disks to measure: the named ones, or all whole physical ones.
///
/// # Errors
/// If a named disk does not exist (the message lists those that do), or no disk counts.
pub fn disks(all: &BTreeMap<String, Disk>, named: &[String]) -> Result<BTreeMap<String, Disk>, String> {
    if let Some(gone) = named.iter().find(|name| !all.contains_key(*name)) {
        let there: Vec<&str> = all.keys().map(String::as_str).filter(|name| is_disk(name, all)).collect();
        return Err(match there[..] {
            [] => format!("there is no disk `{gone}`"),
            _ => format!("there is no disk `{gone}`; available: {}", sanitise(&there.join(", "))),
        });
    }
    let counts = |name: &String| if named.is_empty() { is_disk(name, all) } else { named.contains(name) };
    let chosen: BTreeMap<_, _> = all.iter().filter(|(name, _)| counts(name)).collect();
    if chosen.is_empty() {
        return Err("there is no physical disk; name one with `disks`".to_owned());
    }
    Ok(chosen.into_iter().map(|(name, disk)| (name.clone(), *disk)).collect())
}

/// Whether a network device passes on what another one sends or receives. A bridge may be named `br0`, and a VLAN after
/// its device, such as `eth0.100`.
fn is_stacked(name: &str) -> bool {
    let numbered_bridge =
        name.strip_prefix("br").is_some_and(|rest| rest.bytes().all(|c| c.is_ascii_digit()));
    let stacked = STACKED_NETWORK_PREFIXES.iter().any(|beginning| name.starts_with(beginning));
    stacked || numbered_bridge || name.contains('.')
}

/// The network devices to measure: the named ones, or all that are not stacked on others. If all are, they all count.
///
/// # Errors
/// If a named device does not exist (the message lists those that do).
pub fn network_devices(
    all: &BTreeMap<String, Traffic>,
    named: &[String],
) -> Result<BTreeMap<String, Traffic>, String> {
    if let Some(gone) = named.iter().find(|name| !all.contains_key(*name)) {
        let there: Vec<&str> = all.keys().map(String::as_str).collect();
        return Err(format!(
            "there is no network device `{gone}`; available: {}",
            sanitise(&there.join(", "))
        ));
    }
    let only_stacked = all.keys().all(|name| is_stacked(name));
    let counts = |name: &String| match named {
        [] => only_stacked || !is_stacked(name),
        named => named.contains(name),
    };
    Ok(all.iter().filter(|(name, _)| counts(name)).map(|(name, device)| (name.clone(), *device)).collect())
}

/// Whether a file system counts if none is named: on a local disk, or the root of a container.
pub fn is_real(mount: &Mount) -> bool {
    let own = DISK_FILE_SYSTEMS.contains(&mount.kind.as_str());
    let firmware = mount.kind == "vfat" && mount.point.starts_with("/boot");
    (own && !firmware) || (mount.kind == "overlay" && mount.point == "/")
}

/// Usage of the fullest file system, in percent of the space that ordinary users can use.
///
/// # Errors
/// If a named mount point does not exist, no file system counts, or the space of one is unknown or impossible.
pub fn fullest(mounts: &[Mount], named: &[String]) -> Result<f64, String> {
    if let Some(gone) = named.iter().find(|point| !mounts.iter().any(|mount| mount.point == **point)) {
        return Err(format!("no file system is mounted at `{gone}`"));
    }
    let counts = |mount: &&Mount| {
        if named.is_empty() { is_real(mount) } else { named.contains(&mount.point) }
    };
    let mut fullest = None;
    for mount in mounts.iter().filter(counts) {
        let (Some(size), Some(free), Some(available)) = (mount.size, mount.free, mount.available) else {
            let point = sanitise(&mount.point);
            return Err(format!("size, free or available space of `{point}` is unknown"));
        };
        if free > size || available > size {
            let point = sanitise(&mount.point);
            return Err(format!(
                "impossible space on `{point}`: {free} bytes free and {available} available of {size}"
            ));
        }
        let used = size - free;
        let usable = used + available;
        if usable > 0.0 {
            let share = (used / usable * 100.0).clamp(0.0, 100.0);
            fullest = Some(fullest.map_or(share, |most: f64| most.max(share)));
        }
    }
    fullest.ok_or_else(|| "no file system on a local disk is mounted; name one with `mounts`".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(names: &[&str]) -> BTreeMap<String, Disk> {
        names.iter().map(|name| ((*name).to_owned(), Disk::default())).collect()
    }

    fn chosen(names: &[&str]) -> Vec<String> {
        disks(&named(names), &[]).unwrap_or_default().into_keys().collect()
    }

    #[test]
    fn whole_physical_disks_count_and_partitions_do_not() {
        let all = [
            "sda",
            "sda1",
            "sda15",
            "sdaa",
            "sdaa1",
            "nvme0n1",
            "nvme0n1p2",
            "mmcblk0",
            "mmcblk0p1",
            "mmcblk0boot0",
            "vda",
            "vda1",
            "xvda",
            "xvda1",
            "loop0",
            "ram3",
            "zram0",
            "dm-0",
            "md127",
            "sr0",
            "fd0",
            "bcache0",
            "zd16",
        ];
        assert_eq!(chosen(&all), ["mmcblk0", "nvme0n1", "sda", "sdaa", "vda", "xvda"]);
    }

    #[test]
    fn a_partition_without_its_disk_is_one() {
        assert_eq!(chosen(&["xvda1", "xvdb"]), ["xvda1", "xvdb"]);
        assert_eq!(chosen(&["nvme0n1p1"]), ["nvme0n1p1"]);
    }

    #[test]
    fn a_disk_that_is_named_and_gone_is_an_error() {
        let found = disks(&named(&["vda", "dm-0"]), &["dm-0".to_owned()]);
        assert_eq!(found.map(|found| found.len()), Ok(1));
        let gone = disks(&named(&["vda", "vda1"]), &["sdb".to_owned()]);
        assert_eq!(gone, Err("there is no disk `sdb`; available: vda".to_owned()));
        assert!(disks(&named(&["loop0"]), &[]).is_err());
    }

    #[test]
    fn a_stacked_network_device_does_not_count_again() {
        let all = |names: &[&str]| -> BTreeMap<String, Traffic> {
            names.iter().map(|name| ((*name).to_owned(), Traffic::default())).collect()
        };
        let chosen = |names: &[&str]| -> Vec<String> {
            network_devices(&all(names), &[]).unwrap().into_keys().collect()
        };
        let of_host = [
            "br0",
            "br-5d2f",
            "bond0",
            "docker0",
            "enp3s0",
            "eth0",
            "eth0.100",
            "tun0",
            "veth5d2f1ab",
            "wlan0",
        ];
        assert_eq!(chosen(&of_host), ["enp3s0", "eth0", "wlan0"]);
        // A machine that has no others sends all of its traffic through them.
        assert_eq!(chosen(&["bond0", "wg0"]), ["bond0", "wg0"]);
        assert_eq!(chosen(&["breeze0"]), ["breeze0"]);
        let named = |name: &str| network_devices(&all(&of_host[..2]), &[name.to_owned()]);
        assert_eq!(named("br0").unwrap().len(), 1);
        assert_eq!(named("eth7").unwrap_err(), "there is no network device `eth7`; available: br-5d2f, br0");
    }

    #[test]
    fn the_fullest_counts_without_the_blocks_reserved_for_root() {
        let mount = |point: &str, kind: &str, size, free, available| Mount {
            point: point.to_owned(),
            kind: kind.to_owned(),
            device: String::new(),
            size: Some(size),
            free: Some(free),
            available: Some(available),
        };
        let mounts = [
            mount("/", "ext4", 100.0, 60.0, 40.0),
            mount("/run", "tmpfs", 100.0, 1.0, 1.0),
            mount("/boot/efi", "vfat", 100.0, 1.0, 1.0),
            mount("/net", "nfs4", 100.0, 30.0, 30.0),
        ];
        assert_eq!(fullest(&mounts, &[]), Ok(50.0));
        assert_eq!(fullest(&mounts, &["/net".to_owned()]), Ok(70.0));
        assert!(fullest(&mounts, &["/var".to_owned()]).is_err());
        assert!(fullest(&mounts[1..], &[]).is_err());
        let incomplete = Mount { free: None, ..mounts[0].clone() };
        let message = "size, free or available space of `/` is unknown";
        assert_eq!(fullest(&[incomplete], &[]), Err(message.to_owned()));
        let message = "impossible space on `/`: 101 bytes free and 40 available of 100";
        assert_eq!(fullest(&[mount("/", "ext4", 100.0, 101.0, 40.0)], &[]), Err(message.to_owned()));
    }
}
