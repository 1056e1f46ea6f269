"""The pipeline's configuration: frozen, typed, unknown keys refused.

Layers, later ones win: defaults < TOML file < environment (`AUTOMASK_*`, `__` between levels) < flags.
"""

from __future__ import annotations

import difflib
import os
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict, TomlConfigSettingsSource

from automask.errors import ConfigError
from automask.values.placement import Device
from automask.values.stage_words import words_split
from automask.values.types import Kind

ENVIRONMENT_PREFIX = "AUTOMASK_"
OTHER_VARIABLES = frozenset({"AUTOMASK_WEIGHTS", "AUTOMASK_MIRROR", "AUTOMASK_API_KEY", "AUTOMASK_IMAGES"})
"""Read elsewhere: by `automask.weights` and `automask models pull`, by clients of a server, by docker/compose.yaml."""
OTHER_PREFIXES = ("AUTOMASK_SERVE_",)
"""Of the server, which checks its own."""

Share = Annotated[float, Field(ge=0.0, le=1.0)]
Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_-]*$")]


class FrozenModel(BaseModel):
    """Base of all configuration: immutable, and a misspelt key is an error instead of a silent default."""

    model_config = ConfigDict(frozen=True, extra="forbid")


ModelT = TypeVar("ModelT", bound=FrozenModel)


class DecodeConfig(FrozenModel):
    """How files become pixels."""

    max_megapixels: float = Field(200.0, gt=0, description="Refuse larger images before decoding them.")
    background: str = Field(
        "#ffffff", pattern=r"^#[0-9a-fA-F]{6}$", description="Colour that transparent images are composited on."
    )


class RenderConfig(FrozenModel):
    """How patches become a mask. Changing these runs no model."""

    training_px: int = Field(1024, ge=64, le=8192, description="Training resolution: side of a square of that area.")
    cell_px: int = Field(8, ge=1, le=64, description="Latent cell in training pixels: 8 SD/SDXL/Flux, 16 or 32 others.")
    growth_cells: float = Field(1.0, ge=0, le=16, description="Growth of every unwanted area, in latent cells.")
    fill_holes_cells: float = Field(
        2.0, ge=0, le=64, description="Close trained islands inside a mask up to the area of a square of this side."
    )


class KindPolicy(FrozenModel):
    """What to do with regions of one kind."""

    action: Literal["mask", "keep", "review"] = Field(
        "mask", description="mask: draw it; keep: train it; review: draw it and ask a person."
    )
    weight: Share = Field(0.0, description="Training weight of its pixels, 0 = not learned.")
    accept: Share = Field(0.5, description="Draw regions at or above this confidence; the others are only proposed.")


class GroundPolicy(KindPolicy):
    """The policy for plain ground, which most people want trained with its subject."""

    action: Literal["mask", "keep", "review"] = Field(
        "keep", description="mask: draw it; keep: train it; review: draw it and ask a person."
    )


class PolicyConfig(FrozenModel):
    """One policy per kind of region."""

    text: KindPolicy = KindPolicy()
    frame: KindPolicy = KindPolicy()
    watermark: KindPolicy = KindPolicy()
    overlay: KindPolicy = KindPolicy()
    custom: KindPolicy = KindPolicy()
    ground: GroundPolicy = GroundPolicy()

    def of(self, kind: Kind) -> KindPolicy:
        """The policy for one kind."""
        policy: KindPolicy = getattr(self, kind.value)
        return policy

    @property
    def hashed(self) -> dict[str, Any]:
        """What masks depend on, for fingerprints: without ground that is kept, as before there was such a kind."""
        kept = {"ground"} if self.ground.action == "keep" else set()
        return self.model_dump(mode="json", exclude=kept)


class ReviewConfig(FrozenModel):
    """When a person is asked."""

    below: Share = Field(
        0.85,
        description="Images with a lower probability of a fine mask get verdict review; whatever it is, so do those "
        "with a proposal that only a person can decide.",
    )
    budget: Share | None = Field(
        None, description="Instead of `below`: this share of the images, the least probable ones, gets verdict review."
    )
    audit: Share = Field(0.02, description="Share of images, picked at random, that always get verdict review.")
    masked_share: Share = Field(0.5, description="Images masked over more than this share get verdict review.")
    model: str = Field("", description="JSON file of another model of the probability of a fine mask; empty = ours.")

    @property
    def hashed(self) -> dict[str, Any]:
        """What verdicts depend on, for fingerprints: of the model its numbers count, not where it lies."""
        return self.model_dump(mode="json", exclude={"model"})


