"""What an export touches, what it leaves alone, and what it refuses."""

import json
import shutil
import threading
import tomllib
from pathlib import Path

import numpy as np
import pytest
from export_cases import artefact_of, export, make_store, tree, write_on
from fakes import red_on_grey
from PIL import Image

from automask.errors import ConfigError, InputError, OutputError, PluginError
from automask.export.drawing import as_stored
from automask.export.manifest import MANIFEST_NAME
from automask.export.run import build_exporter, default_export_folder, export_store
from automask.mask.rendering import CorrectionLayers
from automask.plugins import EXPORTERS, available
from automask.store import Store
from automask.trainers.conventions import TRAINERS

FORMATS = sorted(available(EXPORTERS))


@pytest.fixture
def images(tmp_path):
    folder = tmp_path / "images"
    for seed, name in enumerate(["a.png", "b.jpg", "sub/c.png", "sub/deep/d.webp"]):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(red_on_grey(96, 64, seed=seed)).save(path, quality=100)
        path.with_suffix(".txt").write_text(f"a cat, {name}")
    return folder


@pytest.fixture
def store(images):
    return make_store(images)


def red(path, size=(96, 64)):
    Image.new("RGB", size, (255, 0, 0)).save(path)


def test_there_is_an_exporter_for_every_trainer():
    assert set(TRAINERS) <= set(FORMATS)


@pytest.mark.parametrize("name", FORMATS)
def test_an_export_leaves_images_and_store_alone_and_is_done_once(name, images, store):
    before = tree(images), {p.name: p.lstat().st_ctime_ns for p in images.iterdir()}, tree(store)
    first = export(store, name)
    output = default_export_folder(store, build_exporter(name, options={}))
    assert first.output == output.resolve()
    assert first.images == 4
    assert first.written > 1
    written = tree(output)
    times = {path: path.lstat().st_mtime_ns for path in output.rglob("*") if path.name != MANIFEST_NAME}
    second = export(store, name)
    assert (second.written, second.removed, second.unchanged) == (0, 0, first.written)
    assert tree(output) == written
    assert {p: p.lstat().st_mtime_ns for p in output.rglob("*") if p.name != MANIFEST_NAME} == times
    shutil.rmtree(output.parent)
    assert (tree(images), {p.name: p.lstat().st_ctime_ns for p in images.iterdir()}, tree(store)) == before


@pytest.mark.parametrize("name", FORMATS)
def test_only_what_changed_is_written_again(name, images, store):
    export(store, name)
    Image.fromarray(red_on_grey(96, 64, box=(40, 20, 80, 40), seed=9)).save(images / "a.png")
    (images / "b.jpg").unlink()
    (images / "b.txt").unlink()
    make_store(images)
    output = default_export_folder(store, build_exporter(name, options={}))
    before = {path: path.lstat().st_mtime_ns for path in output.rglob("*.*") if path.stem.startswith(("c", "d"))}
    summary = export(store, name)
    assert summary.images == 3
    assert summary.written >= 1
    assert not list(output.rglob("b*.*")), "files of an image that is gone are removed"
    assert {path: path.lstat().st_mtime_ns for path in before} == before, "files of unchanged images are not touched"
    assert before or name == "coco"


def test_files_of_others_are_never_overwritten_or_removed(images, store, tmp_path):
    output = tmp_path / "out"
    foreign = output / "masks" / "a.png"
    foreign.parent.mkdir(parents=True)
    red(foreign)
    note = output / "masks" / "notes.txt"
    note.write_text("mine")
    with pytest.raises(OutputError, match=r"a\.png") as refused:
        export(store, "kohya", output=output)
    assert refused.value.code == "output-not-ours"
    assert sorted(tree(output)) == ["masks/a.png", "masks/notes.txt"]
    foreign.unlink()
    export(store, "kohya", output=output)
    export(store, "kohya", output=output)
    assert note.read_text() == "mine"


def test_a_mask_that_was_edited_after_the_export_is_not_overwritten(images, store, tmp_path):
    output = tmp_path / "out"
    export(store, "kohya", output=output)
    red(output / "masks" / "a.png")
    with pytest.raises(OutputError, match="changed since"):
        export(store, "kohya", output=output)


def test_settings_that_were_edited_are_left_alone(images, store, tmp_path):
    export(store, "kohya", output=tmp_path / "out")
    settings = tmp_path / "out" / "dataset.toml"
    settings.write_text(settings.read_text() + "# mine\n")
    summary = export(store, "kohya", output=tmp_path / "out")
    assert not summary.snippet_stands
    assert settings.read_text().endswith("# mine\n")


