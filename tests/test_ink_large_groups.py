"""What the fit of large groups reads and counts."""

import json

import numpy as np
from ink_cases import lettered
from PIL import Image as PillowImage

from automask_models.text.evidence import LogisticModel
from automask_training.ink_confidence import Finding
from automask_training.ink_large_groups import counted, main, pictures


def manifest_of(folder):
    """Two pictures with a word and its truth, one without."""
    entries = []
    for name, opacity, kind in (("a", 1.0, "text"), ("b", 0.8, "text"), ("c", 0.0, "clean")):
        image, letters = lettered("Harbour", size_px=150, at=(60, 200), opacity=opacity)
        PillowImage.fromarray(image.pixels).save(folder / f"{name}.png")
        entry = {"kind": kind, "source": f"{kind}s", "image": f"{name}.png", "mask": None, "truth": "nothing"}
        if kind == "text":
            PillowImage.fromarray(letters.astype(np.uint8) * 255).save(folder / f"{name}-truth.png")
            entry |= {"mask": f"{name}-truth.png", "truth": "pixels"}
        entries.append(entry)
    path = folder / "manifest.json"
    path.write_text(json.dumps(entries))
    return path


def test_it_reads_so_many_of_each_source_with_their_truth(tmp_path):
    found = list(pictures([manifest_of(tmp_path)], None, per_source=1, free=0))
    assert sorted(each.source for each in found) == ["cleans", "texts"]
    for each in found:
        assert (each.truth is None) == (each.source == "cleans")
        assert each.truth is None or each.truth.shape == each.image.pixels.shape[:2]
        assert each.truth is None or (each.truth == 255).any()


def test_groups_of_one_class_alone_are_no_fit(tmp_path, caplog):
    assert main([str(manifest_of(tmp_path)), "--threads", "1"]) != 0
    assert "one class" in caplog.text


def test_it_counts_what_would_be_drawn():
    model = LogisticModel(intercept=-1.0, coefficients={"read_evidence": 2.0})
    findings = [
        Finding({"read_evidence": value}, truth, "a") for value, truth in ((2.0, True), (0.0, True), (0.1, False))
    ]
    assert counted(model, findings).tolist() == [1, 2, 0, 1]
