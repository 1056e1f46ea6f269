"""All that is fitted on images with truth, fitted again without some of their sources.

Four small models are: the judge of frames, the models of large groups of ink and of text lines, and the confidence.
What they are fitted on is gathered once; a fit without a source then takes seconds. Networks are not among them: they
see no image with truth. Nor are numbers that were chosen with a look at such images (odds, thresholds): they stay as
they are. A confidence without a source is fitted on masks of the others that the shipped fits made.
"""

from __future__ import annotations

import itertools
import logging
import tomllib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from automask.bench.manifest import Manifest
from automask.config import FrozenModel, PipelineConfig, config_error
from automask.errors import ConfigError
from automask.files.atomic import write_atomic
from automask.mask.confidence.model import ConfidenceModel, bundled_model
from automask_models.frames.judging import FrameJudge
from automask_models.ink.confidence import InkModel
from automask_models.scene.opinion import SceneModel
from automask_models.text.evidence import LogisticModel
from automask_training import frame_judge, ink_large_groups, line_judge, scene_judge
from automask_training.confidence_data import LabelledImage, entries_by_source, read_stores
from automask_training.confidence_fit import Rows, fit_confidence
from automask_training.frame_judge import JudgedPicture, fitted_judge
from automask_training.frame_proposals import real_pictures, synthesized_pictures
from automask_training.ink_confidence import Finding
from automask_training.ink_confidence import fit as fit_groups
from automask_training.line_judge import KnownPicture

LOGGER = logging.getLogger("automask.training")


class FramesRecipe(FrozenModel):
    """How `frame_judge` makes the shipped judge: its options of the same names; `recipe` lies beside this file."""

    recipe: str
    per_source: int
    synthesized: int
    report_only: tuple[str, ...] = ()


class LargeGroupsRecipe(FrozenModel):
    """How `ink_large_groups` makes the shipped model: its options of the same names."""

    per_source: int
    free: int
    odds: float
    report_only: tuple[str, ...] = ()


class LinesRecipe(FrozenModel):
    """How `line_judge` makes the shipped model: its options of the same names."""

    per_source: int
    free: int
    written: int
    odds: float
    report_only: tuple[str, ...] = ()


class SceneRecipe(FrozenModel):
    """How `scene_judge` makes the shipped models: its options of the same names."""

    per_source: int
    free: int
    written: int
    odds: float
    group_odds: float
    report_only: tuple[str, ...] = ()


class ConfidenceRecipe(FrozenModel):
    """How `confidence` makes the shipped model: its options of the same names."""

    per_source: int
    report_only: tuple[str, ...] = ()


class FitsRecipe(FrozenModel):
    """How the shipped fits were made."""

    frames: FramesRecipe
    large_groups: LargeGroupsRecipe
    lines: LinesRecipe
    scene: SceneRecipe
    confidence: ConfidenceRecipe


def read_recipe(path: Path) -> FitsRecipe:
    """The recipe in a TOML file, `models/training/left_out.toml`.

    Raises:
        ConfigError: It cannot be read, or a key is wrong.
    """
    try:
        return FitsRecipe.model_validate(tomllib.loads(path.read_text(encoding="utf-8")))
    except OSError as error:
        raise ConfigError(f"Cannot read the recipe {path}: {error.strerror}.", advice="Check the path.") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} is not valid TOML: {error}.", advice="Correct that line.") from error
    except ValidationError as error:
        raise config_error(error) from error


