"""Disks that fail: small ones, read-only ones, ones whose power is cut, ones that answer with errors. Linux, as root."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import Self

MIB = 1024 * 1024
_ATTACHED = " attached"
_LAST_WORDS = 2.0
"""Seconds that strace has to end."""


@cache
def may_mount() -> bool:
    """Whether file systems can be made and mounted here."""
    if sys.platform != "linux" or os.getuid() != 0:
        return False
    with (
        tempfile.TemporaryDirectory() as folder,
        suppress(OSError, subprocess.CalledProcessError),
        small_disk(Path(folder, "small"), MIB),
        Disk(Path(folder, "disk"), 4 * MIB),
    ):
        return True
    return False


@cache
def may_trace() -> bool:
    """Whether the system calls of a running process can be traced here."""
    if not shutil.which("strace"):
        return False
    with subprocess.Popen(["sleep", "60"]) as other:
        try:
            with injected(other.pid, "trace=none"):
                return True
        except PermissionError:
            return False
        finally:
            other.kill()


@contextmanager
def mounted(folder: Path, *arguments: str) -> Iterator[Path]:
    """``mount ARGUMENTS folder``; at the end it is unmounted, whoever still uses it."""
    folder.mkdir(exist_ok=True)
    _run("mount", *arguments, str(folder))
    try:
        yield folder
    finally:
        _run("umount", "--lazy", str(folder))


@contextmanager
def small_disk(folder: Path, size: int) -> Iterator[Path]:
    """A file system of ``size`` bytes."""
    with mounted(folder, "-t", "tmpfs", "-o", f"size={size}", "tmpfs") as disk:
        yield disk


@contextmanager
def fullness(disk: Path, *, free: int) -> Iterator[None]:
    """Only ``free`` bytes are left on ``disk`` meanwhile."""
    ballast = disk / "ballast"
    with ballast.open("wb", buffering=0) as file:
        size, step = 0, max(1, _free(disk) - free)
        while step:
            try:
                os.posix_fallocate(file.fileno(), size, step)
                size += step
            except OSError:  # somebody else took some meanwhile
                step //= 2
            step = min(step, max(0, _free(disk) - free))
        yield
    ballast.unlink()


def _run(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True)


def _free(disk: Path) -> int:
    found = os.statvfs(disk)
    return found.f_bavail * found.f_frsize


class Disk:
    """An ext4 file system of ``size`` bytes in a sparse file, mounted at ``folder`` while the context is open.

    ``cut`` is a power cut at a disk without a battery: what the file system never sent to it is gone. The kernel keeps
    the pages that a process wrote until they are synced, or for about 30 s; they are not in the copy of the file.
    """

    def __init__(self, folder: Path, size: int) -> None:
        self.folder = folder
        self._size = size
        self._image = folder.with_name(f"{folder.name}.image")

    def __enter__(self) -> Self:
        self.folder.mkdir()
        self._image.touch()
        os.truncate(self._image, self._size)
        _run("mkfs.ext4", "-q", "-m", "0", str(self._image))
        self._mount()
        return self

    def __exit__(self, *_: object) -> None:
        _run("umount", "--lazy", str(self.folder))

    def snap(self) -> Path:
        """What is on the disk at this moment. Nobody should write meanwhile."""
        copy = self._image.with_suffix(".copy")
        _run("cp", "--sparse=always", str(self._image), str(copy))
        return copy

    def restore(self, copy: Path) -> None:
        """The machine starts again: the journal is replayed, and the disk holds what it held in ``copy``."""
        _run("umount", str(self.folder))
        copy.replace(self._image)
        self._mount()

    def _mount(self) -> None:
        _run("mount", "-o", "loop", str(self._image), str(self.folder))


@contextmanager
def injected(
    process: int, *rules: str, only: Path | None = None, log: Path | None = None
) -> Iterator[subprocess.Popen[str]]:
    """``strace -e RULE ...`` at every thread of a running process; ``only`` its calls on that file.

    ``PermissionError`` where processes may not be traced.
    """
    options = [part for rule in rules for part in ("-e", rule)]
    where = ["-P", str(only)] if only else []
    command: Sequence[str] = [
        "strace", "-f", *options, *where, "-o", str(log or os.devnull), "-p", str(process)
    ]  # fmt: skip
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as tracer:
        assert tracer.stderr
        line = tracer.stderr.readline()
        if _ATTACHED not in line:
            tracer.kill()
            raise PermissionError(line)
        try:
            yield tracer
        finally:
            _end(tracer)


def _end(tracer: subprocess.Popen[str]) -> None:
    """In order, so that it lets go of threads that go on. When all are dead it may wait for one for ever."""
    tracer.terminate()
    try:
        tracer.wait(_LAST_WORDS)
    except subprocess.TimeoutExpired:
        tracer.kill()


def is_dead(process: int) -> bool:
    """Whether a child has ended; while it is traced nobody may be told so yet."""
    return Path(f"/proc/{process}/stat").read_text("ascii").rpartition(")")[2].split()[0] == "Z"
