#!/bin/sh
# Lays out exactly what is installed, below a directory: install.sh DESTDIR
# The one list of it; both packages take theirs from here.  Run from anywhere;
# the probes are compiled here (see probes/build.sh for what that needs).
# A library below vendor/ goes along; see packaging/pull-watchdog for who uses it.
set -eu
umask 022 # the builder's own must not show
top=$(cd "$(dirname "$0")/.." && pwd)
dest=${1:?usage: install.sh DESTDIR}
mkdir -p "$dest"
dest=$(cd "$dest" && pwd)
cd "$top"

file() { install -D -p -m "$1" "$2" "$dest$3"; }

# The Python package, in a directory of its own: its name, `watchdog`, is not ours alone.
find watchdog $(ls -d vendor 2>/dev/null) -type f ! -name '*.pyc' | sort | while read -r path; do
	file 644 "$path" "/usr/share/pull-watchdog/$path"
done
file 755 packaging/pull-watchdog /usr/bin/pull-watchdog
file 755 packaging/undo-all /usr/libexec/pull-watchdog/undo-all

# The probes: compiled for libbpf, and as sources for bcc.
# (Its lines are told relative to the tree, so that every build gives the same bytes.)
CLANG="${CLANG:-clang} -ffile-prefix-map=$top=." sh probes/build.sh "$dest/usr/lib/pull-watchdog/probes"
for path in probes/*.c probes/*.h; do
	file 644 "$path" "/usr/lib/pull-watchdog/$path"
done

file 644 packaging/config/config.yaml /etc/pull-watchdog/config.yaml
install -d -m 755 "$dest/etc/pull-watchdog/conf.d"

for unit in pull-watchdog.service pull-watchdog-act.socket pull-watchdog-act@.service \
	docker.service.d/pull-watchdog.conf containerd.service.d/pull-watchdog.conf; do
	file 644 "packaging/systemd/$unit" "/usr/lib/systemd/system/$unit"
done
file 644 packaging/systemd/sysusers.conf /usr/lib/sysusers.d/pull-watchdog.conf
file 644 packaging/systemd/tmpfiles.conf /usr/lib/tmpfiles.d/pull-watchdog.conf

file 644 packaging/man/pull-watchdog.8 /usr/share/man/man8/pull-watchdog.8
file 644 packaging/man/pull-watchdog.yaml.5 /usr/share/man/man5/pull-watchdog.yaml.5
made=$(mktemp -d)
trap 'rm -rf "$made"' EXIT
/usr/bin/python3 -B packaging/completions.py "$made/bash" "$made/zsh" "$made/fish"
file 644 "$made/bash" /usr/share/bash-completion/completions/pull-watchdog
file 644 "$made/zsh" "${ZSH_COMPLETIONS:-/usr/share/zsh/vendor-completions}/_pull-watchdog"
file 644 "$made/fish" /usr/share/fish/vendor_completions.d/pull-watchdog.fish

for path in packaging/prometheus/alerts.yml packaging/prometheus/scrape.yml packaging/grafana/dashboard.json; do
	file 644 "$path" "/usr/share/pull-watchdog/${path#packaging/}"
done
