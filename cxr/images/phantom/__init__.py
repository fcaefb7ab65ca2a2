"""A synthetic cohort of chest radiographs, drawn from formulae and random numbers.

In: a seed and the number of images. Out: a folder in Kaggle's layout. May import ``cxr.images.names``.
"""
