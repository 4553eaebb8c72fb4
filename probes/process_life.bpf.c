// SPDX-License-Identifier: GPL-2.0
/*
 * Which processes are born, execute, die and get signals below a watched one?
 *
 * Method: the agent puts the runtime's pid into `watched`; a child of a watched
 * process becomes watched at its birth, and a death takes it out.  A command
 * name in `commands` makes whoever executes it watched, or ends a lineage.
 * Everything else costs one hash lookup and leaves no trace.
 *
 * Tracepoint records and helpers only; no kernel struct is opened.
 */
#include "compat.h"

#define CLONE_THREAD_FLAG 0x00010000
#define SIGCHLD_NUMBER 17 /* one for each death, which is told already */
#define SIGURG_NUMBER 23  /* Go's scheduler sends it to itself all the time */

/* si_code of signals that a process sent, so that `current` is the sender */
#define FROM_KILL 0
#define FROM_SIGQUEUE (-1)
#define FROM_TKILL (-6)

/* task_newtask and not sched_process_fork: it has the clone flags, which tell
 * threads from processes, and its record is the same in 5.10 to 6.18. */
PROBE(task, task_newtask)
{
	u32 parent = current_pid();
	if (!(watch_flags(parent) & WATCH_CHILDREN))
		return 0;
	if (FIELD(u64, task_newtask__clone_flags) & CLONE_THREAD_FLAG)
		return 0;

	u32 child = FIELD(u32, task_newtask__pid);
	u32 flags = WATCH_PROCESS | WATCH_CHILDREN;
	if (watched_set(&child, &flags) != 0)
		count_loss(LOST_BIRTHS);

	struct process_event *event = RESERVE(process_event);
	if (!event)
		return 0;
	event->at_ns = bpf_ktime_get_ns();
	event->kind = EVENT_FORK;
	event->pid = child;
	event->other_pid = parent;
	bpf_get_current_comm(event->comm, sizeof(event->comm));
	ring_submit(event);
	return 0;
}

PROBE(sched, sched_process_exec)
{
	u32 pid = current_pid();
	u32 flags = watch_flags(pid);
	struct command command = {}; /* 6.1 leaves the tail of a key as it was */
	bpf_get_current_comm(command.name, sizeof(command.name));
	u32 *found = command_find(&command);
	u32 rule = found ? *found : 0;

	if (rule == COMMAND_WATCH)
		flags = WATCH_PROCESS | WATCH_CHILDREN;
	if (!flags)
		return 0;
	if (rule == COMMAND_LEAF)
		flags = WATCH_PROCESS;
	if (rule && watched_set(&pid, &flags) != 0)
		count_loss(LOST_BIRTHS);

	struct exec_event *event = RESERVE(exec_event);
	if (!event)
		return 0;
	event->at_ns = bpf_ktime_get_ns();
	event->kind = EVENT_EXEC;
	event->pid = pid;
	__builtin_memcpy(event->comm, command.name, sizeof(event->comm));
	u32 location = FIELD(u32, sched_process_exec__filename); /* __data_loc: length << 16 | offset */
	bpf_probe_read_kernel_str(event->filename, sizeof(event->filename), ctx + (location & 0xffff));
	ring_submit(event);
	return 0;
}

/* Runs for each thread.  Where the kernel tells which one was the last, that is
 * the death; elsewhere it is the first thread's end, which is early by a little
 * where others live on, and wrong where another thread executes a new program. */
PROBE(sched, sched_process_exit)
{
	u64 both = bpf_get_current_pid_tgid();
	u32 pid = both >> 32;
	if (!watch_flags(pid))
		return 0;
	if (HAS(sched_process_exit__group_dead)) {
		if (!FIELD(u8, sched_process_exit__group_dead))
			return 0;
	} else if ((u32)both != pid) {
		return 0;
	}
	watched_drop(&pid);

	struct process_event *event = RESERVE(process_event);
	if (!event)
		return 0;
	event->at_ns = bpf_ktime_get_ns();
	event->kind = EVENT_EXIT;
	event->pid = pid;
	bpf_get_current_comm(event->comm, sizeof(event->comm));
	ring_submit(event);
	return 0;
}

/* Told whatever becomes of it: SIGCONT without a handler counts as ignored in
 * the record, and has continued its process all the same. */
PROBE(signal, signal_generate)
{
	u32 signal = FIELD(u32, signal_generate__sig);
	if (signal == SIGCHLD_NUMBER || signal == SIGURG_NUMBER)
		return 0;
	u32 pid = FIELD(u32, signal_generate__pid);
	if (!watch_flags(pid))
		return 0;

	s32 code = FIELD(s32, signal_generate__code);
	struct process_event *event = RESERVE(process_event);
	if (!event)
		return 0;
	event->at_ns = bpf_ktime_get_ns();
	event->kind = EVENT_SIGNAL;
	event->pid = pid;
	event->signal = signal;
	if (code == FROM_KILL || code == FROM_SIGQUEUE || code == FROM_TKILL)
		event->other_pid = current_pid();
	bpf_probe_read_kernel(event->comm, sizeof(event->comm), ctx + AT(signal_generate__comm));
	ring_submit(event);
	return 0;
}
