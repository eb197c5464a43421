"""What the HTML of ``Transport.picture`` may hold. deskbell's pages show it and rely on these rules."""

from __future__ import annotations

from collections.abc import Sequence
from html.parser import HTMLParser
from urllib.parse import urlsplit

PICTURE_TAGS = frozenset(
    "a b blockquote br code del div em h1 h2 h3 hr i li ol p pre s small span strong time u ul".split()  # noqa: SIM905
)
"""Elements of a picture."""
PICTURE_ATTRIBUTES = frozenset({"class", "datetime", "dir", "href", "lang", "rel", "title"})
"""Their attributes. No ``style``, no ``id``, nothing that is loaded or run."""
PICTURE_SCHEMES = frozenset({"http", "https", "mailto"})
"""Where an ``href`` may lead."""
_VOID = frozenset({"br", "hr"})


class Picture(HTMLParser):
    """A picture, read: ``faults`` in it, its ``text``, and its ``elements`` in order (no links: they come and go)."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.faults = list[str]()
        self.text = ""
        self.elements = list[str]()
        self._open = list[str]()
        self.feed(html)
        self.close()
        self.faults += (f"<{tag}> is not closed" for tag in self._open)

    def handle_starttag(self, tag: str, attrs: Sequence[tuple[str, str | None]]) -> None:
        """An element begins."""
        self._judge(tag, attrs)
        if tag != "a":
            self.elements.append(tag)
        if tag not in _VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: Sequence[tuple[str, str | None]]) -> None:
        """``<br/>``: to a browser, the slash says nothing."""
        self.handle_starttag(tag, attrs)

    def handle_endtag(self, tag: str) -> None:
        """An element ends: the innermost one."""
        if not self._open or self._open[-1] != tag:
            self.faults.append(f"</{tag}> closes {f'<{self._open[-1]}>' if self._open else 'nothing'}")
        elif self._open:
            self._open.pop()

    def handle_data(self, data: str) -> None:
        """Text."""
        self.text += data

    def handle_comment(self, data: str) -> None:
        """Something a picture has no use for."""
        self.faults.append(f"<!--{data[:20]}")

    def handle_decl(self, decl: str) -> None:
        """Likewise."""
        self.faults.append(f"<!{decl[:20]}")

    def handle_pi(self, data: str) -> None:
        """Likewise."""
        self.faults.append(f"<?{data[:20]}")

    def unknown_decl(self, data: str) -> None:
        """Likewise."""
        self.faults.append(f"<![{data[:20]}")

    def _judge(self, tag: str, attrs: Sequence[tuple[str, str | None]]) -> None:
        if tag not in PICTURE_TAGS:
            self.faults.append(f"<{tag}> is none of PICTURE_TAGS")
        for name, value in attrs:
            if name not in PICTURE_ATTRIBUTES:
                self.faults.append(f"{name}= of <{tag}> is none of PICTURE_ATTRIBUTES")
            elif name == "href" and not _leads_to_the_web(value or ""):
                self.faults.append(f"href={value!r} has none of PICTURE_SCHEMES")


def _leads_to_the_web(url: str) -> bool:
    try:
        return urlsplit(url.strip()).scheme.casefold() in PICTURE_SCHEMES
    except ValueError:
        return False
