"""Strict JSON: what RFC 8259 allows and nothing else, bounded in depth, numbers kept as they were written."""

from __future__ import annotations

import json
from typing import Any, NoReturn

from .errors import EventError

MAX_DEPTH = 32


def parse_json(body: bytes) -> Any:
    """Objects as dicts, arrays as lists, numbers as the **text** they were sent as (``25.00`` stays ``25.00``).

    ``EventError`` 400 when it is not JSON in UTF-8 or nested deeper than 32. A byte order mark is allowed.
    """
    try:
        data = _DECODER.decode(body.decode("utf-8-sig" if body.startswith(b"\xef\xbb\xbf") else "utf-8"))
    except UnicodeDecodeError as error:
        raise EventError(f"the body is not UTF-8 (byte {error.start})", status=400) from None
    except RecursionError:
        raise EventError(_TOO_DEEP, status=400) from None
    except ValueError as error:
        raise EventError(f"the body is not JSON: {error}", status=400) from None
    if _deeper_than(data, MAX_DEPTH):
        raise EventError(_TOO_DEEP, status=400)
    return data


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


_DECODER = json.JSONDecoder(parse_int=str, parse_float=str, parse_constant=_refuse_constant)
_TOO_DEEP = f"the body is nested deeper than {MAX_DEPTH}"


def _deeper_than(data: Any, levels: int) -> bool:
    if isinstance(data, dict):
        data = data.values()
    elif not isinstance(data, list):
        return False
    return levels == 0 or any(
        _deeper_than(item, levels - 1) for item in data if isinstance(item, (dict, list))
    )
