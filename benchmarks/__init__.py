"""How fast the artifact is: ratios against named baselines, timed in the same process run."""
