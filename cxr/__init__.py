"""Regenerate and check the study arXiv:2303.10601: from chest X-rays to a finished paper.

Every stage is a function over files; ``cxr.cli`` gives each one a command, and the Snakefile joins the commands.
"""

__version__ = "0.1.0"
