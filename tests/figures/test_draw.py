import functools
import itertools
import re
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import PolyCollection
from matplotlib.figure import Figure
from matplotlib.text import Text
from result_tree import (
    PAPER,
    make_study,
    write_cohort,
    write_explanation,
    write_images,
    write_preprocessing,
    write_run,
)

from cxr.errors import InputError
from cxr.evaluation.agreement import write_agreement
from cxr.evaluation.uncertainty import write_uncertainty
from cxr.figures.ablations import draw_ablations
from cxr.figures.calibration import draw_calibration
from cxr.figures.claims import draw_claims
from cxr.figures.confusion_matrices import draw_confusion_matrices
from cxr.figures.data import FigureData, Outcome, read_figure_data, read_figures
from cxr.figures.differences import draw_differences
from cxr.figures.draw import drawing, write_paper_figures
from cxr.figures.hidden_units import draw_hidden_units
from cxr.figures.learning_curves import draw_curves
from cxr.figures.precision_recall import draw_precision_recall
from cxr.figures.roc import draw_roc
from cxr.figures.strategies import draw_strategies
from cxr.figures.style import TOP_MARGIN, apart, lean, paper_style, top_note
from cxr.figures.transforms import draw_transforms
from cxr.files import read_json, write_json
from cxr.study import layout
from cxr.study.schemas import read_yaml

PUBLISHED = PAPER / "published"
WORDS = read_yaml(PAPER / "words.yaml")
VERDICTS = {name: (row["word"], row["sign"], row["colour"]) for name, row in WORDS["verdicts"].items()}
MARKS = {name: mark["sign"] for name, mark in WORDS["marks"].items()}
SYNTHETIC, STAND_IN = WORDS["synthetic_mark"], "not the study's weights"


# -- Hand-made outcomes: two sizes of one family, and a third network, all of the architecture "net" -------------------


def outcome(title: str, runs: dict[int, list[float]], hidden: int | None = None, **changes) -> Outcome:
    """An experiment whose validation accuracy by epoch is given by seed, and whose test set has ten images."""
    head = {"head": {"layer": "fc", "hidden": hidden}} if hidden else {}
    matrix = [[3, 1], [2, 4]]
    test = {
        "n": 10,
        "confusion_matrix": matrix,
        "classes": {"NORMAL": {"support": 4}, "PNEUMONIA": {"support": 6}},
        "roc": {"false_positive_rate": [0, 0.25, 1], "true_positive_rate": [0, 0.5, 1]},
        "precision_recall": {"recall": [1, 0.5, 0], "precision": [0.6, 0.8, 1]},
        "calibration": {
            "bin_edges": np.linspace(0, 1, 11).tolist(),
            "mean_probability": [0.05, *[None] * 8, 0.95],
            "fraction_pneumonia": [0.25, *[None] * 8, 0.8],
            "count": [4, *[0] * 8, 6],
        },
    }
    made = Outcome(
        title=title,
        signs="",
        spec={"title": title, "model": {"backbone": "net", "input_channels": 3, **head}, "family": "f"}
        if hidden
        else {"title": title, "model": {"backbone": "net", "input_channels": 3}},
        records={
            seed: {"parameters": {"trainable": 1234, "total": 5_600_000}, "weights": {"original": True}}
            for seed in runs
        },
        histories={
            seed: {"val_accuracy": np.array(values), "train_accuracy": np.array(values)}
            for seed, values in runs.items()
        },
        tests={seed: test for seed in runs},
        absent=None,
        curve=None,
        printed=None,
    )
    return replace(made, **changes)


def interval_of(mean: float, low: float, high: float) -> dict:
    row = {"mean": mean, "interval": [low, high]}
    band = {"false_positive_rate": [0, 1], "low": [0, 0.9], "high": [0.2, 1]}
    return {**dict.fromkeys(["accuracy", "auroc", "average_precision", "calibration_error"], row), "roc_band": band}


