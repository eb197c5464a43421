"""The plugin as deskbell finds it."""

from __future__ import annotations

from importlib.metadata import entry_points

import pluggy

import deskbell_discord
from deskbell import hookspecs
from deskbell.conformance import plugin_faults, transport_faults
from deskbell.pace import Rate, parse_rates
from deskbell_discord import Discord
from deskbell_discord.options import DiscordOptions


def test_it_offers_one_transport_through_the_hook() -> None:
    manager = pluggy.PluginManager(hookspecs.PROJECT)
    manager.add_hookspecs(hookspecs)
    manager.register(deskbell_discord)
    manager.check_pending()
    assert manager.hook.deskbell_transports() == [[Discord]]


def test_core_finds_no_fault_in_it() -> None:
    assert list(plugin_faults(deskbell_discord)) == []
    assert list(transport_faults(Discord)) == []


def test_it_says_which_api_it_is_written_for() -> None:
    assert deskbell_discord.deskbell_api_version == 1


def test_it_is_installed_as_an_ordinary_plugin() -> None:
    (found,) = entry_points(group="deskbell", name="discord")
    assert found.load() is deskbell_discord


def test_it_declares_what_discord_takes() -> None:
    """https://github.com/discord/discord-api-docs/issues/367 and the documentation of rate limits."""
    assert (Discord.name, Discord.max_length, Discord.options_type) == ("discord", 2000, DiscordOptions)
    assert parse_rates(Discord.rates) == (Rate(5, 2), Rate(30, 60))
    assert parse_rates(Discord.service_rate) == (Rate(50, 1),)