@dataclass(frozen=True, slots=True)
class Fits:
    """Models in place of the shipped ones; None = the shipped one stays.

    Those of ink are the shipped ones but for their large groups (`ink`) or their text lines (`lines`).
    """

    judge: FrameJudge | None
    ink: InkModel | None
    lines: InkModel | None
    scene: SceneModel | None
    confidence: ConfidenceModel | None

    @property
    def names(self) -> tuple[str, ...]:
        """Which there are, as tables show them."""
        found = {
            "frames": self.judge,
            "large groups": self.ink,
            "lines": self.lines,
            "scene": self.scene,
            "confidence": self.confidence,
        }
        return tuple(name for name, model in found.items() if model is not None)

    def written(self, folder: Path, config: PipelineConfig) -> PipelineConfig:
        """A configuration that takes them from files, which are written into a folder."""
        folder.mkdir(parents=True, exist_ok=True)
        paths = {}
        models = {
            "judge": self.judge,
            "ink": self.ink,
            "lines": self.lines,
            "scene": self.scene,
            "confidence": self.confidence,
        }
        for name, model in models.items():
            if model is not None:
                paths[name] = (folder / f"{name}.json").resolve()
                write_atomic(paths[name], (model.model_dump_json(indent=2) + "\n").encode())
        options = {name: dict(table) for name, table in config.options.items()}
        if "judge" in paths:
            options.setdefault("edges", {})["judge"] = str(paths["judge"])
        if "ink" in paths:
            options.setdefault("ink", {})["models"] = str(paths["ink"])
        if "lines" in paths:  # a file of its own: who weighs lines has no use for large groups, and the other way round
            options.setdefault("rapidocr", {})["ink_models"] = str(paths["lines"])
        for stage in ("rapidocr", "ink") if "scene" in paths else ():
            options.setdefault(stage, {})["scene_models"] = str(paths["scene"])
        review = config.review
        if "confidence" in paths:
            review = review.model_copy(update={"model": str(paths["confidence"])})
        return config.model_copy(update={"options": options, "review": review})


@dataclass(frozen=True, slots=True, eq=False)
class FitData:
    """What all is fitted on.

    Attributes:
        recipe: How it is.
        pictures: Of the judge of frames.
        groups: Of the model of large groups.
        lines: Of the model of text lines.
        scene: Of the models of what the scene network says, by what they are of.
        images: Of the confidence; their sources have their kind before them.
    """

    recipe: FitsRecipe
    pictures: Sequence[JudgedPicture]
    groups: Sequence[Finding]
    lines: Sequence[KnownPicture]
    scene: Mapping[str, Sequence[KnownPicture]]
    images: Sequence[LabelledImage]

    def fits(self, *, without: Collection[str] = ()) -> Fits:
        """Each model that one of these sources takes part in, fitted without all of them.

        The others are None. With no source to leave out, all are fitted.

        Raises:
            InputError: What is left is all of one class.
        """
        return Fits(
            judge=self._judge(without),
            ink=self._ink(without),
            lines=self._lines(without),
            scene=self._scene(without),
            confidence=self._confidence(without),
        )

    def _judge(self, without: Collection[str]) -> FrameJudge | None:
        used = [each for each in self.pictures if each.source not in self.recipe.frames.report_only]
        left = [each for each in used if each.source not in without]
        return fitted_judge(left) if _is_due(used, left, without) else None

    def _ink(self, without: Collection[str]) -> InkModel | None:
        recipe = self.recipe.large_groups
        used = [each for each in self.groups if each.source not in recipe.report_only]
        left = [each for each in used if each.source not in without]
        if not _is_due(used, left, without):
            return None
        model, _ = fit_groups(left, prior_odds=recipe.odds)
        return InkModel.bundled().model_copy(update={"large_groups": model})

    def _lines(self, without: Collection[str]) -> InkModel | None:
        recipe = self.recipe.lines
        used = [each for each in self.lines if each.source not in recipe.report_only]
        left = [each for each in used if each.source not in without]
        if not _is_due(used, left, without):
            return None
        model = line_judge.fit(left, prior_odds=recipe.odds)
        return InkModel.bundled().model_copy(update={"lines": model})

    def _scene(self, without: Collection[str]) -> SceneModel | None:
        recipe = self.recipe.scene
        used = {
            kind: [each for each in found if each.source not in recipe.report_only]
            for kind, found in self.scene.items()
        }
        left = {kind: [each for each in found if each.source not in without] for kind, found in used.items()}
        if not any(_is_due(used[kind], left[kind], without) for kind in used):
            return None
        models = scene_judge.fitted(left, odds={"lines": recipe.odds, "groups": recipe.group_odds})
        return SceneModel.bundled().model_copy(update=models)

    def _confidence(self, without: Collection[str]) -> ConfidenceModel | None:
        used = [each for each in self.images if bare(each.source) not in self.recipe.confidence.report_only]
        left = [each for each in used if bare(each.source) not in without]
        if not _is_due(used, left, without):
            return None
        return fit_confidence(Rows.of(left), fitted_on=f"without {', '.join(sorted(without)) or 'none'}").model


def _is_due(used: Sequence[object], left: Sequence[object], without: Collection[str]) -> bool:
    return not without or len(left) < len(used)


def bare(source: str) -> str:
    """A source without the kind before its name: as the fits of frames and of large groups call it."""
    return source.partition("-")[2]


