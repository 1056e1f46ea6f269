"""The stages that a server has loaded, and pipelines of some of them, so that a request may choose without loading."""

from __future__ import annotations

import threading
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Self

from automask.config import DETECTORS_OF_KINDS, PipelineConfig
from automask.errors import ConfigError
from automask.plugins import build_detector, build_refiner
from automask.protocols import Detector, Refiner
from automask.run.pipeline import MaskPipeline
from automask.values.stage_words import words_split
from automask.weights import WeightLibrary
from automask_api.settings import ServiceSettings

_KEPT = 64


@dataclass(frozen=True, slots=True)
class StageChoice:
    """Which stages make a mask, by name."""

    detectors: tuple[str, ...]
    refiner: str

    @classmethod
    def of(cls, config: PipelineConfig) -> Self:
        """The stages of a configuration."""
        return cls(config.detectors, config.refiner)


class LoadedStages:
    """A pipeline with further stages beside it. Any thread may ask; the pipelines belong to one model thread.

    Args:
        pipeline: What runs where nothing is chosen.
        detectors: Further ones by name, not loaded yet.
        refiners: Further ones by name, not loaded yet.
    """

    def __init__(
        self,
        pipeline: MaskPipeline,
        *,
        detectors: Mapping[str, Detector] | None = None,
        refiners: Mapping[str, Refiner] | None = None,
    ) -> None:
        self.pipeline = pipeline
        self.more_detectors, self.more_refiners = dict(detectors or {}), dict(refiners or {})
        own = zip(pipeline.config.detectors, pipeline.detectors, strict=False)
        self.detectors: dict[str, Detector] = {**dict(own), **self.more_detectors}
        self.refiners: dict[str, Refiner] = {pipeline.config.refiner: pipeline.refiner, **self.more_refiners}
        self._mutex = threading.Lock()
        self._made: dict[StageChoice, MaskPipeline] = {StageChoice.of(pipeline.config): pipeline}

    @classmethod
    def of(cls, pipeline: MaskPipeline, settings: ServiceSettings) -> Self:
        """A pipeline with what the settings add.

        Raises:
            PluginError: A stage of the settings does not exist.
            ConfigError: Its options are wrong.
            WeightsError: It cannot do without weights that are missing.
        """
        config, weights = pipeline.config, WeightLibrary.discover()
        detectors = (*settings.more_detectors, *DETECTORS_OF_KINDS.values())
        return cls(
            pipeline,
            detectors={
                name: build_detector(name, options=options, weights=weights, runtime=config.runtime)
                for name, options in _options_of(detectors, config, running=config.detectors).items()
            },
            refiners={
                name: build_refiner(name, options=options, weights=weights, runtime=config.runtime)
                for name, options in _options_of(settings.more_refiners, config, running=(config.refiner,)).items()
            },
        )

    def load(self) -> None:
        """Load everything that can be chosen, once."""
        self.pipeline.load()
        for stage in (*self.more_detectors.values(), *self.more_refiners.values()):
            stage.load()

    def checked(self, config: PipelineConfig) -> PipelineConfig:
        """A configuration whose detectors are in the server's order, which is no choice.

        Raises:
            ConfigError: It names a stage that this server does not have.
        """
        if StageChoice.of(config) == StageChoice.of(self.pipeline.config):
            return config
        for name in config.detectors:
            if name not in self.detectors:
                raise _not_here("detector", name, self.detectors, "AUTOMASK_SERVE_MORE_DETECTORS")
        if config.refiner not in self.refiners:
            raise _not_here("refiner", config.refiner, self.refiners, "AUTOMASK_SERVE_MORE_REFINERS")
        chosen = tuple(name for name in self.detectors if name in config.detectors)
        return config.model_copy(update={"detectors": chosen})

    def of_choice(self, choice: StageChoice | None) -> MaskPipeline:
        """The pipeline of some stages, which it shares with the others: nothing is loaded for it."""
        if choice is None:
            return self.pipeline
        with self._mutex:
            made = self._made.get(choice)
            if made is None:
                made = _Chosen(self, choice)
                if len(self._made) >= _KEPT:
                    self._made = {StageChoice.of(self.pipeline.config): self.pipeline}
                self._made[choice] = made
            return made


class _Chosen(MaskPipeline):
    """Some of the stages of an loaded_stages, which has loaded them."""

    def __init__(self, loaded_stages: LoadedStages, choice: StageChoice) -> None:
        base = loaded_stages.pipeline
        super().__init__(
            base.config.model_copy(update={"detectors": choice.detectors, "refiner": choice.refiner}),
            detectors=[loaded_stages.detectors[name] for name in choice.detectors],
            refiner=loaded_stages.refiners[choice.refiner],
            dataset_detectors=base.dataset_detectors,
        )

    def load(self) -> None:
        """Nothing is left to load."""


def _options_of(words: Iterable[str], config: PipelineConfig, *, running: Collection[str]) -> dict[str, dict[str, Any]]:
    """Options by name of the stages that NAME or NAME:WEIGHTS add to those that run.

    Raises:
        ConfigError: Other weights are named for a stage that runs, or two sets for one.
    """
    split = words_split({"detectors": tuple(words)})
    named, table = split.get("options", {}), {}
    for name in dict.fromkeys(split["detectors"]):
        own = config.options.get(name, {})
        if name not in running:
            table[name] = {**own, **named.get(name, {})}
        elif any(own.get(key) != value for key, value in named.get(name, {}).items()):
            raise ConfigError(
                f"{name} runs already, with other weights than those it is named with here.",
                advice="One server has one of each stage: name its weights in the configuration only.",
            )
    return table


def _not_here(what: str, name: str, known: Iterable[str], variable: str) -> ConfigError:
    return ConfigError(
        f"This server has no {what} {name!r} loaded.",
        advice=f"Choose from: {', '.join(known)}. Who runs the server can add to them with {variable}.",
        code="stage-not-loaded",
    )
