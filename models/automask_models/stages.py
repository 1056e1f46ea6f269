"""What most stages share: checked options, and at most one set of weights."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Generic, Self, TypeVar, cast

from automask.config import FrozenModel, RuntimeConfig
from automask.errors import WeightsError
from automask.protocols import WeightFile, WeightSource, stage_fingerprint
from automask.values.placement import Placement
from automask.values.types import Issue
from automask.weights import missing_weights

OptionsT = TypeVar("OptionsT", bound=FrozenModel)


class WeightOptions(FrozenModel):
    """Options of a stage with weights: a name of the catalogue or a file."""

    weights: str


WeightOptionsT = TypeVar("WeightOptionsT", bound=WeightOptions)


class ConfiguredStage(Generic[OptionsT]):
    """A stage of options alone. Those that derive from it set `name`, `Options` and `algorithm_version`."""

    name: ClassVar[str]
    Options: ClassVar[type[FrozenModel]]
    algorithm_version: ClassVar[int]

    def __init__(self, options: OptionsT) -> None:
        self._options = options

    @classmethod
    def from_options(cls, options: FrozenModel, *, weights: WeightSource, runtime: RuntimeConfig) -> Self:
        """See `automask.protocols.Stage`."""
        return cls(cast("OptionsT", cls.Options.model_validate(options.model_dump())))

    @property
    def fingerprint(self) -> str:
        """See `automask.protocols.Stage`."""
        return stage_fingerprint(self.name, algorithm_version=self.algorithm_version, options=self._options)

    @property
    def notices(self) -> Sequence[Issue]:
        """Nothing to tell."""
        return ()

    @property
    def placement(self) -> Placement | None:
        """See `automask.protocols.PlacedStage`: it runs no network."""
        return None

    def load(self) -> None:
        """Nothing to load."""


class WeightedStage(Generic[WeightOptionsT]):
    """A stage with one set of weights.

    Those that derive from it set `name`, `Options`, `algorithm_version` and `role`. With `optional_weights`, the
    weights of that name may be missing: the stage then does nothing, and its `notices` should say so with the code
    `weights-missing`. `weights_advice` says what to do about missing weights where `automask models pull` is no help.
    """

    name: ClassVar[str]
    Options: ClassVar[type[FrozenModel]]
    algorithm_version: ClassVar[int]
    role: ClassVar[str]
    optional_weights: ClassVar[str | None] = None
    weights_advice: ClassVar[str | None] = None
    weight_options: ClassVar[tuple[str, ...]] = ("weights",)
    """Options that name weights; what is in them is told by `weight_file` and `model_sha256s`."""
    model_options: ClassVar[tuple[str, ...]] = ()
    """Options that name files of models; what is in them is told by `model_sha256s`."""

    def __init__(self, options: WeightOptionsT, *, weights: WeightFile | None, runtime: RuntimeConfig) -> None:
        self._options = options
        self._weights = weights
        self._runtime = runtime

    @classmethod
    def from_options(cls, options: FrozenModel, *, weights: WeightSource, runtime: RuntimeConfig) -> Self:
        """See `automask.protocols.Stage`.

        Raises:
            WeightsError: This machine does not have the weights, and they are not the optional ones.
        """
        checked = cast("WeightOptionsT", cls.Options.model_validate(options.model_dump()))
        found = weights.find(checked.weights, stage=cls.name)
        if found is None and checked.weights != cls.optional_weights:
            raise cls._missing(checked.weights, advice=weights.how_to_get(checked.weights, stage=cls.name))
        return cls(checked, weights=found, runtime=runtime)

    @property
    def fingerprint(self) -> str:
        """See `automask.protocols.Stage`."""
        own = () if self._weights is None else (self._weights.sha256,)
        return stage_fingerprint(
            self.name,
            algorithm_version=self.algorithm_version,
            options=self._options.model_copy(
                update=dict.fromkeys(self.weight_options, "")
            ),  # their hash counts, not where they lie
            weights_sha256=(*own, *self.model_sha256s),
            without=self.model_options,
        )

    @property
    def weight_file(self) -> WeightFile:
        """The weights.

        Raises:
            WeightsError: The optional ones are missing.
        """
        if self._weights is None:
            raise self._missing(self._options.weights)
        return self._weights

    @classmethod
    def _missing(cls, reference: str, *, advice: str = "") -> WeightsError:
        return missing_weights(reference, stage=f"The {cls.name} {cls.role}", advice=advice or cls.weights_advice)

    def _notice_without_weights(
        self, network: str, consequence: str, *, code: str = "weights-missing", otherwise: str = ""
    ) -> Sequence[Issue]:
        """That the optional weights of a kind of network are missing, if so, what follows, and what to do about it."""
        if self._weights is not None:
            return ()
        message = (
            f"No {network} weights ({self._options.weights}) on this machine: {consequence}. "
            f"Give some with `--option {self.name}.weights=FILE`{otherwise}."
        )
        return (Issue(stage=self.name, code=code, message=message),)

    @property
    def model_sha256s(self) -> tuple[str, ...]:
        """Hashes of fitted models that results depend on: those that come with the code, or those of options."""
        return ()

    @property
    def notices(self) -> Sequence[Issue]:
        """Nothing to tell."""
        return ()

    @property
    def placement(self) -> Placement | None:
        """See `automask.protocols.PlacedStage`: it runs no network."""
        return None


def asked_weights(reference: str, weights: WeightSource, *, shipped: str, stage: str) -> WeightFile | None:
    """Weights that an option names beside a stage's own; None where it is empty, or the shipped ones are not there.

    Args:
        reference: What the option says.
        weights: Where they are looked for.
        shipped: What the option says by default.
        stage: Who asks, for messages.

    Raises:
        WeightsError: Others than the shipped ones are missing.
    """
    found = weights.find(reference) if reference else None
    if reference not in ("", shipped) and found is None:
        raise missing_weights(reference, stage=stage, advice=weights.how_to_get(reference))
    return found


def allows_unsafe_pickle(weights: WeightFile, *, asked: bool, stage: str) -> bool:
    """Whether weights may be loaded by a loader that runs code.

    Args:
        weights: The weights.
        asked: The option `allow_unsafe_pickle`.
        stage: Whose option that is.

    Raises:
        WeightsError: It was asked for weights of a hub, which are read by the safe loader only.
    """
    if asked and weights.is_from_hub:
        raise WeightsError(
            f"{weights.name} comes from a hub: options.{stage}.allow_unsafe_pickle is refused.",
            advice="Leave the option out. If you trust its author, copy the file and name it by its path.",
            code="weights-unsafe",
        )
    return asked
