"""What reaches stderr: one line a record, no secret in it, whoever logs and whatever is logged."""

from __future__ import annotations

import logging
import re
import subprocess
import sys
import warnings
from collections.abc import Iterator
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deskbell import Secret, log
from deskbell.errors import ConfigError
from deskbell.log import configure_logging, one_line, protect, redact

WEBHOOK = "https://discord.example/api/webhooks/1130/Xq3-tokenTokenToken_42?thread_id=7"
TOKEN = "Xq3-tokenTokenToken_42"
LINE = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z [A-Z]+ [\w.]+: .*")


@pytest.fixture(autouse=True)
def _own_logging() -> Iterator[None]:
    """Give the process its logging, and what it must not print, back as they were."""
    protected = set(log._protected)
    root, access = logging.getLogger(), logging.getLogger("aiohttp.access")
    handlers, levels = root.handlers[:], (root.level, access.level)
    yield
    root.handlers[:] = handlers
    root.setLevel(levels[0])
    access.setLevel(levels[1])
    logging.captureWarnings(capture=False)
    log._protected.intersection_update(protected)
    log._known_secrets.cache_clear()


class TestLine:
    def test_has_time_level_logger_and_message(self, capsys: pytest.CaptureFixture[str]) -> None:
        configure_logging()
        logging.getLogger("deskbell.lane").warning("webhook %s waits %d s", "support", 30)
        line = capsys.readouterr().err
        assert LINE.fullmatch(line.rstrip("\n"))
        assert line.endswith("Z WARNING deskbell.lane: webhook support waits 30 s\n")

    @pytest.mark.parametrize(
        ("hostile", "shown"),
        [
            ("a\r\nERROR forged", r"a\r\nERROR forged"),
            ("\x1b[31mred", r"\x1b[31mred"),
            ("\x00\x07\x7f", r"\x00\x07\x7f"),
            ("\x85\x9b", r"\x85\x9b"),
            ("\u2028\u2029", r"\u2028\u2029"),
            ("\u202egnp.exe", r"\u202egnp.exe"),
            ("\u2066\u200b\ufeff", r"\u2066\u200b\ufeff"),
            ("\udc80", r"\udc80"),
            ("Créé à Zürich: 5 € 🎉", "Créé à Zürich: 5 € 🎉"),
        ],
    )
    def test_cannot_be_forged_by_what_is_logged(
        self, capsys: pytest.CaptureFixture[str], hostile: str, shown: str
    ) -> None:
        configure_logging()
        logging.getLogger("x").info("ticket %s", hostile)
        assert capsys.readouterr().err.endswith(f"INFO x: ticket {shown}\n")

    @given(st.text(st.characters(exclude_categories=[])))
    def test_is_one_line_for_any_text(self, text: str) -> None:
        shown = one_line(text)
        assert len(shown.splitlines()) == bool(text)
        assert shown.encode("utf-8").decode("utf-8") == shown  # no lone surrogate is left

    def test_holds_the_whole_traceback(self, capsys: pytest.CaptureFixture[str]) -> None:
        configure_logging()
        try:
            raise LookupError("two\nlines")
        except LookupError:
            logging.getLogger("x").exception("it failed")
        line = capsys.readouterr().err
        assert line.count("\n") == 1
        assert r"it failed\nTraceback (most recent call last):\n" in line
        assert r"LookupError: two\nlines" in line


