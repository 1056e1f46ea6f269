"""What a machine learning backend of Label Studio does, between its routes and the masks."""

from __future__ import annotations

import asyncio
import collections
import functools
import json
import logging
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from automask.errors import AutomaskError, ConfigError
from automask.version import __version__
from automask_api.labelstudio.images import TaskImages, field_of
from automask_api.labelstudio.interface import Control, control_of
from automask_api.labelstudio.results import results_of
from automask_api.masking import MaskMaker
from automask_api.settings import ServiceSettings

logger = logging.getLogger(__name__)

_MOST_PROJECTS = 1000


@dataclass(frozen=True, slots=True)
class Project:
    """What Label Studio said about one of its projects.

    Attributes:
        labelling_config: Its XML.
        hostname: Label Studio's address, as it sees itself.
        token: Its key for what it serves.
    """

    labelling_config: str
    hostname: str = ""
    token: str = ""


class LabelStudioBackend:
    """Predictions for tasks. On the event loop only.

    Args:
        masks: Makes them.
        settings: Where images may come from.
        threads: For reading them.
    """

    def __init__(self, masks: MaskMaker, settings: ServiceSettings, *, threads: ThreadPoolExecutor) -> None:
        self._masks = masks
        self._threads = threads
        self._images = TaskImages(
            roots=settings.roots, origins=settings.image_origins, max_bytes=settings.max_image_bytes
        )
        self._projects: collections.OrderedDict[str, Project] = collections.OrderedDict()

    @property
    def model_version(self) -> str:
        """Another one whenever predictions may be others."""
        return f"automask-{__version__}-{self._masks.facts(b'', self._masks.config).fingerprint}"

    def set_up(self, project_id: str, project: Project) -> None:
        """Remember a project; the one that was heard of longest ago is forgotten for it.

        Raises:
            ConfigError: Nothing could be predicted for its labelling configuration.
        """
        control_of(project.labelling_config)
        self._projects[project_id] = project
        self._projects.move_to_end(project_id)
        if len(self._projects) > _MOST_PROJECTS:
            self._projects.popitem(last=False)

    def control(self, project_id: str, labelling_config: str) -> Control:
        """The tag to predict for.

        Raises:
            ConfigError: There is no labelling configuration, or none that can be used.
        """
        known = self._projects.get(project_id)
        text = labelling_config or (known.labelling_config if known is not None else "")
        if not text:
            raise ConfigError(
                "This server does not know the project.", advice="POST /setup first.", code="label-config-unusable"
            )
        return control_of(text)

    async def predictions(
        self, tasks: list[Mapping[str, Any]], project_id: str, control: Control, *, timeout_s: float
    ) -> list[dict[str, Any]]:
        """One prediction for each task, in order.

        A task whose image cannot be used gets `error` instead of a `result`: an empty one would say that the image has
        nothing unwanted. Label Studio logs it and makes no prediction of it.
        """
        project = self._projects.get(project_id, Project(""))
        return [await self._predicted(task, project, control, timeout_s=timeout_s) for task in tasks]

    async def _predicted(
        self, task: Mapping[str, Any], project: Project, control: Control, *, timeout_s: float
    ) -> dict[str, Any]:
        config = self._masks.config
        try:
            address = field_of(task["data"], control.image_field)
            read = functools.partial(self._images.read, address, hostname=project.hostname, token=project.token)
            data = await asyncio.get_running_loop().run_in_executor(self._threads, read)
            facts = self._masks.facts(data, config)
            name = f"task {json.dumps(task.get('id'))[:40]}"
            answer = await self._masks.make(data, facts, config, name=name, timeout_s=timeout_s, in_background=True)
            results = await self._masks.in_thread(results_of, answer.result, config, control)
        except AutomaskError as error:
            logger.warning("no prediction: %s: %s", error.code, error.message)
            return {"error": {"code": error.code, "detail": error.message, "advice": error.advice}}
        return {
            "result": results,
            "score": round(answer.result.confidence, 4),
            "model_version": self.model_version,
        }
