"""Explanation: what a trained network looks at. Class activation maps, their checks, and its first filters.

In: runs with their checkpoints, arrays, split, lung masks. Out: ``explanation.json`` and ``maps.npz`` of each run.
May import all packages above and torch.
"""
