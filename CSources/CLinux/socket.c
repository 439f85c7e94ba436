// SPDX-License-Identifier: Apache-2.0
//
// Packets with a descriptor beside them, and the steering of a reuseport group.

#include "CLinux.h"

#include <errno.h>
#include <linux/filter.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

// accept4(2) is declared only with _GNU_SOURCE, which Swift's Glibc module does not promise.
int32_t cl_accept(int32_t listener, void *name, uint32_t *name_bytes) {
    int descriptor = accept4(listener, name, name_bytes, SOCK_NONBLOCK | SOCK_CLOEXEC);
    return descriptor < 0 ? -errno : descriptor;
}

// CMSG_SPACE and its kin are macros.
int64_t cl_send_packet(int32_t socket, const void *bytes, uint64_t byte_count, int32_t descriptor) {
    union {
        struct cmsghdr alignment;
        char bytes[CMSG_SPACE(sizeof(int))];
    } control;
    struct iovec part = {.iov_base = (void *)bytes, .iov_len = byte_count};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
    if (descriptor >= 0) {
        memset(&control, 0, sizeof control);
        message.msg_control = control.bytes;
        message.msg_controllen = sizeof control.bytes;
        struct cmsghdr *header = CMSG_FIRSTHDR(&message);
        header->cmsg_level = SOL_SOCKET;
        header->cmsg_type = SCM_RIGHTS;
        header->cmsg_len = CMSG_LEN(sizeof(int));
        memcpy(CMSG_DATA(header), &descriptor, sizeof(int));
    }
    ssize_t count = sendmsg(socket, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
    return count < 0 ? -errno : count;
}

// As above. The space for one descriptor holds two because of its alignment, so all that came are looked at.
int64_t cl_receive_packet(int32_t socket, void *bytes, uint64_t byte_count, int32_t *descriptor, bool *is_cut) {
    union {
        struct cmsghdr alignment;
        char bytes[CMSG_SPACE(sizeof(int))];
    } control;
    struct iovec part = {.iov_base = bytes, .iov_len = byte_count};
    struct msghdr message = {
        .msg_iov = &part, .msg_iovlen = 1, .msg_control = control.bytes, .msg_controllen = sizeof control.bytes};
    *descriptor = -1;
    *is_cut = false;
    ssize_t count = recvmsg(socket, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    if (count < 0) return -errno;
    *is_cut = (message.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) != 0;
    for (struct cmsghdr *header = CMSG_FIRSTHDR(&message); header; header = CMSG_NXTHDR(&message, header)) {
        if (header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS) continue;
        size_t length = header->cmsg_len - CMSG_LEN(0);
        for (size_t offset = 0; offset + sizeof(int) <= length; offset += sizeof(int)) {
            int number;
            memcpy(&number, CMSG_DATA(header) + offset, sizeof(int));
            if (*descriptor < 0) {
                *descriptor = number;
            } else {
                close(number);
                *is_cut = true;
            }
        }
    }
    return count;
}

// The instructions of a classic filter are made by macros. The result of the program is the index of the socket in the
// order of joining (socket(7), SO_ATTACH_REUSEPORT_CBPF), so the first `count` stay.
int32_t cl_steer(int32_t socket, uint32_t count) {
    if (count == 0) return -EINVAL;
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, (uint32_t)(SKF_AD_OFF + SKF_AD_RANDOM)),
        BPF_STMT(BPF_ALU | BPF_MOD | BPF_K, count),
        BPF_STMT(BPF_RET | BPF_A, 0),
    };
    struct sock_fprog program = {.len = sizeof code / sizeof code[0], .filter = code};
    return setsockopt(socket, SOL_SOCKET, SO_ATTACH_REUSEPORT_CBPF, &program, sizeof program) < 0 ? -errno : 0;
}

// The option's name is in no Swift module.
int32_t cl_unsteer(int32_t socket) {
    int unused = 0;
    return setsockopt(socket, SOL_SOCKET, SO_DETACH_REUSEPORT_BPF, &unused, sizeof unused) < 0 ? -errno : 0;
}
