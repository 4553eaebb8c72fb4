"""An independent trace of what a program does to the machine: strace, and how to read it."""

from __future__ import annotations

import re
from pathlib import Path

SIGNALS = "kill,tkill,tgkill,rt_sigqueueinfo,rt_tgsigqueueinfo,pidfd_send_signal"
CHANGES = "mount,umount2,move_mount,fsmount,setns,unshare,ptrace,process_vm_writev,reboot,pivot_root"
OPENS = "open,openat,creat"
WRITES = "rename,renameat,renameat2,link,linkat,symlink,symlinkat,unlink,unlinkat,mkdir,mkdirat,truncate"
TALK = "connect,sendto,sendmsg,write"

_SENT = re.compile(r"(kill|tkill|tgkill|rt_sigqueueinfo|rt_tgsigqueueinfo|pidfd_send_signal)\((.*)\)\s+= 0")
_SIGNAL_NAME = re.compile(r"\b(SIG[A-Z0-9]+)\b")
_OPENED = re.compile(r'(?:open|openat|creat)\(.*?"([^"]*)", ([A-Z_|]*O_(?:WRONLY|RDWR)[A-Z_|]*)')
_PATH_CHANGED = re.compile(
    r"(?:rename|renameat2?|link|linkat|symlink|symlinkat|unlink|unlinkat|mkdir|mkdirat|truncate)"
    r'\(.*"([^"]*)".*\)\s+= 0'
)
# strace names the message only where it can find out the socket's netlink family.
_DESTROYS = re.compile(r"nlmsg_type=(?:SOCK_DESTROY|0x15\b)")
_HTTP = re.compile(r'"(HEAD|GET|POST|PUT|DELETE|PATCH) (/\S*)')


class Trace:
    """One strace output file.  `command` runs a program under it without becoming its parent."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @property
    def command(self) -> list[str]:
        calls = ",".join((SIGNALS, CHANGES, OPENS, WRITES, TALK))
        quick = ["-f", "--seccomp-bpf", "-D", "-qq"]  # only these calls stop, so that it stays quick
        return ["strace", *quick, "-s", "200", "-o", str(self.path), "-e", f"trace={calls}"]

    def lines(self) -> list[str]:
        return self.path.read_text(errors="replace").splitlines() if self.path.exists() else []

    def signals(self) -> list[str]:
        """The signals that were sent and not just asked about, by name, in order."""
        sent = []
        for line in self.lines():
            call = _SENT.search(line)
            name = _SIGNAL_NAME.search(call.group(2)) if call else None
            if name:
                sent.append(name.group(1))
        return sent

    def changes(self) -> list[str]:
        """Calls that change mounts, namespaces or other processes."""
        names = tuple(f" {name}(" for name in CHANGES.split(","))
        return [line for line in self.lines() if any(name in line for name in names)]

    def written_outside(self, *folders: Path) -> list[str]:
        """Paths that were opened for writing or changed outside these folders.  /dev is not a disk."""
        allowed = (*map(str, folders), "/dev/")
        lines = (line for line in self.lines() if "= -1 " not in line)
        matches = (_OPENED.search(line) or _PATH_CHANGED.search(line) for line in lines)
        return [match[1] for match in matches if match and not match[1].startswith(allowed)]

    def questions(self) -> list[str]:
        """The HTTP requests that were sent, such as "GET /info"."""
        return [f"{match[1]} {match[2]}" for line in self.lines() for match in [_HTTP.search(line)] if match]

    def questions_that_change(self) -> list[str]:
        """HTTP requests that do not only ask, and destroyed sockets, and talk to the message bus."""
        found = [one for one in self.questions() if not one.startswith(("GET ", "HEAD "))]
        found += [line for line in self.lines() if _DESTROYS.search(line)]
        return found + [line for line in self.lines() if "/dbus/" in line or "/systemd/private" in line]