def figure_data(outcomes: dict[str, Outcome], **changes) -> FigureData:
    rows = {name: interval_of(0.7, 0.4, 0.9) for name, made in outcomes.items() if made.tests}
    made = FigureData(
        protocols={"published": "as published"},
        outcomes=outcomes,
        experiment_ids=tuple(outcomes),
        groups={("net", "I"): tuple(outcomes)},
        uncertainty={"experiments": rows, "comparisons": {}},
        level=0.95,
        questions={"q": "Is A better?"},
        claims=(),
        verdicts=VERDICTS,
        ablations=(),
        networks={"net": {"title": "Net", "outputs": 1000, "blocks": [{"title": "all", "layers": ["a", "fc"]}]}},
        explanations={},
        synthetic=(),
        notes={},
    )
    return replace(made, **changes)


def drawn(draw, *arguments) -> tuple[Figure, str | None]:
    with paper_style():
        figure = Figure()
        return figure, draw(figure, *arguments)


def words(figure: Figure) -> list[str]:
    return [text.get_text().replace("\N{NO-BREAK SPACE}", " ").replace("\n", " ") for text in figure.findobj(is_text)]


def is_text(artist) -> bool:
    return isinstance(artist, Text) and artist.get_visible() and bool(artist.get_text().strip())


# -- Findings ----------------------------------------------------------------------------------------------------


def test_curves_name_all_that_tie_for_the_highest_and_how_far_the_study_is():
    curve = {"val_accuracy": [0.9, 0.8, 0.8]}
    made = figure_data(
        {
            "a": outcome("Net A", {1: [0.5, 0.75], 2: [0.5, 0.75]}, curve=curve),
            "b": outcome("Net B", {1: [0.75, 0.5]}),
        }
    )
    _, finding = drawn(draw_curves, made, "net", "validation")
    assert finding == (
        "Here the highest validation accuracy is 0.750 (Net A in epoch 2 and Net B in epoch 1); in the study it was "
        "0.900 (Net A in epoch 1). Over the epochs that both have, ours less the study's is on average "
        "\N{MINUS SIGN}0.225 (Net A)."
    )


def test_a_curve_without_a_run_is_named_in_figure_and_finding():
    absent = outcome("Net B", {}, absent="no weights: none named", curve={"val_accuracy": [0.5, 0.75]})
    figure, finding = drawn(
        draw_curves, figure_data({"a": outcome("Net A", {1: [0.5]}), "b": absent}), "net", "validation"
    )
    assert finding is not None and finding.endswith(" No curve of ours: Net B.")
    assert "not run" in words(figure)
    assert drawn(draw_curves, figure_data({"b": absent}), "net", "validation")[1] is None


def test_the_band_is_the_range_over_seeds_about_their_mean_and_one_seed_has_none():
    runs = {1: [0.5, 0.7, 0.9], 2: [0.6, 0.6, 0.7], 3: [0.7, 0.95, 0.8]}
    figure, _ = drawn(draw_curves, figure_data({"a": outcome("Net A", runs)}), "net", "validation")
    axes = figure.axes[0]
    means = axes.lines[0].get_ydata()
    np.testing.assert_allclose(means, np.mean(list(runs.values()), axis=0))
    (band,) = [found for found in axes.collections if isinstance(found, PolyCollection)]
    edges = band.get_paths()[0].vertices
    for epoch, mean in enumerate(means, start=1):
        at = edges[np.isclose(edges[:, 0], epoch), 1]
        values = [values[epoch - 1] for values in runs.values()]
        assert at.min() == pytest.approx(min(values)) and at.max() == pytest.approx(max(values))
        assert at.min() <= mean <= at.max()
    figure, _ = drawn(draw_curves, figure_data({"a": outcome("Net A", {1: runs[1]})}), "net", "validation")
    assert not figure.axes[0].collections


