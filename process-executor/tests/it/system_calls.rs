//! What the tests of beginnings ask of the system beside std and rustix.

use std::fs::File;
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::ptr;
use std::sync::atomic::{AtomicBool, Ordering};

/// Blocks all signals in this thread, and ignores those in the process whose default is the end, or a stop.
pub(crate) fn block_and_ignore_signals() {
    for signal in [libc::SIGHUP, libc::SIGUSR1, libc::SIGTSTP, libc::SIGTTOU, libc::SIGALRM, libc::SIGRTMAX()] {
        // SAFETY: nobody in this process has handlers of these.
        unsafe { libc::signal(signal, libc::SIG_IGN) };
    }
    let mut all = MaybeUninit::uninit();
    // SAFETY: the set is filled before it is used.
    unsafe {
        libc::sigfillset(all.as_mut_ptr());
        libc::pthread_sigmask(libc::SIG_BLOCK, all.as_ptr(), ptr::null_mut());
    }
}

/// Closes standard input, output and error; the result leads where they led.
pub(crate) fn close_standard() -> [OwnedFd; 3] {
    [0, 1, 2].map(|number| {
        // SAFETY: nobody owns the standard descriptors.
        let kept = unsafe { rustix::fd::BorrowedFd::borrow_raw(number) };
        let kept = rustix::io::fcntl_dupfd_cloexec(kept, 100).unwrap();
        // SAFETY: as above.
        unsafe { libc::close(number) };
        kept
    })
}

pub(crate) fn restore_standard([input, output, error]: [OwnedFd; 3]) {
    rustix::stdio::dup2_stdin(input).unwrap();
    rustix::stdio::dup2_stdout(output).unwrap();
    rustix::stdio::dup2_stderr(error).unwrap();
}

pub(crate) fn are_standard_closed() -> bool {
    let all = [rustix::stdio::stdin(), rustix::stdio::stdout(), rustix::stdio::stderr()];
    all.into_iter().all(|file| rustix::io::fcntl_getfd(file).is_err())
}

/// From now on the system refuses these calls with that error: to this thread, and to all threads and processes that it starts.
pub(crate) fn refuse(calls: &[libc::c_long], error: i32) {
    let instruction = |code: u32, on_true: u8, k: u32| libc::sock_filter { code: code as u16, jt: on_true, jf: 0, k };
    let count = calls.len() as u8;
    let mut program = vec![instruction(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0, 0)];
    for (index, call) in (1..).zip(calls) {
        program.push(instruction(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, count - index + 1, *call as u32));
    }
    program.push(instruction(libc::BPF_RET | libc::BPF_K, 0, libc::SECCOMP_RET_ALLOW));
    program.push(instruction(libc::BPF_RET | libc::BPF_K, 0, libc::SECCOMP_RET_ERRNO | error as u32));
    let filter = libc::sock_fprog { len: program.len() as u16, filter: program.as_mut_ptr() };
    // SAFETY: a program that the kernel checks and copies.
    unsafe {
        assert_eq!(libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
        assert_eq!(libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &raw const filter), 0);
    }
}

/// Makes a terminal: the end with the screen and the keyboard, and the one for programs.
pub(crate) fn open_terminal() -> (File, File) {
    let mut name = [0; 64];
    // SAFETY: a descriptor that is this function's, and a place for a name, with its length.
    let (master, name) = unsafe {
        let master = libc::posix_openpt(libc::O_RDWR | libc::O_NOCTTY | libc::O_CLOEXEC);
        assert!(master >= 0 && libc::grantpt(master) == 0 && libc::unlockpt(master) == 0);
        assert_eq!(libc::ptsname_r(master, name.as_mut_ptr(), name.len()), 0);
        (File::from_raw_fd(master), std::ffi::CStr::from_ptr(name.as_ptr()))
    };
    let flags = rustix::fs::OFlags::RDWR | rustix::fs::OFlags::NOCTTY | rustix::fs::OFlags::CLOEXEC;
    let slave = rustix::fs::open(name, flags, rustix::fs::Mode::empty()).unwrap();
    (master, slave.into())
}

/// Has a command be the one that the terminal, its standard input, belongs to.
pub(crate) fn lead_terminal(command: &mut Command) {
    let lead = || {
        // SAFETY: two system calls, which concern the new process alone.
        let failed = unsafe { libc::setsid() < 0 || libc::ioctl(0, libc::TIOCSCTTY, 0) < 0 };
        if failed { Err(std::io::Error::last_os_error()) } else { Ok(()) }
    };
    // SAFETY: what is called may be called between fork and exec.
    unsafe { command.pre_exec(lead) };
}

/// Has the process live on when it is interrupted; the result tells whether it was.
pub(crate) fn note_interrupts() -> impl FnMut() -> bool {
    static INTERRUPTED: AtomicBool = AtomicBool::new(false);
    extern "C" fn note(_: libc::c_int) {
        INTERRUPTED.store(true, Ordering::Relaxed);
    }
    // SAFETY: the handler does one store.
    unsafe { libc::signal(libc::SIGINT, note as *const () as libc::sighandler_t) };
    || INTERRUPTED.load(Ordering::Relaxed)
}

/// Sets the terminal that is standard output as it is.
pub(crate) fn set_terminal(_: ()) {
    let terminal = std::io::stdout().as_raw_fd();
    let mut settings = MaybeUninit::uninit();
    // SAFETY: a place for the settings, which is filled before it is used.
    unsafe {
        assert_eq!(libc::tcgetattr(terminal, settings.as_mut_ptr()), 0);
        assert_eq!(libc::tcsetattr(terminal, libc::TCSADRAIN, settings.as_ptr()), 0);
    }
}
