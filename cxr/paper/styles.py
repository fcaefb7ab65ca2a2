"""The style sheets of the page, with the colours and signs of the verdicts."""

from collections.abc import Mapping
from pathlib import Path

from markupsafe import Markup


def style_sheets(templates: Path, verdicts: Mapping[str, Mapping[str, str]]) -> dict[str, Markup]:
    """Return the CSS by medium: ``common``, ``screen`` and ``print``.

    Args:
        templates: the folder of the style sheets.
        verdicts: ``verdicts`` of ``paper/words.yaml``.
    """
    sheets = {name: (templates / f"{name}.css").read_text(encoding="utf-8") for name in ("common", "screen", "print")}
    for name, row in verdicts.items():
        chosen = f".verdict-{name.replace(' ', '-')}"
        sheets["common"] += (
            f'{chosen} {{ color: {row["colour"]}; }}\n{chosen}::before {{ content: "{row["sign"]}"; }}\n'
        )
        # Browsers that do not know light-dark() ignore the line and keep the colour above.
        sheets["screen"] += f"{chosen} {{ color: light-dark({row['colour']}, {row['dark']}); }}\n"
    return {name: Markup(sheet) for name, sheet in sheets.items()}
