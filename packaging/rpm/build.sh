#!/bin/sh
# Builds the RPM: build.sh OUTDIR writes OUTDIR/pull-watchdog-VERSION-1.noarch.rpm.
# Needs rpmbuild clang llvm libbpf-dev python3-yaml and python3-structlog; works on Debian too, and
# root is not needed.  The same sources give the same bytes, whoever builds them, when and where.
# Neither Fedora nor Enterprise Linux has structlog, so this machine's goes along as a bundled library;
# with BUNDLE=no it does not, and the package requires python3-structlog.
set -eu
umask 022
top=$(cd "$(dirname "$0")/../.." && pwd)
mkdir -p "${1:?usage: build.sh OUTDIR}"
out=$(cd "$1" && pwd)
version=$(sed -n 's/^__version__ = "\(.*\)"$/\1/p' "$top/watchdog/__init__.py")

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
tree=$work/pull-watchdog-$version
mkdir "$work/SOURCES"
SOURCE_DATE_EPOCH=$(sh "$top/packaging/stage.sh" "$tree")
export SOURCE_DATE_EPOCH

bundled=
if [ "${BUNDLE:-yes}" != no ]; then
	bundled=$(sh "$top/packaging/rpm/bundle.sh" "$tree/vendor")
fi
find "$tree" -exec touch -h -d "@$SOURCE_DATE_EPOCH" {} +
tar -C "$work" --sort=name --owner=0 --group=0 --numeric-owner -cf "$work/SOURCES/pull-watchdog-$version.tar" \
	"pull-watchdog-$version"

# Nothing of the builder is told in the package: no host, no time, no directory.
rpmbuild -bb --nodeps --target noarch --define "_topdir $work" --define "product_version $version" \
	--define "_rpmdir $work/RPMS" --define "_buildhost localhost" \
	--define "packager pull-watchdog maintainers <maintainers@pull-watchdog.example>" \
	--define "use_source_date_epoch_as_buildtime 1" --define "clamp_mtime_to_source_date_epoch 1" \
	${bundled:+--define "bundled_structlog $bundled"} \
	"$top/packaging/rpm/pull-watchdog.spec" >"$work/log" 2>&1 || {
	tail -n 40 "$work/log" >&2
	exit 1
}
cp "$work"/RPMS/noarch/pull-watchdog-*.noarch.rpm "$out"
