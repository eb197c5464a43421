"""The faults that the kit must find: each breaks one rule of ``bell.py``, and no other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

Change = tuple[str, str]
"""What stands in ``bell.py``, and what stands there instead."""
Fault = tuple[str, *tuple[Change, ...]]
"""Its name, and what it changes."""

TEXT = "notice.text(escape, self.max_length)"
NAME = 'name = "bell"'
ROOM = 'room: str = Field(description="The room that the bell is in.")'
TOKEN = "token: deskbell.Secret = Field("
SPARE = 'spare: deskbell.Secret = Field(default="", description="What opens it, too.")'
REFUSED = 'default="", validate_default=True, min_length=1'
POST = "response = await context.post(payload, headers=headers)"
JUDGED = "        answer = response.json()\n"
PAYLOAD = 'return {"room": options.room,'
SHOWN_ROOM = 'return {"room": notice.using(options.room).text(escape, 99),'
API = "deskbell_api_version = 1\n"
PROBE = "return deskbell.classify_response(await context.get())"
FOLLOW = """if response.status == 307:
            response = await context.post(payload, url="https://bell.example/elsewhere")"""
SWALLOW = f"""try:
            {POST}
        except asyncio.CancelledError:
            return deskbell.TemporaryFailure("cancelled")"""
KEEP_PAYLOAD = """self.kept = payload
        await asyncio.sleep(0)
        payload = self.kept"""
READ_WHOLE = """if response.body[:1] == b"{":
            __import__("json").loads(response.body)"""
LATER_ON = """async def later():
    return None"""
DOUBT = """response = await context.get()
        found = deskbell.classify_response(response)
        return found if response.status == 404 else None"""
LOOKUP = """import socket


def lookup():
    try:
        socket.getaddrinfo("telemetry.example", 443)
    except OSError:
        pass"""


def on_status(status: int, outcome: str) -> Change:
    """This status comes to ``outcome``."""
    return JUDGED, f"        if response.status == {status}:\n            return {outcome}\n{JUDGED}"


def after_post(lines: str) -> Change:
    """``lines`` run after each request that was answered."""
    return POST, f"{POST}\n        {lines}"


def on_error(words: str, outcome: str) -> Change:
    """The network's error that says ``words`` comes to ``outcome``."""
    return POST, (
        f"try:\n            {POST}\n        except deskbell.SendError as error:\n"
        f"            if {words!r} in str(error):\n                return {outcome}\n            raise"
    )


def before_post(line: str) -> Change:
    """``line`` runs before each request."""
    return POST, f"{line}\n        {POST}"


def at_import(lines: str) -> Change:
    """``lines`` run when the module is imported."""
    return API, f"{API}\n{lines}\n"


def asked(method: str, result: str, *, of: str = "self") -> Change:
    """The class answers what core asks by ``method`` with ``result``."""
    above = "    @classmethod\n" if of == "cls" else ""
    takes = "" if method == "unavailable" else ", text: str"
    return (
        "    def readable(",
        f"{above}    def {method}({of}{takes}):\n        {result}\n\n    def readable(",
    )


GONE = 'deskbell.DestinationGone("no")'
NO = 'deskbell.PermanentFailure("no")'
LATER = "deskbell.TemporaryFailure(response.words())"

