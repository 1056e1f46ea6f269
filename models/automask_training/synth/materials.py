"""Collect the material that training images are synthesized from into one folder.

``python -m automask_training.synth.materials OUT --never-train LIST`` downloads what ``materials.toml`` beside this
file lists: Debian packages with apt-get, icons with npm and rsvg-convert. OUT then holds ``backgrounds/*.jpg``,
``sprites/*.png`` (RGBA figures), ``logos/*.png`` (alpha only), ``marks/*.png`` and ``frames/*.png`` (RGBA),
``fonts/*`` and ``materials.json``, which lists them with source and licence (`MaterialIndex`). Downloads are kept in
``.downloads``. With ``--held-out`` OUT holds what no training sees, and a ``manifest.json`` for `automask bench`.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib.util
import io
import json
import logging
import re
import shutil
import subprocess
import tempfile
import tomllib
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path
from typing import Any, Literal

import numpy as np
from PIL import Image

from automask.errors import AutomaskError, InputError
from automask_training.starting import start
from automask_training.synth.dhash import NeverTrain
from automask_training.synth.downloads import PICTURES, download_debian, download_npm, matching, plain_name
from automask_training.synth.index import Face, MaterialIndex, Picture
from automask_training.synth.scripts import SAMPLES

LOG = logging.getLogger(__name__)
DEFAULT_RECIPE = Path(__file__).with_name("materials.toml")
# Faces with the letters but without shaping rules draw these scripts as unjoined pieces.
_SHAPED = {"arabic": frozenset({"arab"}), "devanagari": frozenset({"deva", "dev2", "dev3"})}
_FONTS = frozenset({".ttf", ".otf", ".ttc"})
_MIN_SIDE_PX = 200
_MIN_SPRITE_SIDE_PX = 120
_SVG_TEXT = re.compile(rb"<(?:svg:)?(?:text|tspan|flowRoot)\b")
_SVG_SECONDS = 30.0
_ICON_JOBS = 2
_TOOLS = ("apt-get", "dpkg", "npm", "rsvg-convert")


def letters_in(path: Path) -> bool:
    """Whether a picture is a drawing whose file has letters in it; of raster pictures nobody knows."""
    return path.suffix.lower() == ".svg" and _SVG_TEXT.search(path.read_bytes()) is not None


def open_picture(path: Path, long_side_px: int) -> Image.Image:
    """Read a raster or SVG picture as RGB or RGBA, its long side at most `long_side_px`.

    Raises:
        OSError: It cannot be read.
    """
    if path.suffix.lower() == ".svg":
        with tempfile.TemporaryDirectory() as folder:
            target = Path(folder) / "picture.png"
            side = str(long_side_px)
            command = ["rsvg-convert", "-w", side, "-h", side, "--keep-aspect-ratio", str(path), "-o", str(target)]
            if subprocess.run(command, check=False, capture_output=True, timeout=_SVG_SECONDS).returncode:
                raise OSError(f"{path} cannot be drawn")
            picture = Image.open(target).convert("RGBA")
    else:
        picture = Image.open(path)
        picture = picture.convert("RGBA" if picture.has_transparency_data else "RGB")
    picture.thumbnail((long_side_px, long_side_px), Image.Resampling.LANCZOS)
    if picture.mode == "RGBA":
        low = picture.getchannel("A").getextrema()[0]
        if isinstance(low, (int, float)) and low >= 250:
            picture = picture.convert("RGB")
    return picture


def flattened(picture: Image.Image) -> Image.Image:
    """Return the picture on black, as RGB."""
    if picture.mode == "RGB":
        return picture
    ground = Image.new("RGBA", picture.size, (0, 0, 0, 255))
    return Image.alpha_composite(ground, picture).convert("RGB")


def mark_with_alpha(path: Path, side_px: int = 512) -> Image.Image:
    """Read mark artwork as RGBA, cropped to what is visible.

    A grey picture is taken for an alpha map of a white mark; an opaque coloured one is keyed against its corner colour.
    """
    picture = Image.open(path)
    if picture.mode == "L":
        rgba = Image.new("RGBA", picture.size, (255, 255, 255, 0))
        rgba.putalpha(picture)
    else:
        rgba = picture.convert("RGBA")
        rgba.thumbnail((2 * side_px, 2 * side_px), Image.Resampling.LANCZOS)
        values = np.asarray(rgba).astype(np.int16)
        if values[..., 3].min() > 100:
            distance = np.abs(values[..., :3] - values[0, 0, :3]).max(axis=-1)
            rgba.putalpha(Image.fromarray(np.clip(distance * 4, 0, 255).astype(np.uint8)))
    box = rgba.getchannel("A").point(lambda value: 255 * (value > 8)).getbbox()
    rgba = rgba.crop(box)
    rgba.thumbnail((side_px, side_px), Image.Resampling.LANCZOS)
    return rgba


def faces_in(path: Path, style: str, relative: str) -> Iterator[Face]:
    """List the faces of a font file with the scripts each can write; faces that write none are left out."""
    from fontTools.ttLib import TTCollection, TTFont, TTLibError

    try:
        fonts = (
            list(TTCollection(path, lazy=True).fonts) if path.suffix.lower() == ".ttc" else [TTFont(path, lazy=True)]
        )
    except TTLibError:
        LOG.warning("unreadable font %s", path.name)
        return
    for number, font in enumerate(fonts):
        known = font.getBestCmap() or {}
        shaping = {each.ScriptTag for each in font["GSUB"].table.ScriptList.ScriptRecord} if "GSUB" in font else set()
        scripts = tuple(
            name
            for name, sample in SAMPLES.items()
            if all(ord(each) in known for each in sample) and (name not in _SHAPED or shaping & _SHAPED[name])
        )
        if scripts:
            yield Face(file=relative, index=number, style=style, scripts=scripts)


class Collector:
    """Fills one folder; call the ``add_*`` methods, then `write_index`."""

    def __init__(self, out: Path, *, never_train: NeverTrain, long_side_px: int) -> None:
        """Collect into `out`, which is created."""
        self._out, self._never, self._long_side_px = out, never_train, long_side_px
        self._pictures: dict[str, list[Picture]] = {
            name: [] for name in ("backgrounds", "sprites", "logos", "marks", "frames")
        }
        self._faces: list[Face] = []
        self.dropped = 0
        for name in (*self._pictures, "fonts"):
            shutil.rmtree(out / name, ignore_errors=True)
            (out / name).mkdir(parents=True)

    def add_picture(
        self,
        path: Path,
        source: str,
        licence: str,
        *,
        sprite: bool = False,
        min_side_px: int = _MIN_SIDE_PX,
        long_side_px: int | None = None,
        opaque: bool = False,
    ) -> None:
        """Take one background, unless it should be `opaque` and is not; a `sprite` is kept with its alpha channel."""
        try:
            picture = open_picture(path, long_side_px or self._long_side_px)
        except (OSError, subprocess.TimeoutExpired) as error:
            LOG.warning("%s", error)
            return
        if min(picture.size) < (_MIN_SPRITE_SIDE_PX if sprite else min_side_px):
            return
        if opaque and picture.mode == "RGBA":
            return
        flat = flattened(picture)
        if self._never.forbids(flat):
            self.dropped += 1
            return
        stem = f"{source}-{hashlib.sha256(path.as_posix().split(source, 1)[-1].encode()).hexdigest()[:12]}"
        if sprite and picture.mode == "RGBA":
            picture.save(self._out / "sprites" / f"{stem}.png", compress_level=1)
            self._pictures["sprites"].append(Picture(file=f"sprites/{stem}.png", source=source, licence=licence))
        elif not sprite or picture.mode == "RGB":
            flat.save(self._out / "backgrounds" / f"{stem}.jpg", quality=95, subsampling=0)
            self._pictures["backgrounds"].append(
                Picture(file=f"backgrounds/{stem}.jpg", source=source, licence=licence)
            )

    def add_fonts(self, root: Path, style: str) -> None:
        """Take every usable font file under `root`."""
        for path in sorted(each for each in root.rglob("*") if each.suffix.lower() in _FONTS and each.is_file()):
            relative = f"fonts/{path.name}"
            faces = list(faces_in(path, style, relative))
            if faces:
                shutil.copyfile(path, self._out / relative)
                self._faces.extend(faces)

    def add_icons(self, svgs: Sequence[Path], source: str, licence: str, *, side_px: int, cache: Path) -> None:
        """Take icons as alpha maps of `side_px` squared; what is rendered stays in `cache`."""

        def render(svg: Path) -> str:
            rendered = cache / f"{svg.stem}.png"
            if not rendered.is_file():
                size = str(side_px)
                command = ["rsvg-convert", "-w", size, "-h", size, str(svg)]
                drawn = subprocess.run(command, check=True, capture_output=True).stdout
                partial = rendered.with_suffix(".partial")
                Image.open(io.BytesIO(drawn)).convert("RGBA").getchannel("A").save(partial, format="PNG")
                partial.rename(rendered)
            shutil.copyfile(rendered, self._out / "logos" / rendered.name)
            return f"logos/{rendered.name}"

        cache.mkdir(parents=True, exist_ok=True)
        with ThreadPoolExecutor(_ICON_JOBS) as pool:
            names = list(pool.map(render, svgs))
        self._pictures["logos"] += [Picture(file=name, source=source, licence=licence) for name in names]

    def add_artwork(self, path: Path, kind: Literal["marks", "frames"], source: str, licence: str) -> None:
        """Take a mark or an empty frame with alpha."""
        picture = mark_with_alpha(path) if kind == "marks" else Image.open(path).convert("RGBA")
        picture.save(self._out / kind / f"{path.stem}.png")
        self._pictures[kind].append(Picture(file=f"{kind}/{path.stem}.png", source=source, licence=licence))

    def write_index(self) -> MaterialIndex:
        """Write ``materials.json`` and return its contents."""
        index = MaterialIndex(faces=tuple(self._faces), **{name: tuple(each) for name, each in self._pictures.items()})
        index.write(self._out)
        return index


def write_manifest(out: Path, index: MaterialIndex) -> None:
    """List the backgrounds in ``manifest.json``, as pictures with nothing to mask, for `automask bench`."""
    entries = [
        {"kind": "clean", "source": each.source, "image": each.file, "mask": None, "truth": "nothing"}
        for each in index.backgrounds
    ]
    (out / "manifest.json").write_text(json.dumps(entries, indent=1), encoding="utf-8")


def _packages(entry: dict[str, Any]) -> list[str]:
    return [entry["name"]] if "name" in entry else [entry.get("prefix", "") + name for name in entry["names"]]


def _add_package(collector: Collector, root: Path, name: str, entry: dict[str, Any]) -> None:
    exclude, one_per_folder = entry.get("exclude", ()), entry.get("one_per_folder", False)
    for kind in ("backgrounds", "sprites"):
        for path in matching(root, entry.get(kind, ()), exclude=exclude, one_per_folder=one_per_folder):
            if letters_in(path):
                continue
            collector.add_picture(
                path,
                name,
                entry["licence"],
                sprite=kind == "sprites",
                min_side_px=entry.get("min_side_px", _MIN_SIDE_PX),
                long_side_px=entry.get("long_side_px"),
                opaque=entry.get("opaque", False),
            )
    for path in matching(root, entry.get("frames", ()), exclude=exclude):
        collector.add_artwork(path, "frames", name, entry["licence"])


def collect(
    out: Path,
    *,
    recipe: Path,
    never_train: NeverTrain,
    marks: Path | None,
    frames: Path | None,
    held_out: bool = False,
) -> MaterialIndex:
    """Download and collect everything; see the module docstring for the layout.

    What the recipe lists as held out is left out, and with `held_out` it is all that is collected, without icons.
    """
    if not recipe.is_file():
        raise InputError(
            f"{recipe} does not exist.", advice="Leave --recipe out to collect what automask was trained with."
        )
    missing = [tool for tool in _TOOLS if shutil.which(tool) is None]
    if missing:
        raise InputError(
            f"Not installed: {', '.join(missing)}.", advice="Run this on Debian with npm and librsvg2-bin."
        )
    spec = tomllib.loads(recipe.read_text(encoding="utf-8"))
    cache = out / ".downloads"
    cache.mkdir(parents=True, exist_ok=True)
    collector = Collector(out, never_train=never_train, long_side_px=spec["long_side_px"])
    kept_back = spec.get("held_out", {})

    def wanted(part: str, name: str) -> bool:
        return (name in kept_back.get(part, ())) == held_out

    packages = [(name, entry) for entry in spec["packages"] for name in _packages(entry) if wanted("packages", name)]
    if held_out:
        packages += [(name, entry) for entry in spec.get("held_out_packages", ()) for name in _packages(entry)]
    for name, entry in packages:
        download = download_npm if entry.get("registry") == "npm" else download_debian
        _add_package(collector, download(name, cache), plain_name(name), entry)
    for entry in spec["python_files"]:
        if not wanted("packages", entry["package"]):
            continue
        found = importlib.util.find_spec(entry["package"])
        if found is None or not found.submodule_search_locations:
            LOG.warning("%s is not installed: skipped", entry["package"])
            continue
        for name in entry["backgrounds"]:
            collector.add_picture(Path(found.submodule_search_locations[0]) / name, entry["package"], entry["licence"])
    for style, entry in spec["fonts"].items():
        for name in filter(lambda name: wanted("fonts", name), entry["packages"]):
            collector.add_fonts(download_debian(name, cache), style)
    if not held_out:
        icons = spec["icons"]
        svgs = sorted((download_npm(icons["npm"], cache) / "package" / "icons").glob("*.svg"))
        collector.add_icons(
            svgs, icons["npm"], icons["licence"], side_px=icons["side_px"], cache=cache / f"icons-{icons['side_px']}"
        )
    local: tuple[tuple[Path | None, Literal["marks", "frames"]], ...] = ((marks, "marks"), (frames, "frames"))
    for folder, kind in local:
        for path in sorted(folder.iterdir()) if folder is not None else ():
            if path.suffix.lower() in PICTURES and (kind == "frames" or wanted("marks", path.stem)):
                collector.add_artwork(path, kind, folder.name if folder else kind, "as its folder says")
    index = collector.write_index()
    if held_out:
        write_manifest(out, index)
    LOG.info(
        "dropped %d pictures that are close to one of %d that must not be trained on",
        collector.dropped,
        len(never_train),
    )
    counts = {name: len(items) for name, items in asdict(index).items()}
    LOG.info("collected %s", ", ".join(f"{count} {name}" for name, count in counts.items()))
    return index


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(description="Collect the material for synthetic training images.")
    parser.add_argument("out", type=Path, metavar="OUT")
    parser.add_argument("--recipe", type=Path, default=DEFAULT_RECIPE)
    parser.add_argument(
        "--never-train", type=Path, required=True, help="text file of 64-bit difference hashes, one a line"
    )
    parser.add_argument("--held-out", action="store_true", help="collect what the recipe holds out, and nothing else")
    parser.add_argument("--marks", type=Path, help="folder of mark artwork with alpha")
    parser.add_argument("--frames", type=Path, help="folder of frames with alpha")
    options = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    try:
        collect(
            options.out,
            recipe=options.recipe,
            never_train=NeverTrain.from_file(options.never_train),
            marks=options.marks,
            frames=options.frames,
            held_out=options.held_out,
        )
    except AutomaskError as error:
        parser.exit(error.exit_code, f"{error}\n")


if __name__ == "__main__":
    start(main)
