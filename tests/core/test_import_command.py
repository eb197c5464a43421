"""``deskbell import clientxcms``: settings of the original module, as owners copy them, become a good config."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from deskbell.config import load_config
from deskbell.languages import LANGUAGES
from deskbell.plugins import Plugins, load_plugins
from deskbell.secret import Secret
from deskbell.starter.draft import Draft
from deskbell.starter.original import OldSettings, OldWebhook, UnreadableSettingError, read_settings
from deskbell.starter.takeover import Takeover, take_over

if TYPE_CHECKING:
    from tests.conftest import Run

DISCORD = f"https://discord.com/api/webhooks/1097219411294621797/{'a' * 68}"
OTHER = f"https://discord.com/api/webhooks/1097219411294621798/{'b' * 68}"
MESSAGE = 'Nouveau ticket "%subject%"\nd\'un client : %username%'
URLS, ACTIONS, MESSAGES = [DISCORD, OTHER], ["support.submit", "support.replay"], [MESSAGE, "é %content%"]
SETTINGS = {
    "support_webhook_url": URLS, "support_webhook_action": ACTIONS, "support_webhook_message": MESSAGES,
}  # fmt: skip
EXPECTED = tuple(map(OldWebhook, URLS, ACTIONS, MESSAGES))


def encoded() -> dict[str, str]:
    """As PHP's json_encode leaves them in the table: slashes and other letters escaped."""
    return {name: json.dumps(value).replace("/", "\\/") for name, value in SETTINGS.items()}


def in_sql(text: str) -> str:
    """As MySQL dumps a string: https://dev.mysql.com/doc/refman/8.4/en/string-literals.html"""
    return text.replace("\\", "\\\\").replace("'", "\\'").replace('"', '\\"')


def dumped(escape: Callable[[str], str]) -> str:
    rows = ",\n".join(
        f"({n}, '{name}', '{escape(value)}', NULL)" for n, (name, value) in enumerate(encoded().items(), 7)
    )
    return f"INSERT INTO `settings` (`id`, `name`, `value`, `x`) VALUES\n(3, 'support.webhook', 'true', NULL),\n{rows};\n"


FORMS = {
    "an object": json.dumps(SETTINGS),
    "an object of texts": json.dumps(encoded()),
    "a text with a byte order mark": "\ufeff" + json.dumps(SETTINGS),
    "objects with keys, as PHP writes a list with gaps": json.dumps(
        {name: {"'0'": value[0], "5": value[1]} for name, value in SETTINGS.items()}
    ),
    "rows as JSON": json.dumps([{"id": "7", "name": name, "value": value} for name, value in encoded().items()]),
    "an export of a table": json.dumps(
        [
            {"type": "header", "version": "5.2.1"},
            {"type": "table", "name": "settings", "data": [
                {"id": "7", "name": name, "value": value, "at": "2023-01-01"} for name, value in encoded().items()
            ]},
        ]
    ),
    "lines": "".join(f"{name}={value}\n" for name, value in encoded().items()),
    "lines with spaces and a section": "[settings]\n" + "".join(f"{n} = {v}\n" for n, v in encoded().items()),
    "lines in single quotes": "".join(f"{n}='{v.replace(chr(39), chr(39) * 2)}'\n" for n, v in encoded().items()),
    "rows of SQL": dumped(in_sql),
    "rows of SQL with doubled quotes": dumped(lambda text: text.replace("\\", "\\\\").replace("'", "''")),
    "columns": "".join(f"7\t{name}\t{value}\n" for name, value in encoded().items()),
    "a table of a terminal": "".join(f"| {name} | {value} |\n" for name, value in encoded().items()),
}  # fmt: skip


@pytest.fixture(scope="module")
def plugins() -> Plugins:
    return load_plugins()


@pytest.mark.parametrize("form", FORMS)
def test_settings_are_read_in_every_form_that_they_are_copied_in(form: str) -> None:
    found = read_settings(FORMS[form])
    assert found is not None
    assert found.webhooks == EXPECTED
    assert set(found.lengths.values()) == {2}


@pytest.mark.parametrize(
    ("text", "enabled"),
    [
        (json.dumps({**SETTINGS, "support.webhook": "false"}), False),
        (json.dumps({**SETTINGS, "support_webhook": True}), True),
        (dumped(in_sql), True),
        (dumped(in_sql).replace("'true'", "'false'"), False),
        (FORMS["lines"] + "support.webhook = false\n", False),
        (FORMS["lines"], None),
    ],
)
def test_whether_the_old_module_was_on(text: str, *, enabled: bool | None) -> None:
    found = read_settings(text)
    assert found is not None
    assert found.enabled is enabled


@pytest.mark.parametrize("text", ["", "{}", "[]", "null", "hello", '{"other": 1}', "[" * 100_000])
def test_a_file_without_them_is_none(text: str) -> None:
    assert read_settings(text) is None


