"""What each flipped choice changes."""

from matplotlib.figure import Figure

from cxr.figures.data import FigureData
from cxr.figures.forest import METRICS, Effect, draw_forest, is_defined, pair
from cxr.figures.style import top_note
from cxr.figures.words import fraction, joined, part_of


def draw_ablations(figure: Figure, data: FigureData) -> str | None:
    """Draw what each discrepancy changes; return what it shows, or None if none was measured."""
    groups: dict[str, dict[str, dict[str, Effect]]] = {}
    for row in data.ablations:
        for effect in row["experiments"]:
            # Of one experiment, or of two that are compared.
            title = " against ".join(data.title(name) for name in effect["experiment"].split(" against "))
            groups.setdefault(row["id"].replace("-", " "), {})[title] = {
                metric: Effect(effect["difference"][metric], pair(effect["interval"][metric]))
                for metric in METRICS
                if is_defined(effect["difference"][metric])
            }
    if not groups:
        return None
    draw_forest(figure, groups, "change of test {}")
    top_note(figure, f"{data.level:.0%} intervals over patients; blue: without 0")
    changed = [name for name, rows in groups.items() if any(e.clear for row in rows.values() for e in row.values())]
    sizes = {
        f"{name}, {title}": row["accuracy"].value
        for name, rows in groups.items()
        for title, row in rows.items()
        if "accuracy" in row
    }
    finding = (
        f"With one choice changed and all else the same, the interval of the change of accuracy or AUROC leaves 0 out "
        f"in {part_of(len(changed), len(groups), 'case')}"
    )
    finding += f": {joined(changed)}." if changed else "."
    if sizes:
        largest = max(sizes, key=lambda name: abs(sizes[name]))
        finding += f" The largest change of accuracy is {fraction(sizes[largest], sign=True)} ({largest})."
    return finding
