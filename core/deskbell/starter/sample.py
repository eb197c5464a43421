"""The sample event in the reader's language: for people who look at a preview before they have a ticket."""

from __future__ import annotations

from dataclasses import replace

from deskbell.languages import catalogue
from deskbell.samples import Sample

_PREFIX = "sample."


def in_language(sample: Sample, language: str) -> Sample:
    """The same event; what a customer or a help desk wrote in it is in ``language``. ``raw`` stays as it was."""
    words = {
        key.removeprefix(_PREFIX): words
        for key, words in catalogue(language).items()
        if key.startswith(_PREFIX)
    }
    variables = sample.event.variables
    said = {name: words[name] for name in variables if name in words}
    return replace(sample, event=replace(sample.event, variables={**variables, **said}))
