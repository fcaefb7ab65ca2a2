"""The planned comparisons between experiments."""

from matplotlib.figure import Figure

from cxr.figures.data import FigureData
from cxr.figures.forest import METRICS, Effect, draw_forest, pair
from cxr.figures.style import top_note
from cxr.figures.words import fraction, part_of


def draw_differences(figure: Figure, data: FigureData) -> str | None:
    """Draw the differences between experiments, by question; return what they show, or None without a pair."""
    families: dict[str, dict[str, dict[str, Effect]]] = {}
    adjusted = agreeing = printed_pairs = 0
    for family, rows in data.uncertainty["comparisons"].items():
        for row in rows:
            if row["metric"] not in METRICS or row["difference"] is None:
                continue
            titles = [data.title(row[key]) for key in ("a", "b")]
            both = [data.outcomes[row[key]].printed for key in ("a", "b")]
            printed = None
            if row["metric"] == "accuracy" and all(both):
                first, second = (content["test_accuracy_printed"] for content in both if content)
                printed = first - second
            effect = Effect(row["difference"], pair(row["interval"]), printed)
            label = " \N{MINUS SIGN} ".join(titles)
            families.setdefault(data.questions[family], {}).setdefault(label, {})[row["metric"]] = effect
            adjusted += row["holm_bootstrap"] is not None and row["holm_bootstrap"] < 1 - data.level
            if printed is not None and effect.interval is not None:
                printed_pairs += 1
                agreeing += effect.interval[0] <= printed <= effect.interval[1]
    if not families:
        return None
    draw_forest(figure, families, "difference of test {}")
    top_note(figure, f"{data.level:.0%} intervals over patients; blue: without 0; diamond: printed by the study")
    effects = [effect for rows in families.values() for row in rows.values() for effect in row.values()]
    clear = sum(effect.clear for effect in effects)
    level, p = f"{data.level:.0%}", fraction(1 - data.level, 2)
    finding = (
        f"Zero lies outside the {level} interval of {part_of(clear, len(effects), 'difference')}; after Holm's "
        f"adjustment within each question p is below {p} for {part_of(adjusted, len(effects), 'difference')}."
    )
    if printed_pairs:
        agreed = part_of(agreeing, printed_pairs, "pair")
        finding += f" Where the study printed both accuracies, their difference lies in our interval for {agreed}."
    return finding
