"""What repeats in a sharded source: one sample, kept in the target, looked for in every image."""

import dataclasses
import hashlib
import json
import time

import pytest
from cli_process import automask
from overlay_cases import WIDTH_PX, lettering, marked, picture
from PIL import Image
from shard_cases import masks_in, records_in, rows_in, tar_bytes

from automask.config import PipelineConfig
from automask.errors import StoreError, StoreLocked
from automask.run.pipeline import MaskPipeline
from automask.run.redraw import redraw_store, stored_config
from automask.run.runner import run_dataset
from automask.run.shards.deciding import TargetTemplates
from automask.run.shards.driver import run_shards
from automask.run.shards.gathering import gather
from automask.run.shards.status import status_of
from automask.store import Store
from automask.values.templates import TemplateDecision
from automask_models.overlay.detector import OverlayDetector
from automask_models.overlay.options import OverlayOptions
from automask_models.refiners.polygon import PolygonRefiner

COUNT = 8
INK = lettering()


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Pictures with one mark at one place, and one without it."""
    folder = tmp_path_factory.mktemp("marked") / "set"
    folder.mkdir()
    for seed in range(COUNT):
        Image.fromarray(marked(seed, INK, opacity=0.8).pixels).save(folder / f"{seed}.png")
    Image.fromarray(picture(99)).save(folder / "clean.png")
    return folder


class Counting(OverlayDetector):
    """Tells how often it compared."""

    compared = 0

    def estimate(self, sample):
        type(self).compared += 1
        return super().estimate(sample)


def make_pipeline(*, reduced_px=WIDTH_PX, config=None):
    Counting.compared = 0
    detector = Counting(OverlayOptions(reduced_px=reduced_px))
    refiner = PolygonRefiner(PolygonRefiner.Options())
    return MaskPipeline(config or PipelineConfig(), detectors=(), dataset_detectors=(detector,), refiner=refiner)


def run(source, target, *, reduced_px=WIDTH_PX, config=None, **options):
    made = make_pipeline(reduced_px=reduced_px, config=config)
    return run_shards(str(source), str(target), made.config, pipeline=made, shard_images=3, **options)


def store_masks(folder, output):
    made = make_pipeline()
    run_dataset(folder, output, made.config, pipeline=made)
    return {path.name: path.read_bytes() for path in (output / "masks").iterdir()}


def test_masks_are_those_of_a_run_on_one_machine_that_compared_the_same_images(folder, tmp_path):
    run(folder, tmp_path / "target")
    masks = masks_in(tmp_path / "target")
    assert masks == store_masks(folder, tmp_path / "store")
    rows = rows_in(tmp_path / "target")
    assert [row["image"] for row in rows.values() if any(one["kind"] == "overlay" for one in row["regions"])] == [
        f"{seed}.png" for seed in range(COUNT)
    ]
    index = json.loads((tmp_path / "target" / "templates" / "templates.json").read_bytes())
    assert len(index["applied"]) == 1
    assert len(index["images"]) == COUNT + 1
    assert (tmp_path / "target" / index["applied"][0].replace(".template", ".png")).is_file()


def test_tars_give_the_same(folder, tmp_path):
    data = tmp_path / "data"
    data.mkdir()
    paths = sorted(folder.iterdir())
    for number in range(3):
        members = [(path.name, path.read_bytes()) for path in paths[3 * number : 3 * number + 3]]
        (data / f"{number}.tar").write_bytes(tar_bytes(members))
    (data / "bad.tar").write_bytes(b"no tar")
    run(data, tmp_path / "target")
    run(folder, tmp_path / "other")
    assert masks_in(tmp_path / "target") == masks_in(tmp_path / "other")


def test_the_sample_is_compared_once_for_a_target(folder, tmp_path):
    run(folder, tmp_path / "target")
    assert Counting.compared == 1
    before = masks_in(tmp_path / "target")
    (tmp_path / "target" / "done" / "000001.done").unlink()
    summary = run(folder, tmp_path / "target")
    assert (Counting.compared, summary.reused, dict(summary.done)) == (0, 2, {"analysed": 1})
    assert masks_in(tmp_path / "target") == before
    told = run(folder, tmp_path / "target", reduced_px=WIDTH_PX - 8)
    assert Counting.compared == 0
    assert "templates-old" in [issue.code for issue in told.notices]


def test_a_new_sample_is_asked_for(folder, tmp_path):
    run(folder, tmp_path / "target")
    same = run(folder, tmp_path / "target", refresh_templates=True)
    assert (Counting.compared, same.reused) == (1, 3), "the same templates: nothing to do"
    for path in (tmp_path / "target" / "templates").glob("*.template"):
        path.unlink()
    index = tmp_path / "target" / "templates" / "templates.json"
    index.write_text(json.dumps({**json.loads(index.read_text()), "applied": []}))
    without = run(folder, tmp_path / "target")
    assert dict(without.done) == {"analysed": 3}, "other templates are another fingerprint"
    assert {record["fingerprints"]["templates"] for record in records_in(tmp_path / "target").values()} == {""}
    again = run(folder, tmp_path / "target", refresh_templates=True)
    assert dict(again.done) == {"analysed": 3}
    assert masks_in(tmp_path / "target") == store_masks(folder, tmp_path / "store")


@pytest.fixture
def proposed(monkeypatch):
    """Whatever repeats is found as something that only a person can decide about."""
    estimate = Counting.estimate

    def estimated(self, sample):
        return [dataclasses.replace(template, needs_review=True) for template in estimate(self, sample)]

    monkeypatch.setattr(Counting, "estimate", estimated)
    return monkeypatch


def has_overlays(target):
    return [any(one["kind"] == "overlay" for one in row["regions"]) for row in rows_in(target).values()].count(True)


def test_what_only_a_person_can_decide_is_kept_and_not_looked_for(folder, tmp_path, proposed):
    summary = run(folder, tmp_path / "target")
    (notice,) = [issue for issue in summary.notices if issue.code == "templates-wait"]
    assert f"automask overlays list {tmp_path / 'target'}" in notice.message
    assert not has_overlays(tmp_path / "target")
    (file,) = (tmp_path / "target" / "templates").glob("waiting-*.template")
    given = run(folder, tmp_path / "target", config=PipelineConfig(templates=(str(file),)))
    assert dict(given.done) == {"analysed": 3}
    proposed.undo()
    assert masks_in(tmp_path / "target") == store_masks(folder, tmp_path / "store")


def test_one_decision_holds_for_all_shards_and_is_taken_back(folder, tmp_path, proposed):
    target = tmp_path / "target"
    run(folder, target)
    without = masks_in(target)
    templates = TargetTemplates(str(target))
    (waiting,) = templates.all()
    assert (waiting.state, status_of(str(target)).templates_waiting) == ("waiting", 1)
    (applied,), changes = templates.decide(waiting.id[:4], TemplateDecision.APPLY)
    assert (applied.id, applied.state, changes) == (waiting.id, "applied", True)
    assert templates.decide(waiting.id, TemplateDecision.APPLY)[1] is False, "decided already"
    assert status_of(str(target)).templates_waiting == 0
    assert dict(run(folder, target).done) == {"analysed": 3}
    assert has_overlays(target) == COUNT
    told = run(folder, target, refresh_templates=True)
    assert (told.reused, [issue.code for issue in told.notices]) == (3, []), "a new sample asks nothing again"
    assert templates.decide(waiting.id, TemplateDecision.FORGET)[1] is True
    assert dict(run(folder, target).done) == {"analysed": 3}
    assert masks_in(target) == without
    assert templates.decide(waiting.id, None) == ([waiting], False), "neither is looked for"
    assert run(folder, target).reused == 3


def test_a_mark_that_belongs_to_the_pictures_is_left_alone(folder, tmp_path):
    target = tmp_path / "target"
    run(folder, target)
    templates = TargetTemplates(str(target))
    before = (target / "templates" / "templates.json").read_bytes()
    (mark,) = templates.all()
    assert mark.state == "applied"
    assert templates.decide(mark.id, TemplateDecision.FORGET)[1] is True
    run(folder, target)
    assert not has_overlays(target)
    run(folder, target, refresh_templates=True)
    assert not has_overlays(target), "what was decided is no matter of the sample"
    assert templates.decide(mark.id, None)[1] is True
    assert (target / "templates" / "templates.json").read_bytes() == before
    run(folder, target)
    assert masks_in(target) == store_masks(folder, tmp_path / "store")


def test_nobody_decides_while_a_driver_compares(folder, tmp_path):
    run(folder, tmp_path / "target")
    templates = TargetTemplates(str(tmp_path / "target"))
    (mark,) = templates.all()
    other = {"owner": "else", "host": "node7", "pid": 4, "time_s": time.time(), "fuse": ""}
    claim = tmp_path / "target" / "claims" / "templates.json"
    claim.write_text(json.dumps(other))
    with pytest.raises(StoreLocked, match="node7"):
        templates.decide(mark.id, TemplateDecision.FORGET)
    claim.unlink()
    assert templates.all() == [mark]
    with pytest.raises(StoreError) as unknown:
        templates.decide("nothing", TemplateDecision.FORGET)
    assert unknown.value.code == "template-unknown"
    with pytest.raises(StoreError) as missing:
        TargetTemplates(str(tmp_path / "nowhere")).all()
    assert missing.value.code == "store-missing"


def test_decisions_are_made_on_the_command_line(folder, tmp_path, proposed):
    target = tmp_path / "target"
    run(folder, target, config=PipelineConfig(review={"audit": 1.0}))
    listed = json.loads(automask("overlays", "list", target, "--json").stdout)
    assert [one["state"] for one in listed] == ["waiting"]
    short = listed[0]["id"][:6]
    assert "waits for a decision" in automask("overlays", "list", target).stdout
    assert "overlays list" in automask("status", target).stdout
    shown = automask("overlays", "show", target, short, cwd=tmp_path)
    assert shown.returncode == 0, shown.stderr
    with Image.open(tmp_path / f"{listed[0]['id']}.png") as picture_of_it:
        picture_of_it.verify()
    saved = automask("overlays", "save", target, short, "-o", "mark.template", cwd=tmp_path)
    assert saved.returncode == 0, saved.stderr
    template = OverlayDetector(OverlayOptions()).read_template((tmp_path / "mark.template").read_bytes())
    assert (template.images, template.needs_review) == (COUNT + 1, False)
    done = [automask("overlays", word, target, short) for word in ("apply", "apply", "take-back", "forget")]
    assert [one.returncode for one in done] == [0] * 4, done[0].stderr
    assert ["all shards again" in one.stdout for one in done] == [True, False, True, False]
    gather(str(target), tmp_path / "store", names=set(rows_in(target)))
    assert f"automask overlays list {target}" in automask("overlays", "list", tmp_path / "store").stdout


def test_what_templates_found_is_gathered_with_the_rest(folder, tmp_path):
    run(folder, tmp_path / "target", config=PipelineConfig(review={"audit": 1.0}))
    rows = rows_in(tmp_path / "target")
    told = gather(str(tmp_path / "target"), tmp_path / "store", names=set(rows))
    assert (told.gathered, told.refused) == (COUNT + 1, {})
    masks = {hashlib.sha256(png).hexdigest() for png in masks_in(tmp_path / "target").values()}
    with Store.open(tmp_path / "store", read_only=True) as store:
        assert {row.mask_sha256 for row in store.images()} == masks
    again = redraw_store(tmp_path / "store", stored_config(tmp_path / "store"))
    assert again.reused == COUNT + 1


def test_a_sample_is_small_and_the_same_whoever_takes_it(tmp_path, monkeypatch):
    from automask.run.shards import sampling

    monkeypatch.setattr(sampling, "SAMPLE_IMAGES", 6)
    monkeypatch.setattr(sampling, "_SAMPLE_SHARDS", 3)
    (tmp_path / "set").mkdir()
    for seed in range(24):
        Image.fromarray(picture(seed)).save(tmp_path / "set" / f"{seed:02d}.png")
    taken = []
    for name in ("a", "b"):
        run(tmp_path / "set", tmp_path / name)
        taken.append(json.loads((tmp_path / name / "templates" / "templates.json").read_bytes())["images"])
    assert taken[0] == taken[1]
    assert len(taken[0]) == 6
