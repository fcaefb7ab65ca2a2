"""Where two contents of JSON differ, in words."""

from cxr.study.differences import first_difference


def test_numbers_may_differ_by_the_tolerance_and_nothing_else() -> None:
    content = {"a": [1.0, {"b": None}], "c": "text"}
    assert first_difference(content, {"c": "text", "a": [1.0 + 1e-13, {"b": None}]}) is None
    assert (
        first_difference(content, {"a": [1.0 + 1e-11, {"b": None}], "c": "text"})
        == "a.0 is 1.00000000001 instead of 1.0"
    )
    assert first_difference(content, {"a": [1.0, {}], "c": "text"}) == "a.1.b is absent instead of None"
    assert first_difference(content, {**content, "d": 0}) == "d is 0 instead of absent"
    assert first_difference([1, 2], [1]) == "content is [1] instead of [1, 2]"


def test_some_keys_of_the_outermost_dictionary_are_not_compared() -> None:
    assert first_difference({"a": 1, "b": {"a": 2}}, {"a": 3, "b": {"a": 2}}, ignored=("a",)) is None
    assert first_difference({"b": {"a": 2}}, {"b": {"a": 3}}, ignored=("a",)) == "b.a is 3 instead of 2"
