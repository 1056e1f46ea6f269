"""How fast a device is on a folder, and whether it makes the processor's masks.

    python -m automask_training.gpu_bench FOLDER                    # the best device here
    python -m automask_training.gpu_bench FOLDER --device cuda --images 200 --json

Runs `automask run` twice as a user would, in processes of their own: on the processor and on the device. Images per
second are those of the whole run, decoding and files included, without the start, which a run of one image gives. The
share of the time that the card is busy, and its memory, are asked of `nvidia-smi` while the run goes on. The masks of
the device are scored with those of the processor as truth.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from automask.dataset.image_file import ImageFile
from automask.dataset.walk import walk
from automask.errors import InputError, StageError
from automask.mask.metrics import TRUTH_UNWANTED, MaskScore, score_mask
from automask_training.starting import start

SAME = 0.002
"""Most leak and waste, as means over the images, of masks that count as the processor's."""
_HALF_TRAINED = 128
_ASKED_EVERY_SECONDS = 0.5
_LISTED = 10
_QUERY = "utilization.gpu,memory.used"


@dataclass(frozen=True)
class CardUse:
    """What `nvidia-smi` said during a run.

    Attributes:
        busy_share: Mean share of the time in which a kernel ran, 0..1.
        memory_mib: Most memory in use, of all programs on the card.
    """

    busy_share: float
    memory_mib: float


@dataclass(frozen=True)
class Timed:
    """One run.

    Attributes:
        device: As `--device` was given.
        networks: Device and provider by stage, as the run itself reported them.
        images: How many images it read.
        seconds: Wall time of the whole process.
        start_seconds: The same for one image.
        peak_memory_mib: Most resident memory of its process; None where the system does not tell.
        card: None without `nvidia-smi`.
    """

    device: str
    networks: dict[str, Any]
    images: int
    seconds: float
    start_seconds: float
    peak_memory_mib: float | None
    card: CardUse | None

    @property
    def images_per_second(self) -> float:
        """Of all images but the one that the start was measured with."""
        return (self.images - 1) / max(1e-6, self.seconds - self.start_seconds)


@dataclass(frozen=True)
class Difference:
    """Masks of the device, scored with those of the processor as truth.

    Attributes:
        leak: Mean over images of which the processor masks something; NaN without any.
        waste: Mean over images with cells far from what the processor masks.
        worst: Ids of the images with the largest figures, worst first.
        equal: How many masks are the same to the byte.
    """

    leak: float
    waste: float
    worst: list[str]
    equal: int

    @property
    def is_same(self) -> bool:
        """Whether neither mean is above `SAME`."""
        return all(not value > SAME for value in (self.leak, self.waste))


@dataclass(frozen=True)
class Comparison:
    """Both runs and what they made."""

    processor: Timed
    device: Timed
    difference: Difference

    @property
    def faster(self) -> float:
        """Images per second of the device over those of the processor."""
        return self.device.images_per_second / self.processor.images_per_second


def compare(folder: Path, work: Path, *, device: str, images: int | None = None) -> Comparison:
    """Run the processor and a device on the images of a folder.

    Args:
        folder: Folder of images.
        work: Where copies, masks and stores go.
        device: As for `automask run --device`.
        images: Take the first so many; None = all.

    Raises:
        InputError: The folder holds fewer than two images.
        StageError: A run ended with an error.
    """
    paths = [found.path for found in walk(folder) if isinstance(found, ImageFile)][:images]
    if len(paths) < 2:
        raise InputError(f"{folder} holds {len(paths)} images; speed takes two at least.", advice="Give it more.")
    many, one = work / "images", work / "one"
    for target, taken in ((many, paths), (one, paths[:1])):
        target.mkdir(parents=True)
        for number, path in enumerate(taken):
            shutil.copy(path, target / f"{number:06d}{path.suffix}")
    processor, other = work / "processor", work / "device"
    return Comparison(
        timed(many, one, processor, device="cpu"),
        timed(many, one, other, device=device),
        difference(processor / "masks", other / "masks"),
    )


def timed(folder: Path, one: Path, output: Path, *, device: str) -> Timed:
    """Run the command on a folder of many images, and on one of a single image.

    Raises:
        StageError: A run ended with an error.
    """
    _, start_seconds, _ = _run(one, output.with_name(f"{output.name}-one"), device)
    with card_use() as asked:
        summary, seconds, peak_memory_mib = _run(folder, output, device)
    return Timed(
        device=device,
        networks=summary["devices"],
        images=summary["images"],
        seconds=seconds,
        start_seconds=start_seconds,
        peak_memory_mib=peak_memory_mib,
        card=used(asked),
    )


def _run(folder: Path, output: Path, device: str) -> tuple[dict[str, Any], float, float | None]:
    """Summary, seconds and peak memory in MiB of one run."""
    words = [sys.executable, "-m", "automask", "run", str(folder), "--output", str(output), "--device", device]
    report = output.with_name(f"{output.name}.json")
    begun = time.perf_counter()
    with report.open("wb") as file:
        process = subprocess.Popen([*words, "--no-report", "--json"], stdout=file, stderr=subprocess.PIPE)
        assert process.stderr is not None
        said = process.stderr.read()
        peak_memory_mib = _waited(process)
    seconds = time.perf_counter() - begun
    try:
        summary = json.loads(report.read_bytes())
    except ValueError:
        raise StageError(
            f"`automask run --device {device}` ended with {process.returncode}: {said.decode(errors='replace').strip()}"
        ) from None
    return summary, seconds, peak_memory_mib


