"""Templates and static files: read once, from the package; everything in a template is escaped unless it says not."""

from __future__ import annotations

import asyncio
import hashlib
import json
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from aiohttp import web

if TYPE_CHECKING:
    from jinja2 import Environment

_TYPES = {"css": "text/css", "js": "text/javascript", "svg": "image/svg+xml"}
_FOR_EVER = "public, max-age=31536000, immutable"
_HASH_LENGTH = 12


async def render(template: str, **values: Any) -> str:
    """The HTML of ``template``. The first one loads jinja2 and reads them all, which takes its time: so in a thread."""
    environment = await asyncio.to_thread(_environment) if not _loaded() else _environment()
    return environment.get_template(template).render(values)


def _loaded() -> bool:
    return _environment.cache_info().currsize > 0


@cache
def _environment() -> Environment:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("deskbell.web"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,  # else each page asks the disk for each of its templates
    )
    environment.globals["static"] = static_url
    environment.filters["json"] = _json
    for name in environment.list_templates(extensions=["html"]):
        environment.get_template(name)
    return environment


def _json(value: Any) -> str:
    """JSON as people read it."""
    return json.dumps(value, ensure_ascii=False, indent=2)


@cache
def static_url(name: str) -> str:
    """The address of a static file, which changes with the file."""
    return f"/static/{hashlib.sha256(_static(name)).hexdigest()[:_HASH_LENGTH]}/{name}"


@cache
def _static(name: str) -> bytes:
    return (files(__package__) / "static" / name).read_bytes()


@cache
def static_names() -> frozenset[str]:
    """Every file that pages may load."""
    return frozenset(path.name for path in (files(__package__) / "static").iterdir())


async def get_static(request: web.Request) -> web.StreamResponse:
    """One of them."""
    name = request.match_info["name"]
    if name not in static_names():
        raise web.HTTPNotFound
    kind = _TYPES[name.rpartition(".")[2]]
    return web.Response(
        body=_static(name), content_type=kind, charset="utf-8", headers={"Cache-Control": _FOR_EVER}
    )
