"""Expressions of the vocabulary of ``cxr.claims.vocabulary``: read, checked, and evaluated.

They are data and are treated as such: nothing but numbers, ``+ - * /`` and calls of the vocabulary's functions is
admitted, and every argument that names something is held against what there is before anything is evaluated.
"""

import inspect
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import jinja2
import numpy as np
from jinja2 import nodes
from jinja2.environment import TemplateExpression
from jinja2.parser import Parser
from jinja2.sandbox import SandboxedEnvironment

from cxr.claims.vocabulary import DATA, FUNCTIONS, OF_RUNS, RESTS_ON, STATISTICS, TEST, TRAINING, Vocabulary
from cxr.errors import InputError, did_you_mean
from cxr.evaluation.metrics import COUNT_METRICS, Numbers
from cxr.images.names import CLASSES

# Syntax of expressions; no attribute, item, filter or test leads from a number to anything else.
ARITHMETIC = (nodes.Add, nodes.Sub, nodes.Mul, nodes.Div, nodes.Neg)
ENVIRONMENT = SandboxedEnvironment(undefined=jinja2.StrictUndefined)


@dataclass(frozen=True)
class Expression:
    """A checked expression.

    Attributes:
        source: its text.
        rests_on: ``test`` (predictions of the test set), ``training`` (training curves) or ``data`` (counts and
            constants, which chance does not move).
        experiments: those whose runs it needs.
        compiled: what evaluates it.
    """

    source: str
    rests_on: str
    experiments: frozenset[str]
    compiled: TemplateExpression

    def values(self, vocabulary: Vocabulary) -> Numbers:
        """Return its (k,) values.

        Raises:
            NotTestable: the evidence does not hold what it needs.
        """
        with np.errstate(divide="ignore", invalid="ignore"):
            result = self.compiled(**{name: getattr(vocabulary, name) for name in FUNCTIONS})
        return np.atleast_1d(np.asarray(result, dtype=float))


def read_expression(source: str, where: str, choices: Mapping[str, Sequence[str]]) -> Expression:
    """Check and compile an expression.

    Args:
        source: its text.
        where: the file and the claim, for messages.
        choices: what arguments may name: ``experiments``; ``curves``, columns of ``history.csv``; ``printed`` and
            ``published``, columns and keys of these two functions.

    Raises:
        InputError: another syntax than that of this module, an unknown function, or an argument that is none of the
            known ones.
    """
    try:
        parser = Parser(ENVIRONMENT, source, state="variable")
        tree = parser.parse_expression()
        if not parser.stream.eos:
            raise jinja2.TemplateSyntaxError("there is more after its end", 1)
    except jinja2.TemplateSyntaxError as error:
        raise InputError(f"{where}: '{source}' is no expression ({error.message}); mend it.") from None
    calls = list(_calls(tree, where, source))
    rest = {RESTS_ON[name] for name, _ in calls if name in RESTS_ON}
    if rest >= {TEST, TRAINING}:
        raise InputError(
            f"{where}: '{source}' mixes test() with training curves, whose uncertainties are of different kinds; make "
            f"two claims of it."
        )
    for name, arguments in calls:
        _check_arguments(name, arguments, where, choices)
    experiments = {arguments[0].value for name, arguments in calls if name in OF_RUNS}
    return Expression(
        source=source,
        rests_on=next((kind for kind in (TEST, TRAINING) if kind in rest), DATA),
        experiments=frozenset(experiments),
        compiled=ENVIRONMENT.compile_expression(source, undefined_to_none=False),
    )


def _calls(tree: nodes.Node, where: str, source: str) -> Iterator[tuple[str, list[Any]]]:
    """Every call in an expression: the function's name and its arguments; other syntax than allowed is refused."""
    if isinstance(tree, nodes.Call):
        if not isinstance(tree.node, nodes.Name) or tree.kwargs or tree.dyn_args or tree.dyn_kwargs:
            raise InputError(f"{where}: '{source}' may call functions by their bare name and in order only; mend it.")
        if tree.node.name not in FUNCTIONS:
            hint = did_you_mean(tree.node.name, FUNCTIONS) or f"; there are {', '.join(FUNCTIONS)}."
            raise InputError(f"{where}: there is no function '{tree.node.name}'{hint}")
        yield tree.node.name, tree.args
        # A text can only be an argument, which its function's signature judges.
        children: list[Any] = [argument for argument in tree.args if not _is_text(argument)]
    elif isinstance(tree, ARITHMETIC):
        children = list(tree.iter_child_nodes())
    elif isinstance(tree, nodes.Const) and isinstance(tree.value, int | float) and not isinstance(tree.value, bool):
        children = []
    else:
        raise InputError(
            f"{where}: '{source}' holds more than numbers, + - * / and functions; put texts in quotes, and leave out "
            f"everything else."
        )
    for child in children:
        yield from _calls(child, where, source)


def _check_arguments(name: str, arguments: list[Any], where: str, choices: Mapping[str, Sequence[str]]) -> None:
    signature = inspect.signature(getattr(Vocabulary, name))
    try:
        bound = signature.bind(None, *arguments).arguments
    except TypeError as error:
        raise InputError(f"{where}: {name}() was called wrongly ({error}); it is {name}{signature}.") from None
    known: dict[str, Sequence[str]] = {
        "metric": list(COUNT_METRICS),
        "statistic": list(STATISTICS),
        "part": ["train", "validation", "test"],
        "name": CLASSES,
        "constant": ["mean", "std"],
        "experiment": choices["experiments"],
        "column": choices["printed"] if name == "printed" else choices["curves"],
    }
    if name == "published":
        known["key"] = choices["published"]
    for parameter, argument in bound.items():
        given = argument if isinstance(argument, tuple) else (argument,)
        wanted = signature.parameters[parameter].annotation
        text = wanted in (str, str | None)
        if any(_is_text(value) != text for value in given):
            raise InputError(f"{where}: {name}() takes {'a text in quotes' if text else 'numbers'} as {parameter}.")
        if parameter in known and argument.value not in known[parameter]:
            hint = did_you_mean(argument.value, known[parameter]) or f"; there are {', '.join(known[parameter])}."
            raise InputError(f"{where}: {name}() knows no {parameter} '{argument.value}'{hint}")
        if wanted in (int, int | None) and not isinstance(_constant(argument), int):
            raise InputError(f"{where}: {name}() takes a whole number as {parameter}.")


def _is_text(tree: nodes.Node) -> bool:
    return isinstance(tree, nodes.Const) and isinstance(tree.value, str)


def _constant(tree: nodes.Node) -> Any:
    inner = tree.node if isinstance(tree, nodes.Neg) else tree
    return inner.value if isinstance(inner, nodes.Const) else None
