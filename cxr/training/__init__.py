"""Training: batches, stored features, the epochs of a run, and which epoch and experiment validation selects.

In: arrays, split, weights. Out: ``history.csv``, ``predictions.csv``, ``checkpoint.pt``, ``run.json``.
May import all packages above and torch.
"""
