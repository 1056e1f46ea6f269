"""A user's own data as training images: what is read, how it is divided, and which errors say what to do. No torch."""

from __future__ import annotations

import json
import pickle
import tomllib
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from own_data_cases import SIZE_PX, correct, draw, draw_pictures, make_coco, make_yolo, mark_box, truth

import automask_training
from automask.config import PipelineConfig
from automask.errors import ConfigError, InputError, WeightsError
from automask.run.runner import run_dataset
from automask.values.geometry import Box
from automask_training.own.continuing import checks_every, recipe_folders, trainable_weights
from automask_training.own.images import Extent, OwnImage, read_labelled
from automask_training.own.labels import known_label, labels_of_classes
from automask_training.own.reading import DataOptions, OwnData, divided, read_data
from automask_training.own.run import Training, read_recipe
from automask_training.own.source import MixedSource, OwnSource, square_view
from automask_training.own.store_data import store_labelled
from automask_training.own.uses import USES
from automask_training.own.yolo_data import yolo_labelled
from automask_training.synth.types import SyntheticImage, SyntheticInstance

COUNT = 20
MARKED = sum(mark_box(seed) is not None for seed in range(COUNT))


def read(path: Path, *, task: str = "watermark", **options: Any) -> OwnData:
    return read_data([path], DataOptions(**{"classes": {}, **options}), USES[task], progress=lambda done, total: None)


def images_of(data: OwnData) -> list[OwnImage]:
    return sorted((*data.training, *data.held_out), key=lambda image: image.path.name)


def pixels_of(image: OwnImage) -> np.ndarray:
    return image.load().artefact()


class TestYolo:
    def test_boxes_are_read_as_they_are_and_empty_labels_as_nothing(self, tmp_path: Path) -> None:
        images = images_of(read(make_yolo(tmp_path / "set", COUNT)))
        assert len(images) == COUNT
        for seed, image in enumerate(images):
            box = mark_box(seed)
            assert [thing.box.xyxy for thing in image.things] == ([] if box is None else [box])
            assert all(
                (thing.label, thing.kind, thing.extent) == ("logo", "watermark", Extent.BOX) for thing in image.things
            )

    def test_a_moved_data_set_and_its_folder_are_found(self, tmp_path: Path) -> None:
        make_yolo(tmp_path / "set", COUNT)
        (tmp_path / "set").rename(tmp_path / "moved")
        assert len(images_of(read(tmp_path / "moved"))) == COUNT

    def test_outlines_fill_their_polygon(self, tmp_path: Path) -> None:
        images = images_of(read(make_yolo(tmp_path / "set", COUNT, outlines=True), task="ink"))
        assert pixels_of(images[0]).sum() == Box(*(mark_box(0) or ())).area_px
        assert all(thing.extent is Extent.TIGHT for image in images for thing in image.things)

    def test_boxes_are_no_truth_for_a_task_of_pixels(self, tmp_path: Path) -> None:
        with pytest.raises(InputError, match="boxes instead of outlines"):
            read(make_yolo(tmp_path / "set", COUNT), task="sam")

    def test_classes_that_say_nothing_ask_for_a_word(self, tmp_path: Path) -> None:
        data = make_yolo(tmp_path / "set", COUNT, names=["thing"])
        with pytest.raises(InputError, match="--class 'thing'=watermark"):
            read(data)
        assert images_of(read(data, classes={"thing": "date"}))[0].things[0].label == "timestamp"
        with pytest.raises(InputError, match="Only 0 images have watermark"):
            read(data, classes={"thing": "ignore"})
        with pytest.raises(ConfigError, match="unknown word"):
            read(data, classes={"thing": "stuff"})

    @pytest.mark.parametrize(
        ("line", "reason"),
        [
            ("0 .5 .5 .1", "neither boxes nor outlines"),
            ("0 a b c d", "not numbers"),
            ("7 .5 .5 .1 .1", "class 7"),
            ("0 .5 .5 0 .1", "empty"),
            ("0 2 2 .1 .1", "outside"),
            ("0 nan .5 .1 .1", "not made of numbers"),
        ],
    )
    def test_a_broken_label_leaves_its_image_out_and_says_so(self, tmp_path: Path, line: str, reason: str) -> None:
        data = make_yolo(tmp_path / "set", COUNT)
        (tmp_path / "set" / "labels" / "train" / "000.txt").write_text(line)
        found = read_labelled(yolo_labelled(data, classes={}))
        assert len(found.images) == COUNT - 1
        assert reason in found.summary()
        assert "000.png" in found.summary()

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ("names: [", "not valid YAML"),
            ("- 1", "no description"),
            ("train: images", "no class names"),
            ("names: [logo]\ntrain: elsewhere", "no images"),
            ("names: {a: logo}", "class numbers"),
        ],
    )
    def test_a_broken_description_is_refused(self, tmp_path: Path, text: str, message: str) -> None:
        path = tmp_path / "data.yaml"
        path.write_text(text)
        with pytest.raises(InputError, match=message):
            read(path)

    def test_labels_in_the_wrong_place_are_no_empty_data_set(self, tmp_path: Path) -> None:
        data = make_yolo(tmp_path / "set", COUNT)
        (tmp_path / "set" / "labels").rename(tmp_path / "set" / "txt")
        with pytest.raises(InputError, match="None of the 20 images"):
            read(data)


