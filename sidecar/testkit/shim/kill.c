/*
 * A preloaded shim: it kills the process, fails a call or cuts the power at the n-th call of a libc function
 * on a file or socket that is named by the environment. The program under test has no hooks for that.
 *
 * OUTRIGGER_SHIM        rules, separated by ';', each ACTION:FUNCTIONS:TARGET:N[:ARGUMENT]
 * OUTRIGGER_SHIM_LOG    a file that gets one line "ACTION FUNCTION COUNT TARGET" for each matching call from the
 *                       N-th on, and "loaded" at the start
 * OUTRIGGER_SHIM_WHILE  a file: nothing counts and nothing is done while it is absent
 * OUTRIGGER_SHIM_EXE    the file name of the program that this is for; children of another name are left alone
 *
 * ACTION     kill        SIGKILL right before the N-th call
 *            kill-after  SIGKILL right after the N-th call that succeeded
 *            kill-half   write half of the N-th write's bytes, then SIGKILL
 *            fail        the N-th call fails with ARGUMENT (EIO, ENOSPC, ...), undone; later ones work
 *            fail-from   the N-th call and all later ones fail so
 *            cut         right before the N-th call: take back every write since its fsync to each file whose path
 *                        contains ARGUMENT, then SIGKILL. What a power cut leaves, at its worst.
 *            hang        the N-th call and all later ones wait while the rules count (OUTRIGGER_SHIM_WHILE)
 *            arm         the rules that follow in the list count from after the N-th call that succeeded on
 *            count       only the lines in the log
 * FUNCTIONS  joined by '+': write pwrite writev pwritev fsync fdatasync ftruncate send sendto sendmsg
 *            read pread readv recv recvfrom recvmsg (pwrite64 and the like are meant too)
 * TARGET     a part of the path of the file; its end, with a '$' behind it; "sock" for any TCP socket;
 *            "sock:PORT" where that is the port of either end
 *
 * Calls are made by syscall(2), so nothing here depends on the order of libraries, and nothing recurses.
 * A successful read is one with at least one byte. What reaches the kernel past libc (io_uring, a memory map,
 * rustix's own system calls) is not seen.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include "rules.h"
#include "undo.h"

/* ---- what is done ---- */

static void tell(const struct rule *rule, int function, int fd, long count) {
    char path[4096], line[4400];
    path_of(fd, path, sizeof path);
    snprintf(line, sizeof line, "%s %s %ld %s\n", ACTION_NAMES[rule->action], NAMES[function], count, path);
    say(line);
}

static void die(void) {
    for (;;) syscall(SYS_kill, syscall(SYS_getpid), SIGKILL);
}

static bool is_after(enum action action) {
    return action == KILL_AFTER || action == ARM;
}

/* Before a call: 0 to go on, an error number to fail with, or -1 to write half and die. */
static int before(int function, int fd) {
    if (!is_armed()) return 0;
    for (int i = 0; i < rule_count; i++) {
        struct rule *rule = &rules[i];
        if (rule->action == ARM && atomic_load(&rule->count) < rule->n) return 0;
        if (is_after(rule->action) || !fits(rule, function, fd)) continue;
        long count = atomic_fetch_add(&rule->count, 1) + 1;
        if (count < rule->n) continue;
        tell(rule, function, fd, count);
        if (rule->action == HANG) {
            while (is_armed()) syscall(SYS_nanosleep, &(struct timespec){.tv_nsec = 2000000}, NULL);
            return 0;
        }
        if (rule->action == FAIL_FROM || (rule->action == FAIL && count == rule->n)) return errno_of(rule->argument);
        if (count != rule->n) continue;
        if (rule->action == KILL_HALF) return -1;
        if (rule->action == CUT) {
            pthread_mutex_lock(&undo_lock); /* and never released: nothing may be written any more */
            take_back();
        }
        if (rule->action == CUT || rule->action == KILL) die();
    }
    return 0;
}

static void after(int function, int fd, long result) {
    if (result < 0 || (result == 0 && function >= READ) || !is_armed()) return;
    for (int i = 0; i < rule_count; i++) {
        struct rule *rule = &rules[i];
        bool waits = rule->action == ARM && atomic_load(&rule->count) < rule->n;
        if (is_after(rule->action) && fits(rule, function, fd)) {
            long count = atomic_fetch_add(&rule->count, 1) + 1;
            if (count == rule->n) {
                tell(rule, function, fd, count);
                if (rule->action == KILL_AFTER) die();
            }
        }
        if (waits) return;
    }
}

static size_t bytes_of(const struct iovec *parts, int count) {
    size_t length = 0;
    for (int i = 0; i < count; i++) length += parts[i].iov_len;
    return length;
}

static long fail_with(int error) {
    errno = error;
    return -1;
}

