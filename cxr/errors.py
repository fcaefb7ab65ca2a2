"""Errors whose message is meant for the user."""

import difflib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager


class InputError(Exception):
    """The user's input cannot be used; the message is one sentence with the file or key and the remedy.

    The command line prints only the message and exits with 2. The traceback goes to the log.
    """


class Differs(Exception):  # noqa: N818, since a difference is a result and not an error
    """A comparison found differences; the command line prints only the message and exits with 1."""


class SomeFailed(Exception):  # noqa: N818, since the rest of the work was done
    """Some inputs could not be used, and the rest was done; the command line prints the message and exits with 1."""


@contextmanager
def exit_with_sentence() -> Iterator[None]:
    """End the program with 1 and the sentence alone on standard error where the block raises an ``InputError``.

    For the Snakefile: Snakemake itself would print the lines of code that an exception went through.
    """
    try:
        yield
    except InputError as error:
        raise SystemExit(str(error)) from None


def did_you_mean(word: str, choices: Iterable[str]) -> str:
    """Return ``"; did you mean 'x'?"`` for the choice most similar to ``word``, or ``""`` if none is similar."""
    near = difflib.get_close_matches(word, list(choices), n=1, cutoff=0.6)
    return f"; did you mean '{near[0]}'?" if near else ""
