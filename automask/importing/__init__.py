"""Masks that people drew elsewhere, as corrections. Nothing is guessed silently."""
