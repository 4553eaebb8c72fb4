/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What crosses from the kernel to the agent: the contract.
 *
 * Flat structs of fixed-width fields, every gap named; all events begin alike.
 * watchdog/host/bpf/decode.py and tracefs.py mirror this file and
 * tests/test_event_layout.py compares them.  Change LAYOUT_VERSION with any
 * change here: the loader refuses an object of another version.
 *
 * `pid` is what user space calls a pid (the kernel's tgid), in the initial
 * pid namespace.  `at_ns` is CLOCK_MONOTONIC.
 */
#ifndef PULL_WATCHDOG_EVENTS_H
#define PULL_WATCHDOG_EVENTS_H

#define LAYOUT_VERSION 1
#define COMM_BYTES 16
#define FILENAME_BYTES 256
#define ADDRESS_BYTES 16

enum event_kind {
	EVENT_FORK = 1,
	EVENT_EXEC = 2,
	EVENT_EXIT = 3,
	EVENT_SIGNAL = 4,
	EVENT_TCP_STATE = 5,
	EVENT_TCP_RESET_RECEIVED = 6,
	EVENT_TCP_RESET_SENT = 7,
	EVENT_TCP_RETRANSMIT = 8,
};

/* The value of a process in the `watched` map. */
enum watch_flag {
	WATCH_PROCESS = 1,
	WATCH_CHILDREN = 2, /* its children become watched at their birth */
};

/* The value of a command name in the `commands` map. */
enum command_rule {
	COMMAND_WATCH = 1, /* whoever executes it becomes watched */
	COMMAND_LEAF = 2,  /* a watched process that executes it: its children are not followed */
};

/* The index of a number in the `lost` map. */
enum loss {
	LOST_EVENTS = 0, /* the ring was full */
	LOST_BIRTHS = 1, /* the `watched` map was full */
	LOSSES = 2,
};

/* Fork, exit and signal.  `other_pid`: the parent, or the signal's sender. */
struct process_event {
	u64 at_ns;
	u32 kind;
	u32 pid;
	u32 other_pid;
	u32 signal;
	char comm[COMM_BYTES];
};

/* Exec.  `filename` is what was asked for, so a link's name and not its target. */
struct exec_event {
	u64 at_ns;
	u32 kind;
	u32 pid;
	char comm[COMM_BYTES];
	char filename[FILENAME_BYTES];
};

/* `socket` is the kernel's address of it: an identity, never followed. */
struct tcp_event {
	u64 at_ns;
	u32 kind;
	u32 pid;
	u64 socket;
	u16 local_port;
	u16 remote_port;
	u8 old_state;
	u8 new_state;
	u16 pad;
	u8 remote_address[ADDRESS_BYTES]; /* IPv6; IPv4 as ::ffff:a.b.c.d */
};

/*
 * Where this kernel puts the fields of its tracepoints: bytes from the start
 * of the record, named TRACEPOINT__FIELD.  The loader reads them from tracefs
 * and fills them in before the programs are loaded.
 */
#define ABSENT 0xffff

struct layout {
	u32 version;
	u16 task_newtask__pid;
	u16 task_newtask__clone_flags;
	u16 sched_process_exec__filename;
	u16 sched_process_exit__group_dead; /* 6.18 has it, 6.12 does not */
	u16 signal_generate__sig;
	u16 signal_generate__code;
	u16 signal_generate__comm;
	u16 signal_generate__pid;
	u16 inet_sock_set_state__skaddr;
	u16 inet_sock_set_state__oldstate;
	u16 inet_sock_set_state__newstate;
	u16 inet_sock_set_state__sport;
	u16 inet_sock_set_state__dport;
	u16 inet_sock_set_state__protocol;
	u16 inet_sock_set_state__daddr_v6;
	u16 tcp_receive_reset__skaddr;
	u16 tcp_send_reset__skaddr;
	u16 tcp_retransmit_skb__skaddr;
};

#endif