def test_an_interrupted_export_goes_on(images, store, tmp_path):
    stop = threading.Event()
    output = tmp_path / "out"
    exporter = build_exporter("kohya", options={})
    seen = []

    def progress(done, total):
        seen.append(done)
        stop.set()

    first = export_store(store, exporter, output=output, progress=progress, stop=stop)
    assert first.interrupted
    second = export_store(store, exporter, output=output)
    assert not second.interrupted
    assert first.written + second.written == 6  # four masks, the settings, the page
    assert len(list((output / "masks").rglob("*.png"))) == 4


def test_a_killed_export_is_known_as_ours(images, store, tmp_path):
    """The names are written down before the files: what a crash leaves is not taken for somebody else's."""
    output = tmp_path / "out"
    export(store, "yolo-seg", output=output)
    lines = (output / MANIFEST_NAME).read_text().splitlines()
    planned = [json.dumps({k: v for k, v in json.loads(line).items() if k in ("root", "name")}) for line in lines[1:]]
    (output / MANIFEST_NAME).write_text("\n".join([lines[0], *planned]) + '\n{"root": "out')
    assert export(store, "yolo-seg", output=output).written > 4


def test_one_folder_holds_one_format(images, store, tmp_path):
    export(store, "kohya", output=tmp_path / "out")
    with pytest.raises(OutputError, match="holds an export to 'kohya'"):
        export(store, "onetrainer", output=tmp_path / "out")


def test_an_export_into_the_image_folder_is_refused(images, store):
    with pytest.raises(OutputError) as refused:
        export(store, "kohya", output=images / "masks")
    assert refused.value.code == "output-inside-input"


# Masks beside images


@pytest.mark.parametrize(
    ("name", "ending"), [("onetrainer", "-masklabel.png"), ("musubi", "_wmask.png"), ("animalora", ".mask")]
)
def test_masks_go_beside_the_images_only_when_asked(name, ending, images, store, tmp_path):
    export(store, name, output=tmp_path / "out")
    assert not list(images.rglob(f"*{ending}"))
    linked = tmp_path / "out" / "images"
    assert (linked / "sub" / f"c{ending}").is_file()
    assert (linked / "sub" / "c.png").is_symlink()
    assert (linked / "sub" / "c.txt").read_text() == "a cat, sub/c.png"
    before = tree(images)
    export(store, name, output=tmp_path / "in-place", in_place=True)
    added = {path for path in tree(images) if path not in before}
    assert added == {f"a{ending}", f"b{ending}", f"sub/c{ending}", f"sub/deep/d{ending}"}
    assert {path: data for path, data in tree(images).items() if path in before} == before
    shutil.move(images / "b.jpg", tmp_path / "b.jpg")
    make_store(images)
    export(store, name, output=tmp_path / "in-place", in_place=True)
    assert not (images / f"b{ending}").exists()


def test_somebody_elses_sidecar_stays(images, store, tmp_path):
    red(images / "a-masklabel.png")
    with pytest.raises(OutputError, match="a-masklabel"):
        export(store, "onetrainer", output=tmp_path / "out", in_place=True)


def test_in_place_is_for_formats_that_look_there(store):
    with pytest.raises(ConfigError, match="does not look for them"):
        export(store, "kohya", in_place=True)


def test_copies_are_files_of_their_own(images, store, tmp_path):
    export(store, "onetrainer", output=tmp_path / "out", images="copy")
    copied = tmp_path / "out" / "images" / "a.png"
    assert not copied.is_symlink()
    assert copied.read_bytes() == (images / "a.png").read_bytes()


# Names


@pytest.mark.parametrize("name", ["kohya", "onetrainer", "ai-toolkit", "diffusion-pipe", "yolo-seg", "labelme"])
def test_stems_that_collide_are_named(name, images):
    Image.fromarray(red_on_grey(96, 64, seed=5)).save(images / "a.jpg")
    with pytest.raises(InputError, match=r"a\.jpg, a\.png|a\.png, a\.jpg") as refused:
        export(make_store(images), name)
    assert refused.value.code == "export-collision"


@pytest.mark.parametrize("name", ["simpletuner", "grey", "rgba", "huggingface", "invoke", "coco"])
def test_formats_with_room_for_extensions_do_not_collide(name, images, tmp_path):
    Image.fromarray(red_on_grey(96, 64, seed=5)).save(images / "a.jpg")
    assert export(make_store(images), name, output=tmp_path / "out").images == 5


