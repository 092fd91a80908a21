//! The memory of this machine that a process can still use.

use std::{fs, path::Path};

/// Memory that a process can still use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AvailableMemory {
    /// In bytes.
    pub bytes: u64,
    /// Whether the limit of a control group, such as that of a container, is lower than the
    /// memory of the machine.
    pub is_limited: bool,
}

/// The memory that this process can still use: `MemAvailable` of the machine, or what the control
/// groups (v2 or v1) of the process leave, if that is less. `None` if it is unknown, which it
/// always is outside Linux.
///
/// The page cache of a control group counts as available, because the kernel reclaims it.
pub fn available_memory() -> Option<AvailableMemory> {
    available_in(Path::new("/"))
}

fn available_in(root: &Path) -> Option<AvailableMemory> {
    let machine = machine(&fs::read_to_string(root.join("proc/meminfo")).ok()?)?;
    let left = fs::read_to_string(root.join("proc/self/cgroup"))
        .ok()
        .and_then(|groups| control_groups(root, &groups));
    let bytes = left.map_or(machine, |left| left.min(machine));
    Some(AvailableMemory {
        bytes,
        is_limited: bytes < machine,
    })
}

fn machine(meminfo: &str) -> Option<u64> {
    let line = meminfo
        .lines()
        .find_map(|l| l.strip_prefix("MemAvailable:"))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kibibytes.checked_mul(1024)
}

/// The files of a version of control groups.
struct Version {
    folder: &'static str,
    limit: &'static str,
    usage: &'static str,
    page_cache: &'static str,
}

const V2: Version = Version {
    folder: "sys/fs/cgroup",
    limit: "memory.max",
    usage: "memory.current",
    page_cache: "inactive_file",
};

const V1: Version = Version {
    folder: "sys/fs/cgroup/memory",
    limit: "memory.limit_in_bytes",
    usage: "memory.usage_in_bytes",
    page_cache: "total_inactive_file",
};

/// What the control groups of `/proc/self/cgroup` leave; `None` without a limit.
fn control_groups(root: &Path, groups: &str) -> Option<u64> {
    // `hierarchy:controllers:path`; version 2 has the hierarchy 0 and no controllers.
    let lines = groups.lines().filter_map(|line| {
        let (hierarchy, rest) = line.split_once(':')?;
        let (controllers, path) = rest.split_once(':')?;
        let version = match controllers {
            "" if hierarchy == "0" => V2,
            _ if controllers.split(',').any(|name| name == "memory") => V1,
            _ => return None,
        };
        left(root, &version, path.trim_start_matches('/'))
    });
    lines.min()
}

/// The least that the group at `path` and its ancestors leave: a limit applies to all below it.
fn left(root: &Path, version: &Version, path: &str) -> Option<u64> {
    let ancestors = Path::new(path).ancestors().filter_map(|path| {
        let group = root.join(version.folder).join(path);
        let read = |name| fs::read_to_string(group.join(name)).ok();
        // `max` is no limit.
        let limit: u64 = read(version.limit)?.trim().parse().ok()?;
        let usage: u64 = read(version.usage)?.trim().parse().ok()?;
        let page_cache = read("memory.stat")
            .and_then(|stat| {
                let mut lines = stat.lines().filter_map(|line| line.split_once(' '));
                let (_, bytes) = lines.find(|(name, _)| *name == version.page_cache)?;
                bytes.trim().parse::<u64>().ok()
            })
            .unwrap_or(0);
        Some(limit.saturating_sub(usage.saturating_sub(page_cache)))
    });
    ancestors.min()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;

    const GIB: u64 = 1 << 30;

    /// A machine with 8 GiB available, and these files.
    fn available(files: &[(&str, &str)]) -> AvailableMemory {
        let root = tempfile::tempdir().unwrap();
        let meminfo = "MemTotal:  16777216 kB\nMemAvailable:    8388608 kB\n";
        for (path, text) in [("proc/meminfo", meminfo)].iter().chain(files) {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        available_in(root.path()).unwrap()
    }

    const MACHINE: AvailableMemory = AvailableMemory {
        bytes: 8 * GIB,
        is_limited: false,
    };

    #[test]
    fn the_memory_of_the_machine() {
        assert_eq!(available(&[]), MACHINE);
        let unlimited = [
            ("proc/self/cgroup", "0::/user.slice\n"),
            ("sys/fs/cgroup/user.slice/memory.max", "max\n"),
            ("sys/fs/cgroup/user.slice/memory.current", "1000\n"),
        ];
        assert_eq!(available(&unlimited), MACHINE);
    }

    #[test]
    fn the_limit_of_a_version_2_group_without_its_page_cache() {
        let limited = available(&[
            ("proc/self/cgroup", "0::/a/b\n"),
            ("sys/fs/cgroup/a/b/memory.max", "max\n"),
            ("sys/fs/cgroup/a/memory.max", "4294967296\n"),
            ("sys/fs/cgroup/a/memory.current", "3221225472\n"),
            (
                "sys/fs/cgroup/a/memory.stat",
                "anon 1\ninactive_file 1073741824\n",
            ),
        ]);
        let expected = AvailableMemory {
            bytes: 2 * GIB,
            is_limited: true,
        };
        assert_eq!(limited, expected);
    }

    #[test]
    fn the_limit_of_a_container_and_of_version_1() {
        // A container sees its own group as the root.
        let container = available(&[
            ("proc/self/cgroup", "0::/\n"),
            ("sys/fs/cgroup/memory.max", "1073741824\n"),
            ("sys/fs/cgroup/memory.current", "0\n"),
        ]);
        assert_eq!((container.bytes, container.is_limited), (GIB, true));
        let version_1 = available(&[
            ("proc/self/cgroup", "5:cpu:/x\n4:memory:/x\n"),
            (
                "sys/fs/cgroup/memory/x/memory.limit_in_bytes",
                "1073741824\n",
            ),
            (
                "sys/fs/cgroup/memory/x/memory.usage_in_bytes",
                "536870912\n",
            ),
        ]);
        assert_eq!((version_1.bytes, version_1.is_limited), (GIB / 2, true));
        // The limit of a group without one is a very large number.
        let unlimited = available(&[
            ("proc/self/cgroup", "4:memory:/\n"),
            (
                "sys/fs/cgroup/memory/memory.limit_in_bytes",
                "9223372036854771712\n",
            ),
            ("sys/fs/cgroup/memory/memory.usage_in_bytes", "0\n"),
        ]);
        assert_eq!(unlimited, MACHINE);
    }
}
