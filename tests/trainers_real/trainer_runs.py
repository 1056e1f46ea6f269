"""Which trainers are run, from which commits, and what their own code may leave of what must not be learned."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from dataset import FIFTEEN, ORIENTED
from outcome import read_outcome

LOADERS = Path(__file__).parent / "loaders"
MOST_LEFT, MOST_LEFT_BLURRED = 0.03, 0.06
UNWANTED_SHARE = 0.03
"""Share of a cell that is unwanted before the cell counts."""
SECONDS_PER_TRAINER = 1800


@dataclass(frozen=True)
class Checkout:
    """A repository and the commit of it that is run.

    Attributes:
        folder: Its name in the folder that `--trainers` names.
        source: Where it comes from.
        commit: Full hash or tag; empty where it comes from a package index.
    """

    folder: str
    source: str
    commit: str


GITHUB = "https://github.com/"
CHECKOUTS = {
    one.folder: one
    for one in (
        Checkout("sd-scripts", GITHUB + "kohya-ss/sd-scripts", "48d368fa557731ad0488c07304dfeba8c07910eb"),
        Checkout("sd-scripts-2026-06", GITHUB + "kohya-ss/sd-scripts", "c162e9039cc3228057b3fc6ae64ce770b87ab9bf"),
        Checkout("SimpleTuner", GITHUB + "bghira/SimpleTuner", "bc8e6ab7738ce457a2ed8eb2d26cadd91c6442cb"),
        Checkout("SimpleTuner-4.10.1", "simpletuner==4.10.1", ""),
        Checkout("OneTrainer", GITHUB + "Nerogar/OneTrainer", "23df3832e8f213d64c337e39f9365ba46e99fed0"),
        Checkout("mgds", GITHUB + "Nerogar/mgds", "3a6994ad18a490acc4f3876658167525b7d88da7"),
        Checkout("ai-toolkit", GITHUB + "ostris/ai-toolkit", "27a03a91f23eb1b757d5ec2e80ee3e129cfcc350"),
        Checkout("diffusion-pipe", GITHUB + "tdrussell/diffusion-pipe", "8f83dbf25d03219df705570ec03e62be04bc402f"),
        Checkout("invoke-training", GITHUB + "invoke-ai/invoke-training", "99c673d0e453e1b5cfb2ed38959572867ed3ed22"),
        Checkout(
            "AnimaLoraStudio",
            GITHUB + "WalkingMeatAxolotl/AnimaLoraStudio",
            "d049ccfafbd3ce19cb65570e7172f84ae2195e61",
        ),
        Checkout("musubi-tuner", GITHUB + "kohya-ss/musubi-tuner", "30c658c4f4b0bf05038b3346eff9670259b10fc7"),
        Checkout("musubi-fork", GITHUB + "AkaneTendo25/musubi-tuner", "e0e570f43104c9abbbc3758d81c54cd45c47f11b"),
    )
}


@dataclass(frozen=True)
class Run:
    """One export through one trainer.

    Attributes:
        title: For the table.
        exporter: What `--to` takes.
        script: In `loaders`.
        checkout: Folder of the trainer.
        arguments: Of the script.
        options: Of the exporter.
        most_left: What the mean of the fifteen images may be.
        flat: Images are under flat names.
        png: Images are under the ending .png.
    """

    title: str
    exporter: str
    script: str
    checkout: str
    arguments: tuple[str, ...] = ()
    options: dict[str, object] = field(default_factory=dict)
    most_left: float = MOST_LEFT
    flat: bool = False
    png: bool = False


RUNS = (
    Run("sd-scripts, mask folder, before request 2368", "kohya", "run_kohya.py", "sd-scripts", ("masks",)),
    Run("sd-scripts, mask folder, after request 2368", "kohya", "run_kohya.py", "sd-scripts-2026-06", ("masks",)),
    Run("sd-scripts, alpha channel", "kohya-alpha", "run_kohya.py", "sd-scripts", ("alpha",), png=True),
    Run(
        "sd-scripts, alpha channel, after its refactoring",
        "kohya-alpha",
        "run_kohya.py",
        "sd-scripts-2026-06",
        ("alpha",),
        png=True,
    ),
    Run(
        "SimpleTuner 4.8.0, --flatten --images link",
        "simpletuner",
        "run_simpletuner.py",
        "SimpleTuner",
        options={"flatten": True, "images": "link"},
        flat=True,
    ),
    Run("SimpleTuner 4.10.1", "simpletuner", "run_simpletuner.py", "SimpleTuner-4.10.1"),
    Run("OneTrainer", "onetrainer", "run_onetrainer.py", "OneTrainer"),
    Run(
        "ai-toolkit, mean of ten draws of its blur",
        "ai-toolkit",
        "run_ai_toolkit.py",
        "ai-toolkit",
        most_left=MOST_LEFT_BLURRED,
    ),
    Run("diffusion-pipe", "diffusion-pipe", "run_diffusion_pipe.py", "diffusion-pipe"),
    Run("invoke-training", "invoke", "run_invoke.py", "invoke-training"),
    Run("AnimaLoraStudio", "animalora", "run_animalora.py", "AnimaLoraStudio"),
    Run("AkaneTendo25/musubi-tuner (LTX-2)", "musubi-fork", "run_musubi_fork.py", "musubi-fork"),
)


@dataclass(frozen=True)
class Residual:
    """What a trainer's code leaves of one image's mask.

    Attributes:
        mean: Weight on the unwanted cells.
        lost: Weight that wanted cells have lost.
    """

    mean: float
    lost: float


def run_loader(run: Run, *, trainers: Path, export: Path, images: Path, out: Path) -> tuple[dict, dict[str, Residual]]:
    """Run a trainer's code in a process of its own: facts, and the residual of each image by its name."""
    command = [sys.executable, str(LOADERS / run.script), str(trainers / run.checkout), str(export), str(images)]
    done = subprocess.run(
        [*command, str(out), *run.arguments],
        capture_output=True,
        text=True,
        timeout=SECONDS_PER_TRAINER,
        check=False,
        cwd=out.parent,
    )
    assert done.returncode == 0, f"{done.stdout[-2000:]}\n{done.stderr[-4000:]}"
    facts, seen = read_outcome(out)
    return facts, {name: _residual(*pair) for name, pair in seen.items()}