def test_a_flat_mask_folder_refuses_one_name_in_two_folders(images, tmp_path):
    shutil.copy(images / "a.png", images / "sub" / "a.png")
    store = make_store(images)
    with pytest.raises(InputError, match=r"a\.png = sub/a\.png"):
        export(store, "ai-toolkit")
    with pytest.raises(ConfigError, match="--images link"):
        export(store, "ai-toolkit", flatten=True)
    export(store, "ai-toolkit", output=tmp_path / "out", flatten=True, images="link")
    names = {path.stem for path in (tmp_path / "out" / "masks").iterdir()}
    assert names == {"a", "b", "sub__a", "sub__c", "sub__deep__d"}
    pictures = {path.stem for path in (tmp_path / "out" / "images").iterdir() if path.suffix != ".txt"}
    assert pictures == names


def test_flattening_makes_stems_unique(images, tmp_path):
    Image.fromarray(red_on_grey(96, 64, seed=5)).save(images / "a.jpg")
    export(make_store(images), "kohya", output=tmp_path / "out", flatten=True, images="link")
    masks = {path.stem for path in (tmp_path / "out" / "masks").iterdir()}
    assert masks == {"a_png", "a_jpg", "b", "sub__c", "sub__deep__d"}


def test_each_folder_gets_its_own_entry(store, tmp_path):
    for name, key in (("kohya", "conditioning_data_dir"), ("diffusion-pipe", "mask_path")):
        export(store, name, output=tmp_path / name)
        settings = tomllib.loads((tmp_path / name / "dataset.toml").read_text())
        entries = settings["datasets"][0]["subsets"] if name == "kohya" else settings["directory"]
        assert len(entries) == 3
        for entry in entries:
            folder = entry.get("image_dir", entry.get("path"))
            pictures = {p.stem for p in Path(folder).iterdir() if p.suffix in (".png", ".jpg", ".webp")}
            assert {p.stem for p in Path(entry[key]).iterdir() if p.is_file()} == pictures


def test_images_that_the_trainer_does_not_read_get_no_mask(images, tmp_path):
    """sd-scripts stops at a mask without an image, and does not see GIF files."""
    Image.fromarray(red_on_grey(96, 64, seed=5)).save(images / "moving.gif")
    summary = export(make_store(images), "kohya", output=tmp_path / "out")
    assert summary.left_out == {"not-read-by-trainer": ("moving.gif",)}
    assert not (tmp_path / "out" / "masks" / "moving.png").exists()


# What takes part


def test_fully_masked_images_are_refused_or_left_out(images, tmp_path):
    red(images / "black.png")
    store = make_store(images)
    with pytest.raises(InputError, match=r"black\.png") as refused:
        export(store, "kohya")
    assert refused.value.code == "export-fully-masked"
    with pytest.raises(ConfigError):
        export(store, "kohya", fully_masked="exclude")
    linked = export(store, "kohya", output=tmp_path / "out", images="link")
    assert linked.left_out == {"fully-masked": ("black.png",)}
    assert not list((tmp_path / "out").rglob("black*"))
    with pytest.raises(InputError):
        export(store, "onetrainer", fully_masked="error")
    assert export(store, "coco").images == 5, "a list of things has no weights that could be zero"


def test_unreviewed_masks_take_part_and_are_named(images, tmp_path):
    picture = Image.fromarray(red_on_grey(96, 64, box=(0, 0, 90, 50)))
    picture.save(images / "doubtful.png")  # masked over more than half: a person should look
    store = make_store(images)
    summary = export(store, "kohya", output=tmp_path / "all")
    assert summary.unreviewed == ("doubtful.png",)
    assert summary.much_masked == ("doubtful.png",)
    with pytest.raises(ConfigError) as refused:
        export(store, "kohya", accepted_only=True)
    assert refused.value.code == "export-needs-images"
    accepted = export(store, "kohya", output=tmp_path / "accepted", accepted_only=True, images="link")
    assert accepted.left_out == {"not-accepted": ("doubtful.png",)}
    assert not list((tmp_path / "accepted").rglob("doubtful*"))


