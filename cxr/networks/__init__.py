"""The networks, their pretrained weights and the precision in which they compute.

In: ``model`` of an experiment, a file of weights. Out: a ``torch.nn.Module``; ``<backbone>.pt`` and ``.json``.
May import ``study``, ``images``, ``preprocessing`` and torch.
"""
