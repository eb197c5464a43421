"""A fragment of HTML as a strict page takes it: well formed, of known elements and attributes only."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from urllib.parse import urlsplit

VOID = {"br", "hr"}
ELEMENTS = re.compile(
    "a|b|blockquote|br|code|del|div|em|h1|h2|h3|hr|i|li|ol|p|pre|s|small|span|strong|time|u|ul"
)
ATTRIBUTES = {
    "class": re.compile(r"[a-z0-9-]+(?: [a-z0-9-]+)*"),
    "href": re.compile(r"(?:https?://|mailto:)\S+", re.IGNORECASE),
    "rel": re.compile("noopener noreferrer nofollow"),
    "datetime": re.compile(r"-?\d+-\d\d-\d\dT\d\d:\d\d:\d\dZ"),
    "title": re.compile(".*"),
}


class Fragment(HTMLParser):
    """``paths`` of the elements, as in ``div.message/strong``; the ``words``; where the ``links`` lead; the ``times``."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.paths: list[str] = []
        self.words = ""
        self.links: list[str] = []
        self.times: list[str] = []
        self._open: list[str] = []
        self.feed(html)
        self.close()
        assert self._open == [], f"not closed: {self._open}"

    @property
    def kinds(self) -> set[str]:
        """The elements, each with its class, wherever they stand."""
        return {path.rpartition("/")[2] for path in self.paths}

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert ELEMENTS.fullmatch(tag), tag
        given = {name: value or "" for name, value in attrs}
        for name, value in given.items():
            assert ATTRIBUTES[name].fullmatch(value), (name, value)
        assert not (tag == "a" and any(name.startswith("a") for name in self._open)), "a link in a link"
        label = ".".join([tag, *given.get("class", "").split()])
        self.paths.append("/".join([*self._open, label]))
        self.links += [urlsplit(given["href"]).geturl()] if "href" in given else []
        self.times += [given["datetime"]] if "datetime" in given else []
        if tag in VOID:
            self.words += "\n"
        else:
            self._open.append(label)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop().partition(".")[0] == tag

    def handle_data(self, data: str) -> None:
        self.words += "" if self._open and self._open[-1] == "time" else data

    def handle_comment(self, data: str) -> None:
        raise AssertionError(data)

    def handle_decl(self, decl: str) -> None:
        raise AssertionError(decl)

    def handle_pi(self, data: str) -> None:
        raise AssertionError(data)

    def unknown_decl(self, data: str) -> None:
        raise AssertionError(data)
