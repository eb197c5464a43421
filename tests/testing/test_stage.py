"""Where transports are put to the test: nothing leaves the machine, whoever sends; and what the checks say there."""

from __future__ import annotations

import http.client
import socket
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from tests.testing.sites import BELL, install

import deskbell
from deskbell.discovery import find_candidates
from deskbell.testing.checks import Verdict, judge
from deskbell.testing.guard import only_this_machine
from deskbell.testing.import_report import ImportReport, import_report
from deskbell.testing.picture import Picture
from deskbell.testing.stage import CANARY, Reply, TransportCase, on_stage
from deskbell.testing.transport_checks import TRANSPORT_CHECKS


class Plain(deskbell.Transport):
    """Posts a text."""

    name = "plain"
    max_length = 1000

    def format(self, notice: deskbell.Notice, _: deskbell.Options) -> deskbell.Payload:
        return {"text": notice.text(escape=deskbell.plain, limit=self.max_length)}


class Own(Plain):
    """Has a client of its own, on the loop."""

    name = "own"

    async def send(
        self, payload: deskbell.Payload, context: deskbell.SendContext[deskbell.Options]
    ) -> deskbell.Outcome:
        return asked_by_hand(payload, context)


class Blocking(Own):
    """Has a client of its own, and says so."""

    name = "blocking"
    blocking = True

    async def probe(self, context: deskbell.SendContext[deskbell.Options]) -> deskbell.Outcome | None:
        return asked_by_hand(None, context)


def asked_by_hand(
    payload: deskbell.Payload | None, context: deskbell.SendContext[deskbell.Options]
) -> deskbell.Outcome:
    """As a library does that knows nothing of deskbell: with sockets, one after the other."""
    host, _, path = context.url.reveal().removeprefix("http://").partition("/")
    connection = http.client.HTTPConnection(host, timeout=5)
    try:
        method, body = ("POST", repr(payload).encode()) if payload else ("GET", None)
        connection.request(method, f"/{path}", body, {"Content-Type": "text/plain"})
        answer = connection.getresponse()
        headers = {name.lower(): value for name, value in answer.getheaders()}
        return deskbell.classify_response(deskbell.Response(answer.status, headers, answer.read()))
    except (OSError, http.client.HTTPException) as error:
        raise deskbell.SendError(type(error).__name__) from None
    finally:
        connection.close()


def case_of(
    transport: deskbell.Transport, url: str = f"https://service.example/hooks/{CANARY}"
) -> TransportCase:
    return TransportCase(transport=transport, url=url, module=__name__)


def verdict(name: str, case: TransportCase) -> Verdict:
    return next(judge(check, case) for check in TRANSPORT_CHECKS if check.name == name)


async def test_every_request_goes_to_the_stage_whatever_its_url() -> None:
    async with on_stage(case_of(Plain())) as stage:
        stage.answer = Reply(201, "made")
        assert await stage.send() == deskbell.Delivered(detail="201 made")
        assert stage.asked == [f"https://service.example/hooks/{CANARY}"]
        assert [(each.method, each.path) for each in stage.received] == [("POST", f"/hooks/{CANARY}")]
        assert stage.received[0].json() == stage.case.payload()
        assert stage.watch.strayed == []


def test_what_would_leave_the_machine_is_stopped_before_a_name_is_looked_up() -> None:
    with only_this_machine(1) as watch:
        with pytest.raises(OSError, match="unreachable"):
            socket.create_connection(("service.example", 443))
        with socket.socket() as reaching, pytest.raises(OSError, match="unreachable"):
            reaching.connect(("192.0.2.1", 80))
        with socket.socket(type=socket.SOCK_DGRAM) as telling, pytest.raises(OSError, match="unreachable"):
            telling.sendto(b"x", ("192.0.2.1", 53))
        assert watch.strayed == ["service.example:443", "192.0.2.1:80", "192.0.2.1:53"]


async def test_the_guard_lets_go_when_the_stage_is_struck() -> None:
    with only_this_machine(1) as watch:
        pass
    async with TestServer(web.Application()) as server:
        socket.create_connection((server.host, server.port or 0)).close()
    assert watch.strayed == []


def test_a_client_of_its_own_is_found_even_on_this_machine() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        elsewhere = f"http://127.0.0.1:{other.getsockname()[1]}/"

        class Astray(Plain):
            async def send(self, payload: Any, context: Any) -> deskbell.Outcome:
                socket.create_connection(other.getsockname()).close()
                return await super().send(payload, context)

        found = verdict("only_the_context_is_used", case_of(Astray()))
    assert elsewhere.removeprefix("http://").rstrip("/") in found.why


def test_a_blocking_transport_is_sent_to_the_stage_by_its_url() -> None:
    case = case_of(Blocking(), f"http://{{server}}/hooks/{CANARY}")
    verdicts = {check.name: judge(check, case) for check in TRANSPORT_CHECKS if check.level != "gold"}
    broken = {name for name, found in verdicts.items() if found.met is False}
    assert broken - {"import_is_quick"} == {"plugin_is_found", "api_version_is_declared"}  # it is no plugin
    left_out = {name for name, found in verdicts.items() if found.met is None and "blocking" in found.why}
    assert left_out == {
        "silence_is_temporary",
        "unknown_hosts_are_temporary",
        "tls_failures_are_temporary",
        "only_the_context_is_used",
        "cancellation_passes",
    }


