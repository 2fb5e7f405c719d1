//! A disk that can be filled: a small tmpfs where one may be mounted, else the shim's word that there is no space.
#![allow(unreachable_pub, reason = "nothing here is an interface")]

use crate::common::Site;
use outrigger_testkit::{Launch, Shim};
use std::{
    fs,
    io::{self, Write as _},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

/// The whole disk, and what is left of it beside [`Disk::fill`]'s file.
const DISK_BYTES: usize = 6 << 20;
const LEFT_BYTES: usize = 1 << 20;

/// A disk for the folder `disk` of a site.
pub enum Disk {
    Tmpfs(Mount),
    Shim(Shim),
}

/// A mounted tmpfs; dropping it takes it away, whoever still uses it.
pub struct Mount(PathBuf);

impl Disk {
    /// A tmpfs, or the shim and a line that says so.
    pub fn real(site: &Site) -> Self {
        match Mount::new(&site.path("disk")) {
            Ok(mount) => Self::Tmpfs(mount),
            Err(why) => {
                let line =
                    format!("row 21: no tmpfs can be mounted here ({why}), so the shim stands for it\n");
                let _ = io::stderr().write_all(line.as_bytes()); // only for people
                Self::shim(site)
            }
        }
    }

    /// The shim.
    pub fn shim(site: &Site) -> Self {
        fs::create_dir_all(site.path("disk")).unwrap();
        fs::create_dir_all(site.path("shim")).unwrap();
        let rule = "fail-from:write+pwrite+writev+pwritev+ftruncate:/disk/journal:1:ENOSPC";
        Self::Shim(Shim::new(&site.path("shim"), &[rule]).disarmed())
    }

    pub fn launch(&self, site: &Site) -> Launch {
        match self {
            Self::Tmpfs(_) => site.launch(),
            Self::Shim(shim) => site.launch().shim(shim),
        }
    }

    /// Leaves little space, or none.
    pub fn fill(&self) {
        match self {
            Self::Tmpfs(mount) => {
                let volume = rustix::fs::statvfs(&mount.0).unwrap();
                let free = usize::try_from(volume.f_bavail * volume.f_frsize).unwrap();
                fs::write(mount.filler(), vec![1; free - LEFT_BYTES]).unwrap();
            }
            Self::Shim(shim) => shim.arm(),
        }
    }

    /// Leaves nothing at all: what is free may otherwise last for a while.
    pub fn fill_up(&self) {
        let Self::Tmpfs(mount) = self else { return };
        let mut filler = fs::File::options().append(true).open(mount.filler()).unwrap();
        let kind = loop {
            if let Err(error) = filler.write_all(&[1; 1_024]) {
                break error.kind();
            }
        };
        assert_eq!(kind, io::ErrorKind::StorageFull);
    }

    /// There is space again.
    pub fn free(&self) {
        match self {
            Self::Tmpfs(mount) => fs::remove_file(mount.filler()).unwrap(),
            Self::Shim(shim) => shim.disarm(),
        }
    }
}

impl Mount {
    fn new(path: &Path) -> io::Result<Self> {
        fs::create_dir_all(path)?;
        let size = format!("size={DISK_BYTES},mode=700");
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", &size, "outrigger-test"]).arg(path);
        let done = mount.stdin(Stdio::null()).output()?;
        if done.status.success() {
            return Ok(Self(path.to_owned()));
        }
        Err(io::Error::other(String::from_utf8_lossy(&done.stderr).trim().to_owned()))
    }

    fn filler(&self) -> PathBuf {
        self.0.join("filler")
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        // Lazily: a process that still has a file open there must not keep the mount.
        let _ = Command::new("umount").arg("--lazy").arg(&self.0).status();
    }
}