def test_confusion_matrices_show_means_over_seeds_and_name_networks_that_know_one_class():
    several = outcome("Net A", {1: [0.5], 2: [0.5]})
    tests = {1: several.tests[1], 2: {**several.tests[2], "confusion_matrix": [[4, 0], [2, 4]]}}
    one_sided = outcome("Net B", {1: [0.5]})
    one_sided = replace(one_sided, tests={1: {**one_sided.tests[1], "confusion_matrix": [[0, 4], [0, 6]]}})
    made = figure_data({"a": replace(several, tests=tests), "b": one_sided})
    figure, finding = drawn(draw_confusion_matrices, made, "all")
    assert {"3.5", "88%", "4", "67%"} <= set(words(figure))
    assert finding == (
        "Test accuracy is 0.700 (Net A and Net B). More normal images are taken for pneumonia than the other way "
        "round by 1 of 2 networks. Only one of the two classes is ever predicted by Net B."
    )


@pytest.mark.parametrize(
    "draw",
    [
        functools.partial(draw_confusion_matrices, networks="main"),
        functools.partial(draw_roc, networks="main"),
        draw_precision_recall,
        draw_calibration,
    ],
)
def test_small_multiples_name_what_was_not_run_and_are_not_drawn_for_nothing(draw):
    absent = outcome("Net B", {}, absent="no weights")
    figure, finding = drawn(draw, figure_data({"a": outcome("Net A", {1: [0.5]}), "b": absent}))
    assert len(figure.axes) == 1 and finding.endswith(" Not run: Net B.")
    assert drawn(draw, figure_data({"b": absent}))[1] is None


def test_of_many_networks_the_main_figure_shows_those_that_the_study_printed_and_the_other_figure_the_rest():
    printed = {"test_accuracy_printed": 0.9, "confusion_matrix": None}
    few = {"a": outcome("Net A", {1: [0.5]}, printed=printed), "b": outcome("Net B", {1: [0.5]})}
    many = few | {f"c{n}": outcome(f"Net C{n}", {1: [0.5]}) for n in range(9)}
    panels = {
        (len(outcomes), networks): len(drawn(draw_roc, figure_data(outcomes), networks)[0].axes)
        for outcomes in (few, many)
        for networks in ("main", "others", "all")
    }
    assert panels == {
        (2, "main"): 2,
        (2, "others"): 0,
        (2, "all"): 2,
        (11, "main"): 1,
        (11, "others"): 10,
        (11, "all"): 11,
    }


def test_the_area_under_the_curve_may_be_undefined_and_chance_is_counted():
    made = figure_data({"a": outcome("Net A", {1: [0.5]})})
    assert drawn(draw_roc, made, "all")[1] == (
        "The area under the curve is 0.700 (Net A, 95% interval 0.400 to 0.900). "
        "Chance, 0.5, lies in the 95% interval of the one network."
    )
    undefined = {**interval_of(0.7, 0.4, 0.9), "auroc": {"mean": None, "interval": None}}
    undefined["roc_band"] = {"false_positive_rate": [], "low": [], "high": []}
    figure, finding = drawn(
        draw_roc, replace(made, uncertainty={"experiments": {"a": undefined}, "comparisons": {}}), "all"
    )
    assert finding.startswith("The area under the curve is defined for no network.")
    assert "undefined" in words(figure)


def test_hidden_units_say_which_number_is_best_and_whether_intervals_overlap():
    outcomes = {f"a{n}": outcome(f"Net I, n = {n}", {1: [0.5]}, hidden=n) for n in (10, 100, 500)}
    rows = {"a10": interval_of(0.5, 0.4, 0.6), "a100": interval_of(0.8, 0.7, 0.9), "a500": interval_of(0.8, 0.7, 0.9)}
    made = figure_data(outcomes, uncertainty={"experiments": rows, "comparisons": {}})
    assert drawn(draw_hidden_units, made)[1] == (
        "Net I: highest with n = 100 and 500 (0.800, not all intervals overlap)."
    )
    rows = {**rows, "a10": interval_of(0.7, 0.6, 0.8)}
    finding = drawn(draw_hidden_units, replace(made, uncertainty={"experiments": rows, "comparisons": {}}))[1]
    assert finding == "Net I: highest with n = 100 and 500 (0.800, all intervals overlap)."
    assert drawn(draw_hidden_units, figure_data({"a": outcome("Net A", {1: [0.5]})}))[1] is None


