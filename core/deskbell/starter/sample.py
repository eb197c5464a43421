"""The sample event in the reader's language: for people who look at a preview before they have a ticket."""

from __future__ import annotations

from dataclasses import replace

from deskbell.languages import catalogue
from deskbell.samples import Sample

_PREFIX = "sample."


def said_in(language: str, prefix: str = _PREFIX) -> dict[str, str]:
    """What is said in ``language``, by the lower-case name of the variable that says it."""
    words = catalogue(language)
    return {key.removeprefix(prefix): words[key] for key in words if key.startswith(prefix)}


def in_language(sample: Sample, language: str) -> Sample:
    """The same event; what a customer or a help desk wrote in it is in ``language``. ``raw`` stays as it was."""
    said, variables = said_in(language), sample.event.variables
    told = {name: said[name] for name in variables if name in said}
    return replace(sample, event=replace(sample.event, variables={**variables, **told}))
