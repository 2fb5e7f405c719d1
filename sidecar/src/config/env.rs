//! What the configuration takes from around the process: two environment variables and the kind of storage
//! under a path. A trait, so that a test can say what is there; it is asked once, at the start.

use std::path::Path;

/// Names the configuration file, where `-c` does not.
pub(crate) const CONFIG_VARIABLE: &str = "OUTRIGGER_CONFIG";
/// Set by Kubernetes in every container: the storage is taken for the pod's.
pub(crate) const KUBERNETES_VARIABLE: &str = "KUBERNETES_SERVICE_HOST";
/// The file that is used when none is named and this one is there.
pub(crate) const FILE_DEFAULT: &str = "outrigger.yaml";

/// What is around the process.
pub trait Env: Send + Sync {
    /// The value of an environment variable; `None` when it is unset, empty, or no UTF-8.
    fn variable(&self, name: &str) -> Option<String>;
    /// Whether there is a file of this name.
    fn exists(&self, file: &Path) -> bool;
    /// Whether what is written under `path` is gone after a restart of the machine or container: memory
    /// (tmpfs, ramfs) or a container's own layer (overlay). `path` need not exist; its nearest ancestor counts.
    fn volatile(&self, path: &Path) -> bool;
}

/// The real surroundings.
#[derive(Debug, Clone, Copy)]
pub struct Process;

impl Env for Process {
    fn variable(&self, name: &str) -> Option<String> {
        #[expect(clippy::disallowed_methods, reason = "the one place that reads the environment")]
        std::env::var(name).ok().filter(|value| !value.is_empty())
    }

    fn exists(&self, file: &Path) -> bool {
        file.is_file()
    }

    fn volatile(&self, path: &Path) -> bool {
        let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
        let found = absolute.ancestors().find_map(|ancestor| rustix::fs::statfs(ancestor).ok());
        found.is_some_and(|filesystem| is_volatile(u64::try_from(filesystem.f_type).unwrap_or_default()))
    }
}

/// By the numbers of linux/magic.h (see statfs(2)).
fn is_volatile(filesystem_type: u64) -> bool {
    const TMPFS: u64 = 0x0102_1994;
    const RAMFS: u64 = 0x8584_58f6;
    const OVERLAYFS: u64 = 0x794c_7630;
    matches!(filesystem_type, TMPFS | RAMFS | OVERLAYFS)
}

/// An environment with nothing in it.
#[cfg(test)]
pub(crate) struct Nothing;

#[cfg(test)]
impl Env for Nothing {
    fn variable(&self, _: &str) -> Option<String> {
        None
    }

    fn exists(&self, _: &Path) -> bool {
        false
    }

    fn volatile(&self, _: &Path) -> bool {
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_and_a_containers_layer_are_volatile_and_ext4_is_not() {
        for (filesystem_type, expected) in
            [(0x0102_1994, true), (0x8584_58f6, true), (0x794c_7630, true), (0xef53, false)]
        {
            assert_eq!(is_volatile(filesystem_type), expected, "{filesystem_type:#x}");
        }
    }

    #[test]
    fn a_path_that_does_not_exist_is_judged_by_its_ancestor() {
        let deep = Path::new("/proc/no/such/folder");
        assert_eq!(Process.volatile(deep), Process.volatile(Path::new("/proc")));
    }
}
