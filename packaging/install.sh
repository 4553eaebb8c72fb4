#!/bin/sh
# Lays out exactly what is installed, below a directory: install.sh DESTDIR
# The one list of it; both packages take theirs from here.  Run from anywhere;
# the probes are compiled here (see probes/build.sh for what that needs).
set -eu
top=$(cd "$(dirname "$0")/.." && pwd)
dest=${1:?usage: install.sh DESTDIR}
mkdir -p "$dest"
dest=$(cd "$dest" && pwd)
cd "$top"

file() { install -D -p -m "$1" "$2" "$dest$3"; }

# The Python package, in a directory of its own: its name, `watchdog`, is not ours alone.
find watchdog -type f ! -name '*.pyc' | sort | while read -r path; do
	file 644 "$path" "/usr/share/pull-watchdog/$path"
done
file 755 packaging/pull-watchdog /usr/bin/pull-watchdog

# The probes: compiled for libbpf, and as sources for bcc.
# (Its lines are told relative to the tree, so that every build gives the same bytes.)
CLANG="${CLANG:-clang} -ffile-prefix-map=$top=." sh probes/build.sh "$dest/usr/lib/pull-watchdog/probes"
for path in probes/*.c probes/*.h; do
	file 644 "$path" "/usr/lib/pull-watchdog/$path"
done

file 644 packaging/config/config.yaml /etc/pull-watchdog/config.yaml
file 644 packaging/systemd/pull-watchdog.service /usr/lib/systemd/system/pull-watchdog.service
file 644 packaging/systemd/docker.service.d/pull-watchdog.conf \
	/usr/lib/systemd/system/docker.service.d/pull-watchdog.conf
file 644 packaging/systemd/tmpfiles.conf /usr/lib/tmpfiles.d/pull-watchdog.conf
file 644 packaging/man/pull-watchdog.8 /usr/share/man/man8/pull-watchdog.8
file 644 packaging/prometheus/alerts.yml /usr/share/pull-watchdog/prometheus/alerts.yml
file 644 packaging/prometheus/scrape.yml /usr/share/pull-watchdog/prometheus/scrape.yml
file 644 packaging/grafana/dashboard.json /usr/share/pull-watchdog/grafana/dashboard.json
