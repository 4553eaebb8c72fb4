#!/bin/sh
# Copies structlog, as this machine's distribution has it, into DIRECTORY, with its licence: bundle.sh DIRECTORY
# Prints its version.
set -eu
umask 022
dest=${1:?usage: bundle.sh DIRECTORY}
where=$(/usr/bin/python3 -I -c 'import structlog; print(*structlog.__path__)') || {
	echo 'bundle.sh: install python3-structlog first, or build with BUNDLE=no' >&2
	exit 1
}
mkdir -p "$dest/structlog"
for path in "$where"/*.py "$where/py.typed"; do
	install -m 644 "$path" "$dest/structlog"
done
for licence in /usr/share/doc/python3-structlog/copyright /usr/share/licenses/python3-structlog/LICENSE; do
	[ ! -e "$licence" ] || install -m 644 "$licence" "$dest/structlog/LICENSE"
done
[ -e "$dest/structlog/LICENSE" ] || {
	echo 'bundle.sh: the licence of structlog is not where the distribution puts it' >&2
	exit 1
}
/usr/bin/python3 -I -c 'from importlib.metadata import version; print(version("structlog"))'
