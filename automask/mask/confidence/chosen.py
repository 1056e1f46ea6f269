"""The model that a configuration asks for: the one in the package, or one in a file."""

from __future__ import annotations

import functools
from pathlib import Path

from automask.config import ReviewConfig, read_option_file
from automask.errors import ConfigError
from automask.mask.confidence.features import FEATURES
from automask.mask.confidence.model import ConfidenceModel, bundled_model

_OPTION = "review.model"


def chosen_model(review: ReviewConfig) -> ConfidenceModel:
    """The model of a configuration; a file is read again where it was written again.

    Raises:
        ConfigError: The file cannot be read, holds no such model, or one that weighs what is not measured.
    """
    if not review.model:
        return bundled_model()
    try:
        written_ns = Path(review.model).expanduser().stat().st_mtime_ns
    except OSError:
        written_ns = 0  # reading it says what is wrong
    return _model_in(review.model, written_ns)


@functools.lru_cache(maxsize=8)  # one a run, a few where configurations are compared
def _model_in(path: str, _written_ns: int) -> ConfidenceModel:
    model = read_option_file(ConfidenceModel, path, option=_OPTION)
    unknown = sorted(set(model.features) - set(FEATURES))
    if unknown:
        raise ConfigError(
            f"{_OPTION}: {path} weighs {', '.join(unknown)}, which is not measured.",
            advice=f"Fit it again with this version, on {', '.join(FEATURES)}.",
        )
    return model
