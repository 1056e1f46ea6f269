"""The fit of the judge of frames: proposals kept on disk, labels, and figures with each source left out."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from fit_cases import framed_picture, pictures_of

from automask_models.frames.judging import FrameJudge
from automask_training import frame_proposals
from automask_training.frame_judge import fitted_judge, is_right, report
from automask_training.frame_proposals import ProposalStore


class TestProposals:
    def test_kept_proposals_are_those_found(self, tmp_path: Path):
        picture = framed_picture()
        found = ProposalStore(None).regions_of(picture)
        kept = ProposalStore(tmp_path).regions_of(picture)
        assert found
        for one, two in zip(found, kept, strict=True):
            assert (one.box, one.confidence, one.proposed) == (two.box, two.confidence, two.proposed)
            assert dict(one.attributes) == dict(two.attributes)
            assert np.array_equal(one.artefact, two.artefact)

    def test_a_picture_is_looked_at_once_and_another_anew(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
        looked = []
        real = frame_proposals.detect_frames
        monkeypatch.setattr(frame_proposals, "detect_frames", lambda pixels: looked.append(1) or real(pixels))
        picture = framed_picture()
        for _ in range(2):
            ProposalStore(tmp_path).regions_of(picture)
        assert len(looked) == 1
        ProposalStore(tmp_path).regions_of(picture.at_most(300))
        assert len(looked) == 2

    def test_a_picture_is_shrunk_with_its_truth(self):
        small = framed_picture().at_most(300)
        assert max(small.pixels.shape) == 300
        assert small.truth is not None
        assert small.truth.shape == small.pixels.shape[:2]
        assert set(np.unique(small.truth)) <= {0, 255}


class TestFit:
    def test_what_is_unknown_labels_nothing(self):
        mask = np.ones((10, 10), np.bool_)
        assert is_right(mask, np.full((10, 10), 128, np.uint8)) is None
        assert is_right(mask, np.full((10, 10), 255, np.uint8)) is True
        assert is_right(mask, np.zeros((10, 10), np.uint8)) is False

    def test_the_judge_learns_and_tells_each_source_with_and_without_it(self):
        pictures = [*pictures_of("a"), *pictures_of("b"), *pictures_of("c")]
        used = [picture for picture in pictures if picture.source != "c"]
        asked: list[str] = []

        def without(source: str) -> FrameJudge:
            asked.append(source)
            return fitted_judge([picture for picture in used if picture.source != source])

        judge = fitted_judge(used)
        told = report(pictures, judge=judge, without=without, reported=["c"])
        assert asked == ["a", "b"]  # what is only reported on is in no fit anyway
        rows = {line.split()[0]: line.split()[1:] for line in told.splitlines()}
        assert rows["a"] == ["A", "6", "3", "6", "6"]  # geometry alone draws all
        assert rows["c"] == ["B", "6", "3", "6", "6"]
