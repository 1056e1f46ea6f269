"""Questions by hand to a segment-anything network: clicks, boxes and drawings on an image that was encoded once."""

from __future__ import annotations

import collections

import numpy as np
from numpy.typing import NDArray

from automask.protocols import Prompt, PromptAnswer, PromptSession
from automask.values.geometry import Box
from automask.values.types import Image
from automask_models.refiners.backends.protocol import UNWANTED, WANTED, Embedding, Prompts, SamBackend
from automask_models.refiners.views import plan_views

_DRAWN_LOGIT = 6.0
_CLOSE_UPS = 4


class SamPromptSession(PromptSession):
    """An image in front of a network; see `automask.protocols.PromptSession`.

    The whole image is encoded at once. What is too small in it is looked at from closer up; the last close-ups are
    kept as well.

    Args:
        backend: Loaded; only used by one thread at a time.
        image: The pixels.
        name: What answers call the method.
    """

    def __init__(self, backend: SamBackend, image: Image, *, name: str) -> None:
        self._backend = backend
        self._image = image
        self._name = name
        self._whole = self._encoded(image.box)
        self._close_ups: collections.OrderedDict[Box, Embedding] = collections.OrderedDict()

    def answer(self, prompt: Prompt) -> PromptAnswer:
        """See `automask.protocols.PromptSession`."""
        drawn_box = prompt.drawn_box
        target = prompt.box or drawn_box
        window = self._window(target)
        embedding = self._embedding(window)
        labels = [WANTED if is_wanted else UNWANTED for is_wanted in prompt.wanted]
        masks = None
        if prompt.drawn is not None and drawn_box is not None:
            frame_box = Box(
                drawn_box.x0 - window.x0, drawn_box.y0 - window.y0, drawn_box.x1 - window.x0, drawn_box.y1 - window.y0
            )
            masks = embedding.frame.prompt_mask(
                prompt.drawn[drawn_box.slices], frame_box, side_px=self._backend.mask_side_px, logit=_DRAWN_LOGIT
            )[None]
        origin = np.array([window.x0, window.y0], dtype=np.float32)
        boxes = None
        if target is not None:
            boxes = np.array([target.xyxy], dtype=np.float32) - np.tile(origin, 2)
        prompts = Prompts(
            boxes=boxes,
            points=np.array([prompt.points], dtype=np.float32) - origin if prompt.points else None,
            labels=np.array([labels], dtype=np.int64) if prompt.points else None,
            masks=masks,
        )
        proposals = self._backend.decode(embedding, prompts)
        inside = Box(0, 0, window.width_px, window.height_px)
        masks_found = [embedding.frame.window_logits(logits, inside) > 0 for logits in proposals.logits[0]]
        artefacts = [_laid_into(found, window, self._image.box.shape) for found in masks_found]
        ious = proposals.ious[0]
        best = max(range(len(artefacts)), key=lambda i: (_obeyed(artefacts[i], prompt), float(ious[i])))
        return PromptAnswer(artefacts[best], float(np.clip(ious[best], 0.0, 1.0)), self._name)

    def _window(self, target: Box | None) -> Box:
        """The whole image, or a close-up of what is too small in it."""
        if target is None:
            return self._image.box
        plan = plan_views([target], image=self._image.box, traits=self._backend.traits, max_crops=1)
        return plan.views[0].window if len(plan.views) == 1 else self._image.box

    def _embedding(self, window: Box) -> Embedding:
        if window == self._image.box:
            return self._whole
        embedding = self._close_ups.pop(window, None) or self._encoded(window)
        self._close_ups[window] = embedding
        while len(self._close_ups) > _CLOSE_UPS:
            self._close_ups.popitem(last=False)
        return embedding

    def _encoded(self, window: Box) -> Embedding:
        return self._backend.encode(np.ascontiguousarray(self._image.pixels[window.slices]))


def _laid_into(found: NDArray[np.bool_], window: Box, shape: tuple[int, int]) -> NDArray[np.bool_]:
    out = np.zeros(shape, dtype=np.bool_)
    out[window.slices] = found
    return out


def _obeyed(artefact: NDArray[np.bool_], prompt: Prompt) -> int:
    """How many clicks an answer does justice to."""
    return sum(bool(artefact[int(y), int(x)]) is is_wanted for (x, y), is_wanted in prompt.clicks)
