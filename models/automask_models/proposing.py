"""How sure any detector is of what it leaves to a person."""

JUST_PROPOSED = 0.45
"""Confidence of what is shown to a person and never drawn by itself."""
