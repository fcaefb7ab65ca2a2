"""The paper, as one HTML file and as PDF.

In: all result files, ``paper/sections/``, ``report_templates/``. Out: ``paper.html``, ``paper.pdf``.
May import all packages above; no torch.
"""
