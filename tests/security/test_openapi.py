"""docs/openapi.yaml says what the routes are, and every answer to whatever schemathesis makes of it is as it says."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from tests.conftest import TOKEN

from deskbell.receiver import Receiver
from deskbell.refusals import Refusals

if TYPE_CHECKING:
    from tests.conftest import Serve

OPENAPI = Path(__file__).resolve().parents[2] / "docs" / "openapi.yaml"
SPECIFICATION: dict[str, Any] = yaml.safe_load(OPENAPI.read_text("utf-8"))
SCHEMATHESIS = Path(sys.executable).with_name("schemathesis")
CHECKS = (
    "not_a_server_error", "status_code_conformance", "content_type_conformance", "response_headers_conformance",
    "response_schema_conformance", "unsupported_method", "ignored_auth",
)  # fmt: skip
EXAMPLES = 200
"""Of each operation, in each of the two ways to make them: what the schema allows, and what it does not."""
KNOWN = f"""\
[parameters]
source = "clientxcms"
"path.token" = "{TOKEN}"
"""
WITH_TOKEN = f'headers = {{ Authorization = "Bearer {TOKEN}" }}\n'
DEMO = '  - {name: a, url: "demo:discord", transport: discord, action: "*", message: "%subject%"}\n'

needs_schemathesis = pytest.mark.skipif(
    not SCHEMATHESIS.exists(), reason="schemathesis is not installed: pip install 'deskbell[fuzz]'"
)


def test_the_document_has_every_route_of_the_receiver_and_no_other() -> None:
    async def accept(*_: Any, **__: Any) -> Any:
        raise AssertionError("routes are read, nothing is sent")

    receiver = Receiver({}, accept=accept, ready=dict, metrics=lambda: (b"", ""), refusals=Refusals())
    resources = {resource.canonical for resource in receiver.app().router.resources()}
    assert resources == set(SPECIFICATION["paths"])


def test_every_operation_tells_of_what_is_no_http() -> None:
    operations = [
        operation
        for path in SPECIFICATION["paths"].values()
        for method, operation in path.items()
        if method != "parameters"
    ]
    assert len(operations) == 5
    for operation in operations:
        assert {"400", "417"} <= set(operation["responses"])


@needs_schemathesis
@pytest.mark.parametrize(
    ("configured", "least"), [(WITH_TOKEN + KNOWN, 400), ("", 300)], ids=["a good sender", "anybody"]
)
def test_no_request_gets_an_answer_that_the_document_does_not_name(
    serve: Serve, config_file: Callable[[str], Path], tmp_path: Path, configured: str, least: int
) -> None:
    config_file(f"webhooks:\n{DEMO}")
    (tmp_path / "schemathesis.toml").write_text(configured, "utf-8")
    server = serve()
    command = [
        str(SCHEMATHESIS), "--no-color", "--config-file", "schemathesis.toml", "run", str(OPENAPI),
        "--url", server.address, "--max-examples", str(EXAMPLES), "--mode", "all",
        "--phases", "examples,coverage,fuzzing", "--checks", ",".join(CHECKS),
        "--continue-on-failure", "--generation-database", ":memory:",
    ]  # fmt: skip
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stdout
    made = re.search(r"(\d+) generated", done.stdout)
    assert made, done.stdout
    assert int(made[1]) > least, done.stdout
    assert server.end() == 0
    assert " ERROR " not in server.log()
