#!/bin/sh
# Installs an RPM into an empty root, runs what it holds there, and erases it: rpm_root.sh RPM ROOT OUT
# To be run in a mount namespace of its own.  The host lends its /usr as a layer below, without its
# structlog; whatever is written goes to ROOT, and the host's own rpm database is not looked at.
# What each step said or left is in OUT.
set -eu
rpm=$1 root=$2 out=$3

mkdir -p "$root/layer" "$root/root"
mount -t tmpfs tmpfs "$root/layer"
mkdir "$root/layer/upper" "$root/layer/work"
layer=$root/layer/upper
root=$root/root
mkdir -p "$root/usr" "$root/proc" "$root/dev" "$root/run" "$root/tmp" "$root/etc" "$root/var/lib"
mount -t overlay overlay -o "lowerdir=/usr,upperdir=$layer,workdir=${layer%upper}work" "$root/usr"
mount -t tmpfs -o ro tmpfs "$root$(/usr/bin/python3 -I -c 'import structlog; print(*structlog.__path__)')"
mount --bind /proc "$root/proc"
for name in null urandom; do
	: >"$root/dev/$name"
	mount --bind "/dev/$name" "$root/dev/$name"
done
for name in bin sbin lib lib64; do ln -s "usr/$name" "$root/$name"; done
echo 'root:x:0:0:root:/root:/bin/sh' >"$root/etc/passwd"
echo 'root:x:0:' >"$root/etc/group"

# On Debian rpm wants to be told that this is no mistake.
debian=
rpm --force-debian --version >/dev/null 2>&1 && debian=--force-debian
on_root() { rpm --root "$root" --define '_dbpath /var/lib/rpm' $debian "$@"; }
inside() { env -i PATH=/usr/sbin:/usr/bin chroot "$root" "$@"; }
left() { (cd "$layer" && find . ! -type d; cd "$root" && find etc run var tmp ! -type d) | sort; }

left >"$out/before"
on_root -i --nodeps "$rpm" >"$out/install" 2>&1
left >"$out/installed"
cp "$root/etc/passwd" "$out/passwd"
on_root -V --nodeps pull-watchdog >"$out/verify" 2>&1

inside pull-watchdog --version >"$out/version" 2>&1
inside pull-watchdog doctor --json >"$out/doctor" 2>"$out/doctor.err" || :
printf 'metrics: {listen: off}\nengine: polling\n' >"$root/etc/pull-watchdog/conf.d/test.yaml"
env -i PATH=/usr/sbin:/usr/bin chroot "$root" pull-watchdog run --record /tmp/recording >"$out/run" 2>&1 &
agent=$!
frames() { cat "$root/tmp/recording" 2>/dev/null | wc -l; }
waited=0
while [ "$(frames)" -lt 3 ] && [ $waited -lt 120 ]; do
	sleep 0.5
	waited=$((waited + 1))
done
kill -TERM $agent
wait $agent
inside pull-watchdog replay /tmp/recording >"$out/replay" 2>&1
inside /usr/bin/python3 -I -c "
import sys
sys.path.append('/usr/share/pull-watchdog/vendor')
import structlog
print(structlog.__file__)" >"$out/structlog"

on_root -U --replacepkgs --nodeps "$rpm" >"$out/again" 2>&1
left >"$out/updated"
rm "$root/etc/pull-watchdog/conf.d/test.yaml" "$root/tmp/recording"
on_root -e --nodeps pull-watchdog >"$out/erase" 2>&1
left >"$out/erased"
