"""Validate data files and configs against the JSON Schemas of ``workflow/schemas``, with sentences for errors."""

import functools
import re
from pathlib import Path
from typing import Any

import jsonschema
import yaml

from cxr.errors import InputError, did_you_mean
from cxr.files import REPOSITORY

SCHEMAS = REPOSITORY / "workflow" / "schemas"


def read_yaml(path: Path) -> Any:
    """Return the content of a YAML file.

    Raises:
        InputError: the file is missing or is no YAML.
    """
    try:
        return yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError(f"{path} does not exist.") from None
    except yaml.YAMLError as error:
        where = getattr(error, "problem_mark", None)
        line = f" line {where.line + 1}" if where else ""
        raise InputError(f"{path}{line} is not valid YAML: {getattr(error, 'problem', error)}.") from None


def validate(content: Any, schema_name: str, source: str) -> None:
    """Check ``content`` against ``workflow/schemas/<schema_name>.schema.yaml``.

    Args:
        content: what a YAML file holds.
        schema_name: such as ``config``, ``experiments`` or ``protocol``.
        source: the file's name for the message.

    Raises:
        InputError: one sentence for the first violation; an unknown key is answered with the nearest known one.
    """
    error = jsonschema.exceptions.best_match(_validator(schema_name).iter_errors(content))
    if error is not None:
        raise InputError(f"{source}: {_sentence(error)}")


def coerced(content: Any, schema_name: str) -> Any:
    """Return ``content`` with its strings read as YAML where ``workflow/schemas`` wants anything but a string.

    So ``--config 'seeds=[42, 43]'``, which Snakemake reads as two strings, means two numbers. A string that is no such
    value is left for ``validate`` to refuse.
    """
    root = _validator(schema_name).schema
    return _coerced(content, root, root)


def _coerced(content: Any, schema: Any, root: Any) -> Any:
    if "$ref" in schema:
        schema = root["$defs"][schema["$ref"].rpartition("/")[2]]
    if isinstance(content, str) and schema.get("type", "string") != "string":
        try:
            content = yaml.safe_load(content)
        except yaml.YAMLError:
            return content
    if isinstance(content, dict):
        known, others = schema.get("properties", {}), schema.get("additionalProperties") or {}
        return {key: _coerced(value, known.get(key, others), root) for key, value in content.items()}
    if isinstance(content, list):
        return [_coerced(value, schema.get("items", {}), root) for value in content]
    return content


@functools.cache
def _validator(schema_name: str) -> jsonschema.Draft202012Validator:
    return jsonschema.Draft202012Validator(read_yaml(SCHEMAS / f"{schema_name}.schema.yaml"))


def _sentence(error: jsonschema.ValidationError) -> str:
    choices: Any = error.validator_value
    rules: Any = error.schema
    place = ".".join(str(part) for part in error.absolute_path)
    inside = f"in '{place}', " if place else ""
    if error.validator == "additionalProperties" and isinstance(error.instance, dict):
        known = rules.get("properties", {})
        unknown = next(key for key in error.instance if key not in known)
        hint = did_you_mean(str(unknown), known) or f"; known keys are {', '.join(known)}."
        return f"{inside}unknown key '{unknown}'{hint}"
    if error.validator == "required":
        missing = re.findall(r"'(.+?)' is a required", error.message)
        return f"{inside}the key '{missing[0]}' is missing."
    if error.validator == "enum":
        hint = did_you_mean(str(error.instance), map(str, choices))
        listed = ", ".join(map(str, choices))
        return f"'{place}' is '{error.instance}', which is none of {listed}{hint or '.'}"
    return f"'{place or 'content'}': {error.message}."