def test_differences_are_counted_with_and_without_adjustment_and_held_against_the_printed_ones():
    outcomes = {
        "a": outcome("Net A", {1: [0.5]}, printed={"test_accuracy_printed": 0.9, "confusion_matrix": None}),
        "b": outcome("Net B", {1: [0.5]}, printed={"test_accuracy_printed": 0.8, "confusion_matrix": None}),
    }
    row = {"a": "a", "b": "b", "holm_bootstrap": 0.04}
    rows = [
        {**row, "metric": "accuracy", "difference": 0.2, "interval": [0.05, 0.3]},
        {**row, "metric": "auroc", "difference": 0.1, "interval": [-0.1, 0.3], "holm_bootstrap": 0.4},
        {**row, "metric": "mcc", "difference": 0.5, "interval": [0.4, 0.6]},
    ]
    made = figure_data(outcomes, uncertainty={"experiments": {}, "comparisons": {"q": rows}})
    figure, finding = drawn(draw_differences, made)
    assert finding == (
        "Zero lies outside the 95% interval of 1 of 2 differences; after Holm's adjustment within each question p is "
        "below 0.05 for 1 of 2 differences. Where the study printed both accuracies, their difference lies in our "
        "interval for the one pair."
    )
    assert {"Is A better?", "Net A \N{MINUS SIGN} Net B"} <= set(words(figure))
    assert drawn(draw_differences, figure_data(outcomes))[1] is None


def test_ablations_say_which_choices_matter():
    def row(name: str, difference: float, low: float, high: float) -> dict:
        both = {"accuracy": difference, "auroc": 0.0}
        interval = {"accuracy": [low, high], "auroc": [-0.1, 0.1]}
        return {"id": name, "experiments": [{"experiment": "a", "difference": both, "interval": interval}]}

    outcomes = {"a": outcome("Net A", {1: [0.5]})}
    made = figure_data(outcomes, ablations=(row("pixel-scale", -0.2, -0.3, -0.1), row("dropout", 0.1, -0.1, 0.2)))
    assert drawn(draw_ablations, made)[1] == (
        "With one choice changed and all else the same, the interval of the change of accuracy or AUROC leaves 0 out "
        "in 1 of 2 cases: pixel scale. The largest change of accuracy is \N{MINUS SIGN}0.200 (pixel scale, Net A)."
    )
    quiet = replace(made, ablations=(row("dropout", 0.0, 0.0, 0.0),))
    assert " leaves 0 out in no case. The largest change of accuracy is 0.000" in drawn(draw_ablations, quiet)[1]
    assert drawn(draw_ablations, figure_data(outcomes))[1] is None


def test_claims_are_counted_by_verdict_and_every_one_has_its_cell():
    def claim(name: str, *verdicts: str) -> dict:
        found = {protocol: {"verdict": verdict} for protocol, verdict in zip(("p", "q"), verdicts, strict=True)}
        return {"id": name, "notebook": None, "protocols": found}

    claims = (
        claim("C1", "reproduced", "reproduced"),
        claim("C2", "reproduced", "undecided"),
        claim("C3", "not testable", "not testable"),
    )
    made = figure_data({}, claims=claims, protocols={"p": "as published", "q": "corrected"})
    figure, finding = drawn(draw_claims, made)
    assert finding == (
        "Verdicts on the 2 of 3 claims that could be tested, as published: 2 reproduced; corrected: 1 reproduced and 1 "
        "undecided. "
        "The verdict is the same under every protocol for 1 of 2 claims."
    )
    closings = {
        verdict: sum(
            int((patch.get_path().codes == 79).sum()) for patch in figure.axes[0].patches if same(patch, colour)
        )
        for verdict, (_, _, colour) in VERDICTS.items()
    }
    # One more each, in the key.
    assert closings == {name: {"reproduced": 4, "undecided": 2}.get(name, 1) for name in VERDICTS}
    assert drawn(draw_claims, replace(made, claims=claims[2:]))[1] is None
    assert drawn(draw_claims, replace(made, protocols={"p": "as published"}))[1] is None, "a table has them"


