"""The colours that figures and page share; those of the verdicts are in ``paper/words.yaml``.

The hues are of Okabe and Ito's set for colour-blind readers (Color Universal Design, 2008). Whatever a colour says, a
sign, a shape or a stroke says as well.
"""

# The ink of text and axes, which the page replaces by the colour of its own text, light or dark.
INK = "#231f20"
GREY = "#8a8a8a"
BLUE, VERMILLION = "#0072b2", "#d55e00"
