"""Advice about the node itself: extraction, disks, resources, the daemon, names and certificates."""

from __future__ import annotations

from watchdog.core.advice.record import Advice, Elsewhere

_NO_PRUNE = "Do not prune, and do not delete below /var/lib/docker or /var/lib/containerd to make it go away."

EXTRACTION_STALLED = Advice(
    headline="An extraction stands still: the decompressor (unpigz) is the suspect",
    likely=(
        "The layer is downloaded, its extraction began and did not end. {evidence} A log cannot show "
        "whether unpigz is stopped, spinning or blocked, or whether the disk hangs: /proc can. `docker "
        "load` often works meanwhile."
    ),
    here=(
        "`pull-watchdog status` names the process and frees it. By hand: find the unpigz that is a child "
        "of dockerd and look at its state; T: `kill -CONT PID`. D, or its docker-untar in D: it is the "
        "disk, no signal helps.",
        "Spinning or blocked: kill that unpigz, not docker-untar and not the client. The pull fails with "
        "`Error processing tar file(...): unexpected EOF` or `signal: killed`; then pull again.",
        "Against its return: a link named unpigz to /bin/gzip in an earlier folder of dockerd's PATH "
        "(20.10 and newer, live at the next layer), or MOBY_DISABLE_PIGZ=true in dockerd's environment, "
        "which needs a restart. containerd: CONTAINERD_DISABLE_PIGZ=1.",
    ),
    never=(
        "Do not kill the pulling client: unpigz lives on, and the layer cannot be pulled until it is gone.",
        "Do not remove /usr/bin/unpigz where containerd runs: it remembers the path, and every pull fails "
        "until a restart.",
    ),
)

DECOMPRESS_MISSING = Advice(
    headline="The decompressor is gone, or is not for this machine",
    likely=(
        "containerd remembers the path of unpigz from its start; it was removed or replaced since. {evidence}"
    ),
    here=(
        "Reinstall pigz for this architecture, or remove it and restart containerd (containers go on).",
        "CONTAINERD_DISABLE_PIGZ=1 or MOBY_DISABLE_PIGZ=true leave it out; both need a restart.",
    ),
)

DECOMPRESS_CORRUPT = Advice(
    headline="A layer could not be decompressed",
    likely=(
        "Either the layer is damaged, or pigz is: a valid layer with a crc32 mismatch is a known fault of "
        "pigz. {evidence}"
    ),
    here=(
        "Fetch the blob and test it: `gzip -t`. Good there: MOBY_DISABLE_PIGZ=true (restart) or another "
        "pigz.",
        "Bad there: pull it past the cache; if the registry has it so, push it again.",
    ),
    never=(_NO_PRUNE,),
)

EXTRACTION_ABORTED = Advice(
    headline="An extraction broke off in the middle of a layer",
    likely=(
        "The tar ended early: the decompressor was killed (by hand, or by the OOM killer), the disk was "
        "full, or the layer is cut short. Extraction errors are never retried by the runtime. {evidence}"
    ),
    here=(
        "Free space on the data root and in its tmp: `df -h`, `df -i`; the kernel's log for `Killed "
        "process`.",
        "If somebody killed a hung unpigz, this line is the expected end of that pull: pull again.",
    ),
    never=(_NO_PRUNE,),
)

INTEGRITY = Advice(
    headline="The bytes are not the ones that the digest names",
    likely=(
        "A cache or proxy delivered a wrong or incomplete body, rather than a bad disk: a pull-through "
        "cache whose upstream was cut appends its JSON error to the layer; sha256:e3b0c442... is an empty "
        "body. {evidence}"
    ),
    here=(
        "Pull once past the cache or proxy: if that works, it is the cache.",
        "containerd keeps partial blobs: `ctr content rm` of the ingest named in the line, then pull again.",
        "`layers from manifest don't match image configuration`: push the image again, or remove the image "
        "on the node.",
    ),
    elsewhere=(
        Elsewhere("whoever runs the cache", "its upstream; a blob of the digest in the lines is poisoned."),
    ),
    never=("Do not delete other images for it.",),
)

DISK_FULL = Advice(
    headline="No space left",
    likely=(
        "A file system on the way of the image is full: the node's, the cache's or the registry's. {evidence}"
    ),
    here=(
        "Free space before any retry: each failing pull downloads everything again. `df -h` and `df -i` on "
        "the data root and on $DOCKER_TMPDIR, which dockerd never cleans.",
    ),
    elsewhere=(
        Elsewhere(
            "whoever runs the cache or registry",
            "if the line is theirs: failed fills stay in _uploads for 168 h; nginx: the path in the line.",
        ),
    ),
    never=("No automatic prune: it takes what other containers need.",),
)

