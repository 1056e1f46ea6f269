"""Questions by hand to a segment-anything network: clicks, boxes and drawings on an image that was encoded once."""

from __future__ import annotations

import collections
import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from automask.protocols import Prompt, PromptAnswer, PromptSession
from automask.values.geometry import Box
from automask.values.types import Image
from automask_models.refiners.backends.protocol import UNWANTED, WANTED, Embedding, Prompts, SamBackend
from automask_models.refiners.views import MAX_ZOOM, plan_views, square_around

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
        answers = [self._asked(prompt, window) for window in self._windows(prompt)]
        best = max(answers, key=lambda each: (each.obeyed, not each.is_cut, each.iou))
        return PromptAnswer(best.artefact, float(np.clip(best.iou, 0.0, 1.0)), self._name)

    def _asked(self, prompt: Prompt, window: Box) -> _Answer:
        """The best of what the network answers when it sees a window."""
        drawn_box = prompt.drawn_box
        target = prompt.box or drawn_box
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
        answers = []
        for logits, iou in zip(proposals.logits[0], proposals.ious[0], strict=True):
            found = embedding.frame.window_logits(logits, inside) > 0
            artefact = np.zeros(self._image.box.shape, dtype=np.bool_)
            artefact[window.slices] = found
            is_cut = _is_cut(found, window, self._image.box)
            answers.append(_Answer(artefact, float(iou), _obeyed(artefact, prompt), is_cut))
        return max(answers, key=lambda each: (each.obeyed, each.iou))

    def _windows(self, prompt: Prompt) -> list[Box]:
        """The whole image, or a close-up of what is too small in it; of clicks alone, which say no size, several."""
        whole = self._image.box
        target = prompt.box or prompt.drawn_box
        traits = self._backend.traits
        if target is not None:
            plan = plan_views([target], image=whole, traits=traits, max_crops=1)
            return [plan.views[0].window if len(plan.views) == 1 else whole]
        xs, ys = zip(*prompt.points, strict=True)
        longer_px = max(whole.width_px, whole.height_px)
        windows = []
        for share in traits.click_shares:
            side_px = math.ceil(max(share * longer_px, traits.side_px / MAX_ZOOM))
            window = square_around((min(xs) + max(xs)) / 2, (min(ys) + max(ys)) / 2, side_px, image=whole)
            if all(window.x0 <= x < window.x1 and window.y0 <= y < window.y1 for x, y in prompt.points):
                windows.append(window)
        return list(dict.fromkeys(windows)) or [whole]

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


@dataclass(frozen=True, slots=True, eq=False)
class _Answer:
    """An answer from one window.

    Attributes:
        artefact: (H, W) bool over the whole image.
        iou: Predicted.
        obeyed: How many clicks it does justice to.
        is_cut: Whether it goes on beyond the window.
    """

    artefact: NDArray[np.bool_]
    iou: float
    obeyed: int
    is_cut: bool


def _is_cut(found: NDArray[np.bool_], window: Box, image: Box) -> bool:
    """Whether an answer reaches a side of its window that is no side of the image."""
    return bool(
        (window.x0 > image.x0 and found[:, 0].any())
        or (window.y0 > image.y0 and found[0].any())
        or (window.x1 < image.x1 and found[:, -1].any())
        or (window.y1 < image.y1 and found[-1].any())
    )


def _obeyed(artefact: NDArray[np.bool_], prompt: Prompt) -> int:
    """How many clicks an answer does justice to."""
    return sum(bool(artefact[int(y), int(x)]) is is_wanted for (x, y), is_wanted in prompt.clicks)