/* A call of `function`, made as `real`; with `half` made instead where half a write shall be left. */
#define CALL(function, fd, real, half)                       \
    do {                                                     \
        pthread_once(&once, configure);                      \
        if (!(wanted & 1u << (function))) return (real);     \
        int error_ = before(function, fd);                   \
        if (error_ > 0) return fail_with(error_);            \
        if (error_ < 0) {                                    \
            if ((half) < 0) abort();                         \
            die();                                           \
        }                                                    \
        long result_ = (real);                               \
        int saved_ = errno;                                  \
        after(function, fd, result_);                        \
        errno = saved_;                                      \
        return result_;                                      \
    } while (0)

/* The same for a call that changes a file, which a cut may have to take back. */
#define CHANGE(fd, at, length, expression)                                    \
    ({                                                                        \
        bool undo_ = is_undoable(fd);                                         \
        if (undo_) pthread_mutex_lock(&undo_lock);                            \
        if (undo_) remember(fd, at, length);                                  \
        long changed_ = (expression);                                         \
        if (undo_) pthread_mutex_unlock(&undo_lock);                          \
        changed_;                                                             \
    })

static long synced(long number, int fd) {
    bool undo = is_undoable(fd);
    if (undo) pthread_mutex_lock(&undo_lock);
    long result = syscall(number, fd);
    if (undo && !result) forget(fd);
    if (undo) pthread_mutex_unlock(&undo_lock);
    return result;
}

/* ---- the functions ---- */

ssize_t write(int fd, const void *b, size_t n) {
    CALL(WRITE, fd, CHANGE(fd, -1, n, syscall(SYS_write, fd, b, n)), syscall(SYS_write, fd, b, n / 2));
}
ssize_t pwrite(int fd, const void *b, size_t n, off_t at) {
    CALL(PWRITE, fd, CHANGE(fd, at, n, syscall(SYS_pwrite64, fd, b, n, at)),
         syscall(SYS_pwrite64, fd, b, n / 2, at));
}
ssize_t pwrite64(int fd, const void *b, size_t n, off64_t at) { return pwrite(fd, b, n, at); }
ssize_t writev(int fd, const struct iovec *v, int n) {
    CALL(WRITEV, fd, CHANGE(fd, -1, bytes_of(v, n), syscall(SYS_writev, fd, v, n)),
         syscall(SYS_write, fd, v[0].iov_base, v[0].iov_len / 2));
}
ssize_t pwritev(int fd, const struct iovec *v, int n, off_t at) {
    CALL(PWRITEV, fd, CHANGE(fd, at, bytes_of(v, n), syscall(SYS_pwritev, fd, v, n, at, 0)),
         syscall(SYS_pwrite64, fd, v[0].iov_base, v[0].iov_len / 2, at));
}
ssize_t pwritev64(int fd, const struct iovec *v, int n, off64_t at) { return pwritev(fd, v, n, at); }
int fsync(int fd) { CALL(FSYNC, fd, synced(SYS_fsync, fd), 0L); }
int fdatasync(int fd) { CALL(FDATASYNC, fd, synced(SYS_fdatasync, fd), 0L); }
int ftruncate(int fd, off_t size) {
    CALL(FTRUNCATE, fd, CHANGE(fd, size, SIZE_MAX, syscall(SYS_ftruncate, fd, size)), 0L);
}
int ftruncate64(int fd, off64_t size) { return ftruncate(fd, size); }
ssize_t send(int fd, const void *b, size_t n, int flags) {
    CALL(SEND, fd, syscall(SYS_sendto, fd, b, n, flags, NULL, 0), syscall(SYS_sendto, fd, b, n / 2, flags, NULL, 0));
}
ssize_t sendto(int fd, const void *b, size_t n, int flags, const struct sockaddr *to, socklen_t size) {
    CALL(SENDTO, fd, syscall(SYS_sendto, fd, b, n, flags, to, size), 0L);
}
ssize_t sendmsg(int fd, const struct msghdr *m, int flags) {
    CALL(SENDMSG, fd, syscall(SYS_sendmsg, fd, m, flags), 0L);
}
ssize_t read(int fd, void *b, size_t n) { CALL(READ, fd, syscall(SYS_read, fd, b, n), 0L); }
ssize_t pread(int fd, void *b, size_t n, off_t at) { CALL(PREAD, fd, syscall(SYS_pread64, fd, b, n, at), 0L); }
ssize_t pread64(int fd, void *b, size_t n, off64_t at) { return pread(fd, b, n, at); }
ssize_t readv(int fd, const struct iovec *v, int n) { CALL(READV, fd, syscall(SYS_readv, fd, v, n), 0L); }
ssize_t recv(int fd, void *b, size_t n, int flags) {
    CALL(RECV, fd, syscall(SYS_recvfrom, fd, b, n, flags, NULL, NULL), 0L);
}
ssize_t recvfrom(int fd, void *b, size_t n, int flags, struct sockaddr *from, socklen_t *size) {
    CALL(RECVFROM, fd, syscall(SYS_recvfrom, fd, b, n, flags, from, size), 0L);
}
ssize_t recvmsg(int fd, struct msghdr *m, int flags) { CALL(RECVMSG, fd, syscall(SYS_recvmsg, fd, m, flags), 0L); }
