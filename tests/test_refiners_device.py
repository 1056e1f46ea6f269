"""Devices and threads of torch-backed stages."""

from __future__ import annotations

import sys

import pytest

from automask.config import RuntimeConfig
from automask.errors import ConfigError, PluginError
from automask.values.placement import Placement
from automask_models.device import torch_placement, torch_threads
from automask_models.onnx_session import thread_count


def test_without_torch_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(PluginError, match=r"extra `sam`"):
        torch_placement("auto")


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
    assert torch_placement("auto").device == auto
    assert torch_placement("cpu") == Placement("cpu", "torch")
    for name in ("cuda", "mps"):
        if name in present:
            assert torch_placement(name).device == name
        else:
            with pytest.raises(ConfigError, match="does not see one"):
                torch_placement(name)
    with pytest.raises(ConfigError, match="no device"):
        torch_placement("tpu")
    for name, card in (("tensorrt", "cuda"), ("coreml", "mps"), ("directml", None), ("openvino", None)):
        placement = torch_placement(name)
        assert placement.device == (card if card in present else "cpu")
        assert bool(placement.reason) == (placement.device == "cpu"), "what does not follow says why"


@pytest.mark.slow
def test_threads_are_put_back():
    import torch

    before = torch.get_num_threads()
    with torch_threads(before + 1):
        assert torch.get_num_threads() == before + 1
    assert torch.get_num_threads() == before
