"""Answers of other devices than the CPU are held against the CPU's, which takes over where they are wrong."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest

from automask.config import RuntimeConfig
from automask.values.placement import Placement
from automask.weights import WeightLibrary
from automask_models import onnx_devices, onnx_session
from automask_models.layout.network import LayoutNetwork
from automask_models.onnx_devices import PROVIDERS, onnx_device


@dataclass(frozen=True, eq=False)
class Wrong(onnx_devices.OnnxDevice):
    """A device that answers rightly until a call, and from then on adds something or fails."""

    onset: int = 1
    fails: bool = False

    def session(self, model, options, *, threads):
        made = onnx_device("cpu").session(model, options, threads=threads)
        device, calls = self, []

        class Session:
            get_inputs, get_outputs, get_modelmeta = made.get_inputs, made.get_outputs, made.get_modelmeta

            def run(self, names, feeds):
                calls.append(1)
                if len(calls) < device.onset:
                    return made.run(names, feeds)
                if device.fails:
                    raise RuntimeError("out of memory\nat line 3")
                return [values + np.float32(0.3) for values in made.run(names, feeds)]

        return Session()


@pytest.mark.parametrize(("onset", "fails"), [(1, False), (1, True), (4, False), (3, False)])
def test_a_device_that_answers_wrongly_or_fails_gives_way_to_the_cpu(monkeypatch, onset, fails):
    """OpenVINO took the layout network and answered it wrongly. Calls 1, 2, 4, 8 and so on are held against the CPU."""
    cpu = onnx_device("cpu")
    wrong = Wrong(Placement("openvino", "OpenVINOExecutionProvider"), PROVIDERS[-1], onset=onset, fails=fails)
    monkeypatch.setattr(onnx_session, "onnx_device", lambda name: cpu if name == "cpu" else wrong)
    weights = WeightLibrary.discover().find("automask-layout")
    networks = [
        LayoutNetwork.open(weights, runtime=RuntimeConfig(device=name, threads=1)) for name in ("openvino", "cpu")
    ]
    pixels = np.random.default_rng(0).integers(0, 255, (64, 96, 3), dtype=np.uint8)
    right = networks[1].look(pixels).frame
    equal = [np.array_equal(networks[0].look(pixels).frame, right) for _ in range(6)]
    assert equal == ([True, True, False, True, True, True] if onset == 3 else [True] * 6)
    noticed = {1: 1, 3: 4, 4: 4}[onset]
    what = "fails: out of memory" if fails else "answers layout otherwise than the CPU"
    assert networks[0].placement == Placement(
        "cpu", "CPUExecutionProvider", reason=f"OpenVINOExecutionProvider {what} (call {noticed})"
    )


@pytest.mark.parametrize(
    ("change", "same"),
    [
        (lambda values: values + 1e-4, True),
        (lambda values: values[:, ::-1], True),  # rows of a list in another order
        (lambda values: values + 0.1, False),
        (lambda values: values * np.nan, False),
        (lambda values: values[:, :-1], False),
        (lambda values: np.where(np.arange(values.size).reshape(values.shape) == 0, values.max() + 1, values), True),
    ],
)
def test_answers_agree_but_for_rounding(change, same):
    values = np.random.default_rng(1).random((1, 50, 6))
    assert onnx_session.agree(change(values), values) is same


def test_answers_near_nothing_agree():
    nothing = np.zeros((1, 1, 8, 8), np.float32)
    assert onnx_session.agree(nothing + 1e-5, nothing)
    assert not onnx_session.agree(nothing + 0.1, nothing)