def same(patch, colour: str) -> bool:
    return "#" + "".join(f"{round(255 * part):02x}" for part in patch.get_facecolor()[:3]) == colour


def test_strategies_take_parameters_from_runs_and_name_those_without():
    outcomes = {
        "a10": outcome("Net I, n = 10", {1: [0.5]}, hidden=10),
        "a100": outcome("Net I, n = 100", {}, hidden=100, absent="no weights"),
    }
    figure, finding = drawn(draw_strategies, figure_data(outcomes))
    assert finding == "Net trains 1,234 parameters (Net I, n = 10). Not run: Net I, n = 100."
    assert "Net I from random weights: 1,234 (n = 10) and not run (n = 100) of 5.6 million parameters train" in words(
        figure
    )
    larger = outcome("Net II", {1: [0.5]})
    larger = replace(larger, records={1: {"parameters": {"trainable": 5000, "total": 5000}}})
    three = {"a": outcomes["a10"], "b": larger, "c": replace(larger, title="Net III")}
    finding = drawn(draw_strategies, figure_data(three, groups={("net", name): (name,) for name in three}))[1]
    assert finding == "Net trains from 1,234 parameters (Net I, n = 10) to 5,000 parameters (Net II and Net III)."
    finding = drawn(draw_strategies, figure_data({"a": outcome("Net A", {}, absent="no weights")}))[1]
    assert finding == "Net was not run, so that its trainable parameters were not counted. Not run: Net A."
    assert drawn(draw_strategies, figure_data(three, groups={}))[1] is None


# -- Drawing -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("heights", "moved"),
    [
        ([0.5], [0.5]),
        ([0.2, 0.8], [0.2, 0.8]),
        ([0.5, 0.5], [0.45, 0.55]),
        ([0.52, 0.5], [0.56, 0.46]),
        ([1, 1], [0.9, 1]),
    ],
)
def test_labels_move_apart_as_little_as_can_be_and_stay_inside(heights, moved):
    found = apart(heights, 0.1, 0, 1)
    assert sorted(found) == pytest.approx(sorted(moved))
    assert (found[0] <= found[-1]) == (heights[0] <= heights[-1])


def test_coordinates_are_rounded_and_words_are_not():
    drawing = '<path d="M 1.23456 2.00001 \nL 3 -0.00001"/><g transform="translate(0.12345 7)"/>'
    drawing += '<text x="1.2345">0.123456</text><image id="imagea9be882793" width="24"/>'
    assert lean(drawing) == (
        '<path d="M 1.23 2 L 3 0"/><g transform="translate(0.12 7)"/><text x="1.23">0.123456</text><image width="24"/>'
    )


def test_the_transforms_keep_every_pixel_and_uneven_arrays_are_refused(results, tmp_path):
    drawing = (results / "figures/published/transforms.svg").read_text()
    assert drawing.count("<image") == 15
    assert {">T0<", ">T4<"} <= set(re.findall(r">T\d<", drawing))
    np.savez(tmp_path / "uneven.npz", T0=np.zeros((3, 8, 8)), T1=np.zeros((2, 8, 8)))
    with pytest.raises(InputError, match=r"uneven.npz: every transform must hold the same number of images"):
        draw_transforms(tmp_path / "uneven.npz", tmp_path / "x.svg")
    assert not (tmp_path / "x.svg").exists()