@pytest.mark.parametrize("value", ["[1,", "5", '"x"', "[\\"])
def test_a_setting_that_is_no_list_is_named(value: str) -> None:
    with pytest.raises(UnreadableSettingError, match="support_webhook_url"):
        read_settings(json.dumps({"support_webhook_url": value}))


@pytest.mark.parametrize(
    "text",
    [
        '{"support_webhook_url": ["https://a"], "support_webhook_message": ["cut o',
        'support_webhook_message=["cut o',
        "INSERT INTO settings VALUES (3, 'support_webhook_message', '[\"cut o",
        "INSERT INTO settings VALUES (3, 'support_webhook_message', '[\"cut o');",
    ],
)
def test_a_file_that_was_cut_off_is_not_taken_for_an_empty_one(text: str) -> None:
    with pytest.raises(UnreadableSettingError, match="support_webhook_message"):
        read_settings(text)


@given(st.text())
def test_no_text_breaks_the_reader(text: str) -> None:
    for name in ("support_webhook_url=", "'support_webhook_message', '"):
        with suppress(UnreadableSettingError):
            read_settings(name + text)


def taken(plugins: Plugins, *webhooks: tuple[str, str, str], language: str = "en") -> Takeover:
    old = OldSettings(
        tuple(OldWebhook(*each) for each in webhooks), dict.fromkeys(("url", "action", "message"), 1)
    )
    return take_over(old, plugins.transports, plugins.sources, language=language)


def words_about(work: Takeover) -> str:
    return "\n".join(words for _, words in work.warnings)


def test_actions_become_deskbells_and_names_tell_them_apart(plugins: Plugins) -> None:
    actions = ["support.submit", "support.replay", "support.close", "support.close"]
    work = taken(plugins, *((DISCORD, action, "x") for action in actions))
    assert [(each.name, each.action) for each in work.entries] == [
        ("discord-new-tickets", "Submit"),
        ("discord-replies", "Reply"),
        ("discord-closures", "Close"),
        ("discord-closures-2", "Close"),
    ]
    assert [channel.variable for channel in work.channels] == ["DESKBELL_DISCORD_URL"]
    assert work.warnings == []


def test_the_same_url_is_one_variable_and_another_one_another(plugins: Plugins) -> None:
    work = taken(
        plugins,
        (DISCORD, "support.submit", "x"),
        (OTHER, "support.submit", "y"),
        (DISCORD, "support.close", "z"),
    )
    assert [each.url for each in work.entries] == [
        "${DESKBELL_DISCORD_URL}",
        "${DESKBELL_DISCORD_2_URL}",
        "${DESKBELL_DISCORD_URL}",
    ]


def test_entities_are_signs_as_the_old_module_sent_them(plugins: Plugins) -> None:
    (entry,) = taken(plugins, (DISCORD, "support.submit", "l&#039;&eacute;t&eacute; &amp; %subject%")).entries
    assert entry.message == "l'été & %subject%"


@pytest.mark.parametrize(
    ("message", "said"),
    [
        ("%userid%", "%userid% was printed as it stands by the old module"),
        ("%departmentName %", "%departmentName % was printed as it stands"),
        ("%relatedId%", "%relatedId% was printed as it stands"),
        ("%relatedUrl%", "%relatedUrl% was a path without a host"),
        ("@everyone look", "@everyone stands in the message"),
        ("<@&123456> look", "<@&123456> stands in the message"),
        ("%plan%", "%plan% is no variable of deskbell"),
    ],
)
def test_what_deserves_a_look_is_told_and_taken_over(plugins: Plugins, message: str, said: str) -> None:
    work = taken(plugins, (DISCORD, "support.submit", message))
    assert said in words_about(work)
    assert [(each.message, each.left_out) for each in work.entries] == [(message, False)]


@pytest.mark.parametrize(
    "message",
    [
        "%subject% %departmentName% %priority% %created_at% %action% %url% %content%",
        "%userId% %username% %email% %related%",
    ],
)
def test_what_was_right_is_not_remarked_upon(plugins: Plugins, message: str) -> None:
    assert taken(plugins, (DISCORD, "support.submit", message)).warnings == []


@pytest.mark.parametrize(
    ("url", "action", "message", "said"),
    [
        (DISCORD, "support.submit", " \n\x00", "the message is empty"),
        (DISCORD, "support.submit", "x" * 2001, "its own words have 2001 characters, discord takes 2000"),
        (DISCORD, "support.open", "x", "the action 'support.open' is unknown"),
        ("https://example.com/hook", "support.submit", "x", "no installed transport recognises the URL"),
        (DISCORD, "support.submit", "%département%", "%département%"),
    ],
)
def test_what_cannot_be_used_stays_as_a_comment_with_the_reason(
    plugins: Plugins, url: str, action: str, message: str, said: str
) -> None:
    work = taken(plugins, (url, action, message))
    (entry,) = work.entries
    assert entry.left_out
    assert said in words_about(work)
    assert said in entry.remarks[0]
    assert url not in str(entry)


