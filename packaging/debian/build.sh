#!/bin/sh
# Builds the Debian package: build.sh OUTDIR writes OUTDIR/pull-watchdog_VERSION_all.deb.
# Needs dpkg-dev debhelper dh-python clang llvm libbpf-dev; root is not needed.
set -eu
top=$(cd "$(dirname "$0")/../.." && pwd)
mkdir -p "${1:?usage: build.sh OUTDIR}"
out=$(cd "$1" && pwd)

# The tree is copied, so that nothing is left in the checkout and `debian` stands where it must.
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
tree=$work/pull-watchdog
mkdir "$tree"
(cd "$top" && cp -R watchdog probes packaging LICENSE CHANGELOG.md README.md "$tree")
mv "$tree/packaging/debian" "$tree/debian"
find "$tree" -name __pycache__ -prune -exec rm -rf {} +

(cd "$tree" && dpkg-buildpackage -b -uc -us >"$work/log" 2>&1) || {
	tail -n 40 "$work/log" >&2
	exit 1
}
cp "$work"/pull-watchdog_*_all.deb "$out"
