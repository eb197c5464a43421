"""A config that is being edited: what it says now, what would change, and the way to the disk."""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from deskbell.config import Problem, ReadConfig
from deskbell.config.document import MAX_BYTES, UnreadableError, read_text
from deskbell.config.masking import Masks
from deskbell.config.problem import KeyPath

from . import saving, shown, splice, writing
from .errors import EditError, TakenError
from .layout import Layout, is_block
from .values import as_data, as_meant, same, says, without_ends

if TYPE_CHECKING:
    from deskbell.transport import Transport

_MARK = b"\xef\xbb\xbf"
"""The byte order mark that some editors begin a file with."""


class Draft:
    """One edit of one file, in memory until ``save``. Every method raises ``EditError`` and changes nothing then.

    Values are what the owner means: ``${NAME}`` is a reference, any other ``$`` a dollar; ``Literal`` has no references.
    """

    def __init__(self, path: Path, raw: bytes, layout: Layout) -> None:
        self._path = path
        self._raw = raw
        self._old = self._new = layout

    @classmethod
    def of(cls, path: Path, *, revision: str = "") -> Draft:
        """Read ``path``. With a ``revision`` (of an earlier draft), only if the file is still that one."""
        try:
            text = read_text(path)
            raw = path.read_bytes()
        except UnreadableError as error:
            raise EditError(f"{path}: {error}", "mend that by hand") from None
        except OSError:
            raise saving.changed(path) from None
        if raw.removeprefix(_MARK) != text.encode():
            raise saving.changed(path)  # between the two
        draft = cls(path, raw, Layout(text))
        if revision and revision != draft.revision:
            raise saving.changed(path)
        return draft

    @property
    def revision(self) -> str:
        """Tells the file that was read from any other: SHA-256 in hex."""
        return hashlib.sha256(self._raw).hexdigest()

    @property
    def text(self) -> str:
        """The new file, without a byte order mark."""
        return self._new.text

    @property
    def changed(self) -> bool:
        """True when there is something to save."""
        return self._new.text != self._old.text

    @property
    def webhooks(self) -> tuple[Mapping[str, Any], ...]:
        """The webhooks as they are now, in the order of the file; an entry that is no mapping is an empty one."""
        return tuple(self._meant(index) for index in range(len(self._new.entries)))

    def add_webhook(self, entry: Mapping[str, Any]) -> None:
        """One more webhook, behind the others; its keys in the usual order."""
        data = as_keys(entry)
        if not isinstance(data.get("name"), str):
            raise EditError("a new webhook needs a name", "give it one")
        self._refuse_taken(data["name"])
        expected = {**self._new.data, "webhooks": [*self._new.entries, data]}
        self._take(expected, lambda: splice.with_entry(self._unfolded(), data))

    def change_webhook(self, name: str, changes: Mapping[str, Any]) -> None:
        """Other values of some keys; None takes a key out. What is equal already stays as it is written."""
        index, before = self._index(name), self._new
        entry = self._new.entries[index]
        if "name" in changes and changes["name"] != name:
            self._refuse_taken(changes["name"], index)
        try:
            for key, value in changes.items():
                data = as_data(value, key)
                if value is None or key not in entry or not says(entry[key], data, key):
                    self._change(("webhooks", index, key), data)
        except EditError:
            self._new = before
            raise

    def rename_webhook(self, name: str, new: str) -> None:
        """Another name; what waits for the old one is the caller's matter."""
        self.change_webhook(name, {"name": new})

    def switch_webhook(self, name: str, *, enabled: bool) -> None:
        """On or off; where nothing is said, a webhook is on, and nothing need be written."""
        if enabled or self._meant(self._index(name)).get("enabled") is not False:
            said = "enabled" in self._meant(self._index(name))
            self.change_webhook(name, {"enabled": enabled} if said or not enabled else {})

    def move_webhook(self, name: str, index: int) -> None:
        """To another place, counted from 0: with the comments directly above it and those indented into it."""
        at, entries = self._index(name), list(self._new.entries)
        if not 0 <= index < len(entries):
            raise EditError(f"there is no place {index}", f"the places are 0 to {len(entries) - 1}")
        entries.insert(index, entries.pop(at))
        self._take({**self._new.data, "webhooks": entries}, lambda: splice.moved(self._unfolded(), at, index))

    def remove_webhook(self, name: str) -> None:
        """Without this webhook; the comments above it stay."""
        index = self._index(name)
        entries = [entry for number, entry in enumerate(self._new.entries) if number != index]
        expected = {**self._new.data, "webhooks": entries}
        self._take(expected, lambda: splice.without_entry(self._unfolded(), index))

    def diff(self, transports: Iterable[Transport[Any]] = ()) -> list[str]:
        """A unified diff, masked as ``deskbell check`` masks lines with these transports; empty without changes."""
        return list(shown.diff(self._old.document, self._new.document, Masks(transports), self._path.name))

    def problems(self, read: ReadConfig) -> tuple[Problem, ...]:
        """What ``deskbell check`` will say of the new file."""
        return read(self._path, self.text).problems

    def save(self) -> None:
        """Replace the file, and keep the old one as ``….bak``; without changes, nothing is written.

        ``EditError`` when the file is not what was read. Afterwards the draft is one of the new file.
        """
        if not self.changed:
            return
        new = self._bytes
        if len(new) > MAX_BYTES:
            raise EditError(f"the config would be larger than {MAX_BYTES // 1024} KiB", "shorten it")
        saving.replace(self._path, self._raw, new)
        self._raw, self._old = new, self._new

    @property
    def _bytes(self) -> bytes:
        mark = _MARK if self._raw.startswith(_MARK) else b""
        return mark + self._new.text.encode()

    def _meant(self, index: int) -> dict[str, Any]:
        entry = self._new.entries[index]
        return {key: as_meant(value, key) for key, value in entry.items()} if isinstance(entry, dict) else {}

    def _index(self, name: str) -> int:
        found = [
            index
            for index in range(len(self._new.entries))
            if str(self._meant(index).get("name", "")) == name
        ]
        if not found:
            raise EditError(
                f"there is no webhook {name!r} in {self._path}", "`deskbell check` shows their names"
            )
        if len(found) > 1:
            raise EditError(f"{len(found)} webhooks are called {name!r}", "give them different names by hand")
        return found[0]

    def _refuse_taken(self, name: Any, own: int | None = None) -> None:
        for index in range(len(self._new.entries)):
            if index != own and str(self._meant(index).get("name")).casefold() == str(name).casefold():
                raise TakenError(f"there is a webhook {name!r} already", "give it another name")

    def _change(self, path: KeyPath, value: Any) -> None:
        """Set or (None) take out one key: of a mapping with a line a key, only the keys that differ."""
        pair = self._new.pair(path)
        old = self._at(path)
        if pair and is_block(pair[1]) and isinstance(old, dict) and isinstance(value, dict) and value:
            for key in {**old, **value}:
                if key not in value or key not in old or not same(old[key], value[key]):
                    self._change((*path, key), value.get(key))
        elif pair is not None or value is not None:
            self._write(path, value)

    def _write(self, path: KeyPath, value: Any) -> None:
        expected = copy.deepcopy(self._new.data)
        entry = holder = expected["webhooks"][path[1]]
        for part in path[2:-1]:
            holder = holder[part]
        if value is None:
            del holder[path[-1]]
        else:
            holder[path[-1]] = value
        self._take(expected, lambda: self._spliced(path, value), lambda: self._rewritten(path, entry))

    def _at(self, path: KeyPath) -> Any:
        data = self._new.data
        for part in path:
            data = data.get(part) if isinstance(data, dict) else data[part]
        return data

    def _spliced(self, path: KeyPath, value: Any) -> str:
        layout = self._unfolded()
        if not is_block(layout.node(path[:-1])):
            raise EditError("a mapping in braces holds no block")
        if value is None:
            return splice.without_key(layout, path)
        return splice.with_value(layout, path, value)

    def _rewritten(self, path: KeyPath, entry: Any) -> str:
        return splice.rewritten(self._unfolded(), int(path[1]), entry)

    def _unfolded(self) -> Layout:
        return Layout(splice.in_block_style(self._new))

    def _take(self, expected: Any, *ways: Callable[[], str]) -> None:
        """The first text that deskbell reads as what is expected: no edit is trusted before it was read again."""
        for way in ways:
            try:
                found = Layout(way())
            except (EditError, IndexError, ValueError):
                continue
            if same(without_ends(found.data), without_ends(expected)):
                self._new = found
                return
        raise EditError("this edit cannot be written into the file as it is", "edit it by hand")


def as_lines(entry: Mapping[str, Any]) -> list[str]:
    """A webhook as it would stand below ``webhooks:``, for owners to paste."""
    return writing.entry(as_keys(entry), writing.STEP, 2 * writing.STEP)


def as_keys(entry: Mapping[str, Any]) -> dict[str, Any]:
    """A new webhook's data in the usual order, without the keys that say nothing."""
    data = {key: as_data(value, key) for key, value in entry.items() if value is not None}
    return {key: data[key] for key in writing.in_order(data)}
