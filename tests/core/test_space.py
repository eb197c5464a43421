"""The reserve of the disk: on a real small file system, filled and freed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.faults.disks import MIB, Disk, fullness, may_mount, small_disk
from tests.kit import Clock

from deskbell.store.space import Space, size_of

needs_mounts = pytest.mark.skipif(
    not may_mount(), reason="file systems cannot be mounted here: that takes root"
)


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Path]:
    """A disk of 40 MiB, of which 5 % are 2 MiB."""
    with small_disk(tmp_path / "disk", 40 * MIB) as folder:
        yield folder


@needs_mounts
def test_it_is_short_below_the_twentieth_part_and_says_what_to_do(small: Path) -> None:
    ballast = small / "ballast"
    clock = Clock()
    space = Space(small / "deskbell.db", clock=clock)
    ballast.write_bytes(bytes(37 * MIB))
    assert space.short() == ""
    ballast.write_bytes(bytes(39 * MIB))
    clock.now += 1
    assert space.short() == (
        f"the disk of {small} is nearly full: 1.0 MiB are free, and the last 2.0 MiB are kept for outcomes; "
        "free some space"
    )
    ballast.unlink()
    clock.now += 1
    assert space.short() == ""


@needs_mounts
def test_it_looks_once_a_second(small: Path) -> None:
    """It is asked for every event."""
    clock = Clock()
    space = Space(small / "deskbell.db", clock=clock)
    assert space.short() == ""
    (small / "ballast").write_bytes(bytes(39 * MIB))
    clock.now += 0.99
    assert space.short() == ""
    clock.now += 0.01
    assert space.short() != ""


@needs_mounts
@pytest.mark.parametrize(("left", "is_short"), [(66, False), (62, True)])
def test_on_a_large_disk_64_mib_are_enough(tmp_path: Path, left: int, *, is_short: bool) -> None:
    """5 % of 3 GiB would be 150 MiB."""
    with Disk(tmp_path / "disk", 3 * 1024 * MIB) as disk, fullness(disk.folder, free=left * MIB):
        assert (Space(disk.folder / "deskbell.db").short() != "") is is_short


def test_a_folder_that_cannot_be_looked_at_is_not_called_short(tmp_path: Path) -> None:
    """Writing will tell."""
    assert Space(tmp_path / "missing" / "deskbell.db").short() == ""


def test_the_size_counts_what_is_not_yet_in_the_main_file(tmp_path: Path) -> None:
    path = tmp_path / "deskbell.db"
    assert size_of(path) == 0
    path.write_bytes(bytes(4096))
    (tmp_path / "deskbell.db-wal").write_bytes(bytes(1000))
    (tmp_path / "other.db").write_bytes(bytes(10_000))
    assert size_of(path) == 5096