# -- All figures of a result tree of every experiment -----------------------------------------------------------------


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Results of all experiments but those of DenseNet-121 III, which could not be run; two seeds."""
    root, study = tmp_path_factory.mktemp("whole"), make_study(experiments="all", seeds=[42, 43])
    write_cohort(root, True)
    write_preprocessing(root, study, "published")
    write_images(root, study)
    for experiment in study.experiments:
        for seed in study.config["seeds"]:
            write_run(root, study, experiment, "published", seed)
            if experiment == "densenet121-III":
                record = layout.run(root, layout.place_of("published", experiment, seed)) / "run.json"
                write_json(record, {"status": "not run", "reason": "no weights: the config names none"})
            elif seed == 42:
                write_explanation(root, study, experiment, "published", seed)
    write_uncertainty(dict(study.config), root, layout.evaluation(root, "uncertainty.json"), resamples=60)
    write_agreement(dict(study.config), root, layout.evaluation(root, "agreement.json"))
    verdicts = itertools.cycle(VERDICTS)
    claims = [
        {"id": claim["id"], "notebook": claim.get("notebook"), "protocols": {"published": {"verdict": next(verdicts)}}}
        for claim in read_yaml(PAPER / "claims.yaml")["claims"]
    ]
    write_json(layout.claims(root), {"claims": claims})
    both = {"accuracy": 0.01, "auroc": -0.02}
    effect = {"experiment": "custom", "difference": both, "interval": {"accuracy": [-0.1, 0.1], "auroc": [-0.1, 0.1]}}
    write_json(layout.evaluation(root, "ablations.json"), {"rows": [{"id": "pixel-scale", "experiments": [effect]}]})
    return root


def draw_all(root: Path, figures: Path, **changes) -> dict:
    config = dict(make_study(**{"experiments": "all", "seeds": [42, 43], **changes}).config)
    write_paper_figures(config, root, PUBLISHED, figures)
    return read_json(figures / "paper" / "index.json")


@pytest.fixture(scope="module")
def figures(whole: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The figures of ``whole``; to be read only."""
    folder = tmp_path_factory.mktemp("figures")
    draw_all(whole, folder)
    return folder


def test_every_figure_is_drawn_says_what_its_data_are_and_is_the_same_twice(whole, figures, tmp_path):
    index = draw_all(whole, tmp_path)
    files = sorted(path.name for path in (figures / "paper").glob("*.svg"))
    # Under one protocol the claims have no figure.
    drawn = [name for name, row in read_figures(PAPER / "figures.yaml").items() if row["draw"] != "claims"]
    assert files == sorted(index) == sorted(f"{name}.svg" for name in drawn)
    for name in [*(f"paper/{file}" for file in [*files, "index.json"]), "published/transforms.svg"]:
        drawing = (figures / name).read_text()
        assert drawing == (tmp_path / name).read_text()
        assert "<dc:date>" not in drawing
        assert name.endswith(".json") or f">{SYNTHETIC}<" in drawing
        assert STAND_IN not in drawing
    assert sum(path.stat().st_size for path in (figures / "paper").iterdir()) < 2_800_000


def test_real_data_with_stand_ins_say_only_so(whole, tmp_path):
    root = tmp_path / "results"
    (root / "evaluation").mkdir(parents=True)
    write_cohort(root, False)
    for name in (
        "evaluation/uncertainty.json",
        "evaluation/runs",
        "claims",
        "preprocessing",
        "images/manifest.csv",
        "explanation",
    ):
        (root / name).symlink_to(whole / name)
    (root / "training").mkdir()
    layout.first_batch(root).symlink_to(layout.first_batch(whole))
    for run in (whole / "training/runs/published").glob("*/*"):
        copy = root / run.relative_to(whole)
        copy.mkdir(parents=True)
        for file in run.iterdir():
            if file.name == "run.json" and "done" in file.read_text():
                write_json(copy / file.name, {**read_json(file), "weights": {"original": False}})
            else:
                (copy / file.name).symlink_to(file)
    index = draw_all(root, tmp_path / "figures", experiments=["custom", "resnet18-III"])
    assert "ablations.svg" not in index
    for name, row in read_figures(PAPER / "figures.yaml").items():
        if f"{name}.svg" in index:
            drawing = (tmp_path / "figures" / "paper" / f"{name}.svg").read_text()
            assert SYNTHETIC not in drawing
            assert (STAND_IN in drawing) == ("shows" not in row), "weights have no part in figures of the images"
    assert f">{MARKS['stand_in']} {STAND_IN}<" in (tmp_path / "figures/paper/roc.svg").read_text()
    assert STAND_IN not in (tmp_path / "figures/published/transforms.svg").read_text(), "weights have no part in it"