class RuntimeConfig(FrozenModel):
    """Where and how fast it runs.

    Never part of a fingerprint. Devices round differently, as versions of a library or of a processor do, which no
    fingerprint holds either; what that does to masks is less than anybody sees (docs/devices.md has figures), and a
    store must not be made anew because it moved to another machine.
    """

    device: Device = Field("auto", description="Device of the networks; docs/devices.md says what each name means.")
    threads: int = Field(0, ge=0, description="Threads per model call; 0 = the number of usable cores.")
    batch_size: int = Field(1, ge=1, le=256, description="Images handed to a detector at once.")
    prefetch: int = Field(4, ge=1, le=256, description="Images decoded ahead of the models.")


DETECTORS_OF_KINDS: Mapping[Kind, str] = {Kind.GROUND: "ground"}
"""Detectors that run where the policy asks for their kind: those who keep it have no use for the time that it takes."""


class PipelineConfig(FrozenModel):
    """Everything that decides what masks look like, plus where they are computed."""

    detectors: tuple[Name, ...] = Field(
        ("rapidocr", "edges", "ink", "tiling", "yolo"),
        description="Detectors, each NAME or NAME:WEIGHTS; `ground` is added where `policy.ground` does more than keep "
        "it.",
    )
    dataset_detectors: tuple[Name, ...] = Field(
        ("overlay",), description="Detectors of what repeats across a dataset, by name; [] = each image on its own."
    )
    templates: tuple[str, ...] = Field(
        (), description="Files of saved templates (`automask overlays save`), looked for in every image."
    )
    refiner: Name = Field("sam", description="Refiner that turns regions into pixels, NAME or NAME:WEIGHTS.")
    store_text: bool = Field(True, description="Keep recognised strings in the store (--no-text drops them).")
    options: dict[Name, dict[str, Any]] = Field(
        default_factory=dict, description="Options of detectors and refiners, by name; each checks its own."
    )
    decode: DecodeConfig = DecodeConfig()
    render: RenderConfig = RenderConfig()
    policy: PolicyConfig = PolicyConfig()
    review: ReviewConfig = ReviewConfig()
    runtime: RuntimeConfig = RuntimeConfig()

    @model_validator(mode="before")
    @classmethod
    def _with_plain_names(cls, values: Any) -> Any:  # noqa: ANN401 - whatever is validated
        return words_split(values) if isinstance(values, Mapping) else values

    @model_validator(mode="after")
    def _with_detectors_of_kinds(self) -> Self:
        wanted = [name for kind, name in DETECTORS_OF_KINDS.items() if self.policy.of(kind).action != "keep"]
        object.__setattr__(self, "detectors", tuple(dict.fromkeys((*self.detectors, *wanted))))
        return self


BASELINE = PipelineConfig(detectors=("rapidocr-baseline",), dataset_detectors=(), refiner="polygon")
"""What a person gets without automask: everything RapidOCR detects by its own defaults, grown by one cell."""


class _Layers(PipelineConfig, BaseSettings):
    """`PipelineConfig` read through its layers."""

    model_config = SettingsConfigDict(
        frozen=True,
        extra="forbid",
        env_prefix=ENVIRONMENT_PREFIX,
        env_nested_delimiter="__",
        nested_model_default_partial_update=True,
    )

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        first = (_PlainNames(settings_cls, source) for source in (init_settings, env_settings))
        return (*first, _PlainToml(settings_cls))


class _PlainNames(PydanticBaseSettingsSource):
    """A layer with plain names of stages, so that weights named in a later layer win over those of an earlier one."""

    def __init__(self, settings_cls: type[BaseSettings], source: PydanticBaseSettingsSource) -> None:
        super().__init__(settings_cls)
        self._source = source

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        return self._source.get_field_value(field, field_name)

    def __call__(self) -> dict[str, Any]:
        self._source._set_current_state(self.current_state)
        self._source._set_settings_sources_data(self.settings_sources_data)
        return words_split(self._source())


class _PlainToml(TomlConfigSettingsSource):
    """The same for the file; pydantic asks that a `toml_file` be read by a source of this class."""

    def __call__(self) -> dict[str, Any]:
        return words_split(super().__call__())


