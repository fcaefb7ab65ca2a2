"""Errors whose message is meant for the user."""

import difflib
from collections.abc import Iterable


class InputError(Exception):
    """The user's input cannot be used; the message is one sentence with the file or key and the remedy.

    The command line prints only the message and exits with 2. The traceback goes to the log.
    """


class Differs(Exception):  # noqa: N818, since a difference is a result and not an error
    """A comparison found differences; the command line prints only the message and exits with 1."""


def did_you_mean(word: str, choices: Iterable[str]) -> str:
    """Return ``"; did you mean 'x'?"`` for the choice most similar to ``word``, or ``""`` if none is similar."""
    near = difflib.get_close_matches(word, list(choices), n=1, cutoff=0.6)
    return f"; did you mean '{near[0]}'?" if near else ""
