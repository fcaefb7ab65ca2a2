"""Benchmarks: the speed of this project beside that of named baselines, measured in turns on the same machine."""
