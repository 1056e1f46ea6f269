"""What the service is told: `AUTOMASK_SERVE_*` and the flags of `automask serve`; unknown names are refused."""

from __future__ import annotations

import ipaddress
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from automask.config import config_error
from automask.errors import ConfigError

ENVIRONMENT_PREFIX = "AUTOMASK_SERVE_"
MIB = 1 << 20
TEMPORARY_FOLDER = "temporary"
"""Below the data folder; emptied at the start."""

Names = Annotated[tuple[str, ...], NoDecode]
Folders = Annotated[tuple[Path, ...], NoDecode]


def default_data_dir() -> Path:
    """Where jobs, results and key hashes are kept unless told otherwise."""
    if sys.platform == "win32":
        base = os.environ.get("LOCALAPPDATA")
        return (Path(base) if base else Path.home() / "AppData" / "Local") / "automask" / "service"
    base = os.environ.get("XDG_DATA_HOME")
    return (Path(base) if base else Path.home() / ".local" / "share") / "automask" / "service"


@dataclass(frozen=True, slots=True)
class ConnectionLimits:
    """What connections may take.

    Attributes:
        most: At once.
        most_per_address: Of one address that is not this machine's own; 0 = no limit.
        header_s: Longest time for the head of a request, from its first byte or from the connection on.
        write_s: Longest time in which a client takes nothing of its answer.
    """

    most: int = 512
    most_per_address: int = 128
    header_s: float = 10.0
    write_s: float = 60.0


class ServiceSettings(BaseSettings):
    """Everything about the server that is not about masks."""

    model_config = SettingsConfigDict(frozen=True, extra="forbid", env_prefix=ENVIRONMENT_PREFIX)

    host: str = Field(
        "127.0.0.1", min_length=1, description="Address to listen on. Elsewhere than loopback needs keys."
    )
    port: int = Field(8787, ge=0, le=65535, description="Port to listen on; 0 = any free one.")
    data_dir: Path = Field(
        default_factory=default_data_dir, description="Folder of jobs, cached results and key hashes."
    )
    roots: Folders = Field((), description="Folders that jobs may read, separated as in PATH. None by default.")
    allowed_hosts: Names = Field((), description="More host names by which this server is called, separated by commas.")
    cors_origins: Names = Field((), description="Web origins whose pages may call this server; none by default.")
    image_origins: Names = Field(
        (), description="Web origins that images of Label Studio's tasks may be fetched from; none by default."
    )
    open_metrics: bool = Field(False, description="Let /metrics be read without an API key.")
    devices: Annotated[tuple[Literal["auto", "cpu", "cuda", "mps"], ...], NoDecode] = Field(
        ("auto",), min_length=1, max_length=16, description="One model thread per entry, each with its own models."
    )
    more_detectors: Names = Field(
        (),
        max_length=16,
        description="Detectors that requests may choose beside the configured ones, NAME or NAME:WEIGHTS.",
    )
    more_refiners: Names = Field(
        ("ink", "polygon", "cluster"),
        max_length=16,
        description="Refiners that requests may choose beside the configured one, NAME or NAME:WEIGHTS; all are "
        "loaded at the start.",
    )
    batch_size: int = Field(4, ge=1, le=256, description="Waiting images that one model call takes together at most.")
    queue_size: int = Field(64, ge=1, le=4096, description="Requests in work or waiting; more get 503.")
    connections: int = Field(512, ge=8, le=65536, description="Connections at once; those that only wait make room.")
    connections_per_address: int = Field(
        128, ge=0, description="The same for one address that is not this machine's; 0 = no limit, as behind a proxy."
    )
    header_s: float = Field(10.0, gt=0, le=600, description="Longest time for the head of a request to arrive.")
    deadline_s: float = Field(120.0, gt=0, le=3600, description="Longest time for one image, and the default.")
    max_image_bytes: int = Field(64 * MIB, ge=1024, description="Largest image file.")
    max_megapixels: float = Field(100.0, gt=0, le=1000, description="Largest image, checked before decoding.")
    reduce_above_megapixels: float = Field(
        25.0,
        gt=0,
        le=1000,
        description="Larger images are analysed at 1/2, 1/3, ... of their width.",
    )
    max_decode_bytes: int = Field(640 * MIB, ge=32 * MIB, description="Memory that the decoding of one image may take.")
    max_decode_s: float = Field(10.0, gt=0, le=600, description="Time on a core that decoding one image may take.")
    max_batch_bytes: int = Field(1024 * MIB, ge=1024, description="Largest body of a batch.")
    max_batch_images: int = Field(1000, ge=1, le=100_000, description="Images per batch.")
    max_body_bytes: int = Field(16 * MIB, ge=1024, description="Largest body of any other request.")
    cache_bytes: int = Field(512 * MIB, ge=0, description="Disk for results of images seen before; 0 = none.")
    embeddings: int = Field(8, ge=1, le=1024, description="Encoded images kept in memory for /v1/refine.")
    upload_bytes: int = Field(8192 * MIB, ge=0, description="Disk for the images of all jobs from uploads.")
    jobs_kept: int = Field(100, ge=1, le=100_000, description="Finished jobs kept; the oldest are removed.")
    log_format: Literal["json", "text"] = Field("json", description="Format of the log on stderr.")

    @field_validator("roots", mode="before")
    @classmethod
    def _split_folders(cls, value: object) -> object:
        return [part for part in value.split(os.pathsep) if part] if isinstance(value, str) else value

    @field_validator(
        "allowed_hosts", "cors_origins", "image_origins", "devices", "more_detectors", "more_refiners", mode="before"
    )
    @classmethod
    def _split_names(cls, value: object) -> object:
        return [part.strip() for part in value.split(",") if part.strip()] if isinstance(value, str) else value

    @field_validator("roots")
    @classmethod
    def _resolve(cls, value: tuple[Path, ...]) -> tuple[Path, ...]:
        return tuple(root.expanduser().resolve() for root in value)

    @property
    def connection_limits(self) -> ConnectionLimits:
        """What connections may take."""
        return ConnectionLimits(self.connections, self.connections_per_address, self.header_s)

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine can reach the server."""
        if self.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host.strip("[]")).is_loopback
        except ValueError:
            return False


def load_settings(
    flags: Mapping[str, Any] | None = None, *, environment: Mapping[str, str] | None = None
) -> ServiceSettings:
    """Read the settings: defaults < environment < flags.

    Args:
        flags: Values by name of field.
        environment: Instead of the process's; only its names are looked at.

    Raises:
        ConfigError: A variable or flag is unknown, or a value is out of range.
    """
    environment = os.environ if environment is None else environment
    known = {f"{ENVIRONMENT_PREFIX}{name}".upper() for name in ServiceSettings.model_fields}
    unknown = sorted(
        name for name in environment if name.upper().startswith(ENVIRONMENT_PREFIX) and name.upper() not in known
    )
    if unknown:
        raise ConfigError(
            f"The environment sets {', '.join(unknown)}, which automask does not know.",
            advice="docs/service.md lists all settings.",
        )
    try:
        return ServiceSettings(**(flags or {}))
    except ValidationError as error:
        raise config_error(error, section="serve") from error