def test_figures_of_what_is_not_in_the_config_go(whole, figures, tmp_path):
    own = Path(shutil.copytree(figures, tmp_path / "own"))
    root, changes = Path(shutil.copytree(whole, tmp_path / "results")), {"experiments": ["custom"], "seeds": [42]}
    write_agreement(dict(make_study(**changes).config), root, layout.evaluation(root, "agreement.json"))
    index = draw_all(root, own, **changes)
    assert set(index) == {path.name for path in (own / "paper").glob("*.svg")}
    assert not [name for name in index if name.startswith(("curves", "hidden", "strategies"))]
    assert {"confusion-matrices.svg", "roc.svg", "right-and-wrong-custom.svg", "certain-mistakes.svg"} <= set(index)
    assert not {"kappa.svg", "shared-errors.svg", "right-and-wrong-best.svg"} & set(index), "there is one network"


def test_no_words_touch_each_other_or_leave_the_figure(whole):
    found = read_figure_data(make_study(experiments="all", seeds=[42, 43]).config, whole, PUBLISHED)
    protocols = {name: name for name in ("published", "corrected")}
    everywhere = [dict.fromkeys(protocols, claim["protocols"]["published"]) for claim in found.claims]
    claims = [{**claim, "protocols": same} for claim, same in zip(found.claims, everywhere, strict=True)]
    found = replace(found, protocols=protocols, claims=tuple(claims))
    for name, row in read_figures(PAPER / "figures.yaml").items():
        figure, finding = drawn(drawing(row), found)
        assert finding, name
        with paper_style():
            top_note(figure, f"{SYNTHETIC} · {STAND_IN}", "right")
            canvas = FigureCanvasAgg(figure)
            canvas.draw()
            left_out = undrawn(figure)
            texts = [text for text in figure.findobj(is_text) if text not in left_out]
            boxes = [(text.get_text(), text.get_window_extent(canvas.get_renderer())) for text in texts]
        for (first, one), (second, other) in itertools.combinations(boxes, 2):
            across = min(one.x1, other.x1) - max(one.x0, other.x0)
            along = min(one.y1, other.y1) - max(one.y0, other.y0)
            # Boxes have room for descenders, so that they may meet where letters do not.
            assert across <= 1 or along <= 2, f"{name}: {first!r} touches {second!r}"
        width, height = figure.get_size_inches() * figure.dpi
        for text, box in boxes:
            assert box.x0 >= 0 and box.x1 <= width and box.y0 >= 0 and box.y1 <= height, f"{name}: {text!r} is cut"
        assert height <= 8.9 * figure.dpi, f"{name} leaves no room for its caption on a page"
        in_head = [text for text, box in boxes if height - TOP_MARGIN * figure.dpi < box.y1 <= height - 5]
        assert not in_head, f"{name}: the head is for notes, not for {in_head[0]!r}"


def undrawn(figure: Figure) -> set:
    """The texts of axes that are switched off, and of ticks beyond the limits."""
    found = set()
    for axes in figure.axes:
        for axis in (axes.xaxis, axes.yaxis):
            low, high = sorted(axis.get_view_interval())
            places = axis.get_majorticklocs()
            ticks = zip(places, axis.get_major_ticks(len(places)), strict=True)
            found |= {tick.label1 for place, tick in ticks if not low <= place <= high}
            if not (axis.get_visible() and axes.axison):
                found |= set(axis.findobj(is_text))
    return found


def test_a_drawing_that_does_not_exist_is_answered_with_the_near_one():
    with pytest.raises(InputError, match=r"no drawing 'rocs'; did you mean 'roc'"):
        drawing({"draw": "rocs", "title": "x", "section": "supplement"})
