"""The study as data: the config, the experiments, protocols and discrepancies of ``paper/``, and where results lie.

In: ``config/*.yaml``, ``paper/*.yaml``. Out: the settings of every stage, as plain dictionaries.
Imports nothing but ``cxr``'s own modules (errors, files); neither torch nor pandas, so that planning stays quick.
"""
