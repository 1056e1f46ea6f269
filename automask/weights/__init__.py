"""Weight files by name or path, found on this machine and checked; only `automask models pull` uses the network."""

from __future__ import annotations

from automask.weights.catalogue import DeclaredFile, WeightSpec, hub_entry_name, read_catalogue
from automask.weights.hashes import HashCache, combined_sha256, file_sha256, hash_of_all
from automask.weights.library import WEIGHTS_VARIABLE, WeightLibrary, WeightState, missing_weights, spec_of_files
from automask.weights.places import companions, hub_cache_folder, hub_snapshot, user_cache_folder
from automask.weights.records import PulledFile, PullRecord, read_record, record_path

__all__ = [
    "WEIGHTS_VARIABLE",
    "DeclaredFile",
    "HashCache",
    "PullRecord",
    "PulledFile",
    "WeightLibrary",
    "WeightSpec",
    "WeightState",
    "combined_sha256",
    "companions",
    "file_sha256",
    "hash_of_all",
    "hub_cache_folder",
    "hub_entry_name",
    "hub_snapshot",
    "missing_weights",
    "read_catalogue",
    "read_record",
    "record_path",
    "spec_of_files",
    "user_cache_folder",
]
