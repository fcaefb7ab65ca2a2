"""The test images that are shown: the most and the median confident one of each case."""

import pandas as pd

from cxr.explanation.cases import choose_cases


def predictions(*rows: tuple[str, int, int, float]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=["path", "label", "predicted", "probability"])


def test_the_most_and_the_median_confident_image_of_each_case() -> None:
    found = choose_cases(
        predictions(
            *[(f"p{index}", 1, 1, probability) for index, probability in enumerate((0.6, 0.99, 0.7, 0.9, 0.8))],
            *[(f"n{index}", 0, 0, probability) for index, probability in enumerate((0.4, 0.1))],
            ("lone", 0, 1, 0.55),
        )
    )
    assert list(zip(found["case"], found["path"], strict=True)) == [
        ("true positive", "p1"),
        ("true positive", "p4"),
        ("true negative", "n1"),
        ("true negative", "n0"),
        ("false positive", "lone"),
    ]


def test_equals_are_chosen_by_path_whatever_their_order() -> None:
    rows = [("b", 1, 0, 0.2), ("a", 1, 0, 0.2), ("c", 1, 0, 0.2)]
    assert (
        list(choose_cases(predictions(*rows))["path"])
        == list(choose_cases(predictions(*rows[::-1]))["path"])
        == ["a", "b"]
    )


def test_an_image_given_a_third_class_belongs_to_no_case() -> None:
    assert choose_cases(predictions(("x", 1, 400, 0.001))).empty
