// SPDX-License-Identifier: Apache-2.0
//
// Processes: fork, wait status, process attributes, CPU masks.

#include "CLinux.h"

#include <errno.h>
#include <linux/capability.h>
#include <sched.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

// The Swift importer marks fork(2) unavailable.
int32_t cl_fork(void) {
    pid_t pid = fork();
    return pid < 0 ? -errno : pid;
}

// WIFEXITED and its kin are macros.
int32_t cl_wait(int32_t pid, bool may_block, cl_ending *ending) {
    int status = 0;
    memset(ending, 0, sizeof *ending);
    pid_t ended = waitpid(pid, &status, may_block ? 0 : WNOHANG);
    if (ended < 0) return -errno;
    ending->pid = ended;
    if (ended == 0) return 0;
    if (WIFSIGNALED(status)) {
        ending->signal = WTERMSIG(status);
        ending->dumped_core = WCOREDUMP(status);
    } else {
        ending->code = WEXITSTATUS(status);
    }
    return 0;
}

// sys/random.h is in no Swift module. Up to 256 bytes come whole (getrandom(2)).
int32_t cl_random(uint64_t *value) {
    for (;;) {
        if (getrandom(value, sizeof *value, 0) == sizeof *value) return 0;
        if (errno != EINTR) return -errno;
    }
}

// prctl(2) is variadic.
int32_t cl_set_parent_death_signal(int32_t signal) {
    return prctl(PR_SET_PDEATHSIG, (unsigned long)signal, 0, 0, 0) < 0 ? -errno : 0;
}

// prctl(2) is variadic.
int32_t cl_set_name(const char *name) {
    return prctl(PR_SET_NAME, name, 0, 0, 0) < 0 ? -errno : 0;
}

// prctl(2) is variadic.
int32_t cl_set_dumpable(bool on) {
    return prctl(PR_SET_DUMPABLE, on ? 1UL : 0UL, 0, 0, 0) < 0 ? -errno : 0;
}

// prctl(2) is variadic.
int32_t cl_keep_capabilities(bool on) {
    return prctl(PR_SET_KEEPCAPS, on ? 1UL : 0UL, 0, 0, 0) < 0 ? -errno : 0;
}

// capset(2) has no wrapper in glibc and syscall(2) is variadic.
int32_t cl_reduce_to_net_raw(void) {
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3, .pid = 0};
    struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3] = {{0, 0, 0}, {0, 0, 0}};
    data[CAP_TO_INDEX(CAP_NET_RAW)].permitted = CAP_TO_MASK(CAP_NET_RAW);
    data[CAP_TO_INDEX(CAP_NET_RAW)].effective = CAP_TO_MASK(CAP_NET_RAW);
    return syscall(SYS_capset, &header, data) < 0 ? -errno : 0;
}

// cpu_set_t is opaque to Swift and its operations are macros.
int32_t cl_set_affinity(const uint64_t *words, uint32_t word_count) {
    cpu_set_t set;
    CPU_ZERO(&set);
    for (uint32_t word = 0; word < word_count; word++) {
        for (uint32_t bit = 0; bit < 64; bit++) {
            if (words[word] >> bit & 1 && word * 64 + bit < CPU_SETSIZE) CPU_SET(word * 64 + bit, &set);
        }
    }
    return sched_setaffinity(0, sizeof set, &set) < 0 ? -errno : 0;
}

// As above.
int32_t cl_get_affinity(uint64_t *words, uint32_t word_count) {
    cpu_set_t set;
    CPU_ZERO(&set);
    if (sched_getaffinity(0, sizeof set, &set) < 0) return -errno;
    uint32_t count = word_count < CPU_SETSIZE / 64 ? word_count : CPU_SETSIZE / 64;
    memset(words, 0, count * sizeof *words);
    for (uint32_t cpu = 0; cpu < count * 64; cpu++) {
        if (CPU_ISSET(cpu, &set)) words[cpu / 64] |= UINT64_C(1) << (cpu % 64);
    }
    return (int32_t)count;
}
