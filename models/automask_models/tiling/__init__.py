"""Marks tiled over one picture, found by their own repetition; see `detector`."""
