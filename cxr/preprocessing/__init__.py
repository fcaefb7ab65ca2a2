"""Which image is in which set, all images as arrays, and the constants to normalise with.

In: ``manifest.csv``, the image files. Out: ``split.csv``, ``<size>px.npy``, ``preprocessing.json``.
May import ``study`` and ``images``; torch resizes and transforms.
"""
