"""What a trained network looks at: class activation maps, their checks, and its first filters.

Used by the stage ``explanation`` and by ``cxr.prediction``.
"""
