"""The files that an owner begins with: config.yaml, secrets.env and deskbell.schema.json, and what goes into them."""

from __future__ import annotations