class TestCoco:
    def test_run_lengths_and_polygons_are_read_to_the_pixel(self, tmp_path: Path) -> None:
        path = make_coco(tmp_path, COUNT)
        content = json.loads(path.read_text())
        x0, y0, x1, y1 = mark_box(1) or ()
        content["annotations"][1]["segmentation"] = [[x0, y0, x1, y0, x1, y1, x0, y1]]
        path.write_text(json.dumps(content))
        images = images_of(read(path, task="ink"))
        assert len(images) == COUNT
        for seed, image in enumerate(images):
            expected = truth(seed)
            if seed == 1:
                expected[y0:y1, x0:x1] = True
            assert np.array_equal(pixels_of(image), expected), seed

    def test_compressed_run_lengths_need_the_extra(self, tmp_path: Path) -> None:
        coco_mask = pytest.importorskip("pycocotools.mask", reason="pycocotools comes with an extra")
        path = make_coco(tmp_path, COUNT)
        content = json.loads(path.read_text())
        packed = coco_mask.encode(np.asfortranarray(truth(0).astype(np.uint8)))
        content["annotations"][0]["segmentation"]["counts"] = packed["counts"].decode()
        path.write_text(json.dumps(content))
        assert np.array_equal(pixels_of(images_of(read(path, task="ink"))[0]), truth(0))

    def test_images_may_lie_elsewhere(self, tmp_path: Path) -> None:
        path = make_coco(tmp_path / "a", COUNT)
        (tmp_path / "a" / "images").rename(tmp_path / "pictures")
        with pytest.raises(InputError, match="--images FOLDER"):
            read(path)
        assert len(images_of(read(path, images=tmp_path / "pictures"))) == COUNT

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            (lambda content: content["annotations"].clear(), "no annotations"),
            (lambda content: content.pop("categories"), "no COCO file"),
            (lambda content: content["annotations"][0]["segmentation"].update(counts=[5]), "do not add up"),
            (lambda content: content["images"][0].update(width=7), "not the one"),
            (lambda content: content["annotations"][0].pop("segmentation"), "neither segmentation nor bbox"),
        ],
    )
    def test_what_is_wrong_is_named(self, tmp_path: Path, change: Any, message: str) -> None:
        path = make_coco(tmp_path, COUNT)
        content = json.loads(path.read_text())
        change(content)
        path.write_text(json.dumps(content))
        try:
            left_out = read(path).left_out
        except InputError as error:
            left_out = str(error)
        assert message in left_out


@pytest.fixture
def store(tmp_path: Path) -> Path:
    draw_pictures(tmp_path / "set", COUNT)
    config = PipelineConfig(detectors=("edges",), dataset_detectors=())
    run_dataset(tmp_path / "set", tmp_path / "store", config)
    return tmp_path / "store"


