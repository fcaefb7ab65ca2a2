"""A finished paper as a Workflow Run RO-Crate: a folder of all results but images and weights, and what made them.

The crate follows RO-Crate 1.1, Workflow RO-Crate 1.0 and Workflow Run Crate 0.5
(https://w3id.org/ro/wfrun/workflow/0.5). Provenance Run Crate would need the times of every step; only trainings record
theirs, in ``run.json``.
"""

import json
import os
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rocrate.model.contextentity import ContextEntity
from rocrate.model.entity import Entity
from rocrate.rocrate import ROCrate

from cxr.errors import InputError
from cxr.files import REPOSITORY, folder_written_whole, read_json, write_json
from cxr.provenance import PACKAGES
from cxr.review.checks import installed_version
from cxr.review.packed_files import CONFIG, OUTPUTS, PROVENANCE, README, RESULTS, files_of, made_with
from cxr.study import layout
from cxr.study.config import Study
from cxr.study.schemas import read_yaml
from cxr.training.archive import FILES

PROFILES = {
    "Process Run Crate": "https://w3id.org/ro/wfrun/process/0.5",
    "Workflow Run Crate": "https://w3id.org/ro/wfrun/workflow/0.5",
    "Workflow RO-Crate": "https://w3id.org/workflowhub/workflow-ro-crate/1.0",
}
CITATION = REPOSITORY / "CITATION.cff"
READ_ME = """# {title}

{description}

- `paper/paper.pdf`, `paper/paper.html`: the paper
- `claims/claims.csv`: a verdict on each of the study's claims
- `runs/`: record, training history and predictions of each run; `config.json`: the config
- `provenance.json`: code and packages that made the paper; `ro-crate-metadata.json`: all of it for machines

In a checkout of the code, `cxr reproduce FILE.zip` makes the paper again from these runs and compares it byte for byte;
`sha256sum --check SHA256SUMS` compares the files with those that were packed.
"""
TYPES = {
    ".cff": "application/yaml",
    ".csv": "text/csv",
    ".html": "text/html",
    ".json": "application/json",
    ".md": "text/markdown",
    ".pdf": "application/pdf",
    ".svg": "image/svg+xml",
    ".zip": "application/zip",
}


def write_crate(config: dict[str, Any], results: Path, crate: Path) -> None:
    """Write the crate of a finished paper.

    Args:
        config: as ``workflow/schemas/config.schema.yaml`` describes it.
        results: ``results/<config name>``, with all stages up to the paper.
        crate: the folder to write, replaced if it exists: the results in their folders, the runs in ``runs/``,
            ``config.json``, ``provenance.json`` (``code`` and ``packages`` that made the paper), the workflow and
            ``ro-crate-metadata.json``. The same results give the same bytes: dates are those of the runs, or
            ``SOURCE_DATE_EPOCH`` (seconds since 1970), if that is set.

    Raises:
        InputError: a result is missing, a table was changed after its run, or nothing tells the date.
    """
    study = Study.from_config(config)
    files = files_of(study, results)
    records = {place: read_json(layout.run(results, place) / "run.json") for place in study.run_places()}
    cohort = read_json(layout.cohort(results))
    title = f"{read_yaml(CITATION)['title']}: results of the config '{config['name']}'"
    description = (
        "Predictions, records of the trainings, evaluation, verdicts on the study's claims, figures and paper, without "
        f"images and weights. The images are {cohort['title']} ({cohort['licence']})."
    )
    with folder_written_whole(crate) as part:
        write_json(part / CONFIG, dict(study.config))
        write_json(part / PROVENANCE, made_with())
        (part / README).write_text(READ_ME.format(title=title, description=description), encoding="utf-8")
        made = {name: part / name for name in (README, CONFIG, PROVENANCE)}
        described = describe(title, description, {**made, **files}, records, cohort)
        described.write(part)


def describe(
    title: str,
    description: str,
    files: Mapping[str, Path],
    records: Mapping[str, Mapping[str, Any]],
    cohort: Mapping[str, Any],
) -> ROCrate:
    """Return the crate in memory: each file, the workflow with its software, and an action for each training.

    Args:
        title: of the crate.
        description: of the crate.
        files: by name within the crate, those that ``write_crate`` makes included.
        records: ``run.json`` by the name of the run.
        cohort: ``cohort.json``.
    """
    crate = ROCrate(version="1.1")
    root = crate.root_dataset
    root["name"], root["description"], root["datePublished"] = title, description, published(records.values())
    entities = {name: _add_file(crate, name, path) for name, path in files.items() if name != "Snakefile"}
    entities[README]["about"] = root
    workflow = crate.add_workflow(
        files["Snakefile"], "Snakefile", main=True, lang="snakemake", lang_version=installed_version("snakemake")
    )
    citation = read_yaml(CITATION)
    licence = _add(crate, "https://spdx.org/licenses/MIT", "CreativeWork", name="MIT License", description="MIT")
    author = _add(crate, "#authors", "Organization", name=citation["authors"][0]["name"])
    root["license"] = licence
    root["author"] = author
    root["conformsTo"] = [
        _add(crate, address, "CreativeWork", name=name, version=address.rpartition("/")[2])
        for name, address in PROFILES.items()
    ]
    images = _add(
        crate, "#images", "CreativeWork", name=cohort["title"], license=cohort["licence"], citation=cohort["citation"]
    )
    entities["images/manifest.csv"]["about"] = images
    workflow["name"] = citation["title"]
    workflow["description"] = "From chest X-rays to the paper; Snakemake starts a command of `cxr` for each stage."
    workflow["version"], workflow["encodingFormat"] = citation["version"], "text/plain"
    workflow["conformsTo"] = {"@id": "https://bioschemas.org/profiles/ComputationalWorkflow/1.0-RELEASE"}
    workflow["license"], workflow["author"] = licence, author
    workflow["isBasedOn"] = [_reference(crate, item) for item in citation["references"]]
    packages = read_json(files[PROVENANCE])["packages"]
    workflow["softwareRequirements"] = [
        *(_software(crate, name, packages[name]) for name in PACKAGES if name in packages),
        entities["requirements.lock"],
    ]
    inputs = [_parameter(crate, entities[name]) for name in (CONFIG, "images/manifest.csv")]
    outputs = [_parameter(crate, entities[name]) for name in OUTPUTS]
    workflow["input"], workflow["output"] = inputs, outputs
    actions = [
        crate.add_action(
            workflow,
            "#workflow-run",
            object=[entities[CONFIG], entities["images/manifest.csv"]],
            result=[entity for name, entity in entities.items() if name.partition("/")[0] in {*RESULTS} - {"images"}],
            properties={
                "name": "Run of the workflow",
                "description": "What made the paper; its code and packages are in provenance.json.",
            },
        )
    ]
    trainer = _add(crate, "#cxr-train", "SoftwareApplication", name="cxr train", softwareVersion=citation["version"])
    workflow["hasPart"] = trainer
    done = {place: record for place, record in records.items() if record["status"] == "done"}
    actions += [_training(crate, trainer, place, record, entities) for place, record in done.items()]
    root["mentions"] = actions
    return crate


