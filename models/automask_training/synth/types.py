"""What the synthesizer hands out."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from automask.mask.metrics import TRUTH_IGNORE, TRUTH_UNWANTED


@dataclass(frozen=True, eq=False)
class SyntheticInstance:
    """One thing drawn onto a picture that must not be learned.

    Attributes:
        kind: text, watermark or frame: what automask calls the region.
        label: The finer name, a key of `KIND_OF_LABEL`.
        box: Half-open xyxy pixels of the whole image, tight around the mask.
        mask: bool, shape of the box; True where pixels changed visibly, shadow and glow included.
        opacity: Visible strength, 0..1.
        is_kind_known: False where it is unwanted for sure, and whether text or mark is a guess.
    """

    kind: str
    label: str
    box: tuple[int, int, int, int]
    mask: NDArray[np.bool_]
    opacity: float
    is_kind_known: bool = True

    def __post_init__(self) -> None:
        """Refuse a mask that does not match its box."""
        x0, y0, x1, y1 = self.box
        if self.mask.shape != (y1 - y0, x1 - x0) or self.mask.size == 0:
            message = f"mask of shape {self.mask.shape} for box {self.box}"
            raise ValueError(message)


@dataclass(frozen=True, eq=False)
class SyntheticImage:
    """A picture and everything unwanted on it.

    Attributes:
        pixels: uint8 RGB, shape (H, W, 3).
        instances: In drawing order; masks of different instances may overlap.
        unknown: bool, (H, W); True where nobody knows whether a pixel is unwanted unless an instance has it, so that
            it counts neither way. None = all is known.
    """

    pixels: NDArray[np.uint8]
    instances: tuple[SyntheticInstance, ...]
    unknown: NDArray[np.bool_] | None = None

    def artefact(self, kinds: Collection[str] | None = None) -> NDArray[np.bool_]:
        """Return the union of the masks, shape (H, W), of all kinds or only of `kinds`."""
        union = np.zeros(self.pixels.shape[:2], dtype=bool)
        for each in self.instances:
            if kinds is None or each.kind in kinds:
                x0, y0, x1, y1 = each.box
                union[y0:y1, x0:x1] |= each.mask
        return union

    def truth(self, unwanted: NDArray[np.bool_]) -> NDArray[np.uint8]:
        """Truth as a manifest has it, (H, W) uint8: `unwanted` of what was put on; the rest counts neither way."""
        levels: NDArray[np.uint8] = np.zeros(self.pixels.shape[:2], dtype=np.uint8)
        if self.unknown is not None:
            levels[self.unknown] = TRUTH_IGNORE
        levels[self.artefact()] = TRUTH_IGNORE
        levels[unwanted] = TRUTH_UNWANTED
        return levels


KIND_OF_LABEL: dict[str, str] = {
    "text_line": "text",
    "text_block": "text",
    "signature": "watermark",
    "copyright": "watermark",
    "username": "watermark",
    "timestamp": "watermark",
    "logo": "watermark",
    "ai_mark": "watermark",
    "tiled": "watermark",
    "grid": "watermark",
    "diagonal": "watermark",
    "wordmark": "watermark",
    "corner": "watermark",
    "code": "watermark",
    "border": "frame",
    "caption_bar": "frame",
    "letterbox": "frame",
}
"""The kind that automask reports, by finer label."""
