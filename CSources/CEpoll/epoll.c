// SPDX-License-Identifier: Apache-2.0
//
// epoll(7), with the kernel's packed union turned into a plain structure.

#include "CEpoll.h"

#include <errno.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <time.h>

int32_t ce_make(void) {
    int set = epoll_create1(EPOLL_CLOEXEC);
    return set < 0 ? -errno : set;
}

static int32_t control(int32_t set, int operation, int32_t descriptor, uint64_t token, bool wants_room) {
    struct epoll_event event = {.events = EPOLLIN | (wants_room ? EPOLLOUT : 0), .data.u64 = token};
    return epoll_ctl(set, operation, descriptor, &event) < 0 ? -errno : 0;
}

int32_t ce_add(int32_t set, int32_t descriptor, uint64_t token, bool wants_room) {
    return control(set, EPOLL_CTL_ADD, descriptor, token, wants_room);
}

int32_t ce_change(int32_t set, int32_t descriptor, uint64_t token, bool wants_room) {
    return control(set, EPOLL_CTL_MOD, descriptor, token, wants_room);
}

// epoll_pwait2(2) waits with the resolution that paced messages need; epoll_wait(2) would send them in bursts, a
// millisecond apart.
int32_t ce_wait(int32_t set, ce_event *events, uint32_t count, int64_t nanoseconds) {
    struct epoll_event raw[CE_EVENTS_MAX];
    if (count > CE_EVENTS_MAX) count = CE_EVENTS_MAX;
    struct timespec time = {.tv_sec = nanoseconds / 1000000000, .tv_nsec = nanoseconds % 1000000000};
    int ready = epoll_pwait2(set, raw, (int)count, &time, NULL);
    if (ready < 0) return errno == EINTR ? 0 : -errno;
    for (int index = 0; index < ready; index++) {
        uint32_t flags = raw[index].events;
        events[index].token = raw[index].data.u64;
        events[index].is_readable = flags & (EPOLLIN | EPOLLERR | EPOLLHUP);
        events[index].is_writable = flags & (EPOLLOUT | EPOLLERR | EPOLLHUP);
    }
    return ready;
}

int32_t ce_set_timer_slack(uint64_t nanoseconds) {
    return prctl(PR_SET_TIMERSLACK, nanoseconds) < 0 ? -errno : 0;
}