def _waited(process: subprocess.Popen[bytes]) -> float | None:
    """Wait for a process; its peak memory in MiB, where the system tells."""
    if sys.platform == "win32":
        process.wait()
        return None
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    return usage.ru_maxrss / (1024 * 1024 if sys.platform == "darwin" else 1024)


@contextmanager
def card_use() -> Iterator[list[tuple[float, float]]]:
    """Ask `nvidia-smi` again and again for the share of time, 0..100, and the memory, MiB, in use on the first card."""
    found: list[tuple[float, float]] = []
    program, ended = shutil.which("nvidia-smi"), threading.Event()

    def ask() -> None:
        while program is not None and not ended.wait(_ASKED_EVERY_SECONDS):
            words = [program, f"--query-gpu={_QUERY}", "--format=csv,noheader,nounits"]
            said = subprocess.run(words, capture_output=True, text=True, check=False).stdout
            try:
                busy, memory = (float(part) for part in said.splitlines()[0].split(","))
            except (IndexError, ValueError):  # a card that does not tell says "[N/A]"
                continue
            found.append((busy, memory))

    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    try:
        yield found
    finally:
        ended.set()
        thread.join()


def used(asked: Sequence[tuple[float, float]]) -> CardUse | None:
    """What was asked, as figures; None without an answer."""
    if not asked:
        return None
    return CardUse(float(np.mean([busy for busy, _ in asked])) / 100, max(memory for _, memory in asked))


def difference(processor: Path, device: Path) -> Difference:
    """Score the masks of one folder with those of another as truth."""
    apart, equal = {}, 0
    for path in sorted(processor.rglob("*.png")):
        image_id = path.relative_to(processor).as_posix()
        expected, levels = _levels(path), _levels(device / image_id)
        equal += bool(np.array_equal(expected, levels))
        truth = np.where(expected < _HALF_TRAINED, TRUTH_UNWANTED, 0).astype(np.uint8)
        apart[image_id] = _apart(score_mask(levels, truth), score_mask(expected, truth))
    leaks = [leak for leak, _ in apart.values() if leak is not None]
    wastes = [waste for _, waste in apart.values() if waste is not None]
    largest = {image_id: max(leak or 0.0, waste or 0.0) for image_id, (leak, waste) in apart.items()}
    return Difference(
        leak=float(np.mean(leaks)) if leaks else float("nan"),
        waste=float(np.mean(wastes)) if wastes else float("nan"),
        worst=[one for one in sorted(largest, key=lambda one: -largest[one]) if largest[one] > SAME][:_LISTED],
        equal=equal,
    )


def _apart(device: MaskScore, processor: MaskScore) -> tuple[float | None, float | None]:
    """Leak and waste beyond what the processor's mask has against itself, where its edge cuts a cell."""
    leak = None if device.leak is None or processor.leak is None else abs(device.leak - processor.leak)
    waste = None if device.waste is None or processor.waste is None else abs(device.waste - processor.waste)
    return leak, waste


def _levels(path: Path) -> NDArray[np.uint8]:
    with Image.open(path) as mask:
        return np.asarray(mask.convert("L"))


def told(result: Comparison) -> str:
    """The comparison as lines for a person."""
    lines = []
    for run in (result.processor, result.device):
        facts = [
            f"{run.device}: {run.images_per_second:.2f} images a second ({run.images} in {run.seconds:.1f} s, of which "
            f"{run.start_seconds:.1f} s start)"
        ]
        if run.peak_memory_mib is not None:
            facts.append(f"{run.peak_memory_mib:.0f} MiB")
        if run.card is not None:
            facts.append(f"card {run.card.busy_share:.0%} busy, {run.card.memory_mib:.0f} MiB in use there")
        facts += sorted({str(stage.get("provider", stage.get("device"))) for stage in run.networks.values()})
        lines.append(", ".join(facts))
    found = result.difference
    lines.append(f"{result.faster:.2f} x the processor's speed")
    lines.append(
        f"masks against the processor's: leak {found.leak:.4f}, waste {found.waste:.4f} (at most {SAME}), "
        f"{found.equal} of {result.processor.images} equal to the byte"
        + (f"; look at {', '.join(found.worst)}" if found.worst else "")
    )
    return "\n".join(lines)


def main() -> int:
    """Run as a command; gives 1 where the masks are not the processor's."""
    summary = (__doc__ or "").split("\n\n")[0]
    parser = argparse.ArgumentParser(prog="python -m automask_training.gpu_bench", description=summary)
    parser.add_argument("folder", type=Path, help="folder of images")
    parser.add_argument("--device", default="auto", help="as for `automask run` (default: auto)")
    parser.add_argument("--images", type=int, help="take the first so many")
    parser.add_argument("--json", action="store_true", help="figures as JSON")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="automask-gpu-bench-") as work:
        result = compare(given.folder, Path(work), device=given.device, images=given.images)
    figures = {**asdict(result), "faster": result.faster}
    sys.stdout.write((json.dumps(figures, indent=1) if given.json else told(result)) + "\n")
    return 0 if result.difference.is_same else 1


if __name__ == "__main__":
    start(main)
