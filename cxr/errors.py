"""What a command has to tell its user instead of an outcome."""

import difflib
from collections.abc import Iterable


class InputError(Exception):
    """Bad input: a message of one sentence that names the file or the key, and the remedy.

    The command line prints the message alone and exits with 2; the traceback goes to the log.
    """


class Differs(Exception):  # noqa: N818, since a difference is an answer and not an error
    """Two things that were compared are not the same; the command line prints the message alone and exits with 1."""


def did_you_mean(word: str, choices: Iterable[str]) -> str:
    """Return ``"; did you mean 'x'?"`` for the choice nearest to ``word``, or an empty string."""
    near = difflib.get_close_matches(word, list(choices), n=1, cutoff=0.6)
    return f"; did you mean '{near[0]}'?" if near else ""
