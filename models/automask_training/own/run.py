"""One training on a user's data, from the start weights to exported files and figures."""

from __future__ import annotations

import copy
import hashlib
import json
import shutil
import tomllib
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from automask.errors import ConfigError, OutputError
from automask.files.atomic import output_error, write_atomic
from automask_training.checkpoint import Progress, load_state
from automask_training.loop import STATE_FILE, LoopConfig, Task, train
from automask_training.own.continuing import (
    ContinuedTask,
    EarlyStop,
    HeldOutLoss,
    checks_every,
    continued_loop,
    recipe_folders,
    save_average,
)
from automask_training.own.reading import OwnData
from automask_training.own.source import MixedSource, OwnSource
from automask_training.own.uses import USES, TaskUse
from automask_training.recipe import export_recipe, loop_of, task_of
from automask_training.tables import VAL_SEED_OFFSET

SETTINGS_FILE = "settings.json"
CONFIG_FILE = "automask.toml"
WEIGHTS_FOLDER = "weights"
_EPOCHS = 30
_SAMPLES = (400, 20_000)
_JUDGED_SAMPLES = (16, 64)


@dataclass(frozen=True)
class Training:
    """What to train, on what, and where.

    Attributes:
        table: The recipe.
        use: Of its task.
        data: The user's images.
        out: Folder of states, weights and figures.
        start: Weights to go on from, or None to start from nothing.
        materials: Folder of the synthesizer, or None for own images only.
        own_share: Share of own images among the samples, where there are synthetic ones.
        samples: How many samples at most, or None to go by the number of images.
        rate: Peak learning rate as a share of the recipe's.
        seed: Of order, cuts and torch.
        threads: Of torch, or None for the recipe's.
        workers: Processes that make samples.
        name: What the new weights are called.
    """

    table: dict[str, Any]
    use: TaskUse
    data: OwnData
    out: Path
    start: Path | None
    materials: Path | None
    own_share: float
    samples: int | None
    rate: float
    seed: int
    threads: int | None
    workers: int
    name: str
    device: str = "cpu"

    @property
    def size_px(self) -> int:
        """Side of the training pictures."""
        return int(self.table.get("size_px", 640))

    @property
    def total_samples(self) -> int:
        """How many samples at most, a whole number of batches."""
        wanted = self.samples
        if wanted is None:
            share = self.own_share if self.materials is not None else 1.0
            wanted = min(max(round(_EPOCHS * len(self.data.training) / share), _SAMPLES[0]), _SAMPLES[1])
        batch = loop_of(self.table).batch_samples
        return max(batch, wanted // batch * batch)

    def loop(self) -> LoopConfig:
        """How to train."""
        return continued_loop(
            loop_of(self.table),
            total_samples=self.total_samples,
            rate=self.rate,
            seed=self.seed,
            threads=self.threads,
            workers=self.workers,
        )

    def settings(self) -> dict[str, Any]:
        """Everything that the states of the run depend on, as plain data."""
        contents = hashlib.sha256()
        for image in (*self.data.training, *self.data.held_out):
            contents.update(image.content_sha256.encode())
            for thing in image.things:
                contents.update(f"{thing.label}{thing.box.xyxy}".encode() + thing.packed + (thing.wanted or b""))
            contents.update(image.unknown or b"")
        return {
            "recipe": self.table,
            "data": contents.hexdigest(),
            "training_images": len(self.data.training),
            "held_out_images": len(self.data.held_out),
            "start": hashlib.sha256(self.start.read_bytes()).hexdigest() if self.start is not None else None,
            "materials": str(self.materials.resolve()) if self.materials is not None else None,
            "own_share": self.own_share,
            "samples": self.total_samples,
            "rate": self.rate,
            "seed": self.seed,
        }


@dataclass(frozen=True)
class Trained:
    """What came of it.

    Attributes:
        finished: False when it was interrupted; the same call goes on.
        samples: How many samples were seen.
        start: How good the weights were before, on held-out samples.
        best: How good the exported ones are, or None when it was interrupted before anything was judged.
        before: File of the exported weights from before, or None when started from nothing or interrupted.
        after: File of the exported weights, or None when interrupted.
    """

    finished: bool
    samples: int
    start: HeldOutLoss
    best: HeldOutLoss | None
    before: Path | None = None
    after: Path | None = None


def read_recipe(name: str, *, trainer: str | None = None) -> dict[str, Any]:
    """A recipe by name (`watermark`) or path.

    Args:
        name: Its name or path.
        trainer: Of a name, the recipe of another network for the same: NAME-TRAINER.

    Raises:
        ConfigError: There is none, or it is no TOML.
    """
    if trainer is not None:
        if Path(name).suffix == ".toml":
            raise ConfigError(
                f"--with {trainer} goes with the name of a recipe, not with a file.", advice="Leave one of them out."
            )
        name = f"{name}-{trainer}"
    given = Path(name)
    folders = recipe_folders()
    places = [given] if given.suffix == ".toml" else [folder / f"{name}.toml" for folder in folders]
    path = next((place for place in places if place.is_file()), None)
    if path is None:
        files = (one for folder in folders for one in folder.glob("*.toml"))
        known = sorted({one.stem for one in files if _table(one).get("task") in USES})
        raise ConfigError(
            f"There is no recipe {name!r}.",
            advice=f"Known: {', '.join(known)}; or give the path of a recipe file.",
        )
    return _table(path)


def _table(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigError(f"Cannot read the recipe {path}: {error}.", advice="Correct or replace it.") from error


def continued_recipe(table: dict[str, Any]) -> dict[str, Any]:
    """A recipe without the file that new networks start from: all weights come from the start of the run."""
    changed = copy.deepcopy(table)
    changed.get("recipe", {}).pop("ink_state", None)
    return changed


def run_training(training: Training, *, progress: Callable[[int, int, str], None]) -> Trained:
    """Train, or go on with the training in `out`, and export the best weights.

    Args:
        training: What and where.
        progress: Called with samples seen, samples in all, and a word on how it goes.

    Raises:
        ConfigError: `out` holds a training with other settings.
        OutputError: `out` cannot be written.
        WeightsError: The start weights do not fit.
    """
    config = training.loop()
    _claim(training)
    task = _task(training)
    judge_source = OwnSource(training.data.held_out, size_px=training.size_px, seed=training.seed + VAL_SEED_OFFSET)
    state = training.out / STATE_FILE
    stop = EarlyStop(
        ContinuedTask(task_of(training.table, judge_source, split="val"), training.start),
        training.out,
        every_samples=checks_every(training.total_samples, batch_samples=config.batch_samples),
        judged_samples=min(max(2 * len(training.data.held_out), _JUDGED_SAMPLES[0]), _JUDGED_SAMPLES[1]),
        since_samples=load_state(state, task=task.name).progress.samples if state.exists() else 0,
    )
    _judge_start(training, task, stop, config)

    def report(now: Progress) -> None:
        last = stop.rows[-1]
        progress(now.samples, training.total_samples, f"held-out loss {stop.start.loss:.3f} -> {last.loss:.3f}")

    samples = stop.rows[-1].samples
    if not stop.has_ended:
        result = train(task, config, training.out, after_log=report, ends=stop, device=training.device)
        samples = result.progress.samples
        if not result.finished:
            best = stop.best if len(stop.rows) > 1 else None
            return Trained(finished=False, samples=samples, start=stop.start, best=best)
        if stop.rows[-1].samples < samples:
            stop.judge(result.progress, result.module)
    before, after = _export(training)
    return Trained(finished=True, samples=samples, start=stop.start, best=stop.best, before=before, after=after)


def _claim(training: Training) -> None:
    """Note the settings in the folder, or check that they are those of the training that is there."""
    path = training.out / SETTINGS_FILE
    text = json.dumps(training.settings(), indent=1, sort_keys=True)
    try:
        training.out.mkdir(parents=True, exist_ok=True)
        if path.is_file():
            known = path.read_text(encoding="utf-8")
            if known != text:
                changed = _changed(json.loads(known), json.loads(text))
                raise ConfigError(
                    f"{training.out} holds a training with other settings ({', '.join(changed)}).",
                    advice="Give another --out, or delete that folder to start again.",
                )
        elif any(training.out.iterdir()):
            raise OutputError(
                f"{training.out} holds other files.", advice="Give --out a new or empty folder.", code="output-not-ours"
            )
    except OSError as error:
        raise output_error(error, training.out) from error
    write_atomic(path, text.encode())


def _changed(known: dict[str, Any], wanted: dict[str, Any]) -> list[str]:
    return sorted(key for key in {*known, *wanted} if known.get(key) != wanted.get(key))


def _task(training: Training) -> Task[Any, Any]:
    own = OwnSource(training.data.training, size_px=training.size_px, seed=training.seed)
    source: Any = own
    if training.materials is not None:
        from automask_training.synth import Synthesizer

        others = Synthesizer(
            training.materials, seed=training.table.get("image_seed", 0) + training.seed, size_px=training.size_px
        )
        source = MixedSource(own, others, own_share=training.own_share, seed=training.seed)
    return ContinuedTask(task_of(training.table, source), training.start)


def _judge_start(training: Training, task: Task[Any, Any], stop: EarlyStop, config: LoopConfig) -> None:
    if stop.rows:
        return
    import torch

    torch.set_num_threads(config.threads)
    torch.manual_seed(config.seed)
    module = task.build()
    if training.start is not None:
        save_average(module, training.out / "start" / STATE_FILE, task=task.name, progress=Progress())
    stop.judge_start(module)


def _export(training: Training) -> tuple[Path | None, Path]:
    """Write the weights from before and the best ones; returns the files that options name."""
    before = None
    if training.start is not None:
        folder = training.out / "start" / WEIGHTS_FOLDER
        export_recipe(training.table, out=training.out / "start", weights=folder)
        before = folder / f"{training.use.weight}{training.use.entry}"
    folder = training.out / WEIGHTS_FOLDER
    fresh = training.out / f"{WEIGHTS_FOLDER}.new"
    shutil.rmtree(fresh, ignore_errors=True)
    export_recipe(training.table, out=training.out / "best", weights=fresh)
    for path in sorted(fresh.iterdir()):  # not the shipped name: that one is checked against the catalogue's hash
        path.rename(path.with_name(path.name.replace(training.use.weight, training.name, 1)))
    shutil.rmtree(folder, ignore_errors=True)
    fresh.rename(folder)
    after = folder / f"{training.name}{training.use.entry}"
    write_atomic(training.out / CONFIG_FILE, training.use.config_file(after.resolve()).encode())
    return before, after


def as_plain(trained: Trained) -> dict[str, Any]:
    """The outcome for JSON."""
    return {
        "finished": trained.finished,
        "samples": trained.samples,
        "held_out_loss": {
            "before": trained.start.loss,
            "after": asdict(trained.best)["loss"] if trained.best is not None else None,
        },
        "weights": str(trained.after) if trained.after is not None else None,
    }