def test_a_row_without_a_url_is_left_out_as_it_was(plugins: Plugins) -> None:
    work = taken(plugins, ("", "support.submit", "x"))
    assert (work.entries, words_about(work)) == ([], "there is no URL: left out, as the old module did")


def test_lists_of_different_length_are_told(plugins: Plugins) -> None:
    old = read_settings(json.dumps({**SETTINGS, "support_webhook_message": [MESSAGE]}))
    assert old is not None
    work = take_over(old, plugins.transports, plugins.sources, language="en")
    assert "(url 2, action 2, message 1)" in words_about(work)
    assert [each.left_out for each in work.entries] == [False, True]


ROWS = st.lists(
    st.tuples(
        st.sampled_from([DISCORD, OTHER, "https://example.com/x", "ftp://a\nb", ""]) | st.text(),
        st.sampled_from(["support.submit", "support.replay", "support.close"]) | st.text(),
        st.text() | st.text(alphabet="% abc:`\n\t|>-*_<@&\x07").map(lambda text: f"%subject% {text}"),
    ),
    max_size=6,
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(ROWS, st.sampled_from(sorted(LANGUAGES)))
def test_whatever_was_written_the_result_passes_check(
    plugins: Plugins, tmp_path: Path, rows: Sequence[tuple[str, str, str]], language: str
) -> None:
    work = taken(plugins, *rows, language=language)
    draft = Draft(
        language=language, token=Secret("t" * 43), timezone="Europe/Paris",
        channels=work.channels, entries=work.entries, variables=work.variables,
    )  # fmt: skip
    path = tmp_path / "config.yaml"
    path.write_text(draft.config(), "utf-8")
    environ = {name: secret.reveal() for name, secret in draft.values().items() if secret}
    loaded = load_config(path, transports=plugins.transports, sources=plugins.sources, environ=environ)
    assert loaded.config is not None, loaded.problems
    assert [each.name for each in loaded.config.webhooks] == [
        each.name for each in work.entries if not each.left_out
    ]


def imported(run: Run, tmp_path: Path, data: Any, *options: str) -> Any:
    (tmp_path / "old.json").write_text(data if isinstance(data, str) else json.dumps(data), "utf-8")
    return run("import", "clientxcms", "old.json", *options, environment={"LC_ALL": "C.UTF-8"})


def test_the_command_writes_a_config_that_passes_check_and_says_to_switch_the_old_one_off(
    run: Run, tmp_path: Path
) -> None:
    made = imported(run, tmp_path, SETTINGS)
    assert (made.returncode, made.stderr) == (0, "")
    assert "Webhooks taken over: 2 of 2\n" in made.stdout
    assert "Switch the old module off" in made.stdout
    assert "both will post" in made.stdout
    assert DISCORD not in made.stdout + (tmp_path / "config.yaml").read_text("utf-8")
    assert (tmp_path / "secrets.env").stat().st_mode & 0o777 == 0o600
    checked = run("check")
    assert (checked.returncode, checked.stderr) == (0, "")
    assert "Found: 2 webhooks (2 discord)" in checked.stdout
    previewed = json.loads(run("preview", "discord-new-tickets", "--json").stdout)["payload"]["content"]
    assert previewed.startswith('Nouveau ticket "Remboursement"\nd\'un client : Martin Dev')


def test_it_reads_its_standard_input(run: Run, tmp_path: Path) -> None:
    assert run("import", "clientxcms", "-").returncode == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("nothing", "found none of support_webhook_url"),
        ('{"support_webhook_url": 5}', "support_webhook_url is no JSON list"),
    ],
)
def test_a_file_without_settings_ends_with_1_and_writes_nothing(
    run: Run, tmp_path: Path, text: str, said: str
) -> None:
    made = imported(run, tmp_path, text)
    assert made.returncode == 1
    assert said in made.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["old.json"]


def test_it_overwrites_nothing(run: Run, tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text("mine")
    assert imported(run, tmp_path, SETTINGS).returncode == 1
    assert (tmp_path / "config.yaml").read_text() == "mine"
    assert not (tmp_path / "secrets.env").exists()


def test_it_speaks_the_language_that_is_asked_for(run: Run, tmp_path: Path) -> None:
    made = imported(run, tmp_path, {**SETTINGS, "support.webhook": "false"}, "--language", "es")
    assert "Webhooks importados: 2 de 2" in made.stdout
    assert "el módulo antiguo estaba desactivado" in made.stdout
    assert "# Configuración de deskbell." in (tmp_path / "config.yaml").read_text("utf-8")


def test_an_unknown_program_is_wrong_usage(run: Run) -> None:
    assert run("import", "whmcs", "x").returncode == 2
