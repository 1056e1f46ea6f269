"""Devices and threads of torch-backed stages."""

from __future__ import annotations

import sys

import pytest

from automask.config import RuntimeConfig
from automask.errors import ConfigError, PluginError
from automask_models.device import select_device, torch_threads
from automask_models.onnx_session import thread_count


def test_without_torch_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(PluginError, match=r"extra `sam`"):
        select_device("auto")


def test_thread_count_follows_the_configuration():
    assert thread_count(RuntimeConfig(threads=3)) == 3
    assert thread_count(RuntimeConfig(threads=0)) >= 1


@pytest.mark.slow
@pytest.mark.parametrize(
    ("present", "auto"),
    [({"cuda"}, "cuda"), ({"mps"}, "mps"), ({"cuda", "mps"}, "cuda"), (set(), "cpu")],
)
def test_auto_takes_the_fastest_and_names_must_exist(monkeypatch, present, auto):
    import torch

    monkeypatch.setattr(torch.cuda, "is_available", lambda: "cuda" in present)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: "mps" in present)
    assert select_device("auto") == auto
    assert select_device("cpu") == "cpu"
    for name in ("cuda", "mps"):
        if name in present:
            assert select_device(name) == name
        else:
            with pytest.raises(ConfigError, match="does not see one"):
                select_device(name)
    with pytest.raises(ConfigError, match="no device"):
        select_device("tpu")


@pytest.mark.slow
def test_threads_are_put_back():
    import torch

    before = torch.get_num_threads()
    with torch_threads(before + 1):
        assert torch.get_num_threads() == before + 1
    assert torch.get_num_threads() == before
