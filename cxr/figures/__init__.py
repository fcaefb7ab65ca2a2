"""The figures of the paper.

In: the files of ``training``, ``evaluation`` and ``claims``. Out: SVG files and ``index.json``.
May import all packages above; no torch.
"""
