"""How every `python -m automask_training...` ends: what a person can mend is one line, not a trace."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import NoReturn

from automask.errors import AutomaskError
from automask_training.tables import RecipeError

BAD_INPUT = 2


def start(main: Callable[[], int | None]) -> NoReturn:
    """Run a command's `main` and end the process: with its exit code, or with that of the error that it met."""
    # Networks, states and ONNX files have errors of their own, whose modules need torch: told apart by their package.
    try:
        sys.exit(main() or 0)
    except AutomaskError as error:
        _tell(str(error), code=error.exit_code)
    except FileNotFoundError as error:
        _tell(f"{error.filename} does not exist.", code=BAD_INPUT)
    except RecipeError as error:
        _tell(f"{error}.", code=BAD_INPUT)
    except Exception as error:
        if type(error).__module__.partition(".")[0] != "automask_training":
            raise
        _tell(f"{error}.", code=BAD_INPUT)


def _tell(message: str, *, code: int) -> NoReturn:
    sys.stderr.write(f"error: {message}\n")
    sys.exit(code)
