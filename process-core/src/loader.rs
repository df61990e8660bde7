//! Tells whether `/proc/self/exe` is the program: it is not if the dynamic loader was started instead, with the program as its
//! argument.

use crate::system;
use std::path::{Path, PathBuf};

/// Returns the dynamic loader, if it is what the kernel was told to start.
#[must_use]
pub fn started_instead() -> Option<PathBuf> {
    // For a program that was started itself, the kernel has loaded the loader, there.
    if system::has_loader() {
        return None;
    }
    // A program without a loader, or the loader without a program. A packed program is the first.
    std::fs::read_link("/proc/self/exe").ok().filter(|path| is_loader(path))
}

/// Returns whether a file is called as dynamic loaders are: `ld-linux-x86-64.so.2`, `ld-musl-aarch64.so.1`, musl's `libc.so`.
fn is_loader(path: &Path) -> bool {
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    name == "libc.so" || (name.starts_with("ld") && (name.ends_with(".so") || name.contains(".so.")))
}

#[cfg(test)]
mod tests {
    use super::{is_loader, started_instead};
    use std::path::Path;

    #[test]
    fn loaders_are_known_by_their_names() {
        let loaders =
            ["/lib64/ld-linux-x86-64.so.2", "/usr/lib/ld-2.31.so", "/lib/ld-musl-x86_64.so.1", "/lib/libc.so"];
        for path in loaders {
            assert!(is_loader(Path::new(path)), "{path}");
        }
        for path in ["/usr/bin/ld", "/bin/ldd", "/opt/ldso", "/opt/world.so.d", "/opt/libcs", "/"] {
            assert!(!is_loader(Path::new(path)), "{path}");
        }
    }

    #[test]
    fn this_program_was_started_itself() {
        assert_eq!(started_instead(), None);
    }
}