class TestStore:
    def test_corrections_are_the_truth_and_nothing_else_is(self, store: Path, tmp_path: Path) -> None:
        with pytest.raises(InputError, match="Nobody has corrected"):
            store_labelled(store, with_accepted=False)
        correct(store, sorted((tmp_path / "set").iterdir())[:12])
        images = images_of(read(store, task="ink"))
        assert [image.path.name for image in images] == [f"{seed:03d}.png" for seed in range(12)]
        for seed, image in enumerate(images):
            assert np.array_equal(pixels_of(image), truth(seed))
        assert {thing.kind for image in images for thing in image.things} == {"watermark"}
        everything = read_labelled(store_labelled(store, with_accepted=True)).images
        assert len(everything) == COUNT

    def test_images_that_changed_since_are_left_out(self, store: Path, tmp_path: Path) -> None:
        paths = sorted((tmp_path / "set").iterdir())
        correct(store, paths[:12])
        draw(99).save(paths[0])
        paths[1].write_bytes(b"no image")
        found = read_labelled(store_labelled(store, with_accepted=False))
        assert len(found.images) == 10
        assert "changed since its mask was made: 000.png" in found.summary()
        assert "001.png" in found.summary()


class TestReading:
    def test_images_are_divided_by_content_and_stay_where_they_are(self, tmp_path: Path) -> None:
        data = read(make_yolo(tmp_path / "set", 60), held_out=0.3)
        held = {image.content_sha256 for image in data.held_out}
        assert 8 <= len(held) <= 28
        assert not held & {image.content_sha256 for image in data.training}
        again = divided(images_of(data)[:40], held_out=0.3)[1]
        assert {image.content_sha256 for image in again} <= held

    def test_something_is_always_held_out(self, tmp_path: Path) -> None:
        images = images_of(read(make_yolo(tmp_path / "set", COUNT)))
        rest, judged = divided(images, held_out=1e-9)
        assert (len(rest), len(judged)) == (COUNT - 1, 1)

    def test_too_few_images_are_refused(self, tmp_path: Path) -> None:
        with pytest.raises(InputError, match=r"Only 6 images have watermark .* it takes 8"):
            read(make_yolo(tmp_path / "set", 7))

    def test_the_same_picture_counts_once(self, tmp_path: Path) -> None:
        data = make_yolo(tmp_path / "set", COUNT)
        folder = tmp_path / "set" / "images" / "train"
        (folder / "copy.png").write_bytes((folder / "000.png").read_bytes())
        assert "there twice: copy.png" in read(data).left_out

    @pytest.mark.parametrize("name", ["missing", "notes.txt", ""])
    def test_paths_that_are_no_data_are_refused(self, tmp_path: Path, name: str) -> None:
        (tmp_path / "notes.txt").write_text("hello")
        with pytest.raises(InputError, match=r"There is no|no data set"):
            read(tmp_path / name)


class TestLabels:
    def test_words(self) -> None:
        assert known_label("Watermarks") == known_label("mark") == "corner"
        assert known_label("Date-Stamp") is None
        assert known_label("datestamp") == "timestamp"
        assert labels_of_classes({0: "text", 4: "ignore"}, {}, where="x") == {0: "text_line"}


class TestSource:
    @pytest.fixture
    def images(self, tmp_path: Path) -> list[OwnImage]:
        return images_of(read(make_coco(tmp_path, COUNT), task="ink"))

    def test_views_are_square_and_masks_stay_on_their_pixels(self, images: list[OwnImage]) -> None:
        source = OwnSource(images, size_px=160, seed=1)
        found = 0
        for index in range(60):
            view = source.sample(index)
            assert view.pixels.shape == (160, 160, 3)
            for thing in view.instances:
                x0, y0, x1, y1 = thing.box
                inside = view.pixels[y0:y1, x0:x1][thing.mask]
                found += 1
                assert inside.mean() > 180
        assert found > 30

    def test_an_image_is_a_pure_function_of_its_number(self, images: list[OwnImage]) -> None:
        source = OwnSource(images, size_px=96, seed=1)
        first = [source.sample(index).pixels for index in (0, 5, 33)]
        other = pickle.loads(pickle.dumps(source))
        assert all(np.array_equal(a, other.sample(index).pixels) for a, index in zip(first, (0, 5, 33), strict=True))
        assert not np.array_equal(first[0], OwnSource(images, size_px=96, seed=2).sample(0).pixels)

    def test_every_image_comes_once_before_one_comes_again(self, images: list[OwnImage]) -> None:
        source = OwnSource(images, size_px=96, seed=1)
        seen: Counter[int] = Counter()
        source._loaded = lambda number: seen.update([number]) or images[number].load()  # type: ignore[method-assign]
        for index in range(2 * COUNT):
            source.sample(index)
        assert set(seen.values()) == {2}
        assert len(seen) == COUNT

    def test_synthetic_images_take_their_share(self, images: list[OwnImage]) -> None:
        class Others:
            def sample(self, index: int) -> str:
                return "other"

        mixed = MixedSource(OwnSource(images, size_px=64, seed=0), Others(), own_share=0.25, seed=3)  # type: ignore[arg-type]
        own = sum(mixed.sample(index) != "other" for index in range(200))
        assert 30 < own < 75

    def test_small_pictures_are_seen_whole(self) -> None:
        boxes = ((0, 0, 20, 10), (220, 170, 240, 180))
        instances = tuple(SyntheticInstance("watermark", "logo", box, np.ones((10, 20), bool), 1.0) for box in boxes)
        image = SyntheticImage(np.zeros((*SIZE_PX[::-1], 3), np.uint8), instances)
        view = square_view(image, size_px=480, rng=np.random.default_rng(0))
        assert [one.box for one in view.instances] == [(0, 0, 40, 20), (440, 340, 480, 360)]
        assert (view.pixels[370:] == 114).all()


