"""A pipeline whose models run on a server: for `automask run --server`."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import ClassVar, Self

from pydantic import ValidationError

from automask.client.answers import Analysis, ServerFacts
from automask.client.sync import Client
from automask.config import FrozenModel, PipelineConfig, RuntimeConfig, config_error
from automask.errors import AutomaskError, ConfigError, InputError, ServerError, WeightsError
from automask.mask.drawing import fuse_fingerprint
from automask.plugins import build_dataset_detector, check_stage_names
from automask.protocols import DatasetDetector, WeightSource
from automask.run.pipeline import MaskPipeline
from automask.values.templates import TEMPLATE_ATTRIBUTE
from automask.values.types import Found, Image, Issue, Patch, Region
from automask.weights import WeightLibrary

_SERVERS_OWN = ("detectors", "refiner", "decode", "store_text")
"""Keys that decide what is found: the server's count."""
_IN_FLIGHT = 4
_OF_ONE_IMAGE = frozenset({"deadline-passed", "body-too-large"})
"""What a server refuses about one image; everything else that only servers say would be the same for the next one."""


class RemotePipeline(MaskPipeline):
    """Lets a server find and outline regions, and does everything else here: the second pass, drawing, judging.

    Results, fingerprints and so the masks are those of a run with the server's configuration on this machine, if both
    have the same version and weights.

    Args:
        config: From `server_config`.
        client: Asked from several threads.
        facts: What the server runs.
        dataset_detectors: For the second pass.
    """

    def __init__(
        self,
        config: PipelineConfig,
        *,
        client: Client,
        facts: ServerFacts,
        dataset_detectors: Sequence[DatasetDetector],
    ) -> None:
        super().__init__(config, detectors=(), refiner=_Elsewhere(), dataset_detectors=dataset_detectors)
        self._client = client
        found = facts.fingerprints
        self.fingerprints = dataclasses.replace(found, fuse=fuse_fingerprint(config, found.refine))

    @classmethod
    def connect(cls, client: Client, config: PipelineConfig) -> Self:
        """Ask a server what it runs and make a pipeline of it.

        Args:
            client: Stays the caller's to close.
            config: What masks are to look like; see `server_config`.

        Raises:
            ConfigError: The configuration asks for something else than the server does.
            ServerError: The server cannot be reached, or wants a key.
        """
        facts = client.facts()
        merged = server_config(config, facts)
        weights = WeightLibrary.discover()
        dataset_detectors = [
            build_dataset_detector(name, options=merged.options.get(name, {}), weights=weights, runtime=merged.runtime)
            for name in merged.dataset_detectors
        ]
        return cls(merged, client=client, facts=facts, dataset_detectors=dataset_detectors)

    def analyse(self, images: Sequence[Image]) -> list[Found]:
        """Send the files of a batch, all at once.

        An image that the server cannot use gets a result with an `error` issue and no regions.

        Raises:
            ServerError: The server cannot be reached, is too busy, or does not run any more what it ran before.
            AutomaskError: What every other image would meet as well.
        """
        with ThreadPoolExecutor(max(1, len(images)), thread_name_prefix="automask-server") as threads:
            return list(threads.map(self._analysed, images))

    def refine(self, image: Image, regions: Sequence[Region], *, issues: Sequence[Issue] = ()) -> Found:
        """Outline again: the server finds the same regions anew. `regions` are not sent."""
        (result,) = self.analyse([image])
        return dataclasses.replace(result, issues=(*issues, *result.issues))

    def _analysed(self, image: Image) -> Found:
        try:
            if image.path is None:
                raise InputError(f"{image.id} is no file.", advice="Only files can be sent to a server.")
            return self._own_result(image, self._client.analyse(image.path))
        except (ConfigError, WeightsError):
            raise
        except AutomaskError as error:
            if isinstance(error, ServerError) and error.code not in _OF_ONE_IMAGE:
                raise
            return self._failed(image, error)

    def _own_result(self, image: Image, analysis: Analysis) -> Found:
        """The server's result without what this side adds itself: decoding's warnings, and saved templates."""
        result = analysis.result
        if (result.fingerprints.detect, result.fingerprints.refine) != (
            self.fingerprints.detect,
            self.fingerprints.refine,
        ):
            raise ServerError(
                "The server runs other models or options than when the run began.",
                advice="Run again: what is done by then stays done where it still holds.",
                code="server-changed",
            )
        if (result.width_px, result.height_px) != (image.width_px, image.height_px):
            raise InputError(f"{image.id} changed while it was read.", advice="Run again.", code="image-changed")
        pairs = zip(result.regions, result.patches, strict=True)
        own = [(region, patch) for region, patch in pairs if TEMPLATE_ATTRIBUTE not in region.attributes]
        return dataclasses.replace(
            result,
            image_id=image.id,
            regions=tuple(region for region, _ in own),
            patches=tuple(patch for _, patch in own),
            issues=tuple(issue for issue in result.issues if issue.stage != "decode"),
            fingerprints=self.fingerprints,
            timings_s={stage: seconds for stage, seconds in result.timings_s.items() if stage != "decode"},
        )

    def _failed(self, image: Image, error: AutomaskError) -> Found:
        return Found(
            image_id=image.id,
            width_px=image.width_px,
            height_px=image.height_px,
            regions=(),
            patches=(),
            issues=(Issue(stage="server", code=error.code, message=str(error), severity="error"),),
            fingerprints=self.fingerprints,
        )


