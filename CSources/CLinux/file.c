// SPDX-License-Identifier: Apache-2.0
//
// Files, memory files, mappings and pipes.

#include "CLinux.h"

#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

enum { SEALS_ALL = F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL };

// open(2) is variadic.
int32_t cl_open(const char *path, int32_t flags, uint32_t mode) {
    int descriptor = open(path, flags | O_CLOEXEC, (mode_t)mode);
    return descriptor < 0 ? -errno : descriptor;
}

static int32_t change_flag(int32_t descriptor, int get, int set, int flag, bool on) {
    int flags = fcntl(descriptor, get);
    if (flags < 0) return -errno;
    int wanted = on ? flags | flag : flags & ~flag;
    if (wanted == flags) return 0;
    return fcntl(descriptor, set, wanted) < 0 ? -errno : 0;
}

// fcntl(2) is variadic.
int32_t cl_set_nonblocking(int32_t descriptor, bool on) {
    return change_flag(descriptor, F_GETFL, F_SETFL, O_NONBLOCK, on);
}

// fcntl(2) is variadic.
int32_t cl_set_close_on_exec(int32_t descriptor, bool on) {
    return change_flag(descriptor, F_GETFD, F_SETFD, FD_CLOEXEC, on);
}

// Declared only with _GNU_SOURCE, which Swift's Glibc module does not promise.
int32_t cl_close_range(uint32_t first, uint32_t last) {
    return close_range(first, last, 0) < 0 ? -errno : 0;
}

// As above.
int32_t cl_memory_file(const char *name) {
    int descriptor = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
    return descriptor < 0 ? -errno : descriptor;
}

// fcntl(2) is variadic.
int32_t cl_seal_all(int32_t descriptor) {
    return fcntl(descriptor, F_ADD_SEALS, SEALS_ALL) < 0 ? -errno : 0;
}

// fcntl(2) is variadic.
int32_t cl_seal_size(int32_t descriptor) {
    return fcntl(descriptor, F_ADD_SEALS, F_SEAL_GROW | F_SEAL_SHRINK) < 0 ? -errno : 0;
}

// fcntl(2) is variadic.
bool cl_is_sealed(int32_t descriptor) {
    int seals = fcntl(descriptor, F_GET_SEALS);
    return seals >= 0 && (seals & SEALS_ALL) == SEALS_ALL;
}

// malloc.h is not in Swift's Glibc module.
void cl_keep_heap(uint32_t byte_count) { mallopt(M_TRIM_THRESHOLD, (int)byte_count); }

// MAP_FAILED is a cast in a macro.
int32_t cl_map(int32_t descriptor, uint64_t byte_count, bool is_writable, void **base) {
    int protection = is_writable ? PROT_READ | PROT_WRITE : PROT_READ;
    void *address = mmap(0, byte_count, protection, MAP_SHARED | MAP_NORESERVE, descriptor, 0);
    if (address == MAP_FAILED) return -errno;
    *base = address;
    return 0;
}

// As above.
int32_t cl_map_nameless(uint64_t byte_count, void **base) {
    void *address = mmap(0, byte_count, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (address == MAP_FAILED) return -errno;
    *base = address;
    return 0;
}

// MADV_DONTDUMP needs a feature macro that Swift's Glibc module does not promise.
int32_t cl_keep_out_of_dumps(void *base, uint64_t byte_count) {
    return madvise(base, byte_count, MADV_DONTDUMP) < 0 ? -errno : 0;
}

// ioctl(2) is variadic.
int32_t cl_readable_bytes(int32_t descriptor) {
    int count = 0;
    return ioctl(descriptor, FIONREAD, &count) < 0 ? -errno : count;
}

// fcntl(2) is variadic.
int32_t cl_set_pipe_capacity(int32_t descriptor, int32_t byte_count) {
    int capacity = fcntl(descriptor, F_SETPIPE_SZ, byte_count);
    return capacity < 0 ? -errno : capacity;
}
