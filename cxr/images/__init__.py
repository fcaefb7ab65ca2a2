"""Images from any source, checked, measured and hashed.

In: a folder, an archive, Kaggle or drawn phantoms. Out: ``source.json``, ``manifest.csv``, ``cohort.json``.
May import ``study``; not torch.
"""