def server_config(config: PipelineConfig, facts: ServerFacts) -> PipelineConfig:
    """A configuration with the keys that the server decides on; several images are on their way at once.

    Raises:
        ConfigError: It sets one of those keys to something else, has options of a stage that neither side knows, or the
            server's are not understood.
    """
    try:
        servers = PipelineConfig.model_validate(facts.config)
    except ValidationError as error:
        raise ConfigError(
            f"The server runs automask {facts.version}, whose configuration is not understood: {config_error(error)}",
            advice="Install the same version here and there.",
        ) from error
    defaults = PipelineConfig()
    for key in _SERVERS_OWN:
        asked = getattr(config, key)
        if asked not in (getattr(defaults, key), getattr(servers, key)):
            raise _not_the_servers(key)
    stages = {*servers.detectors, servers.refiner}
    check_stage_names(config, elsewhere=stages)
    for stage in stages & set(config.options):
        if config.options[stage] != servers.options.get(stage, {}):
            raise _not_the_servers(f"options.{stage}")
    here = {stage: options for stage, options in config.options.items() if stage not in stages}
    there = {stage: options for stage, options in servers.options.items() if stage in stages}
    runtime = config.runtime.model_copy(update={"batch_size": max(_IN_FLIGHT, config.runtime.batch_size)})
    update = {key: getattr(servers, key) for key in _SERVERS_OWN}
    return config.model_copy(update={**update, "options": {**here, **there}, "runtime": runtime})


def _not_the_servers(key: str) -> ConfigError:
    return ConfigError(
        f"{key} is set to something else than what the server runs.",
        advice="Leave it out, or start the server with this configuration: `automask serve --config TOML`.",
        code="server-decides",
    )


class _Elsewhere:
    """Stands where a pipeline keeps its refiner."""

    name: ClassVar[str] = "server"
    Options: ClassVar[type[FrozenModel]] = FrozenModel
    fingerprint = ""
    notices: Sequence[Issue] = ()

    @classmethod
    def from_options(cls, options: FrozenModel, *, weights: WeightSource, runtime: RuntimeConfig) -> Self:
        return cls()

    def load(self) -> None:
        """Nothing is loaded here."""

    def refine(self, image: Image, regions: Sequence[Region]) -> list[Patch]:
        raise NotImplementedError("the server outlines")
