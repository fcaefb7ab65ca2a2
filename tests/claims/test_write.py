"""Verdicts on the claims of the paper, from result trees whose right verdicts are known."""

import csv
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cxr.claims.verdicts import ANOTHER_COHORT, NOT_REPRODUCED, NOT_TESTABLE, REPRODUCED, UNDECIDED, VERDICTS

Make = Callable[..., dict[str, Any]]
OWN = {"counts": {"train": {"NORMAL": 90, "PNEUMONIA": 90}, "test": {"NORMAL": 60, "PNEUMONIA": 60}}}


def verdicts_of(content: dict[str, Any], suffix: str = "") -> dict[str, str]:
    return {row["id"]: row["protocols"]["published"][f"verdict{suffix}"] for row in content["claims"]}


def record_of(content: dict[str, Any], name: str) -> dict[str, Any]:
    return next(row for row in content["claims"] if row["id"] == name)


def found_of(content: dict[str, Any], name: str) -> dict[str, Any]:
    found: dict[str, Any] = record_of(content, name)["protocols"]["published"]
    return found


def test_results_like_the_printed_ones_reproduce_what_the_print_supports(make: Make) -> None:
    content = make()
    verdicts = verdicts_of(content)
    # The table is rounded from the matrices, and the margins are wide enough for a test set of this size.
    assert {verdicts[f"C{number}"] for number in range(10, 66)} == {REPRODUCED}
    # The text contradicts the data, which is explained.
    assert [name for name, verdict in verdicts.items() if verdict == NOT_REPRODUCED] == ["C3"]
    assert content["unexplained"] == []
    assert {name for name, verdict in verdicts.items() if verdict == NOT_TESTABLE} == {"C77", "C93"}
    # One seed does not tell how much a training curve varies.
    training = {row["id"] for row in content["claims"] if row["kind"] == "training"}
    assert {verdicts[name] for name in training} == {UNDECIDED} and len(training) == 56


def test_the_printed_numbers_are_held_against_the_claims_as_they_stand(make: Make) -> None:
    content = make(experiments=["custom"])
    on_print = {row["id"]: row["on_print"]["verdict"] for row in content["claims"] if row["on_print"]}
    # The curves contradict N13, the table C88; all else follows from the study's own numbers.
    assert {name for name, verdict in on_print.items() if verdict == NOT_REPRODUCED} == {"C88", "N13"}
    assert set(on_print.values()) == {REPRODUCED, NOT_REPRODUCED}
    # The print has matrices and curves, but neither files nor images to draw an interval from.
    unknown = [*(f"C{number}" for number in range(1, 10)), "C69", "C77", "C93", *(f"N{n}" for n in range(4, 10))]
    assert {row["id"] for row in content["claims"]} - set(on_print) == set(unknown)


