"""The study's claims, and a verdict on each of them.

In: ``paper/claims.yaml``, the files of ``evaluation``. Out: ``claims.json``, ``claims.csv``.
May import all packages above; no torch.
"""
