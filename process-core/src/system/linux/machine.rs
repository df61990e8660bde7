//! The machine: memory, limits, the clock.

use std::io;
use std::mem::MaybeUninit;

/// How the C library names what is limited.
#[cfg(target_env = "gnu")]
pub type Resource = libc::__rlimit_resource_t;
/// How the C library names what is limited.
#[cfg(not(target_env = "gnu"))]
pub type Resource = libc::c_int;

/// Returns how much of something this process may have; `None`: as much as it likes, or the system does not say.
#[must_use]
pub fn limit_of(resource: Resource) -> Option<u64> {
    let mut limit = libc::rlimit { rlim_cur: libc::RLIM_INFINITY, rlim_max: libc::RLIM_INFINITY };
    // Not by rustix, which panics where a sandbox refuses the call.
    // SAFETY: the call fills the value that it is given, or leaves it.
    let is_told = unsafe { libc::getrlimit(resource, &raw mut limit) } == 0;
    (is_told && limit.rlim_cur != libc::RLIM_INFINITY).then_some(limit.rlim_cur)
}

/// Refuses a length beyond the limit on the size of files, which holds for memory behind a descriptor as well. The kernel refuses
/// by a signal, SIGXFSZ, which ends a program that does not ignore it.
///
/// # Errors
///
/// The length is beyond the limit.
pub fn check_file_size(length: usize) -> io::Result<()> {
    match limit_of(libc::RLIMIT_FSIZE).filter(|limit| length as u64 > *limit) {
        None => Ok(()),
        Some(limit) => {
            let text = format!(
                "{length} bytes are needed, and the limit on the size of files is {limit} bytes (RLIMIT_FSIZE, `ulimit -f`)"
            );
            Err(io::Error::new(io::ErrorKind::FileTooLarge, text))
        }
    }
}

/// Returns how many bytes of memory the machine has, if it says so.
#[must_use]
pub fn physical_memory() -> Option<u64> {
    let mut memory = MaybeUninit::<libc::sysinfo>::uninit();
    // SAFETY: the call fills what it is given, or says that it has not.
    let memory = unsafe { (libc::sysinfo(memory.as_mut_ptr()) == 0).then(|| memory.assume_init()) }?;
    Some((memory.totalram as u64).saturating_mul(memory.mem_unit.into()))
}

/// Returns the time since an arbitrary moment, the same moment for all processes, in nanoseconds.
#[inline]
#[must_use]
pub fn monotonic_nanoseconds() -> u64 {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    u64::try_from(now.tv_sec).unwrap_or(0).saturating_mul(1_000_000_000).saturating_add(now.tv_nsec.unsigned_abs())
}

/// Returns the resident memory of a process in bytes.
#[must_use]
pub fn resident_memory(pid: u32) -> Option<u64> {
    statm(pid).map(|(resident, _)| resident)
}

/// Returns the same without what the process shares with others: files, and memory that it was handed.
#[must_use]
pub fn own_memory(pid: u32) -> Option<u64> {
    statm(pid).map(|(resident, shared)| resident.saturating_sub(shared))
}

fn statm(pid: u32) -> Option<(u64, u64)> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/statm")).ok()?;
    let page = rustix::param::page_size() as u64;
    let mut bytes = text.split_whitespace().skip(1).map(|pages| Some(pages.parse::<u64>().ok()? * page));
    Some((bytes.next()??, bytes.next()??))
}

/// Returns how many processes of this control group the kernel has killed because memory ran out; `None` where the system does
/// not say.
#[must_use]
pub fn out_of_memory_kills() -> Option<u64> {
    let groups = std::fs::read_to_string("/proc/self/cgroup").ok()?;
    // The first version of control groups has a tree for memory, the second one for all.
    let first = groups.lines().find_map(|line| line.split_once(":memory:")).map(|(_, group)| group);
    let second = groups.lines().find_map(|line| line.strip_prefix("0::"));
    let count_in = |tree: &str, group: Option<&str>, file: &str| {
        // In a container, the group's name may be that of the host, and the tree begin with the group.
        [group?, ""].into_iter().find_map(|group| kills_in(&format!("/sys/fs/cgroup{tree}{group}/{file}")))
    };
    count_in("/memory", first, "memory.oom_control").or_else(|| count_in("", second, "memory.events"))
}

fn kills_in(file: &str) -> Option<u64> {
    let text = std::fs::read_to_string(file).ok()?;
    text.lines().find_map(|line| line.strip_prefix("oom_kill "))?.trim().parse().ok()
}
