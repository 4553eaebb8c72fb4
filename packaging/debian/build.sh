#!/bin/sh
# Builds the Debian package: build.sh OUTDIR writes OUTDIR/pull-watchdog_VERSION_all.deb.
# Needs build-essential debhelper dh-python clang llvm libbpf-dev python3-yaml; root is not needed.
# The same sources give the same bytes, whoever builds them, when and where.
set -eu
umask 022
top=$(cd "$(dirname "$0")/../.." && pwd)
mkdir -p "${1:?usage: build.sh OUTDIR}"
out=$(cd "$1" && pwd)

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
tree=$work/pull-watchdog
sh "$top/packaging/stage.sh" "$tree" >"$work/epoch"
mv "$tree/packaging/debian" "$tree/debian"

(cd "$tree" && dpkg-buildpackage -b -uc -us >"$work/log" 2>&1) || {
	tail -n 40 "$work/log" >&2
	exit 1
}
cp "$work"/pull-watchdog_*_all.deb "$out"
