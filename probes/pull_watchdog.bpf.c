// SPDX-License-Identifier: GPL-2.0
/* All probes as one object, so that they share the maps of compat.h. */
#include "process_life.bpf.c"
#include "tcp_life.bpf.c"
