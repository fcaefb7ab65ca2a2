"""Images from any source, checked, measured and hashed.

In: the embedded archive, a folder, Kaggle, Mendeley Data or drawn phantoms. Out: ``source.json``, ``manifest.csv``,
``cohort.json``. May import ``study``; not torch.
"""