class TestConfiguration:
    def test_level_leaves_out_what_is_below(self, capsys: pytest.CaptureFixture[str]) -> None:
        configure_logging("warning")
        logging.getLogger("x").info("quiet")
        logging.getLogger("x").warning("loud")
        assert capsys.readouterr().err.endswith("WARNING x: loud\n")

    def test_unknown_level_is_the_owners_fault(self) -> None:
        with pytest.raises(ConfigError, match="'LOUD' is no log level: write DEBUG"):
            configure_logging("LOUD")

    def test_the_level_may_come_from_the_environment(
        self, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("DESKBELL_LOG_LEVEL", "debug")
        configure_logging()
        logging.getLogger("x").debug("every word")
        assert capsys.readouterr().err.endswith("DEBUG x: every word\n")

    def test_repeating_it_does_not_repeat_the_lines(self, capsys: pytest.CaptureFixture[str]) -> None:
        configure_logging()
        configure_logging()
        logging.getLogger("x").info("once")
        assert capsys.readouterr().err.count("once") == 1

    def test_access_log_is_silent_and_other_handlers_stay(
        self, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
    ) -> None:
        configure_logging("DEBUG")
        logging.getLogger("aiohttp.access").info("GET /events/clientxcms/token")
        logging.getLogger("x").info("seen by both")
        assert "token" not in capsys.readouterr().err
        assert [record.message for record in caplog.records] == ["seen by both"]

    def test_warnings_become_lines(self, capsys: pytest.CaptureFixture[str]) -> None:
        configure_logging()
        with warnings.catch_warnings():
            warnings.simplefilter("always")
            logging.captureWarnings(capture=False)
            logging.captureWarnings(capture=True)
            warnings.warn("old\nway", DeprecationWarning, stacklevel=1)
        line = capsys.readouterr().err
        assert r"DeprecationWarning: old\nway" in line
        assert line.count("\n") == 1


class TestRedaction:
    @pytest.mark.parametrize(
        "text",
        [
            f"cannot post to {WEBHOOK}: refused",
            f"path=/api/webhooks/1130/{TOKEN}?wait=true",
            f"repr: {WEBHOOK!r}",
            f"quoted: {quote(WEBHOOK, safe='')}",
            f"in the middle:{TOKEN}:of it",
        ],
    )
    def test_protected_url_is_masked_whole_and_in_its_telling_part(self, text: str) -> None:
        protect(Secret(WEBHOOK))
        assert TOKEN not in redact(text)
        assert "•••" in redact(text)

    def test_protected_value_is_masked_and_a_short_one_would_mask_words(self) -> None:
        protect(Secret("hunter22"), Secret("abc"), Secret(""))
        assert redact("pass hunter22 to abc") == "pass ••• to abc"

    def test_longer_secret_is_masked_before_the_one_inside_it(self) -> None:
        protect(Secret("inner-secret"), Secret("inner-secret-and-more"))
        assert redact("inner-secret-and-more") == "•••"

    def test_secret_of_any_characters_is_only_text(self) -> None:
        protect(Secret("a.*[b(c+\\d"), Secret("half \ud800 pair"))
        assert redact("see a.*[b(c+\\d and axxx") == "see ••• and axxx"

    @pytest.mark.parametrize(
        ("text", "shown"),
        [
            (
                "POST https://hooks.example/services/T00000000/B0/AbCdEfGhIjKlMnOpQrStUvWx",
                "POST https://hooks.example/services/T00000000/B0/•••",
            ),
            (
                "https://a.example/QQQQQQQQQQQQQQQQQQQQ/x/WWWWWWWWWWWWWWWWWWWW?k=EEEEEEEEEEEEEEEEEEEE",
                "https://a.example/•••/x/•••?k=•••",
            ),
            ("https://bot:pa55@cms.example/x", "https://•••@cms.example/x"),
            ("POST /events/clientxcms/any-token HTTP/1.1", "POST /events/clientxcms/••• HTTP/1.1"),
            ("'Authorization: Bearer hunter2\\x01'", "'Authorization: Bearer •••'"),
            ("authorization: Basic eDp5", "authorization: Basic •••"),
            ("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_•••"),
            ("token=abc123&x=1", "token=•••&x=1"),
            ('{"api_key": "k-1", "a": 1}', '{"api_key": "•••", "a": 1}'),
        ],
    )
    def test_what_looks_like_a_secret_is_masked_even_when_nobody_named_it(
        self, text: str, shown: str
    ) -> None:
        assert redact(text) == shown

    @pytest.mark.parametrize(
        "text",
        [
            "see https://docs.example.org/guide/retry.html#later",
            "https://a-very-long-host-name.webhooks.example.org/ok",
            "POST /events/clientxcms answered 202",
            "the token is missing or wrong",
            "basic settings of the password field",
            "delivery 01J9ZK3Q of ticket 42: 404 Unknown Webhook (10015)",
        ],
    )
    def test_ordinary_words_stay(self, text: str) -> None:
        assert redact(text) == text

    def test_nothing_of_a_protected_secret_is_printed_by_any_way_of_logging(
        self, capsys: pytest.CaptureFixture[str]
    ) -> None:
        configure_logging("DEBUG", secrets=[Secret("CANARY-4711-value")])
        logger = logging.getLogger("CANARY-4711-value")
        try:
            raise ValueError("in the message CANARY-4711-value") from OSError("CANARY-4711-value")
        except ValueError:
            logger.exception("in the text CANARY-4711-value %s", ["CANARY-4711-value"], stack_info=True)
        printed = capsys.readouterr().err
        assert "CANARY" not in printed
        assert printed.count("•••") >= 5

    @given(st.text(max_size=60), st.text(max_size=20))
    def test_redaction_never_fails_and_a_second_one_changes_nothing(self, text: str, secret: str) -> None:
        protect(Secret(secret))
        once = redact(f"{text}{secret}{text}")
        assert redact(once) == once


@pytest.mark.parametrize(
    ("statement", "ending"),
    [
        ("logging.warning('token=abcdef é')", r"WARNING root: token=\u2022\u2022\u2022 \xe9"),
        (
            "logging.warning('only %d', 's3cret-argument\\nforged')",
            "WARNING root: only %d (its arguments do not fit: TypeError)",
        ),
        ("logging.warning(Unprintable())", "WARNING root: a Unprintable (its arguments do not fit: OSError)"),
    ],
    ids=["terminal of ASCII", "argument of the wrong type", "message that cannot be printed"],
)
def test_a_process_of_its_own_prints_one_safe_line(statement: str, ending: str) -> None:
    """logging itself would answer the last two with a traceback that shows the arguments raw."""
    program = f"""
import logging
from deskbell.log import configure_logging
class Unprintable:
    def __str__(self): raise OSError
configure_logging()
{statement}
"""
    environment = {"PYTHONIOENCODING": "ascii:backslashreplace"}
    done = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True
    )
    assert LINE.fullmatch(done.stderr.rstrip("\n"))
    assert done.stderr.endswith(f"{ending}\n")