class TestRecipes:
    def test_recipes_are_found_by_name_or_path(self) -> None:
        root = Path(__file__).parents[1] / "models" / "training"
        assert read_recipe(str(root / "ink.toml"))["task"] == "ink"
        with pytest.raises(ConfigError, match="Known: ink, sam, watermark, watermark-ultralytics;"):
            read_recipe("nothing")
        assert read_recipe("watermark") == read_recipe(str(root / "watermark.toml"))
        other = read_recipe("watermark", trainer="ultralytics")
        assert other == read_recipe(str(root / "watermark-ultralytics.toml"))
        assert other["task"] != read_recipe("watermark")["task"], "a state of one is none of the other"
        with pytest.raises(ConfigError, match="no recipe 'ink-ultralytics'"):
            read_recipe("ink", trainer="ultralytics")
        with pytest.raises(ConfigError, match="not with a file"):
            read_recipe(str(root / "watermark.toml"), trainer="ultralytics")

    def test_a_wheel_takes_along_what_training_starts_from(self) -> None:
        """By name, in `pyproject.toml`: the recipe of every task, and its state where there is one."""
        root = Path(__file__).parents[1]
        wheel = tomllib.loads((root / "pyproject.toml").read_text())["tool"]["hatch"]["build"]["targets"]["wheel"]
        folder = wheel["sources"]["models/training"].removeprefix("automask_training/")
        assert recipe_folders()[-1] == Path(automask_training.__file__).parent / folder
        for task, use in USES.items():
            assert f"models/training/{task}.toml" in wheel["only-include"]
            state = f"models/training/state/{use.weight}.pt"
            assert (state in wheel["only-include"]) is (root / state).is_file()
        assert trainable_weights("automask-ink").suffix == ".pt"

    def test_every_recipe_has_a_use(self) -> None:
        root = Path(__file__).parents[1] / "models" / "training"
        tasks = {read_recipe(str(path)).get("task") for path in root.glob("*.toml")} - {None}
        assert tasks - {"layout", "scene"} == set(USES), (
            "what people mask says little of frames, and of things that are no text"
        )

    def test_missing_trainable_weights_say_what_to_do(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        monkeypatch.setenv("AUTOMASK_WEIGHTS", str(tmp_path))
        with pytest.raises(WeightsError, match="--start FILE"):
            trainable_weights("automask-none")
        (tmp_path / "automask-none.safetensors").write_bytes(b"")
        assert trainable_weights("automask-none").parent == tmp_path

    def test_patience_outlasts_the_warm_up_of_a_short_run(self) -> None:
        """Six judgements without progress end a training: not six steps."""
        assert [checks_every(total, batch_samples=4) for total in (8, 100, 420, 20_000)] == [20, 20, 20, 1000]

    def test_samples_are_whole_batches(self, tmp_path: Path) -> None:
        data = read(make_yolo(tmp_path / "set", COUNT))
        table = read_recipe(str(Path(__file__).parents[1] / "models" / "training" / "watermark.toml"))
        training = Training(
            table=table, use=USES["watermark"], data=data, out=tmp_path / "out", start=None,
            materials=None, own_share=0.5, samples=None, rate=0.1, seed=0, threads=None, workers=0, name="mine",
        )  # fmt: skip
        assert training.total_samples == max(400, 30 * len(data.training) // 16 * 16)
        assert replace(training, samples=29).total_samples == 16
        assert training.loop().schedule.peak == pytest.approx(2e-4)