def _residual(weight: np.ndarray, red: np.ndarray) -> Residual:
    rows, columns = weight.shape
    height_px, width_px = red.shape[0] // rows, red.shape[1] // columns
    cells = red[: rows * height_px, : columns * width_px].reshape(rows, height_px, columns, width_px).mean(axis=(1, 3))
    unwanted = cells > UNWANTED_SHARE
    assert unwanted.sum() >= 10, "too little on it to say anything"
    assert (~unwanted).any()
    return Residual(float(weight[unwanted].mean()), float(1 - weight[~unwanted].mean()))


def names_of(run: Run) -> tuple[list[str], list[str]]:
    """Names of the fifteen images and of those of each orientation, as the trainer sees them."""

    def seen(name: str) -> str:
        name = name.replace("/", "__") if run.flat else name
        return str(Path(name).with_suffix(".png")) if run.png else name

    return [seen(name) for name in FIFTEEN], [seen(f"{ORIENTED}/o{number}.jpg") for number in range(1, 9)]


def version_of(checkout: Path) -> str:
    """Commit and date of a checkout, or the version of an unpacked package."""
    if not (checkout / ".git").exists():
        return checkout.name.rpartition("-")[2]
    asked = ["git", "-C", str(checkout), "log", "-1", "--format=%h, %ad", "--date=short"]
    return subprocess.run(asked, capture_output=True, text=True, check=True).stdout.strip()