def test_a_blocking_transport_may_ask_whether_its_webhook_is_alive() -> None:
    case = case_of(Blocking(), f"http://{{server}}/hooks/{CANARY}")
    found = [verdict(name, case) for name in ("probe_finds_a_dead_webhook", "probe_knows_a_living_webhook")]
    assert [(each.met, each.why) for each in found] == [(True, ""), (True, "")]


def test_payloads_are_asked_for_in_a_contract_only() -> None:
    case = case_of(Plain())
    assert verdict("golden_payloads_match", case).met is None
    assert verdict("golden_payloads_match", replace(case, by_author=True)).met is False


@pytest.fixture
def live(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    return lambda url: monkeypatch.setenv("DESKBELL_LIVE_PLAIN", url)


async def test_a_live_message_is_sent_where_the_variable_says(live: Callable[[str], None]) -> None:
    bodies = list[str]()

    async def take(request: web.Request) -> web.Response:
        bodies.append(await request.text())
        return web.Response(status=200 if request.path == "/right" else 404)

    app = web.Application()
    app.router.add_post("/{path}", take)
    check = next(check for check in TRANSPORT_CHECKS if check.name == "live_message_arrives")
    async with TestServer(app) as server:
        live(str(server.make_url("/right")))
        await check.run(case_of(Plain()))  # type: ignore[misc]
        assert len(bodies) == 1
        live(str(server.make_url("/wrong")))
        with pytest.raises(AssertionError, match="the real service took no message: DestinationGone"):
            await check.run(case_of(Plain()))  # type: ignore[misc]


def test_a_file_of_plugins_dir_needs_no_entry_point_and_is_looked_at_by_its_path(tmp_path: Path) -> None:
    (tmp_path / "bell.py").write_text(BELL, "utf-8")
    module = next(each for each in find_candidates(tmp_path, []) if each.origin.name == "bell").load()
    transport: type[deskbell.Transport[Any]] = module.Bell  # type: ignore[attr-defined]
    case = replace(case_of(transport()), module=transport.__module__)
    import_report.cache_clear()
    assert verdict("plugin_is_found", case).met is None
    assert verdict("package_is_typed", case).met is None
    assert [verdict(name, case).met for name in ("import_is_quiet", "import_is_quick")] == [True, True]


@pytest.mark.parametrize(
    ("tries", "met"),
    [
        ([(20.0, 40.0)], True),  # however slow the machine is
        ([(0.1, 0.1)] * 3, False),  # and however quick
        ([(0.3, 0.1), (0.3, 0.1), (0.01, 0.1)], True),  # compiled, or held up
    ],
)
def test_an_import_is_measured_by_deskbells_own_and_tried_again_before_it_is_called_slow(
    tries: list[tuple[float, float]], met: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    reports = [ImportReport(seconds=seconds, own=own) for seconds, own in tries]
    monkeypatch.setattr("deskbell.testing.import_report.report_on", lambda _: reports.pop(0))
    found = verdict("import_is_quick", case_of(Plain()))
    assert found.met is met
    assert reports == []
    assert met or "0.10 s of the processor; deskbell itself takes 0.10 s here" in found.why


def test_a_package_without_entry_point_and_marker_is_told_both(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(tmp_path, "deskbell-unseen", {"deskbell_unseen": BELL}, typed=False)
    (tmp_path / "deskbell-unseen-1.0.dist-info" / "entry_points.txt").unlink()
    monkeypatch.syspath_prepend(tmp_path)
    unseen = __import__("deskbell_unseen")
    case = replace(case_of(unseen.Bell()), module="deskbell_unseen")
    assert "pip install -e ." in verdict("plugin_is_found", case).why
    assert "add an empty file" in verdict("package_is_typed", case).why


@pytest.mark.parametrize(
    ("html", "fault"),
    [
        ("<script>x</script>", "<script> is none of PICTURE_TAGS"),
        ("<img src=x>", "<img> is none of PICTURE_TAGS"),
        ("<p onclick=x>a</p>", "onclick= of <p> is none of PICTURE_ATTRIBUTES"),
        ("<a href='javascript:x'>a</a>", "href='javascript:x' has none of PICTURE_SCHEMES"),
        ("<a href='//evil.example'>a</a>", "href='//evil.example' has none of PICTURE_SCHEMES"),
        ("<p><b>a</p></b>", "</p> closes <b>"),
        ("<p>a", "<p> is not closed"),
        ("a</p>", "</p> closes nothing"),
        ("<!-- a -->", "<!-- a "),
        ("<!DOCTYPE html>", "<!DOCTYPE html"),
    ],
)
def test_a_picture_may_hold_what_is_listed_and_no_more(html: str, fault: str) -> None:
    assert fault in Picture(html).faults


def test_a_picture_is_read_as_a_browser_reads_it() -> None:
    picture = Picture(
        '<div class="x">a &lt;b&gt;<br/><a href="https://x.example/" rel="nofollow">c</a></div>'
    )
    assert (picture.faults, picture.text, picture.elements) == ([], "a <b>c", ["div", "br"])
