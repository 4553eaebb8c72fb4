/* SPDX-License-Identifier: GPL-2.0 */
/*
 * One source, two loaders: clang and libbpf, or bcc (with -DBCC).
 *
 * Law: every map operation is a function below.  bcc rewrites `map.lookup()`
 * only in its main text and never inside a macro, so the loader joins these
 * files into one text for it.
 *
 * PROBE(category, name) begins a program; its only argument is `ctx`.
 * FIELD(type, TRACEPOINT__FIELD) reads a field of the record, 0 where the
 * kernel has no such field.  HAS(TRACEPOINT__FIELD) tells which.
 */
#ifndef PULL_WATCHDOG_COMPAT_H
#define PULL_WATCHDOG_COMPAT_H

#ifndef BCC
#include <stdbool.h>
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
typedef __u8 u8;
typedef __u16 u16;
typedef __u32 u32;
typedef __u64 u64;
typedef __s32 s32;
#endif

#include "events.h"

#define MAX_WATCHED 4096
#define MAX_COMMANDS 64
#define MAX_SOCKETS 4096
#ifndef RING_PAGES
#define RING_PAGES 64 /* of 4 KiB; the loader may say otherwise */
#endif

struct command {
	char name[COMM_BYTES];
};

/* Who opened a connection.  It outlives CLOSE: see tcp_life.bpf.c. */
struct owner {
	u64 retransmit_ns; /* when a retransmit was last told */
	u32 pid;
	u16 local_port;
	u16 remote_port;
	u32 closed;
	u32 pad;
	u8 remote_address[ADDRESS_BYTES];
};

#ifdef BCC

#define PROBE(category, name) int category##__##name(void *ctx)
#define AT(field) AT_##field

BPF_HASH(watched, u32, u32, MAX_WATCHED);
BPF_HASH(commands, struct command, u32, MAX_COMMANDS);
BPF_TABLE("lru_hash", u64, struct owner, sockets, MAX_SOCKETS);
BPF_PERCPU_ARRAY(lost, u64, LOSSES);
BPF_RINGBUF_OUTPUT(events, RING_PAGES);

static __always_inline u32 *watched_find(u32 *pid) { return watched.lookup(pid); }
static __always_inline long watched_set(u32 *pid, u32 *flags) { return watched.update(pid, flags); }
static __always_inline void watched_drop(u32 *pid) { watched.delete(pid); }
static __always_inline u32 *command_find(struct command *command) { return commands.lookup(command); }
static __always_inline struct owner *owner_find(u64 *socket) { return sockets.lookup(socket); }
static __always_inline void owner_set(u64 *socket, struct owner *owner) { sockets.update(socket, owner); }
static __always_inline void owner_drop(u64 *socket) { sockets.delete(socket); }
static __always_inline u64 *lost_find(u32 *loss) { return lost.lookup(loss); }
static __always_inline void *ring_reserve(u64 size) { return events.ringbuf_reserve(size); }
static __always_inline void ring_submit(void *event) { events.ringbuf_submit(event, 0); }

#else

#define PROBE(category, name) \
	SEC("tracepoint/" #category "/" #name) int category##__##name(void *ctx)
#define AT(field) layout.field

/* In .rodata: constants to the verifier once the loader has filled them in. */
const volatile struct layout layout = {.version = LAYOUT_VERSION};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, MAX_WATCHED);
	__type(key, u32);
	__type(value, u32);
} watched SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, MAX_COMMANDS);
	__type(key, struct command);
	__type(value, u32);
} commands SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, MAX_SOCKETS);
	__type(key, u64);
	__type(value, struct owner);
} sockets SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, LOSSES);
	__type(key, u32);
	__type(value, u64);
} lost SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, RING_PAGES * 4096);
} events SEC(".maps");

static __always_inline u32 *watched_find(u32 *pid) { return bpf_map_lookup_elem(&watched, pid); }
static __always_inline long watched_set(u32 *pid, u32 *flags) { return bpf_map_update_elem(&watched, pid, flags, BPF_ANY); }
static __always_inline void watched_drop(u32 *pid) { bpf_map_delete_elem(&watched, pid); }
static __always_inline u32 *command_find(struct command *command) { return bpf_map_lookup_elem(&commands, command); }
static __always_inline struct owner *owner_find(u64 *socket) { return bpf_map_lookup_elem(&sockets, socket); }
static __always_inline void owner_set(u64 *socket, struct owner *owner) { bpf_map_update_elem(&sockets, socket, owner, BPF_ANY); }
static __always_inline void owner_drop(u64 *socket) { bpf_map_delete_elem(&sockets, socket); }
static __always_inline u64 *lost_find(u32 *loss) { return bpf_map_lookup_elem(&lost, loss); }
static __always_inline void *ring_reserve(u64 size) { return bpf_ringbuf_reserve(&events, size, 0); }
static __always_inline void ring_submit(void *event) { bpf_ringbuf_submit(event, 0); }

char LICENSE[] SEC("license") = "GPL";

#endif

#define HAS(field) (AT(field) != ABSENT)
#define FIELD(type, field) ({ \
	type value = 0; \
	if (HAS(field)) \
		bpf_probe_read_kernel(&value, sizeof(value), ctx + AT(field)); \
	value; \
})

static __always_inline u32 current_pid(void) { return bpf_get_current_pid_tgid() >> 32; }

/* 0 for "not watched".  Callers branch on the value: two map pointers in one
 * condition become `a | b` in clang's hands, which the verifier refuses. */
static __always_inline u32 watch_flags(u32 pid)
{
	u32 *flags = watched_find(&pid);
	return flags ? *flags : 0;
}

static __always_inline void count_loss(u32 loss)
{
	u64 *count = lost_find(&loss);
	if (count)
		*count += 1;
}

/* A zeroed record in the ring, or 0 and one more lost event. */
#define RESERVE(type) ({ \
	struct type *reserved = ring_reserve(sizeof(struct type)); \
	if (reserved) \
		__builtin_memset(reserved, 0, sizeof(*reserved)); \
	else \
		count_loss(LOST_EVENTS); \
	reserved; \
})

#endif
