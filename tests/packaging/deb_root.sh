#!/bin/sh
# The Debian package's life in a fresh Debian 12: deb_root.sh DEB ROOT
# To be run in mount and process namespaces of its own.  Twice: first on the fresh root, where apt brings
# what the package depends on; then once more, where the calls of the service manager are written down.
# What each step said, or the files that it left, are in ROOT/root/out.
set -eu

if [ "$1" != inside ]; then
	deb=$1 root=$2
	mmdebstrap --quiet --variant=minbase --mode=root bookworm "$root"
	mkdir "$root/root/out" "$root/root/stub"
	cp "$deb" "$root/root/pull-watchdog.deb"
	cp "$0" "$root/root/deb_root.sh"
	cp /etc/resolv.conf "$root/etc/resolv.conf"
	echo "127.0.0.1 localhost" >"$root/etc/hosts"
	mount --bind "$root" "$root"
	cd "$root"
	mount -t proc proc proc
	mount --rbind /dev dev
	mkdir old
	pivot_root . old
	umount -l /old
	rmdir /old
	exec env -i PATH=/root/stub:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LC_ALL=C.UTF-8 \
		DEBIAN_FRONTEND=noninteractive sh /root/deb_root.sh inside
fi

cd /root/out
deb=/root/pull-watchdog.deb

# Each file with its kind, mode, owner, and link or checksum.
files() {
	find / -xdev \( -path /proc -o -path /dev -o -path /root -o -path /tmp -o -path /var/cache/apt \) -prune -o \
		-printf '%p\t%y %m %u:%g %l\n' | sort >"$1"
	find / -xdev \( -path /proc -o -path /dev -o -path /root -o -path /tmp -o -path /var/cache/apt \) -prune -o \
		-type f -exec sha256sum {} + | sed 's/^\([0-9a-f]*\)  \(.*\)/\2\t\1/' | sort >>"$1"
}

# --- as a user does it ----------------------------------------------------------
printf '#!/bin/sh\nexit 101\n' >/usr/sbin/policy-rc.d # no service of a dependency is started
chmod 755 /usr/sbin/policy-rc.d
apt-get update >update 2>&1
apt-get install -y $deb >install 2>&1
files installed
pull-watchdog --version >version 2>&1
pull-watchdog doctor --json >doctor 2>doctor.err || :
getent passwd pull-watchdog >user || :
systemctl is-enabled pull-watchdog.service >enabled 2>&1 || :
files used
apt-get install -y $deb >again 2>&1
files again.files
apt-get purge -y pull-watchdog >purge 2>&1
files purged
grep -rlI pull-watchdog /etc /run /var/lib/systemd /usr/lib/systemd >told.purged || :

# --- under a service manager, whose part is played ------------------------------
rm /usr/sbin/policy-rc.d
mkdir -p /run/systemd/system
cat >/root/stub/systemctl <<'END'
#!/bin/sh
user=$(getent passwd pull-watchdog | cut -d: -f1)
echo "$* | ${user:-nobody} $(ls -d /run/pull-watchdog-env /run/pull-watchdog /var/lib/pull-watchdog 2>/dev/null | xargs)" \
	>>/root/out/calls
case $* in *is-enabled*) echo enabled ;; esac
END
chmod 755 /root/stub/systemctl
calls() { touch calls; mv calls "$1.calls"; }

files before
dpkg -i $deb >dpkg.install 2>&1 </dev/null
calls install
echo '# a note' >>/etc/pull-watchdog/config.yaml
echo 'mode: enforce' >/etc/pull-watchdog/conf.d/50-site.yaml
mkdir -p /var/lib/pull-watchdog/incidents /run/pull-watchdog
touch /etc/pull-watchdog/inhibit /var/lib/pull-watchdog/incidents/x.json /run/pull-watchdog/state.json
dpkg -i $deb >dpkg.again 2>&1 </dev/null
calls again
cp /etc/pull-watchdog/config.yaml kept

# Something is in force, as route_around leaves it, and the configuration is broken.
cp /etc/hosts hosts.before
/usr/bin/python3 -I - <<'END'
import sys, time
from pathlib import Path
sys.path.insert(0, "/usr/share/pull-watchdog")
from watchdog.act import hosts_file, ledger, remedy, route_around
from watchdog.core.observation import LedgerEntry, Outcome
from watchdog.host import proc

now = time.time_ns()
line = hosts_file.line_of("10.0.0.9", "registry.example", "2099-01-01T00:00:00Z")
common = ("pw-1", "route_around", "time_limit", "docker")
memory = {"expires_wall_ns": now * 2, "detail_json": remedy.memory_json(route_around.Detour("registry.example", line))}
book = ledger.Ledger(Path("/var/lib/pull-watchdog"))
book.append(LedgerEntry("act-1", "intent", now, proc.boot_id(), *common, **memory))
hosts_file.add(Path("/etc/hosts"), line, "registry.example")
book.append(LedgerEntry("act-1", "result", now, proc.boot_id(), *common, outcome=Outcome.DONE))
END
cp /etc/hosts hosts.changed
echo 'mode: broken' >/etc/pull-watchdog/conf.d/60-broken.yaml
dpkg -r pull-watchdog >dpkg.remove 2>&1 </dev/null
calls remove
files removed
cp /etc/hosts hosts.removed
dpkg -P pull-watchdog >dpkg.purge 2>&1 </dev/null
files after
grep -rlI pull-watchdog /etc /run /var/lib/systemd /usr/lib/systemd >told.after || :