def published(records: Iterable[Mapping[str, Any]]) -> str:
    """Return ``SOURCE_DATE_EPOCH`` if it is set, else when the last run started, as ISO 8601.

    Raises:
        InputError: there is no finished run to tell the date, or ``SOURCE_DATE_EPOCH`` is no number.
    """
    epoch = os.environ.get("SOURCE_DATE_EPOCH")
    if epoch and not epoch.isdecimal():
        raise InputError(f"SOURCE_DATE_EPOCH is '{epoch}'; set it to seconds since 1970, or unset it.")
    if epoch:
        return datetime.fromtimestamp(int(epoch), UTC).isoformat()
    last = max((record["started"] for record in records if record["status"] == "done"), default=None)
    if last is None:
        raise InputError("no run is finished, so nothing dates the crate; train one, or set SOURCE_DATE_EPOCH.")
    return str(last)


def _training(
    crate: ROCrate, trainer: Entity, place: str, record: Mapping[str, Any], entities: Mapping[str, Entity]
) -> Entity:
    settings = record["settings"]
    protocol = settings["protocol"]
    read = [
        "images/manifest.csv",
        f"preprocessing/{protocol}/split.csv",
        f"preprocessing/{protocol}/preprocessing.json",
    ]
    values = [_setting(crate, name, value) for name, value in settings.items()]
    return crate.add_action(
        trainer,
        f"#{place}",
        object=[*(entities[name] for name in read if name in entities), *values],
        result=[entities[f"{place}/{name}"] for name in FILES],
        properties={
            "name": f"Training of {settings['experiment']} under the protocol {protocol} with seed {settings['seed']}",
            "description": f"On {record['hardware']['processor']}, with the packages that run.json names.",
            "startTime": record["started"],
            "actionStatus": "http://schema.org/CompletedActionStatus",
        },
    )


def _setting(crate: ROCrate, name: str, value: Any) -> Entity:
    """Return a setting of trainings, which those of equal value share."""
    text = value if isinstance(value, str) else json.dumps(value)
    identifier = f"#{name}={text}"
    return crate.get(identifier) or _add(crate, identifier, "PropertyValue", name=name, value=text)


def _add_file(crate: ROCrate, name: str, path: Path) -> Entity:
    kind = TYPES.get(Path(name).suffix, "text/plain")
    properties = {"name": name, "encodingFormat": kind, "contentSize": str(path.stat().st_size)}
    entity: Entity = crate.add_file(path, name, properties=properties)
    return entity


def _add(crate: ROCrate, identifier: str, kind: str, **properties: Any) -> Entity:
    entity: Entity = crate.add(ContextEntity(crate, identifier, properties={"@type": kind, **properties}))
    return entity


def _software(crate: ROCrate, name: str, version: str) -> Entity:
    address = f"https://pypi.org/project/{name}/{version}/"
    return _add(crate, address, "SoftwareApplication", name=name, softwareVersion=version, url=address)


def _parameter(crate: ROCrate, file: Entity) -> Entity:
    """Return the workflow's parameter that a file is a value of."""
    parameter: Entity = crate.add_formal_parameter(
        file["name"], "File", f"#parameter-{file['name']}", valueRequired=True, properties={"workExample": file}
    )
    file["exampleOfWork"] = parameter
    return parameter


def _reference(crate: ROCrate, item: Mapping[str, Any]) -> Entity:
    """Return the study's article or data set, as ``CITATION.cff`` lists it."""
    kind = "ScholarlyArticle" if item["type"] == "article" else "CreativeWork"
    address = item.get("url") or f"https://doi.org/{item['doi']}"
    names = [f"{author['given-names']} {author['family-names']}" for author in item["authors"]]
    authors = [_add(crate, f"#{name.replace(' ', '-')}", "Person", name=name) for name in names]
    return _add(crate, address, kind, name=item["title"], author=_alone(authors), datePublished=str(item["year"]))


def _alone(entities: list[Entity]) -> Entity | list[Entity]:
    """RO-Crate 1.1 wants no list around a single entity."""
    return entities[0] if len(entities) == 1 else entities
