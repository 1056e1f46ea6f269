"""A batch on its way through the models: a few images at a time, answers in the order of the questions."""

from __future__ import annotations

import asyncio
import base64
import collections
import contextlib
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from dataclasses import dataclass

from automask.config import PipelineConfig
from automask.dataset.names import mask_file_name, names_with_long_masks
from automask.errors import AutomaskError
from automask.export.snippets import unbroken
from automask.http.wire import WireBatchLine, WireError
from automask_api.batch.archive import StreamedZip
from automask_api.batch.sources import BatchItem
from automask_api.masking import Answer, MaskMaker

logger = logging.getLogger(__name__)

MANIFEST = "manifest.ndjson"


@dataclass(frozen=True, slots=True, eq=False)
class Outcome:
    """What became of one image."""

    name: str
    answer: Answer | None
    error: AutomaskError | None

    def line(self, *, mask: str | None = None, with_png: bool = False) -> WireBatchLine:
        """For JSON."""
        if self.answer is None:
            error = self.error or AutomaskError("The server met an unexpected error.")
            return WireBatchLine(name=self.name, error=WireError.of(error))
        png = base64.b64encode(self.answer.png).decode("ascii") if with_png else None
        return WireBatchLine(name=self.name, mask=mask, mask_png=png, result=self.answer.wire())


async def outcomes(
    items: Sequence[BatchItem],
    masks: MaskMaker,
    config: PipelineConfig,
    *,
    at_once: int,
    timeout_s: float,
) -> AsyncGenerator[Outcome]:
    """Work on the images, at most so many at once; those that nobody waits for any more are cancelled."""
    reading = asyncio.Lock()  # the files of a batch share one stream
    pending: collections.deque[asyncio.Task[Outcome]] = collections.deque()
    try:
        for item in items:
            if len(pending) >= at_once:
                yield await pending.popleft()
            pending.append(asyncio.create_task(_one(item, masks, config, reading=reading, timeout_s=timeout_s)))
        while pending:
            yield await pending.popleft()
    finally:
        for task in pending:
            task.cancel()
        await asyncio.gather(*pending, return_exceptions=True)


async def as_zip(found: AsyncGenerator[Outcome], names: list[str]) -> AsyncIterator[bytes]:
    """The masks under their images' names, and a manifest with a line per image at the end."""
    masks = mask_names(names)
    lines: list[str] = []
    with StreamedZip() as archive:
        async with contextlib.aclosing(found) as outcomes_:
            async for outcome in outcomes_:
                mask = masks[outcome.name] if outcome.answer is not None else None
                lines.append(unbroken(outcome.line(mask=mask).model_dump_json(exclude_none=True)))
                if outcome.answer is not None and mask is not None:
                    yield archive.entry(mask, outcome.answer.png)
        yield archive.entry(MANIFEST, ("\n".join(lines) + "\n").encode(), is_text=True)
        yield archive.end()


async def as_lines(found: AsyncGenerator[Outcome]) -> AsyncIterator[bytes]:
    """One JSON object per image and line, as soon as it is known."""
    async with contextlib.aclosing(found) as outcomes_:
        async for outcome in outcomes_:
            yield unbroken(outcome.line(with_png=True).model_dump_json(exclude_none=True)).encode() + b"\n"


def mask_names(names: list[str]) -> dict[str, str]:
    """Name of each image's mask below `masks/`, by the rules of a run."""
    by_folder: dict[str, list[str]] = {}
    for name in names:
        folder, slash, file = name.rpartition("/")
        by_folder.setdefault(folder + slash, []).append(file)
    found: dict[str, str] = {}
    for folder, files in by_folder.items():
        long = names_with_long_masks(files)
        found.update(
            (folder + file, f"masks/{folder}{mask_file_name(file, keep_suffix=file in long)}") for file in files
        )
    return found


async def _one(
    item: BatchItem, masks: MaskMaker, config: PipelineConfig, *, reading: asyncio.Lock, timeout_s: float
) -> Outcome:
    try:
        async with reading:
            data = await masks.in_thread(item.read)
        facts = masks.facts(data, config)
        answer = await masks.make(data, facts, config, name=item.name, timeout_s=timeout_s, in_background=True)
    except AutomaskError as error:
        return Outcome(item.name, None, error)
    except Exception:
        logger.exception("unexpected error in a batch")
        return Outcome(item.name, None, None)
    return Outcome(item.name, answer, None)
