"""Read a recording of system calls: did the disk confirm between a request and its 202? Knows nothing of deskbell.

The recording is ``strace -f -s 48 -e trace=CALLS -o FILE``. An accepted event is safe from a power cut only when,
after the last byte of its request was read, something was written to the store, then synced, and the sync had
returned before the first byte of the 202 was written.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

CALLS = "read,recvfrom,recvmsg,write,writev,sendto,sendmsg,pwrite64,pwritev,fdatasync,fsync"
"""What ``strace`` must record."""
_LINE = re.compile(r"(\d+) +(<\.\.\. )?(\w+)(?:\(| resumed>)(.*?)( <unfinished \.\.\.>)?$")
_DESCRIPTOR = re.compile(r"\d+")
_WRITES = ("pwrite64", "pwritev")
_SYNCS = ("fdatasync", "fsync")


class _Disk:
    """What is known to be on the disk, as the recording is read. Every number is that of a line."""

    def __init__(self) -> None:
        self.asked = dict[str, int]()  # by connection: when its request had been read
        self.answers = 0
        self._begun = dict[str, tuple[int, str, int]]()  # by thread: its call, and what was written by then
        self._written = self._safe = 0  # when the last write began; the last one that is on the disk

    def begin(self, number: int, thread: str, arguments: str) -> bool:
        """A call begins; false when it is a 202 for what is not on the disk."""
        self._begun[thread] = (number, arguments, self._written)
        descriptor = _DESCRIPTOR.match(arguments)
        if '"HTTP/1.1 202' not in arguments or not descriptor:
            return True
        self.answers += 1
        return self._safe > self.asked.get(descriptor[0], number)

    def end(self, number: int, thread: str, name: str, result: str) -> None:
        """A call returns."""
        began, arguments, written = self._begun.get(thread, (0, "", 0))
        descriptor = _DESCRIPTOR.match(arguments)
        if name in _WRITES:
            self._written = began
        elif name in _SYNCS and result.endswith(" = 0"):
            self._safe = max(self._safe, written)
        elif name.startswith(("read", "recv")) and descriptor and " = -1 " not in result:
            self.asked[descriptor[0]] = number


def unsynced(trace: Path) -> Iterator[str]:
    """Each 202 that came before its sync; and a recording that shows no 202 at all."""
    disk = _Disk()
    for number, line in enumerate(trace.read_text("utf-8", "replace").splitlines(), 1):
        if not (call := _LINE.match(line)):
            continue
        thread, resumed, name, rest, unfinished = call.groups()
        if not resumed and not disk.begin(number, thread, rest):
            yield f"the 202 in line {number} was not on the disk: {line[:80]}"
        if not unfinished:
            disk.end(number, thread, name, rest)
    if not disk.answers:
        yield "the recording shows no 202"
