"""Prediction: a finished run on somebody's own images, for research only.

In: image files and a run's folder or an exported network. Out: predictions as CSV and JSON, maps as PNG.
May import all packages above and torch; no package below imports torch.
"""
