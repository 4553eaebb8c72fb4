"""The node itself: disks, file systems, memory, descriptors; from the kernel's log and from errno texts."""

from __future__ import annotations

import re
from typing import Tuple

from watchdog.core.symptoms.rule import Rule, words
from watchdog.core.symptoms.vocabulary import SymptomKind as Kind

_LAYER = re.compile(  # the text is about a layer, a snapshot or their mounts
    r"register layer|extract layer|error processing tar file|unpack|untar|applylayer|apply(?:ing)? layer"
    r"|tmpmounts|xattr|overlay|snapshot|/diff|getimageblob|\bmount|rootfs|/var/lib/(?:docker|containerd)|layerdb|lchown"
    r"|whiteout|pivot|graphdriver|devmapper|aufs|btrfs|zfs|imagedb|containerd/daemon"
)

_RESOURCE = (
    Rule(Kind.RESOURCE, "node.inotify", ("no space left", "too many"), with_all=("inotify",)),
    Rule(
        Kind.RESOURCE,
        "node.memory",
        words(
            """
            out of memory | oom-kill | oom_kill | oom killer | oomkilled | killed process
            cannot allocate memory | unable to allocate memory | page allocation failure | not enough memory
            outofmemory | reclaim memory | oom_reaper
            """
        ),
    ),
    Rule(Kind.RESOURCE, "node.descriptors", ("too many open files", "emfile", "file table overflow")),
    Rule(
        Kind.RESOURCE,
        "node.processes",
        (
            "resource temporarily unavailable",
            "failed to create new os thread",
            "pthread_create failed",
            "fork rejected by pids controller",
            "cannot assign requested address",
            "table full, dropping packet",
        ),
    ),
    Rule(Kind.RESOURCE, "node.cpu_stuck", ("soft lockup - cpu", "hard lockup on cpu")),
    Rule(
        Kind.RESOURCE, "node.cpu_stuck", ("rcu_sched", "rcu_preempt"), matching=re.compile(r"stalls? on cpu")
    ),
)

_DISK_FULL = (
    Rule(
        Kind.DISK_FULL,
        "node.disk_full",
        (
            *words(
                """
                no space left | disk quota exceeded | not enough free space | not enough disk space
                not enough space | insufficient space | insufficient storage | insufficient disk
                insufficient free | there is not enough space | disk is full | disk full | storagefull
                free data blocks which is less than | low on free space | out-of-data-space
                """
            ),
            "has written only ",
        ),
    ),
    Rule(
        Kind.DISK_FULL,
        "node.disk_pressure",
        words(
            """
            attempting to reclaim | freediskspacefailed | diskpressure | disk pressure
            failed to garbage collect required amount | imagegcfailed | wanted to free
            over the high threshold
            """
        ),
        without=("nodehasnodiskpressure", "hasnodiskpressure", "reclaim memory", "no disk pressure"),
    ),
)

_STALL = (
    Rule(Kind.STORAGE_STALL, "node.hung_task", ("blocked for more than", "hung_task_timeout_secs")),
    Rule(
        Kind.STORAGE_STALL,
        "node.hung_task",
        ("ppid:", "0x0000"),
        matching=re.compile(r"^(?:task:)?\S+\s+(?:state:d\b|d\s+(?:[0-9a-f]+\s+){2,4}0x[0-9a-f]+)"),
    ),
    Rule(
        Kind.STORAGE_STALL,
        "node.device_timeout",
        ("i/o timeout, aborting", "i/o error, timeout", "qid timeout"),
        ("nvme",),
    ),
    Rule(
        Kind.STORAGE_STALL,
        "node.device_timeout",
        ("timeout",),
        matching=re.compile(
            r"nvme\w*: i/o \d+ (?:\(.*\) )?qid \d+ timeout|\bata\d+.*(?:timeout|frozen)|scsi.*timing out"
        ),
    ),
)

_KERNEL_STORAGE = (
    Rule(Kind.STORAGE_STALL, "node.nfs", ("not responding",), matching=re.compile(r"\bnfs: server ")),
    Rule(
        Kind.STORAGE_ERROR,
        "node.filesystem",
        words(
            """
            error | corruption | shutting down | aborting journal | structure needs cleaning
            remounting filesystem read-only | shutdown of filesystem
            """
        ),
        matching=re.compile(
            r"\bext[234]-fs|\bxfs \(|\bbtrfs\b|\bjbd2\b|aborting journal|needs cleaning|remounting filesystem"
            r"|shutdown of filesystem"
        ),
        without=("errors=", "quota mode", "btrfs snapshotter"),
    ),
    Rule(
        Kind.STORAGE_ERROR,
        "node.device",
        words(
            """
            i/o error, dev | i/o error (sct | buffer i/o error | critical medium error
            critical target error | lost page write | lost async page write | unrecovered read error
            medium error | exception emask | rejecting i/o to offline device | beyond end of device
            failed command: | controller is down; will reset | failed result: hostbyte=did_
            devicemapper: error | dm_task_run failed
            """
        ),
    ),
    Rule(Kind.STORAGE_ERROR, "node.filesystem", ("overlayfs: failed",)),
    Rule(Kind.STORAGE_ERROR, "node.filesystem", ("read-only file system", "readonly file system")),
    Rule(Kind.STORAGE_ERROR, "node.io_error", ("input/output error",)),
    Rule(
        Kind.STORAGE_ERROR,
        "node.io_error",
        ("stale file handle", "stale nfs file handle", "transport endpoint is not connected"),
    ),
)

_LAYER_STORAGE = (
    Rule(
        Kind.STORAGE_ERROR,
        "rt.blob_file_gone",
        ("no such file",),
        matching=re.compile(r"getimageblob|/ingest/|docker-import"),
    ),
    Rule(
        Kind.STORAGE_ERROR,
        "rt.layer_storage",
        words(
            """
            operation not permitted | invalid argument | device or resource busy | operation not supported
            function not implemented | file exists | no such file or directory | permission denied
            cross-device link | too many levels of symbolic links | directory not empty | no such device
            file name too long | value too large
            """
        ),
        matching=_LAYER,
        without=(
            "docker.sock",
            "cannot connect to",
            "dial unix",
            "cni",
            "cgroup",
            "exec:",
            "starting container process",
            "oci runtime",
        ),
    ),
    Rule(
        Kind.STORAGE_ERROR,
        "rt.layer_storage",
        ("failed to", "error"),
        matching=re.compile(
            r"failed to (?:mount|unmount|umount)|driver.*failed to (?:create|remove|mount|get|init)"
            r"|error (?:creating overlay mount|mounting|unmounting)|lchown"
        ),
        without=(
            "mount_callback",
            "mount callback",
            "eof",
            "timeout",
            "reset by",
            "canceled",
            "cgroup",
            "deadline",
        ),
    ),
)

RULES: Tuple[Rule, ...] = (*_RESOURCE, *_DISK_FULL, *_STALL, *_KERNEL_STORAGE, *_LAYER_STORAGE)
