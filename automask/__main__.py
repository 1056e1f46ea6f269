"""`python -m automask`, the same as the `automask` command."""

from __future__ import annotations

from automask.cli import main

if __name__ == "__main__":
    main()