OF_THE_CLASS: Mapping[str, Sequence[Fault]] = {
    "class_is_usable": [("rates_in_words", ("max_length = 500", 'max_length = 500\n    rates = "often"'))],
    "name_is_free": [("name_of_deskbells_own", (NAME, 'name = "demo"'))],
    "plugin_is_found": [("not_offered", ("return [Bell]", "return []"))],
    "options_are_described": [("option_without_description", (ROOM, "room: str"))],
    "options_refuse_unknown_keys": [
        ("any_option", (ROOM, f'model_config = {{"extra": "ignore"}}\n    {ROOM}')),
    ],
    "secret_options_are_secret": [
        ("key_as_text", (ROOM, f'{ROOM}\n    api_key: str = Field(default="", description="Opens it.")')),
        ("token_with_default", ('Field(description="What opens it.")',
                                'Field(default=deskbell.Secret("hunter22"), description="What opens it.")')),
    ],
    "format_is_pure": [
        ("random_payload", (PAYLOAD, 'return {"id": str(object()), "room": options.room,')),
        ("changed_notice", (PAYLOAD, f'notice.values["seen"] = notice.values.get("seen", "") + "x"\n        {PAYLOAD}')),
        ("shared_part", ('"tags": [notice.event.action]', '"tags": TAGS'), at_import('TAGS = ["ticket"]')),
    ],
    "format_gives_json": [("endless_number", (PAYLOAD, f'{PAYLOAD} "size": float("inf"),'))],
    "format_takes_any_text": [
        ("text_as_it_came",
         (PAYLOAD, f'{PAYLOAD} "title": escape(notice.event.variables.get("subject", ""))[:100],')),
    ],
    "format_takes_missing_values": [
        ("needs_a_variable", (PAYLOAD, f'{PAYLOAD} "number": len(notice.event.variables["relatedid"]) > 0,')),
    ],
    "format_takes_defaults": [
        ("default_that_nobody_reads", (ROOM, ROOM.replace("str = Field(", 'deskbell.Template = Field(default="desk", ')),
         (PAYLOAD, SHOWN_ROOM)),
        ("default_of_nothing", (ROOM, ROOM.replace("Field(", "Field(default=None, ")),
         (PAYLOAD, PAYLOAD.replace("options.room", "options.room.strip()"))),
        ("default_that_is_refused", (ROOM, ROOM.replace("Field(", f"Field({REFUSED}, "))),
        ("secret_that_is_text", (TOKEN, f"{SPARE}\n    {TOKEN}")),
    ],
    "format_keeps_to_max_length": [
        ("words_added", (TEXT, f'{TEXT} + " (a ticket)"')),
        ("limit_too_high", (TEXT, "notice.text(escape, self.max_length + 1)")),
    ],
    "format_keeps_the_link": [
        ("cuts_by_itself",
         (TEXT, 'escape(notice.values.get("subject", "") + notice.values.get("content", ""))[:500]')),
    ],
    "questions_are_answered_in_text": [
        ("unavailable_without_return", asked("unavailable", "pass", of="cls")),
        ("unavailable_raises", asked("unavailable", "raise ImportError('apprise')", of="cls")),
        ("refuses_ends_the_process", asked("refuses", "raise SystemExit('no URL')", of="cls")),
        ("refuses_without_return", asked("refuses", "if not text:\n            return 'no URL'", of="cls")),
        ("refuses_is_a_coroutine", asked("refuses", "return later()", of="cls"), at_import(LATER_ON)),
        ("refusals_are_one_text", asked("refusals", "return 'no'")),
        ("warnings_are_one_text", asked("warnings", "return 'beware'")),
        ("warnings_are_numbers", asked("warnings", "return [len(text)]")),
        ("warnings_are_nothing", asked("warnings", "pass")),
        ("redact_raises", asked("redact", "raise LookupError(text)", of="cls")),
        ("redact_gives_nothing", asked("redact", "pass", of="cls")),
    ],
    "own_url_is_taken": [
        ("refuses_its_own_url", asked("refuses", "return '' if 'bells' in text else 'no URL of a bell'", of="cls")),
    ],
    "success_is_delivered": [("receipt_is_a_number", ('str(answer["id"])', 'len(answer["id"])'))],
    "temporary_answers_are_temporary": [
        ("bad_gateway_is_final", on_status(502, NO)),
        ("detail_without_status", on_status(500, 'deskbell.TemporaryFailure("down")')),
    ],
    "refused_messages_are_permanent": [
        ("too_large_is_tried_again", on_status(413, LATER)),
        ("detail_without_words", on_status(422, "deskbell.PermanentFailure(str(response.status))")),
    ],
    "dead_webhooks_are_gone": [("gone_is_of_the_message", on_status(410, "deskbell.PermanentFailure(response.words())"))],
    "throttling_waits_as_told": [
        ("milliseconds", on_status(429, "deskbell.Throttled(float(response.headers['retry-after']) / 1000 if "
                                        "response.headers.get('retry-after', '').isdigit() else "
                                        "deskbell.retry_after(response) or 60.0)")),
        ("waits_for_ever", on_status(429, "deskbell.Throttled(deskbell.retry_after(response) or 1e9)")),
    ],
    "throttling_reads_dates": [
        ("numbers_only", on_status(429, "deskbell.Throttled(float(response.headers['retry-after']) if "
                                        "response.headers.get('retry-after', '').isdigit() else 60.0)")),
    ],
    "success_that_means_no_is_no_delivery": [("every_200_is_yes", on_status(200, "deskbell.Delivered()"))],
    "redirects_are_not_followed": [
        ("follows", after_post(FOLLOW)),
        ("redirect_is_yes", on_status(302, "deskbell.Delivered()")),
    ],
    "long_answers_are_judged": [
        ("half_an_object", after_post(READ_WHOLE)),
    ],
    "silence_is_temporary": [("silence_is_final", on_error("no complete answer within", NO))],
    "dropped_connections_are_temporary": [("drop_is_final", on_error("closed without an answer", GONE))],
    "broken_answers_are_temporary": [("half_is_yes", on_error("the answer broke off", "deskbell.Delivered()"))],
    "unknown_hosts_are_temporary": [("unknown_is_gone", on_error("cannot be resolved", GONE))],
    "tls_failures_are_temporary": [("tls_is_final", on_error("secure", NO))],
    "nothing_is_sent_twice": [
        *((f"second_try_on_{status}", after_post(f"if response.status == {status}:\n            {POST}"))
          for status in (400, 404, 408, 429, 500, 502, 503, 504)),
        ("second_try_on_a_refusal", after_post(f"if b'closed' in response.body:\n            {POST}")),
    ],
    "only_the_context_is_used": [
        ("telemetry", before_post("lookup()"), at_import(LOOKUP)),
    ],
    "sends_share_no_state": [
        ("payload_in_self", before_post(KEEP_PAYLOAD), at_import("import asyncio")),
    ],
    "cancellation_passes": [("catches_everything", (POST, SWALLOW), at_import("import asyncio"))],
    "repeats_carry_the_same_key": [
        ("key_of_the_attempt", ("key = context.delivery", 'key = f"{context.delivery}-{context.attempt}"')),
        ("key_of_all", ("key = context.delivery", 'key = "deskbell"')),
    ],
    "secrets_are_kept": [
        ("url_in_the_log", before_post('__import__("logging").getLogger("bell").debug("to %s", context.url.reveal())')),
        ("token_printed", before_post("print(context.options.token.reveal())")),
        ("url_in_self", before_post("self.last = context.url.reveal()")),
        ("half_a_secret", on_status(404, "deskbell.DestinationGone(response.words()[:45])")),
    ],
    "secrets_are_revealed_to_the_service": [
        ("mask_in_a_header", before_post('headers = {**headers, "X-Token": f"Bearer {context.options.token}"}')),
    ],
    "any_text_is_sent": [
        ("subject_in_a_header", before_post('headers = {**headers, "X-Title": payload["title"]}'),
         (PAYLOAD, f'{PAYLOAD} "title": escape(notice.values.get("subject", ""))[:100],')),
        ("raises_at_an_emoji", before_post('assert "👍" not in payload["blocks"][0]["text"], "no thumbs"')),
        ("refuses_braces", before_post('if "{" in payload["blocks"][0]["text"]:\n            '
                                       'return deskbell.PermanentFailure("no braces")')),
    ],
    "hostile_text_is_defused": [("sign_forgotten", (r"[*_<&@\\]", r"[*_<&\\]"))],
    "values_stay_in_their_field": [
        ("split_at_braces", ('"blocks": [{"text": text}]', '"blocks": [{"text": part} for part in text.split("}")]')),
    ],
    "values_are_not_expanded": [
        ("expanded_again", (TEXT, f'{TEXT}.replace("%email%", notice.event.variables.get("email", "")[:20])')),
    ],
    "picture_is_safe": [("style_in_the_picture", ('f"<p>', "f\"<p style='color: red'>"))],
    "picture_shows_the_message": [("picture_of_nothing", ("html.escape(self.readable(payload))", "'a message'"))],
    "picture_escapes_customer_text": [
        ("picture_unescaped", ("html.escape(self.readable(payload))", "self.readable(payload)")),
    ],
    "readable_shows_the_words": [("readable_with_escapes", ('unescape(block["text"])', 'block["text"]'))],
    "probe_finds_a_dead_webhook": [
        ("probe_never_reads", (PROBE, "await context.get()\n        return deskbell.Delivered()")),
    ],
    "probe_knows_a_living_webhook": [("probe_doubts", (PROBE, DOUBT))],
    "own_urls_are_recognised": [
        ("takes_all_urls", ('url.startswith("https://bell.example/hooks/")', "bool(url)")),
        ("knows_no_url", ("https://bell.example/hooks/", "https://bells.example/hooks/")),
    ],
    "fake_accepts_its_messages": [
        ("fake_for_any_path", ("if request.path != self.path:", 'if request.path == "/":')),
        ("no_fake", ("return FakeBell()", "return None")),
        ("fake_raises", ("return FakeBell()", "raise ImportError('no such library')")),
        ("fake_is_a_coroutine", ("return FakeBell()", "return later()"), at_import(LATER_ON)),
        ("fake_is_a_class", ("return FakeBell()", "return FakeBell")),
    ],
}  # fmt: skip
"""By the check that must turn red: the name of each fault, and what it changes."""

