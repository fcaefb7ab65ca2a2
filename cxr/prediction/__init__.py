"""A finished run on somebody's own images: predict, explain and export.

Research use only.
"""
