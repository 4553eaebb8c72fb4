// SPDX-License-Identifier: GPL-2.0
/*
 * What happens to the TCP connections that watched processes open?
 *
 * Method: SYN_SENT is set inside connect(2), so the current process is the
 * owner.  It is kept by the socket's address, which is only compared; later
 * facts come in interrupts, where the current process is anybody.
 *
 * An entry outlives CLOSE, marked, because the kernel closes first when it
 * resets a connection of its own accord, and tells of the reset after that.
 * The address's next life (a connect of somebody else, or a socket that was
 * accepted) takes it out, and so does age (LRU).
 *
 * Connections from before the probes are not attributed.
 */
#include "compat.h"

#define PROTOCOL_TCP 6
#define STATE_SYN_SENT 2
#define STATE_CLOSE 7
#define RETRANSMIT_PAUSE_NS 1000000000ULL /* one event a second and socket: a lossy path must not fill the ring */

static __always_inline void tell(u32 kind, u64 socket, struct owner *owner, u8 old_state, u8 new_state)
{
	struct tcp_event *event = RESERVE(tcp_event);
	if (!event)
		return;
	event->at_ns = bpf_ktime_get_ns();
	event->socket = socket;
	event->kind = kind;
	event->pid = owner->pid;
	event->local_port = owner->local_port;
	event->remote_port = owner->remote_port;
	event->old_state = old_state;
	event->new_state = new_state;
	__builtin_memcpy(event->remote_address, owner->remote_address, ADDRESS_BYTES);
	ring_submit(event);
}

PROBE(sock, inet_sock_set_state)
{
	if (FIELD(u16, inet_sock_set_state__protocol) != PROTOCOL_TCP)
		return 0;
	u64 socket = FIELD(u64, inet_sock_set_state__skaddr);
	u32 old_state = FIELD(u32, inet_sock_set_state__oldstate);
	u32 new_state = FIELD(u32, inet_sock_set_state__newstate);

	if (new_state == STATE_SYN_SENT) {
		struct owner opened = {};
		opened.pid = current_pid();
		if (!watch_flags(opened.pid)) {
			owner_drop(&socket);
			return 0;
		}
		opened.remote_port = FIELD(u16, inet_sock_set_state__dport);
		bpf_probe_read_kernel(opened.remote_address, ADDRESS_BYTES, ctx + AT(inet_sock_set_state__daddr_v6));
		owner_set(&socket, &opened);
	}

	struct owner *owner = owner_find(&socket);
	if (!owner)
		return 0;
	if (owner->closed) {
		owner_drop(&socket);
		return 0;
	}
	owner->local_port = FIELD(u16, inet_sock_set_state__sport); /* chosen after SYN_SENT */
	owner->closed = new_state == STATE_CLOSE;
	tell(EVENT_TCP_STATE, socket, owner, old_state, new_state);
	return 0;
}

PROBE(tcp, tcp_receive_reset)
{
	u64 socket = FIELD(u64, tcp_receive_reset__skaddr);
	struct owner *owner = owner_find(&socket);
	if (owner)
		tell(EVENT_TCP_RESET_RECEIVED, socket, owner, 0, 0);
	return 0;
}

PROBE(tcp, tcp_send_reset)
{
	u64 socket = FIELD(u64, tcp_send_reset__skaddr);
	struct owner *owner = owner_find(&socket);
	if (owner)
		tell(EVENT_TCP_RESET_SENT, socket, owner, 0, 0);
	return 0;
}

PROBE(tcp, tcp_retransmit_skb)
{
	u64 socket = FIELD(u64, tcp_retransmit_skb__skaddr);
	struct owner *owner = owner_find(&socket);
	if (!owner)
		return 0;
	u64 now = bpf_ktime_get_ns();
	if (owner->retransmit_ns && now - owner->retransmit_ns < RETRANSMIT_PAUSE_NS)
		return 0;
	owner->retransmit_ns = now;
	tell(EVENT_TCP_RETRANSMIT, socket, owner, 0, 0);
	return 0;
}
