//! Where log lines go: to standard error, as long as somebody reads it.
//!
//! A pipe that nobody reads (a collector of logs that hangs, a paused terminal) would otherwise hold up the thread that all
//! events pass, and the end of the process with it. So a line waits a little for room, once; the ones after it are dropped
//! until there is some again, and then the log says how many.

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    fd::AsFd,
    io::write,
    stdio::stderr,
};
use std::{
    io,
    sync::{Mutex, PoisonError},
};

/// A pipe that has room takes at least so many bytes at once: `PIPE_BUF`.
const PIECE_BYTES: usize = 4_096;
/// How long the first line waits that finds no room.
const PATIENCE: Timespec = Timespec { tv_sec: 0, tv_nsec: 100_000_000 };

static STDERR: Mutex<Out> = Mutex::new(Out { lost: 0, is_torn: false });

/// Writes lines, each whole, to standard error. Never waits for long, and never fails.
#[derive(Debug, Clone, Copy)]
pub struct Lines;

impl io::Write for Lines {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let lost = STDERR.lock().unwrap_or_else(PoisonError::into_inner).put(stderr(), line);
        if lost > 0 {
            tracing::warn!(lost, "log lines were dropped: nobody read standard error");
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

struct Out {
    /// Lines that were dropped since the last one that found room.
    lost: u64,
    /// Whether the last one was written in part.
    is_torn: bool,
}

impl Out {
    /// Writes a line, or drops it. Gives back how many were dropped before it, once one finds room again.
    fn put(&mut self, to: impl AsFd, line: &[u8]) -> u64 {
        let patience = if self.lost == 0 { PATIENCE } else { Timespec { tv_sec: 0, tv_nsec: 0 } };
        let torn = if self.is_torn { &b"\n"[..] } else { b"" };
        let mut written = 0;
        for piece in torn.chunks(1).chain(line.chunks(PIECE_BYTES)) {
            if !has_room(&to, &patience) {
                self.lost += 1;
                self.is_torn |= written > 0;
                return 0;
            }
            match write(&to, piece) {
                Ok(bytes) => written += bytes,
                Err(_) => break, // nobody will ever read it
            }
        }
        self.is_torn = false;
        std::mem::take(&mut self.lost)
    }
}

/// Whether something can be written without waiting, or never can be.
fn has_room(to: &impl AsFd, patience: &Timespec) -> bool {
    let mut asked = [PollFd::new(to, PollFlags::OUT)];
    poll(&mut asked, Some(patience)).is_ok_and(|ready| ready > 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::{io::read, pipe::pipe};

    #[test]
    fn what_nobody_reads_is_dropped_and_counted_and_what_finds_room_again_is_whole() {
        let (reader, writer) = pipe().unwrap();
        let mut out = Out { lost: 0, is_torn: false };
        let line = [&b"x".repeat(9_999)[..], b"\n"].concat();
        for _ in 0..100 {
            assert_eq!(out.put(&writer, &line), 0);
        }
        assert!((90..100).contains(&out.lost), "{} were dropped", out.lost);
        let (mut read_so_far, mut buffer) = (Vec::new(), vec![0; 1 << 20]);
        let mut take = || {
            let bytes = read(&reader, &mut buffer).unwrap();
            read_so_far.extend_from_slice(&buffer[..bytes]);
            String::from_utf8(read_so_far.clone()).unwrap()
        };
        take();
        let lost = out.lost;
        assert_eq!((out.put(&writer, b"again\n"), out.put(&writer, b"more\n")), (lost, 0));
        let all = take();
        assert_eq!(all.lines().rev().take(2).collect::<Vec<_>>(), ["more", "again"]);
        let whole = all.lines().filter(|line| line.len() == 9_999).count() as u64;
        assert_eq!(whole, 100 - lost);
    }

    #[test]
    fn a_pipe_without_a_reader_is_no_fault() {
        let (reader, writer) = pipe().unwrap();
        drop(reader);
        assert_eq!(Out { lost: 0, is_torn: false }.put(&writer, b"line\n"), 0);
    }
}
