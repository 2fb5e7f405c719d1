/* What the environment asks for, and which calls are meant by it. See kill.c. */
enum { WRITE, PWRITE, WRITEV, PWRITEV, FSYNC, FDATASYNC, FTRUNCATE, SEND, SENDTO, SENDMSG,
       READ, PREAD, READV, RECV, RECVFROM, RECVMSG, FUNCTIONS };
static const char *const NAMES[FUNCTIONS] = {
    "write", "pwrite", "writev", "pwritev", "fsync", "fdatasync", "ftruncate", "send", "sendto", "sendmsg",
    "read", "pread", "readv", "recv", "recvfrom", "recvmsg" };

enum action { KILL, KILL_AFTER, KILL_HALF, FAIL, FAIL_FROM, CUT, HANG, ARM, COUNT, ACTIONS };
static const char *const ACTION_NAMES[ACTIONS] = {
    "kill", "kill-after", "kill-half", "fail", "fail-from", "cut", "hang", "arm", "count" };

struct rule {
    enum action action;
    unsigned functions; /* a bit for each */
    char target[256], argument[256];
    bool at_end, socket;
    int port; /* of a socket; 0 is any */
    long n;
    atomic_long count;
};

#define RULES_MAX 16
static struct rule rules[RULES_MAX];
static int rule_count;
static unsigned wanted; /* the functions of all rules: every other call costs one comparison */
static const char *undo_path;
static char log_path[4096], while_path[4096];
static pthread_once_t once = PTHREAD_ONCE_INIT;

/* ---- configuration ---- */

static void fatal(const char *what, const char *rule) {
    fprintf(stderr, "shim: %s in OUTRIGGER_SHIM: \"%s\"; see the head of kill.c\n", what, rule);
    _exit(97);
}

static int errno_of(const char *name) {
    if (!strcmp(name, "EIO")) return EIO;
    if (!strcmp(name, "ENOSPC")) return ENOSPC;
    if (!strcmp(name, "EDQUOT")) return EDQUOT;
    if (!strcmp(name, "ECONNRESET")) return ECONNRESET;
    if (!strcmp(name, "EPIPE")) return EPIPE;
    return atoi(name);
}

static unsigned functions_of(char *names, const char *rule) {
    unsigned bits = 0;
    char *rest;
    for (char *name = strtok_r(names, "+", &rest); name; name = strtok_r(NULL, "+", &rest)) {
        size_t length = strlen(name);
        if (length > 2 && !strcmp(name + length - 2, "64")) name[length - 2] = 0;
        int f = 0;
        while (f < FUNCTIONS && strcmp(NAMES[f], name)) f++;
        if (f == FUNCTIONS) fatal("unknown function", rule);
        bits |= 1u << f;
    }
    return bits;
}

/* Takes the field up to the next ':' off the front of *rest. */
static char *field(char **rest) {
    return *rest ? strsep(rest, ":") : NULL;
}

static void parse(char *text) {
    char whole[512];
    snprintf(whole, sizeof whole, "%s", text);
    if (rule_count == RULES_MAX) fatal("too many rules", whole);
    struct rule *rule = &rules[rule_count];
    char *action = field(&text), *functions = field(&text), *target = field(&text), *n = field(&text);
    if (target && !strcmp(target, "sock")) {
        rule->socket = true;
        /* "sock:PORT:N" and "sock:N" differ by whether one more number follows. */
        if (n && text && *text >= '0' && *text <= '9') {
            rule->port = atoi(n);
            n = field(&text);
        }
    }
    if (!n || atol(n) < 1) fatal("expected ACTION:FUNCTIONS:TARGET:N", whole);
    int a = 0;
    while (a < ACTIONS && strcmp(ACTION_NAMES[a], action)) a++;
    if (a == ACTIONS) fatal("unknown action", whole);
    rule->action = a;
    rule->n = atol(n);
    rule->functions = functions_of(functions, whole);
    snprintf(rule->target, sizeof rule->target, "%s", target);
    size_t length = strlen(rule->target);
    if (length && rule->target[length - 1] == '$') {
        rule->target[length - 1] = 0;
        rule->at_end = true;
    }
    if (text) snprintf(rule->argument, sizeof rule->argument, "%s", text);
    if ((a == FAIL || a == FAIL_FROM) && errno_of(rule->argument) < 1) fatal("expected an error name", whole);
    if (a == CUT) {
        if (!rule->argument[0]) fatal("expected the path that a cut takes back", whole);
        undo_path = rule->argument;
    }
    wanted |= rule->functions;
    rule_count++;
}

