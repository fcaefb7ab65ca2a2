import jinja2
import pytest

from cxr.errors import InputError
from cxr.evaluation.quantities import Node, Quantity, number, quantities


@pytest.mark.parametrize(
    ("value", "options", "text"),
    [
        (0.84375, {"digits": 3}, "0.844"),
        (0.84375, {"digits": 1, "percent": True}, "84.4%"),
        (10728, {}, "10,728"),
        (10728, {"grouped": False}, "10728"),
        (-0.01875, {"digits": 3}, "\N{MINUS SIGN}0.019"),
        (0.01875, {"digits": 3, "signed": True}, "+0.019"),
        (-0.0001, {"digits": 3, "signed": True}, "0.000"),
        (0.001, {}, "0.001"),
        (131.5, {}, "131.5"),
        (98.0, {}, "98"),
    ],
)
def test_number_formats_and_keeps_the_unrounded_value_with_its_origin(value, options, text):
    printed = number(Quantity(value, "runs/x/metrics.json", "test.accuracy"), **options)
    assert printed == f'<span class="number" title="{value!r} · runs/x/metrics.json · test.accuracy">{text}</span>'


def test_the_trace_is_escaped():
    assert 'title="1 · a&#34;b · &lt;key&gt;"' in number(Quantity(1, 'a"b', "<key>"))


@pytest.mark.parametrize("wrong", [None, 3, 0.5, "0.5", True])
def test_number_prints_quantities_only(wrong):
    with pytest.raises(InputError, match="numbers of result files only"):
        number(wrong)


@pytest.mark.parametrize("expression", ["q", "q ~ ''", "'%s' % q", "'{}'.format(q)", "q | string", "[q] | join"])
def test_no_way_of_printing_a_quantity_bare_is_left_open(expression):
    template = jinja2.Environment(autoescape=True).from_string(f"{{{{ {expression} }}}}")
    with pytest.raises(InputError, match=r"file\.json is printed bare"):
        template.render(q=Quantity(0.5, "file.json", "key"))


def test_a_wrong_key_names_the_file_the_key_and_the_nearest_one():
    node = Node({"test": {"accuracy": 0.5}}, "runs/x/metrics.json")
    with pytest.raises(InputError, match=r"runs/x/metrics.json has no key 'test.acuracy'; did you mean 'accuracy'"):
        _ = node.test.acuracy
    template = jinja2.Environment().from_string("{{ node.test['acuracy'] }}")
    with pytest.raises(InputError, match=r"no key 'test\.acuracy'"):
        template.render(node=node)


def test_arithmetic_keeps_both_origins_and_compares_by_value():
    ours, theirs = Quantity(0.9, "metrics.json", "test.accuracy"), Quantity(0.8, "printed.json", "accuracy")
    gap = ours - theirs
    assert gap.value == pytest.approx(0.1)
    assert gap.source == "metrics.json; printed.json"
    assert gap.key == "(test.accuracy \N{MINUS SIGN} accuracy)"
    assert (ours - ours).source == "metrics.json"
    assert theirs < ours and ours > 0.85 and ours != theirs and ours == 0.9
    assert max([theirs, ours]) is ours


def test_values_are_wrapped_by_kind():
    node = quantities({"list": [1, {"deep": 2.5}], "text": "a", "flag": True, "nothing": None}, "f.json")
    assert node["list"][1].deep == Quantity(2.5, "f.json", "list[1].deep")
    assert node["list"][1].deep.key == "list[1].deep"
    assert (node.text, node.flag, node.nothing) == ("a", True, None)


def test_numbers_that_are_none_are_refused():
    with pytest.raises(InputError, match=r"history.csv: 'loss' is nan"):
        _ = Node({"loss": float("nan")}, "history.csv").loss
