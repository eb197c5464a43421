"""config.yaml -> ``deskbell.settings.Config``, with every problem at its line and what to do about it."""

from .load import Loaded, ReadConfig, load_config, read_plugins_dir, read_store_path
from .problem import Place, Problem, Severity, report, to_json
from .schema import json_schema
from .secrets_file import SECRETS_FILE, environment_beside
from .service import parse_listen

__all__ = [
    "SECRETS_FILE",
    "Loaded",
    "Place",
    "Problem",
    "ReadConfig",
    "Severity",
    "environment_beside",
    "json_schema",
    "load_config",
    "parse_listen",
    "read_plugins_dir",
    "read_store_path",
    "report",
    "to_json",
]
