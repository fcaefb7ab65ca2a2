"""For reviewers: are the results what was expected, what differs between two of them, and the author's checkpoints.

In: finished results. Out: ``verification.json``, tables on the terminal, ``record.json`` of a checkpoint.
May import all packages above; torch only through ``networks`` and ``training``.
"""