STORAGE_ERROR = Advice(
    headline="The storage below the images fails",
    likely="The file system, the device or a mount refused the write. {evidence}",
    here=(
        "The kernel's log first (`dmesg -T`): a file system that went read-only, I/O errors, a full "
        "logical volume.",
        "`lchown ... invalid argument`: rootless or user namespaces with too few ids in /etc/subuid.",
        "`GetImageBlob...: no such file`: somebody removed the tmp folder under dockerd; make it again or "
        "restart dockerd.",
    ),
    never=("Do not repeat the pull on a failing disk.", _NO_PRUNE),
)

STORAGE_STALLED = Advice(
    headline="Processes hang in the kernel, waiting for storage",
    likely=(
        "A disk, a network file system or the overlay's sync does not come back: state D. Killing does "
        "nothing. {evidence}"
    ),
    here=(
        "`cat /proc/pressure/io`, and the device's own counters in /proc/diskstats: does anything still "
        "move?",
        "Many pulls at once on a slow disk: max-concurrent-downloads 1, then SIGHUP.",
    ),
    elsewhere=(Elsewhere("whoever runs the storage", "the device and the times below."),),
    never=("Do not restart dockerd: it cannot exit while a thread of it hangs there.",),
)

RESOURCE = Advice(
    headline="The node ran out of memory, descriptors or processes",
    likely="The kernel killed or refused. {evidence}",
    here=(
        "Who was killed is in the line; a killed dfdaemon (Restart=on-success) stays down, a killed unpigz "
        "fails its pull.",
        "`too many open files`: LimitNOFILE of the service; `inotify`: fs.inotify.max_user_watches.",
    ),
)

DAEMON_DOWN = Advice(
    headline="The container runtime is not there",
    likely="dockerd, containerd or a snapshotter does not run, or its socket is dead. {evidence}",
    here=(
        "`systemctl status docker containerd`, and the first error after its start in the journal.",
        "`Start request repeated too quickly`: systemd gave up after three starts in a minute; mend the "
        "cause, then `systemctl reset-failed`.",
    ),
    never=("Never send containerd a SIGHUP: it dies of it.",),
)

CONFIG = Advice(
    headline="The runtime rejects its configuration",
    likely="A key or a flag is wrong, or is given in both places. {evidence}",
    here=(
        "The line names the key. `dockerd --validate --config-file=/etc/docker/daemon.json` (23.0 and "
        "newer) before any restart: at a reload the old configuration stays, the next start fails.",
    ),
)

DNS = Advice(
    headline="A name could not be resolved",
    likely=(
        "The resolver did not answer or does not know the name. `i/o timeout` and `connection refused` on "
        "port 53 are the resolver's, not the registry's. {evidence}"
    ),
    here=(
        "On the node: `getent hosts NAME`, and the server in the line: /etc/resolv.conf, systemd-resolved.",
        "`[::1]:53` or `127.0.0.1:53` refused: nothing resolves there.",
    ),
    elsewhere=(Elsewhere("whoever runs the resolver", "the server and the name in the lines."),),
)

TLS = Advice(
    headline="TLS: the certificate or the protocol is not accepted",
    likely=(
        "An unknown CA, a wrong name, an expired certificate or a wrong clock; or plain HTTP where TLS is "
        "expected. {evidence}"
    ),
    here=(
        "Check the clock first. Then the CA: /etc/docker/certs.d/HOST:PORT/ca.crt (read per pull), or the "
        "system's store and a restart; containerd: ca in hosts.toml.",
        "An issuer named dragonfly: the P2P proxy terminates TLS; NO_PROXY for the registry, or install "
        "its CA.",
        "`server gave HTTP response to HTTPS client`: the registry speaks plain HTTP there; "
        "insecure-registries, then SIGHUP.",
    ),
    elsewhere=(Elsewhere("whoever runs the registry", "its certificate's names and dates."),),
    never=("Do not switch verification off to get over it.",),
)

RETRY_UNSPECIFIED = Advice(
    headline="Something is retried, and this log does not say why",
    likely=(
        "`Retrying in`, `Back-off pulling` and ErrImagePull are announcements; the cause is elsewhere. "
        "{evidence}"
    ),
    here=(
        "The runtime's own log of the same minutes has it: `journalctl -u docker -u containerd --since "
        "...`, then `pull-watchdog explain` on that.",
    ),
)
