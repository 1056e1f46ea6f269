"""Commands that measure automask and that no user needs: `python -m tests.measuring.NAME --help`, from a clone."""
