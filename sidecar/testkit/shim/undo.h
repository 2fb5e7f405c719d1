/* What a power cut takes back: every write since the fsync of its file, kept with the bytes that it replaced.
 * A new directory entry counts as durable, and a memory map is not seen. See kill.c. */
struct undo {
    struct undo *older;
    int fd; /* a duplicate: the program may have closed its own */
    dev_t device;
    ino_t inode;
    off_t size, at;
    size_t length;
    char bytes[];
};
static struct undo *newest;
static pthread_mutex_t undo_lock = PTHREAD_MUTEX_INITIALIZER;

static bool is_undoable(int fd) {
    char path[4096];
    return undo_path && path_of(fd, path, sizeof path) && path[0] == '/' && strstr(path, undo_path);
}

/* Called with the lock held, before `length` bytes at `at` are overwritten (at the position: -1). */
static void remember(int fd, off_t at, size_t length) {
    struct stat file;
    if (fstat(fd, &file)) abort();
    if (at < 0) at = fcntl(fd, F_GETFL) & O_APPEND ? file.st_size : syscall(SYS_lseek, fd, 0, SEEK_CUR);
    size_t old = at >= file.st_size ? 0 : (size_t)(file.st_size - at);
    if (old > length) old = length;
    struct undo *undo = malloc(sizeof *undo + old);
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    if (!undo) abort();
    undo->fd = syscall(SYS_openat, AT_FDCWD, link, O_RDWR | O_CLOEXEC, 0);
    if (undo->fd < 0 || syscall(SYS_pread64, undo->fd, undo->bytes, old, at) != (long)old) abort();
    undo->device = file.st_dev;
    undo->inode = file.st_ino;
    undo->size = file.st_size;
    undo->at = at;
    undo->length = old;
    undo->older = newest;
    newest = undo;
}

static void forget(int fd) {
    struct stat file;
    if (fstat(fd, &file)) abort();
    for (struct undo **link = &newest; *link;) {
        struct undo *undo = *link;
        if (undo->device != file.st_dev || undo->inode != file.st_ino) {
            link = &undo->older;
            continue;
        }
        *link = undo->older;
        syscall(SYS_close, undo->fd);
        free(undo);
    }
}

static void take_back(void) {
    for (struct undo *undo = newest; undo; undo = undo->older) {
        if (undo->length && syscall(SYS_pwrite64, undo->fd, undo->bytes, undo->length, undo->at) < 0) abort();
        if (syscall(SYS_ftruncate, undo->fd, undo->size)) abort();
    }
}
