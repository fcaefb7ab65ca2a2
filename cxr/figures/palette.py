"""The colours and signs that figures and page share, in a module that imports nothing.

The hues are of Okabe and Ito's set for colour-blind readers (Color Universal Design, 2008), darkened for verdicts so
that white signs stand out on them. Whatever a colour says is said by a sign, a shape or a stroke as well.
"""

# Text and axes are drawn in this ink and in no other; the paper gives it the colour of its own text, light or dark.
INK = "#231f20"
GREY = "#8a8a8a"
BLUE, VERMILLION = "#0072b2", "#d55e00"

# The sign and the colour of each verdict of claims.json.
VERDICTS = {
    "reproduced": ("\N{CHECK MARK}", "#00558a"),
    "undecided": ("?", "#6f3f8f"),
    "not reproduced": ("\N{MULTIPLICATION SIGN}", "#b04400"),
    "not testable": ("\N{EN DASH}", "#66605f"),
    "another cohort": ("\N{NOT EQUAL TO}", "#4a6b4a"),
}