def layered_config(path: Path | None = None, *, flags: Mapping[str, Any] | None = None) -> PipelineConfig:
    """Read the configuration through its layers; the names of stages under `options` are for the caller to check.

    Args:
        path: A TOML file, or None.
        flags: Nested mapping of values given on the command line or in a request.

    Raises:
        ConfigError: The file is missing or not TOML, a key or an `AUTOMASK_*` variable is unknown, or a value is out of
            range.
    """
    _check_variables(os.environ)
    if path is not None:
        try:
            tomllib.loads(path.read_text(encoding="utf-8"))
        except OSError as error:
            raise ConfigError(
                f"Cannot read the configuration file {path}: {error.strerror}.",
                advice="Check the path given to --config.",
            ) from error
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise ConfigError(f"{path} is not valid TOML: {error}.", advice="Correct that line.") from error

    class Layers(_Layers):
        model_config = SettingsConfigDict(toml_file=path)

    try:
        merged = Layers(**(flags or {}))
    except ValidationError as error:
        raise config_error(error) from error
    return PipelineConfig.model_validate(merged.model_dump())


def read_option_file(model: type[ModelT], path: str, *, option: str) -> ModelT:
    """What an option names by its file: a model in JSON.

    Args:
        model: What it should hold.
        path: The file.
        option: Full name of the option, for the error.

    Raises:
        ConfigError: The file cannot be read, or holds something else.
    """
    try:
        text = Path(path).expanduser().read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not a text"
        raise ConfigError(f"{option}: cannot read {path}: {reason}.", advice="Check the path.") from error
    try:
        return model.model_validate_json(text)
    except ValidationError as error:
        found = [": ".join(filter(None, (".".join(map(str, each["loc"])), each["msg"]))) for each in error.errors()]
        raise ConfigError(
            f"{option}: {path} holds no such model: {'; '.join(found)}.",
            advice="Give a file that the command for this fit wrote, or leave the option empty for the one that ships.",
        ) from error


def close_name(name: str, known: Iterable[str]) -> str | None:
    """What was probably meant by a name that nobody knows."""
    return next(iter(difflib.get_close_matches(name, sorted(known), n=1, cutoff=0.7)), None)


def _check_variables(environment: Mapping[str, str]) -> None:
    """Refuse variables that nobody reads: pydantic looks only for those it knows.

    Raises:
        ConfigError: A variable with our prefix is unknown.
    """
    unknown = sorted(name for name in environment if _is_unknown(name.upper()))
    if not unknown:
        return
    known = {*_variables(PipelineConfig, ENVIRONMENT_PREFIX), *OTHER_VARIABLES}
    meant = [name for name in (_meant(one.upper(), known) for one in unknown) if name is not None]
    advice = "Unset it, or correct its name: docs/configuration.md lists all keys."
    if meant:
        advice = f"Did you mean {', '.join(dict.fromkeys(meant))}? Two underscores stand between levels."
    raise ConfigError(f"The environment sets {', '.join(unknown)}, which automask does not know.", advice=advice)


def _is_unknown(variable: str) -> bool:
    if not variable.startswith(ENVIRONMENT_PREFIX) or variable in OTHER_VARIABLES:
        return False
    key = variable.removeprefix(ENVIRONMENT_PREFIX).lower().partition("__")[0]
    # deeper levels are pydantic's to refuse, which knows what they belong to
    return key not in PipelineConfig.model_fields and not variable.startswith(OTHER_PREFIXES)


def _meant(variable: str, known: set[str]) -> str | None:
    """The known variable that is most like it; a key without its section is that key."""
    key = variable.removeprefix(ENVIRONMENT_PREFIX)
    sections = sorted(name for name in known if name.endswith(f"__{key}"))
    return sections[0] if len(sections) == 1 else close_name(variable, known)


def _variables(model: type[BaseModel], prefix: str) -> Iterator[str]:
    """Names of the variables of all keys of a model."""
    for name, field in model.model_fields.items():
        inner = field.annotation
        if isinstance(inner, type) and issubclass(inner, BaseModel):
            yield from _variables(inner, f"{prefix}{name.upper()}__")
        else:
            yield f"{prefix}{name.upper()}"


def config_error(error: ValidationError, *, section: str = "") -> ConfigError:
    """Turn pydantic's report into one sentence per wrong key."""
    lines = []
    for detail in error.errors():
        key = ".".join([*([section] if section else []), *(str(part) for part in detail["loc"])])
        if detail["type"] == "extra_forbidden":
            lines.append(f"unknown option {key!r}")
        else:
            lines.append(f"{key}: {detail['msg'].lower()} (got {detail['input']!r})")
    return ConfigError(
        "The configuration is wrong: " + "; ".join(lines) + ".",
        advice="`automask run --print-config` lists every option.",
    )