OF_THE_MODULE: Mapping[str, Sequence[Fault]] = {
    "import_is_quiet": [
        ("connects_when_imported", at_import(
            'import socket\ntry:\n    socket.create_connection(("127.0.0.1", 9))\nexcept OSError:\n    pass')),
        ("thread_when_imported", at_import(
            "import threading\nforever = threading.Event()\n"
            "threading.Thread(target=forever.wait, daemon=True).start()")),
        ("loop_when_imported", at_import("import asyncio\n\nloop = asyncio.new_event_loop()")),
        ("prints_when_imported", at_import('print("hello")')),
    ],
    "import_is_quick": [
        ("computes_when_imported", at_import(
            "table = sum(number % 7 for number in range(20_000_000))")),
    ],
    "api_version_is_declared": [("for_no_api", (API, ""))],
}  # fmt: skip
"""Those that need a package of their own, for they are about its import."""


def broken(source: str, name: str, changes: Sequence[Change]) -> str:
    """``source`` with a fault; its transport has the fault's name, unless the fault is in that."""
    for old, new in changes:
        if old not in source:
            raise ValueError(f"{name}: {old!r} is not in bell.py")
        source = source.replace(old, new, 1)
    source = source.replace(NAME, f'name = "{name}"')
    compile(source, name, "exec")
    return source