def gather(
    recipe: FitsRecipe,
    manifests: Mapping[Path, Manifest],
    *,
    layout_recipe: Path,
    materials: Path,
    work: Path,
    config: PipelineConfig,
) -> FitData:
    """What all is fitted on: kept in a folder, so that a second time takes a minute.

    Args:
        recipe: How the fits are made.
        manifests: Images with truth, by the path of their manifest.
        layout_recipe: Of the network whose synthesized pictures take part.
        materials: Free pictures, made by `synth.materials`.
        work: Where the stores of all manifests are (see `confidence_data.fill_stores`), and what is found is kept.
        config: What those were made with.

    Raises:
        InputError: A manifest, a picture or the materials cannot be read, or there are no weights.
    """
    paths = list(manifests)
    pictures = frame_judge.collect(
        itertools.chain(
            synthesized_pictures(layout_recipe, materials, count=recipe.frames.synthesized),
            real_pictures(paths, per_source=recipe.frames.per_source, without=recipe.frames.report_only),
        ),
        cache=work / "proposals",
    )
    LOGGER.info("%d pictures for the judge of frames", len(pictures))
    shown = ink_large_groups.pictures(
        paths,
        materials,
        per_source=recipe.large_groups.per_source,
        free=recipe.large_groups.free,
        without=recipe.large_groups.report_only,
    )
    groups = ink_large_groups.collect(shown, cache=work / "groups", threads=config.runtime.threads)
    LOGGER.info("%d large groups", len(groups))
    lines = line_judge.collect(
        line_judge.pictures(
            paths,
            materials,
            per_source=recipe.lines.per_source,
            free=recipe.lines.free,
            written=recipe.lines.written,
            without=recipe.lines.report_only,
        ),
        cache=work / "lines",
        threads=config.runtime.threads,
    )
    LOGGER.info("%d pictures for the text lines", len(lines))
    scene = scene_judge.collect(
        line_judge.pictures(
            paths,
            materials,
            per_source=recipe.scene.per_source,
            free=recipe.scene.free,
            written=recipe.scene.written,
            without=recipe.scene.report_only,
        ),
        cache=work / "scene",
        threads=config.runtime.threads,
    )
    LOGGER.info("%d pictures for the scene network's word", len(scene[scene_judge.KINDS[0]]))
    images: list[LabelledImage] = []
    for path, manifest in manifests.items():
        sources = entries_by_source(manifest, most=recipe.confidence.per_source)
        images += read_stores(sources, work / path.stem, config, manifest=path.stem)
    LOGGER.info("%d images for the confidence", len(images))
    return FitData(recipe, pictures, groups, lines, scene, images)


def differences(fitted: Fits) -> dict[str, float]:
    """The largest difference of a coefficient between fits on everything and the shipped ones, by name.

    0 means that the shipped ones are what the recipe gives today.
    """
    found = {}
    if fitted.judge is not None:
        shipped = FrameJudge.bundled()
        found["frames"] = max(
            _largest(_numbers(fitted.judge.proposed), _numbers(shipped.proposed)),
            _largest(_numbers(fitted.judge.traced), _numbers(shipped.traced)),
        )
    if fitted.ink is not None:
        large = InkModel.bundled().large_groups
        found["large groups"] = _largest(_numbers(fitted.ink.large_groups), _numbers(large))
    if fitted.lines is not None:
        found["lines"] = _largest(_numbers(fitted.lines.lines), _numbers(InkModel.bundled().lines))
    if fitted.scene is not None:
        shipped_scene = SceneModel.bundled()
        found["scene"] = max(
            _largest(_numbers(fitted.scene.lines), _numbers(shipped_scene.lines)),
            _largest(_numbers(fitted.scene.groups), _numbers(shipped_scene.groups)),
        )
    if fitted.confidence is not None:
        found["confidence"] = _largest(_weights(fitted.confidence), _weights(bundled_model()))
    return found


def _numbers(model: LogisticModel) -> dict[str, float]:
    return {**model.coefficients, "": model.intercept}


def _weights(model: ConfidenceModel) -> dict[str, float]:
    return {**{name: weight.log_odds for name, weight in model.features.items()}, "": model.intercept}


def _largest(one: Mapping[str, float], two: Mapping[str, float]) -> float:
    return max(abs(one.get(name, 0.0) - two.get(name, 0.0)) for name in {*one, *two})
