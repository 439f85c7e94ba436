// SPDX-License-Identifier: Apache-2.0
//
// Signals as plain reads: blocked, then taken from a descriptor.

#include "CLinux.h"

#include <errno.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <unistd.h>

static sigset_t set_of(uint64_t mask) {
    sigset_t set;
    sigemptyset(&set);
    for (int number = 1; number <= 64; number++) {
        if (mask >> (number - 1) & 1) sigaddset(&set, number);
    }
    return set;
}

// SIG_BLOCK and sigset_t are macros and an opaque array.
int32_t cl_block_signals(uint64_t mask) {
    sigset_t set = set_of(mask);
    return sigprocmask(SIG_BLOCK, &set, 0) < 0 ? -errno : 0;
}

// SIG_DFL is a cast in a macro. KILL, STOP and the two that glibc keeps for itself refuse; that is no failure.
int32_t cl_reset_signals(void) {
    struct sigaction action = {.sa_handler = SIG_DFL};
    for (int number = 1; number <= 64; number++) sigaction(number, &action, 0);
    sigset_t none;
    sigemptyset(&none);
    return sigprocmask(SIG_SETMASK, &none, 0) < 0 ? -errno : 0;
}

// SIG_IGN is a cast in a macro.
int32_t cl_ignore_signal(int32_t signal) {
    struct sigaction action = {.sa_handler = SIG_IGN};
    return sigaction(signal, &action, 0) < 0 ? -errno : 0;
}

// Takes a sigset_t.
int32_t cl_signal_descriptor(uint64_t mask) {
    sigset_t set = set_of(mask);
    int descriptor = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
    return descriptor < 0 ? -errno : descriptor;
}

// sys/signalfd.h is in no Swift module.
int32_t cl_read_signal(int32_t descriptor, cl_signal *signal) {
    struct signalfd_siginfo info;
    ssize_t count = read(descriptor, &info, sizeof info);
    if (count < 0) return errno == EAGAIN ? 0 : -errno;
    if (count != sizeof info) return -EIO;
    signal->number = (int32_t)info.ssi_signo;
    signal->sender = (int32_t)info.ssi_pid;
    signal->code = info.ssi_code;
    return 1;
}
