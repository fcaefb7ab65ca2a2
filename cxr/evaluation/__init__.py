"""How good predictions are, and how sure that is: metrics, bootstrap, paired tests, baselines, ablations, agreement.

In: ``predictions.csv``, ``run.json``. Out: ``metrics.json``, ``uncertainty.json``, ``baselines.json``,
``ablations.json``, ``agreement.json``.
May import all packages above; no torch from here on.
"""