def test_images_without_a_result_are_named(images, tmp_path):
    (images / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n but not for long")
    summary = export(make_store(images), "kohya", output=tmp_path / "out")
    assert summary.left_out == {"failed": ("broken.png",)}


def test_a_correction_is_part_of_every_mask(images, store, tmp_path):
    with Store.open(store) as opened:
        sha = opened.lookup("a.png").content_sha256
        layers = CorrectionLayers(replaces=True)
        opened.put_correction(sha, layers, author="me", tool="test", based_on=None)
    for name in FORMATS:
        export(store, name, output=tmp_path / name)
    assert (np.asarray(Image.open(tmp_path / "kohya" / "masks" / "a.png")) == 255).all()
    assert (np.asarray(Image.open(tmp_path / "rgba" / "images" / "a.png"))[..., 3] == 255).all()
    assert (tmp_path / "yolo-seg" / "labels" / "train" / "a.txt").read_text() == ""
    annotations = json.loads((tmp_path / "coco" / "annotations-rle.json").read_text())
    first = next(image["id"] for image in annotations["images"] if image["file_name"] == "a.png")
    assert all(one["image_id"] != first for one in annotations["annotations"])
    with Store.open(store) as opened:
        added = np.zeros((64, 96), dtype=bool)
        added[40:44, 60:70] = True
        layers = CorrectionLayers(replaces=True, add=added)
        opened.put_correction(sha, layers, author="me", tool="test", based_on=1)
    assert export(store, "kohya", output=tmp_path / "kohya").written == 1
    assert np.asarray(Image.open(tmp_path / "kohya" / "masks" / "a.png"))[42, 65] == 0


# Pixels


def test_the_stores_own_file_is_taken_where_it_is_right(tmp_path):
    folder = tmp_path / "images"
    folder.mkdir()
    write_on(Image.new("RGB", (1024, 1024), "grey")).save(folder / "a.png")
    store = make_store(folder)
    export(store, "kohya", output=tmp_path / "same")
    own = (store / "masks" / "a.png").read_bytes()
    assert (tmp_path / "same" / "masks" / "a.png").read_bytes() == own
    export(store, "kohya", output=tmp_path / "other", training_px=512)
    other = np.asarray(Image.open(tmp_path / "other" / "masks" / "a.png"))
    assert (other == 0).sum() > (np.asarray(Image.open(store / "masks" / "a.png")) == 0).sum() * 1.2
    assert (other[artefact_of(store, "a.png")] == 0).all()


@pytest.mark.parametrize("orientation", range(1, 9))
def test_masks_have_the_orientation_that_the_trainer_sees(orientation, tmp_path):
    folder = tmp_path / "images"
    folder.mkdir()
    picture = Image.fromarray(red_on_grey(96, 64, box=(8, 8, 24, 16)))
    exif = picture.getexif()
    exif[0x0112] = orientation
    picture.save(folder / "a.png", exif=exif)
    store = make_store(folder)
    export(store, "diffusion-pipe", output=tmp_path / "raw", growth_cells=0)  # kohya: for two ways
    export(store, "onetrainer", output=tmp_path / "upright", growth_cells=0)
    raw = np.asarray(Image.open(tmp_path / "raw" / "masks" / "a.png"))
    upright = np.asarray(Image.open(tmp_path / "upright" / "images" / "a-masklabel.png"))
    assert (raw[8:16, 8:24] == 0).all()
    assert raw.shape == (64, 96)
    assert (raw == 0).sum() == 8 * 16
    assert np.array_equal(as_stored(upright, orientation), raw)


def test_alpha_keeps_the_colours_under_it(images, store, tmp_path):
    export(store, "kohya-alpha", output=tmp_path / "out")
    picture = np.asarray(Image.open(tmp_path / "out" / "images" / "a.png"))
    assert np.array_equal(picture[..., :3], np.asarray(Image.open(images / "a.png")))
    assert picture[20, 20, 3] == 0
    assert picture[60, 90, 3] == 255


def test_unknown_formats_and_options_are_refused(store):
    with pytest.raises(PluginError, match="fluxgym"):
        build_exporter("fluxgym", options={})
    with pytest.raises(ConfigError, match="images"):
        build_exporter("kohya", options={"images": "steal"})


def test_a_list_of_somebody_else_is_in_the_way_before_anything_is_written(store, tmp_path):
    output = tmp_path / "out"
    output.mkdir()
    (output / "metadata.jsonl").write_text("{}\n")
    with pytest.raises(OutputError, match="metadata"):
        export(store, "huggingface", output=output)
    assert list(tree(output)) == ["metadata.jsonl"]


@pytest.mark.parametrize("name", ["yolo-seg", "huggingface"])
def test_formats_of_images_need_them(name, store):
    with pytest.raises(ConfigError) as refused:
        export(store, name, images="none")
    assert refused.value.code == "export-needs-images"


def test_images_of_rare_formats_get_a_mask_where_extra_ones_do_no_harm(images, tmp_path):
    Image.fromarray(red_on_grey(96, 64, seed=5)).save(images / "scan.tiff")
    export(make_store(images), "diffusion-pipe", output=tmp_path / "out")
    assert (tmp_path / "out" / "masks" / "scan.png").exists()


def test_a_name_that_looks_like_a_mask_is_no_trap(images):
    Image.fromarray(red_on_grey(96, 64, seed=5)).save(images / "a.jpg")
    Image.fromarray(red_on_grey(96, 64, seed=6)).save(images / "a.jpg.png")
    with pytest.raises(InputError) as refused:
        export(make_store(images), "grey")
    assert refused.value.code == "export-collision"
