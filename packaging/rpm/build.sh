#!/bin/sh
# Builds the RPM: build.sh OUTDIR writes OUTDIR/pull-watchdog-VERSION-1.noarch.rpm.
# Needs rpmbuild clang llvm libbpf-dev; works on Debian too, and root is not needed.
set -eu
top=$(cd "$(dirname "$0")/../.." && pwd)
mkdir -p "${1:?usage: build.sh OUTDIR}"
out=$(cd "$1" && pwd)
version=$(sed -n 's/^__version__ = "\(.*\)"$/\1/p' "$top/watchdog/__init__.py")

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
tree=$work/pull-watchdog-$version
mkdir "$tree" "$work/SOURCES"
(cd "$top" && cp -R watchdog probes packaging LICENSE CHANGELOG.md README.md "$tree")
find "$tree" -name __pycache__ -prune -exec rm -rf {} +
tar -C "$work" -czf "$work/SOURCES/pull-watchdog-$version.tar.gz" "pull-watchdog-$version"

rpmbuild -bb --nodeps --target noarch --define "_topdir $work" --define "product_version $version" \
	--define "_rpmdir $work/RPMS" "$top/packaging/rpm/pull-watchdog.spec" >"$work/log" 2>&1 || {
	tail -n 40 "$work/log" >&2
	exit 1
}
cp "$work"/RPMS/noarch/pull-watchdog-*.noarch.rpm "$out"
