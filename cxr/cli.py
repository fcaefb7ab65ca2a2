"""The command ``cxr``: one subcommand a stage, made from the signature of the stage's function.

A parameter ``manifest: Path`` becomes ``--manifest FILE``; a dictionary is given as JSON. A positional-only parameter
(``def predict(paths: list[Path], /, ...)``) stays positional: ``cxr predict PATHS``. So a stage is a plain function,
and whatever it does can be called from other code just as well.
"""

import argparse
import errno
import gc
import importlib
import inspect
import json
import logging
import sys
import time
import types
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Union, get_args, get_origin, get_type_hints

from cxr.errors import Differs, InputError, SomeFailed
from cxr.provenance import peak_memory_mib

# Imported only when called, so that no command pays for another's imports.
COMMANDS = {
    "images": "cxr.images.sources:provide_images",
    "embed": "cxr.images.embedded:write_embedded",
    "manifest": "cxr.images.manifest:write_manifest",
    "split": "cxr.preprocessing.split:write_split",
    "arrays": "cxr.preprocessing.arrays:write_arrays",
    "lungs": "cxr.preprocessing.lungs:write_lungs",
    "duplicates": "cxr.preprocessing.duplicates:write_duplicates",
    "intensity": "cxr.preprocessing.intensity:write_intensity",
    "normalisation": "cxr.preprocessing.normalisation:write_normalisation",
    "weights": "cxr.networks.weights:write_weights",
    "estimate": "cxr.training.estimate:write_estimate",
    "features": "cxr.training.features:write_features",
    "first-batch": "cxr.training.first_batch:write_first_batch",
    "train": "cxr.training.train:train",
    "unpack-runs": "cxr.training.archive:unpack_runs",
    "pack": "cxr.training.archive:write_archive",
    "explain-runs": "cxr.explanation.explain:explain_runs",
    "metrics": "cxr.evaluation.run_metrics:write_metrics",
    "examples": "cxr.preprocessing.examples:write_examples",
    "evaluate": "cxr.evaluation.evaluate:evaluate_runs",
    "uncertainty": "cxr.evaluation.uncertainty:write_uncertainty",
    "baselines": "cxr.evaluation.baselines:write_baselines",
    "facts": "cxr.evaluation.facts:write_facts",
    "other-sizes": "cxr.evaluation.other_sizes:write_other_sizes",
    "ablations": "cxr.evaluation.ablations:write_ablations",
    "agreement": "cxr.evaluation.agreement:write_agreement",
    "checkpoint": "cxr.review.checkpoint_source:provide_checkpoint",
    "verify-checkpoint": "cxr.review.checkpoints:verify_checkpoint",
    "predict": "cxr.prediction.predict:predict",
    "explain": "cxr.prediction.explain:explain",
    "export": "cxr.prediction.export:export",
    "claims": "cxr.claims.write:write_claims",
    "verify": "cxr.review.verify:verify",
    "compare": "cxr.review.compare:compare",
    "crate": "cxr.review.crate:write_crate",
    "archive": "cxr.review.paper_archive:write_paper_archive",
    "reproduce": "cxr.review.paper_archive:reproduce",
    "licences": "cxr.review.licences:write_licences",
    "figures": "cxr.figures.draw:write_paper_figures",
    "paper": "cxr.paper.write:write_paper",
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; return its exit code: 0, 1 where things differ, or 2 after a sentence on standard error."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    parser = argparse.ArgumentParser(prog="cxr", description="Regenerate and check arXiv:2303.10601, stage by stage.")
    parser.add_argument("--log", type=Path, help="also write messages and tracebacks to this file")
    subparsers = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    chosen = next((word for word in given if word in COMMANDS), None)
    for name, target in COMMANDS.items():
        if name == chosen:
            _add_parameters(subparsers, name, _load(target))
        else:
            subparsers.add_parser(name, help=f"{target.replace(':', '.')}", add_help=False)
    options = vars(parser.parse_args(given))
    log, command = options.pop("log"), options.pop("command")
    _start_logging(log)
    # Most of what a command makes lives until it ends; to look through it again and again takes WeasyPrint a fifth of
    # its time.
    gc.set_threshold(200_000, 50, 50)
    start = time.monotonic()
    try:
        function = _load(COMMANDS[command])
        positional = [options.pop(name) for name in _positional(function)]
        function(*positional, **options)
    except (Differs, SomeFailed) as outcome:
        print(f"cxr {command}: {outcome}", file=sys.stderr)
        return 1
    except Exception as error:
        sentence = _sentence(error)
        if sentence is None:
            logging.getLogger("cxr").exception("cxr %s failed", command)
            return 1
        # For the log alone: the terminal gets the sentence.
        if log:
            logging.getLogger("cxr").debug("cxr %s failed", command, exc_info=True)
        print(f"cxr {command}: {sentence}", file=sys.stderr)
        return 2
    finally:
        took = time.monotonic() - start
        logging.getLogger("cxr").debug("%s: %.1f s, peak memory %.0f MiB", command, took, peak_memory_mib())
    return 0


def _load(target: str) -> Callable[..., None]:
    module, function = target.split(":")
    loaded: Callable[..., None] = getattr(importlib.import_module(module), function)
    return loaded


def _add_parameters(subparsers: Any, name: str, function: Callable[..., None]) -> None:
    documentation = inspect.getdoc(function) or ""
    parser = subparsers.add_parser(
        name, description=documentation, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    hints, positional = get_type_hints(function), _positional(function)
    for parameter in inspect.signature(function).parameters.values():
        options: dict[str, Any] = {"required": parameter.default is inspect.Parameter.empty}
        if not options["required"]:
            options["default"] = parameter.default
        kind = _without_none(hints[parameter.name])
        if kind is bool:
            options["action"] = argparse.BooleanOptionalAction
        elif get_origin(kind) is list:
            options |= {"type": get_args(kind)[0], "nargs": "+"}
        else:
            options["type"] = _json if get_origin(kind) is dict else kind
        if parameter.name in positional:
            del options["required"]
            parser.add_argument(parameter.name, metavar=parameter.name.upper(), **options)
        else:
            parser.add_argument(f"--{parameter.name.replace('_', '-')}", **options)


def _positional(function: Callable[..., None]) -> list[str]:
    """Return the names of the positional-only parameters."""
    parameters = inspect.signature(function).parameters.values()
    return [parameter.name for parameter in parameters if parameter.kind is parameter.POSITIONAL_ONLY]


def _without_none(hint: Any) -> Any:
    if get_origin(hint) in (Union, types.UnionType):
        return next(kind for kind in get_args(hint) if kind is not type(None))
    return hint


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise argparse.ArgumentTypeError(f"not valid JSON: {error}") from None


def _start_logging(log: Path | None) -> None:
    handlers: list[logging.Handler] = [logging.StreamHandler(sys.stderr)]
    if log:
        log.parent.mkdir(parents=True, exist_ok=True)
        handlers.append(logging.FileHandler(log, mode="w", encoding="utf-8"))
        # The file is told more than the terminal.
        handlers[0].setLevel(logging.INFO)
        handlers[1].setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    logging.basicConfig(level=logging.WARNING, handlers=handlers, format="%(message)s")
    logging.getLogger("cxr").setLevel(logging.DEBUG if log else logging.INFO)


def _sentence(error: Exception) -> str | None:
    """The sentence for an error that a user can mend, or None for a defect of the program."""
    if isinstance(error, InputError):
        return str(error)
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        where = f" for {error.filename}" if error.filename else ""
        return f"there is no room on the disk{where} ({error.strerror}); free some space and run it again."
    if isinstance(error, FileNotFoundError) and error.filename:
        return f"{error.filename} does not exist; name a file that does, or make it first."
    if isinstance(error, PermissionError):
        return f"no permission for {error.filename}; change its permissions or choose another folder."
    return None
