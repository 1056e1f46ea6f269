"""What a request to a server may say about its mask: names and ranges of the configuration, as flat fields."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from automask.config import Name, PipelineConfig, RenderConfig, config_error
from automask.trainers.conventions import trainer_named
from automask.values.assignments import policy_flags
from automask.values.stage_words import SEPARATOR
from automask.values.types import Kind


def _plain(word: Any) -> Any:  # noqa: ANN401 - pydantic checks the type
    if isinstance(word, str) and SEPARATOR in word:
        raise ValueError(f"who runs the server names the weights, so leave out what follows {word.partition(':')[0]}")
    return word


PlainName = Annotated[Name, BeforeValidator(_plain)]
"""A stage without weights: a request names no file and no model of a hub."""
Pair = Annotated[str, Field(pattern=r"^[a-z]+=[a-z0-9.]+$", max_length=64)]


class MaskOptions(BaseModel):
    """Options of one mask. What is left out is as the server was configured."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    training_px: int | None = Field(None, ge=64, le=8192, description="Training resolution: side of a square of it.")
    cell_px: int | None = Field(None, ge=1, le=64, description="Latent cell in training pixels: 8, 16 or 32.")
    growth_cells: float | None = Field(None, ge=0, le=16, description="Growth of every unwanted area, in cells.")
    fill_holes_cells: float | None = Field(None, ge=0, le=64, description="Close trained islands up to this side.")
    trainer: str | None = Field(
        None, max_length=64, description="Grow at least as far as this trainer needs, such as `kohya`."
    )
    detectors: list[PlainName] = Field(
        [], max_length=16, description="Run these only, of those that the server has loaded; repeatable."
    )
    refiner: PlainName | None = Field(None, description="Outline with this one, of those that the server has loaded.")
    kinds: list[Kind] = Field([], max_length=8, description="Mask these kinds only; repeatable. Empty = as configured.")
    policy: list[Pair] = Field([], max_length=8, description="KIND=mask, keep or review; repeatable.")
    weight: list[Pair] = Field([], max_length=8, description="KIND=0..1, training weight of a kind; repeatable.")
    accept: list[Pair] = Field([], max_length=8, description="KIND=0..1, draw from this confidence on; repeatable.")
    below: float | None = Field(None, ge=0, le=1, description="Verdict review under this confidence.")
    masked_share: float | None = Field(None, ge=0, le=1, description="Verdict review above this masked share.")

    def applied_to(self, config: PipelineConfig) -> PipelineConfig:
        """The configuration of this request: stages, and how masks are drawn and judged, may differ from the server's.

        Raises:
            ConfigError: A value is out of range, or there is no such trainer.
        """
        policy = policy_flags(policies=self.policy, weights=self.weight, accepts=self.accept).get("policy", {})
        values: dict[str, dict[str, Any]] = {
            "render": self._given(tuple(RenderConfig.model_fields)),
            "policy": {kind: dict(section) for kind, section in policy.items()},
            "review": self._given(("below", "masked_share")),  # budget and audit are about whole datasets
        }
        if self.trainer is not None and self.growth_cells is None:
            needed = trainer_named(self.trainer).growth_cells
            values["render"]["growth_cells"] = max(needed, config.render.growth_cells)
        for kind in Kind if self.kinds else ():
            values["policy"].setdefault(kind.value, {}).setdefault("action", "mask" if kind in self.kinds else "keep")
        merged = config.model_dump()
        if self.detectors:
            merged["detectors"] = tuple(dict.fromkeys(self.detectors))
        if self.refiner is not None:
            merged["refiner"] = self.refiner
        for section, given in values.items():
            for key, value in given.items():
                if isinstance(value, dict):
                    merged[section].setdefault(key, {}).update(value)
                else:
                    merged[section][key] = value
        try:
            return PipelineConfig.model_validate(merged)
        except ValidationError as error:
            raise config_error(error) from error

    def fields(self) -> dict[str, str | list[str]]:
        """What is set, as fields of a query or a form; lists are repeated fields."""
        given = self.model_dump(mode="json", exclude_defaults=True)
        return {
            name: [str(item) for item in value] if isinstance(value, list) else str(value)
            for name, value in given.items()
        }

    def _given(self, names: Sequence[str]) -> dict[str, Any]:
        return {name: value for name in names if (value := getattr(self, name)) is not None}
