"""An independent trace of what a program does to the machine: strace, and how to read it."""

from __future__ import annotations

import re
from pathlib import Path

SIGNALS = "kill,tkill,tgkill,rt_sigqueueinfo,rt_tgsigqueueinfo,pidfd_send_signal"
CHANGES = "mount,umount2,move_mount,fsmount,setns,unshare,ptrace,process_vm_writev,reboot,pivot_root"
OPENS = "open,openat,creat"
WRITES = "rename,renameat,renameat2,link,linkat,symlink,symlinkat,unlink,unlinkat,mkdir,mkdirat,truncate"
TALK = "connect,sendto,sendmsg,write"

_UNFINISHED = " <unfinished ...>"
_RESUMED = re.compile(r"<\.\.\. \w+ resumed>")
_SENT = re.compile(
    r"(?:kill|rt_sigqueueinfo|pidfd_send_signal|tkill|(?:tgkill|rt_tgsigqueueinfo)\(\d+, )\(?"
    r"(?:\d+<pid:(?P<pidfd>-?\d+)>|(?P<pid>-?\d+)(?:<[^>]*>)?), (?P<signal>SIG[A-Z0-9]+).*\)\s+= 0"
)
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
        told = ["-s", "200", "--decode-fds=pidfd", "-e", f"trace={calls}"]
        return ["strace", *quick, *told, "-o", str(self.path)]

    def lines(self) -> list[str]:
        """A line for each call, also where another process came between its beginning and its end."""
        if not self.path.exists():
            return []
        whole: list[str] = []
        begun: dict[str, str] = {}
        for line in self.path.read_text(errors="replace").splitlines():
            pid = line.split(" ", 1)[0]
            resumed = _RESUMED.search(line)
            if line.endswith(_UNFINISHED):
                begun[pid] = line[: -len(_UNFINISHED)]
            elif resumed:
                whole.append(begun.pop(pid, f"{pid} ") + line[resumed.end() :])
            else:
                whole.append(line)
        return whole + list(begun.values())  # what never ended, such as the last call of a killed process

    def signals(self) -> list[str]:
        """The signals that were sent and not just asked about, by name, in order."""
        return [name for name, _ in self.signals_to()]

    def signals_to(self) -> list[tuple[str, int]]:
        """Each signal that was sent, and the pid of the process that got it."""
        calls = (_SENT.search(line) for line in self.lines())
        return [(call["signal"], int(call["pidfd"] or call["pid"])) for call in calls if call]

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
