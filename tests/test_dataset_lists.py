from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import pytest
from dataset_samples import encoded, scene

from automask.config import DecodeConfig
from automask.dataset.decode import decode
from automask.dataset.image_file import ImageFile
from automask.dataset.lists import read_image_list
from automask.dataset.walk import Skipped
from automask.errors import ImageError, InputError


def make(root: Path, *names: str) -> None:
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(encoded(scene(), "PNG"))


def listed(path: Path) -> list[ImageFile | Skipped]:
    return list(read_image_list(path))


def text_list(root: Path, *lines: str) -> Path:
    path = root / "list.txt"
    path.write_text("\n".join(lines), encoding="utf-8")
    return path


def ids(items: list[ImageFile | Skipped]) -> list[str]:
    return [item.id for item in items if isinstance(item, ImageFile)]


def test_text_list_in_its_own_order(tmp_path):
    make(tmp_path, "b.png", "sub/a.png", "c d.png", ".hidden/e.png")
    path = text_list(tmp_path, "# comment", "c d.png", "", "  sub/a.png  ", "./b.png", ".hidden/e.png\r")
    items = listed(path)
    assert ids(items) == ["c d.png", "sub/a.png", "b.png", ".hidden/e.png"]
    first = items[0]
    assert isinstance(first, ImageFile)
    assert first.size_bytes == (tmp_path / "c d.png").stat().st_size
    assert first.mtime_ns == (tmp_path / "c d.png").stat().st_mtime_ns
    assert decode(first, DecodeConfig()).image.id == "c d.png"


def test_lists_that_begin_with_a_byte_order_mark(tmp_path):
    make(tmp_path, "é.png")
    for encoding in ("utf-8-sig", "utf-16"):
        path = tmp_path / f"{encoding}.txt"
        path.write_text("é.png\r\n", encoding=encoding)
        assert ids(listed(path)) == ["é.png"]


@pytest.mark.parametrize("content", [["a.png", "s/b.png"], [{"image": "a.png", "kind": "text"}, {"image": "s/b.png"}]])
def test_json_manifest(tmp_path, content):
    make(tmp_path, "a.png", "s/b.png")
    path = tmp_path / "manifest.json"
    path.write_text(json.dumps(content))
    assert ids(listed(path)) == ["a.png", "s/b.png"]


@pytest.mark.parametrize(
    "content",
    ["{", '{"image": "a.png"}', "[1]", '[{"file": "a.png"}]', '[""]', "null", '[{"image": null}]', "[" * 100_000],
)
def test_json_that_is_no_list_of_images(tmp_path, content):
    path = tmp_path / "manifest.json"
    path.write_text(content)
    with pytest.raises(InputError) as caught:
        read_image_list(path)
    assert caught.value.code == "list-invalid"
    assert caught.value.advice


def test_list_that_cannot_be_read(tmp_path):
    for path in (tmp_path / "missing.txt", tmp_path):
        with pytest.raises(InputError):
            read_image_list(path)


def test_empty_list(tmp_path):
    assert listed(text_list(tmp_path, "", "# nothing")) == []


def test_missing_files_become_rows_with_an_error(tmp_path):
    make(tmp_path, "a.png", "folder/x.png")
    items = listed(text_list(tmp_path, "gone.png", "a.png", "folder", "a.png/b.png"))
    assert ids(items) == ["gone.png", "a.png", "folder", "a.png/b.png"]
    found = {}
    for item in items:
        assert isinstance(item, ImageFile)
        try:
            decode(item, DecodeConfig())
        except ImageError as error:
            found[item.id] = str(error.code)
    assert found == {"gone.png": "image-missing", "folder": "image-not-a-file", "a.png/b.png": "image-missing"}
    assert (items[0].size_bytes, items[0].mtime_ns, items[0].ctime_ns) == (0, 0, 0)


def test_ids_are_unique_however_a_file_is_written(tmp_path):
    make(tmp_path, "a.png", "sub/b.png")
    path = text_list(tmp_path, "a.png", "./a.png", "sub/../a.png", str(tmp_path / "a.png"), "sub//b.png", "sub/b.png")
    items = listed(path)
    assert ids(items) == ["a.png", "sub/b.png"]
    assert [item.reason for item in items if isinstance(item, Skipped)] == ["duplicate"] * 4


def test_files_outside_the_folder_of_the_list(tmp_path):
    make(tmp_path, "elsewhere/a.png", "lists/a.png")
    items = listed(text_list(tmp_path / "lists", "../elsewhere/a.png", "a.png", str(tmp_path / "elsewhere" / "a.png")))
    outside, inside, repeated = items
    assert isinstance(outside, ImageFile)
    assert outside.id.startswith("_outside/")
    assert outside.id.endswith("elsewhere/a.png")
    assert ".." not in outside.mask_name
    assert not Path(outside.mask_name).is_absolute()
    assert decode(outside, DecodeConfig()).image.width_px == 48
    assert isinstance(inside, ImageFile)
    assert inside.id == "a.png"
    assert isinstance(repeated, Skipped)


def test_stem_collisions_are_found_within_each_folder(tmp_path):
    path = text_list(tmp_path, "s/a.jpg", "t/a.png", "s/a.png", "s/b.png", "b.png", "s/./a.jpg")
    assert {item.id: item.mask_name for item in listed(path) if isinstance(item, ImageFile)} == {
        "s/a.jpg": "s/a.jpg.png",
        "t/a.png": "t/a.png",
        "s/a.png": "s/a.png.png",
        "s/b.png": "s/b.png",
        "b.png": "b.png",
    }


def test_content_decides_for_listed_files_but_trainers_masks_stay_out(tmp_path):
    make(tmp_path, "no_extension", "a-masklabel.png")
    items = listed(text_list(tmp_path, "no_extension", "a-masklabel.png", "caption.txt"))
    assert ids(items) == ["no_extension", "caption.txt"]
    assert Skipped("a-masklabel.png", "mask-sidecar") in items
    assert isinstance(items[0], ImageFile)
    assert decode(items[0], DecodeConfig()).format == "png"


@pytest.mark.skipif(sys.platform in ("win32", "darwin"), reason="needs a file system of bytes")
def test_names_that_are_not_unicode(tmp_path):
    name = os.fsdecode(b"b\xff.png")
    make(tmp_path, name)
    path = tmp_path / "list.txt"
    path.write_bytes(b"b\xff.png\n")
    (item,) = listed(path)
    assert isinstance(item, ImageFile)
    assert item.id == "b%dcff.png"
    assert decode(item, DecodeConfig()).image.width_px == 48


def test_null_bytes_are_a_bad_row_and_not_the_end(tmp_path):
    make(tmp_path, "a.png")
    path = tmp_path / "manifest.json"
    path.write_text(json.dumps(["x\0y.png", "a.png"]))
    bad, good = listed(path)
    assert isinstance(bad, ImageFile)
    assert "\0" not in bad.id
    with pytest.raises(ImageError):
        decode(bad, DecodeConfig())
    assert isinstance(good, ImageFile)
