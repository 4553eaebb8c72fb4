#!/bin/sh
# Compiles the probes: build.sh OUTDIR writes OUTDIR/pull_watchdog.bpf.o.
# Needs clang, llvm-strip and libbpf's headers (Debian: clang llvm libbpf-dev).
# The object fits every kernel and every little-endian 64-bit machine.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
out=${1:?usage: build.sh OUTDIR}
mkdir -p "$out"
unfinished=$(mktemp "$out/.pull_watchdog.XXXXXX")
trap 'rm -f "$unfinished"' EXIT
# Debian keeps asm/types.h in a directory of the machine's own.
${CLANG:-clang} -target bpf -g -O2 -Wall -Wextra -Werror -Wno-unused-function \
	-I "/usr/include/$(uname -m)-linux-gnu" \
	-c "$here/pull_watchdog.bpf.c" -o "$unfinished"
${LLVM_STRIP:-llvm-strip} -g "$unfinished" # DWARF goes, BTF stays
chmod 644 "$unfinished"
mv "$unfinished" "$out/pull_watchdog.bpf.o" # whole or not at all
