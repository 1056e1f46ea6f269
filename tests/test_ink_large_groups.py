"""What the fit of large groups reads and counts."""

from ink_cases import manifest_of

from automask_models.text.evidence import LogisticModel
from automask_training.ink_confidence import Finding
from automask_training.ink_large_groups import counted, main, pictures


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