static bool is_for_this_program(void) {
    const char *name = getenv("OUTRIGGER_SHIM_EXE");
    char exe[4096];
    ssize_t length = syscall(SYS_readlinkat, AT_FDCWD, "/proc/self/exe", exe, sizeof exe - 1);
    if (!name || length < 0) return true;
    exe[length] = 0;
    const char *slash = strrchr(exe, '/');
    return !strcmp(slash ? slash + 1 : exe, name);
}

static void say(const char *line) {
    if (!log_path[0]) return;
    int fd = syscall(SYS_openat, AT_FDCWD, log_path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (fd < 0) return;
    if (syscall(SYS_write, fd, line, strlen(line)) < 0) abort();
    syscall(SYS_close, fd);
}

static void configure(void) {
    const char *text = getenv("OUTRIGGER_SHIM"), *path = getenv("OUTRIGGER_SHIM_LOG");
    const char *armed = getenv("OUTRIGGER_SHIM_WHILE");
    if (!text || !is_for_this_program()) return;
    if (path) snprintf(log_path, sizeof log_path, "%s", path);
    if (armed) snprintf(while_path, sizeof while_path, "%s", armed);
    static char copy[4096];
    snprintf(copy, sizeof copy, "%s", text);
    char *rest = copy;
    for (char *one; (one = strsep(&rest, ";"));)
        if (*one) parse(one);
    say("loaded\n");
}

__attribute__((constructor)) static void start(void) {
    pthread_once(&once, configure);
}

/* ---- which calls are meant ---- */

static bool is_armed(void) {
    return !while_path[0] || !syscall(SYS_faccessat, AT_FDCWD, while_path, F_OK);
}

static bool path_of(int fd, char *path, size_t size) {
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = syscall(SYS_readlinkat, AT_FDCWD, link, path, size - 1);
    path[length < 0 ? 0 : length] = 0;
    return length > 0;
}

static int port_of(const struct sockaddr_storage *address) {
    if (address->ss_family == AF_INET) return ntohs(((const struct sockaddr_in *)address)->sin_port);
    if (address->ss_family == AF_INET6) return ntohs(((const struct sockaddr_in6 *)address)->sin6_port);
    return 0;
}

static bool socket_fits(const struct rule *rule, int fd) {
    struct sockaddr_storage here, there;
    socklen_t size = sizeof here;
    if (syscall(SYS_getsockname, fd, &here, &size) || !port_of(&here)) return false;
    if (!rule->port || port_of(&here) == rule->port) return true;
    size = sizeof there;
    return !syscall(SYS_getpeername, fd, &there, &size) && port_of(&there) == rule->port;
}

static bool path_fits(const struct rule *rule, const char *path) {
    if (!rule->at_end) return strstr(path, rule->target);
    size_t length = strlen(path), end = strlen(rule->target);
    return length >= end && !strcmp(path + length - end, rule->target);
}

static bool fits(const struct rule *rule, int function, int fd) {
    if (!(rule->functions & 1u << function)) return false;
    if (rule->socket) return socket_fits(rule, fd);
    char path[4096];
    return path_of(fd, path, sizeof path) && path[0] == '/' && path_fits(rule, path);
}