@pytest.mark.parametrize(
    ("errors", "half", "once", "double"),
    [
        # Printed is 0.91 with a margin of 0.052; the 90 % interval reaches about 0.028 to either side.
        (29, UNDECIDED, REPRODUCED, REPRODUCED),
        (40, UNDECIDED, UNDECIDED, REPRODUCED),
        (50, NOT_REPRODUCED, NOT_REPRODUCED, REPRODUCED),
        (80, NOT_REPRODUCED, NOT_REPRODUCED, NOT_REPRODUCED),
    ],
)
def test_a_verdict_moves_with_the_predictions_and_with_the_tolerance(
    make: Make, errors: int, half: str, once: str, double: str
) -> None:
    matrix = [[129 - errors // 2, errors // 2], [errors - errors // 2, 191 - errors + errors // 2]]
    content = make({("resnet18-II-100", 42): matrix}, experiments=["resnet18-II-100"])
    found = found_of(content, "C17")
    assert found["value"] == pytest.approx(1 - errors / 320)
    kinds = ("verdict_half_tolerance", "verdict", "verdict_double_tolerance")
    assert tuple(found[kind] for kind in kinds) == (half, once, double)


def test_a_small_test_set_decides_nothing_and_says_what_it_could_have_shown(make: Make) -> None:
    content = make({("resnet18-II-100", 42): [[11, 2], [2, 17]]}, experiments=["resnet18-II-100"])
    found = found_of(content, "C17")
    assert found["verdict"] == UNDECIDED and found["variance"] == "sampling only; one seed"
    # The standard error of a proportion of 28 / 32, drawn within the classes, is 0.058.
    assert found["standard_error"] == pytest.approx((0.875 * 0.125 / 32) ** 0.5, rel=0.05)
    assert found["minimum_detectable_difference"] == pytest.approx(2.8016 * found["standard_error"], rel=1e-4)
    assert found["minimum_detectable_difference"] > found["margin"]


def test_counts_are_those_of_the_records(make: Make) -> None:
    content = make({("resnet18-II-100", 42): [[111, 18], [20, 171]]}, experiments=["resnet18-II-100"])
    protocol = content["protocols"]["published"]
    for suffix in ("", "_adjusted", "_half_tolerance", "_double_tolerance"):
        verdicts = list(verdicts_of(content, suffix).values())
        assert protocol[f"counts{suffix}"] == {name: verdicts.count(name) for name in VERDICTS}
    reproduced = [protocol[f"counts{suffix}"][REPRODUCED] for suffix in ("_half_tolerance", "", "_double_tolerance")]
    assert reproduced == sorted(reproduced) and reproduced[0] < reproduced[2]


def test_p_values_are_adjusted_for_all_tests_of_a_protocol(make: Make) -> None:
    # 40 errors of 320 refute nothing, 47 refute 0.91 as a single claim, but not as one of 14 tests.
    content = make({("resnet18-II-100", 42): [[106, 23], [25, 166]]}, experiments=["resnet18-II-100"])
    tests = [
        row["protocols"]["published"][name]
        for row in content["claims"]
        for name in ("p", "p_equivalence")
        if row["protocols"]["published"][name] is not None
    ]
    assert content["protocols"]["published"]["tests"] == len(tests) == 14
    found = found_of(content, "C17")
    # Holm multiplies the smallest p by 14, the second by 13, and so on, and keeps their order.
    rank = sorted(tests).index(found["p"])
    assert found["p_adjusted"] == pytest.approx(max(p * (14 - n) for n, p in enumerate(sorted(tests)[: rank + 1])))
    assert found["p"] < 0.05 < found["p_adjusted"]
    assert (found["verdict"], found["verdict_adjusted"]) == (NOT_REPRODUCED, UNDECIDED)


def test_seeds_widen_the_interval_of_a_claim_about_a_method(make: Make) -> None:
    matrices = {("custom", seed): [[82, 47], [fn, 191 - fn]] for seed, fn in ((1, 3), (2, 13), (3, 23))}
    found = found_of(make(matrices, experiments=["custom"], seeds=[1, 2, 3]), "N2")
    assert found["value"] == pytest.approx(178 / 191)
    assert found["seeds"] == pytest.approx(
        {"mean": 178 / 191, "sd": 10 / 191, "min": 168 / 191, "max": 188 / 191, "n": 3}
    )
    # Of 191 pneumonias, 3 are missed by all seeds, 10 by two and 10 by one: the standard error of the mean over the
    # patients is 0.0145. Between the seeds it is 0.0524 / sqrt(3) = 0.0302.
    assert found["standard_error"] == pytest.approx((0.0145**2 + 0.0302**2) ** 0.5, abs=0.001)
    assert found["variance"] == "sampling and 3 seeds"
    # Satterthwaite: 0.00112^2 / (0.00091^2 / 2) = 3.0 degrees of freedom, for which t is 3.18.
    low, high = found["interval"]
    assert (high - low) / 2 == pytest.approx(3.15 * found["standard_error"], rel=0.03)
    one = found_of(make({("custom", 1): matrices["custom", 2]}, experiments=["custom"], seeds=[1]), "N2")
    assert one["interval"][1] - one["interval"][0] < (high - low) / 2


def test_a_training_curve_is_as_sure_as_its_seeds_agree(make: Make) -> None:
    curves = {("custom", seed): [top, 0.5] for seed, top in ((1, 0.80), (2, 0.82), (3, 0.90))}
    content = make({}, curves, experiments=["custom"], seeds=[1, 2, 3])
    training, steps = found_of(content, "N14"), found_of(content, "N9")
    assert training["value"] == pytest.approx(0.84) and training["variance"] == "3 seeds only"
    # t with two degrees of freedom is 4.303.
    reach = 4.303 * 0.0529 / 3**0.5
    assert training["interval"] == pytest.approx([0.84 - reach, 0.84 + reach], abs=1e-3)
    assert training["verdict"] == UNDECIDED
    assert (steps["interval"], steps["variance"], steps["verdict"]) == (
        None,
        "none: chance does not move it",
        REPRODUCED,
    )


def test_two_seeds_do_not_tell_the_spread_of_a_curve(make: Make) -> None:
    found = found_of(make(experiments=["custom"], seeds=[1, 2]), "N14")
    assert (found["interval"], found["verdict"]) == (None, UNDECIDED)
    assert found["variance"] == "unknown: 2 seeds of at least 3"


def test_steps_are_counted_and_have_no_error(make: Make) -> None:
    found = found_of(make(experiments=["resnet18-I-10"]), "C9")
    assert (found["value"], found["verdict"], found["p"]) == (179, REPRODUCED, None)


def test_a_lead_is_chance_unless_it_is_significant(make: Make) -> None:
    pair = ["resnet18-I-500", "resnet18-II-100"]
    assert verdicts_of(make(experiments=pair))["C69"] == REPRODUCED
    worse = {("resnet18-I-500", 42): [[80, 49], [22, 169]]}
    assert verdicts_of(make(worse, experiments=pair))["C69"] == NOT_REPRODUCED


def test_a_direction_needs_an_interval_on_one_side(make: Make) -> None:
    pair = ["densenet121-I-10", "resnet18-I-500", "resnet18-II-100", "resnet18-III", "resnet18-no_tl"]
    even = {(name, 42): [[110, 19], [13, 178]] for name in pair}
    assert verdicts_of(make(even, experiments=pair))["C90"] == UNDECIDED
    best = {**even, ("densenet121-I-10", 42): [[125, 4], [3, 188]]}
    assert verdicts_of(make(best, experiments=pair))["C90"] == REPRODUCED
    worst = {**even, ("densenet121-I-10", 42): [[90, 39], [33, 158]]}
    assert verdicts_of(make(worst, experiments=pair))["C90"] == NOT_REPRODUCED


def test_on_another_cohort_only_directions_and_effects_are_judged(make: Make) -> None:
    content = make(cohort=OWN)
    verdicts = verdicts_of(content)
    assert {verdicts[name] for name in ("C1", "C2", "C10", "C88", "N1", "N7", "N14", "C69")} == {ANOTHER_COHORT}
    assert ANOTHER_COHORT not in {verdicts[name] for name in ("C7", "C66", "C70", "C76", "C90", "N10")}
    assert verdicts["C77"] == NOT_TESTABLE
    found = found_of(content, "C10")
    assert (found["value"], found["reason"]) == (None, "it is about the study's own images, and these are others")
    # What the print itself says does not depend on the images of anybody.
    assert record_of(content, "C10")["on_print"]["verdict"] == REPRODUCED


@pytest.mark.parametrize("source", ["kaggle", "mendeley", "embedded"])
def test_the_studys_images_are_known_by_their_source(make: Make, source: str) -> None:
    content = make(cohort={**OWN, "source": source}, experiments=["custom"])
    assert ANOTHER_COHORT not in verdicts_of(content).values()
    assert verdicts_of(content)["C1"] == NOT_REPRODUCED


def test_a_resized_copy_does_not_tell_of_the_original_files(make: Make) -> None:
    size = {side: {"min": 224, "max": 224} for side in ("width", "height")}
    content = make(cohort={**size, "rgb_by_folder": {}}, experiments=["custom"])
    for name in ("C2", "N7", "N8"):
        found = found_of(content, name)
        assert (found["verdict"], found["value"]) == (NOT_TESTABLE, None)
        assert found["reason"] == "it is a property of the original files, and these images are a resized copy"
    # The numbers of files are those of the originals.
    assert verdicts_of(content)["C1"] == REPRODUCED
    originals = verdicts_of(make(experiments=["custom"]))
    assert {originals[name] for name in ("C2", "N7", "N8")} == {REPRODUCED}


def test_what_was_not_run_is_not_testable_and_says_why(make: Make) -> None:
    content = make(experiments=["custom", "resnet18-III"], not_run="resnet18-III")
    for name, reason in {
        "C24": "resnet18-III was not run: no weights for it are to be had",
        "C10": "resnet18-I-500 was not run: the config 'held' does not run it",
        "C77": "It is an explanation",
    }.items():
        found = found_of(content, name)
        assert (found["verdict"], found["value"]) == (NOT_TESTABLE, None)
        assert found["reason"].startswith(reason)


def test_limits_are_told_and_too_few_epochs_are_no_evidence(make: Make) -> None:
    content = make(experiments=["densenet121-III"], limits=[{"experiments": ["densenet121-*"], "epochs": 5}])
    table, later, data = (found_of(content, name) for name in ("C52", "C85", "C1"))
    assert (table["verdict"], table["limited"]) == (REPRODUCED, True)
    assert (later["verdict"], later["limited"]) == (NOT_TESTABLE, True)
    assert later["reason"] == "it needs 6 epochs of densenet121-III's train_accuracy, and there are 5"
    assert data["limited"] is False and data["other_weights"] is False
    assert "limits shorten the training" in content["provisional"]


def test_an_unexplained_failure_is_listed_and_stops_nothing(make: Make, tmp_path: Path) -> None:
    wrong: dict[str, Any] = {"matrices": {("custom", seed): [[129, 0], [90, 101]] for seed in (42, 43)}}
    content = make(**wrong, experiments=["custom"], seeds=[42, 43])
    assert content["provisional"] == []
    assert content["unexplained"] == ["N1", "N2", "N3"]
    # C3 is not reproduced either, and explained.
    assert verdicts_of(content)["C3"] == NOT_REPRODUCED
    rows = {row["id"]: row for row in csv.DictReader((tmp_path / "claims.csv").open(encoding="utf-8"))}
    assert rows["N1"]["verdict"] == NOT_REPRODUCED
    assert float(rows["N1"]["minimum_detectable_difference"]) == pytest.approx(
        found_of(content, "N1")["minimum_detectable_difference"], rel=1e-4
    )
