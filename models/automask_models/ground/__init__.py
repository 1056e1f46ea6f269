"""Plain ground behind things that are shown alone."""
