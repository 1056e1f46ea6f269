from __future__ import annotations

import os
import re
import unicodedata
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from automask.dataset.names import (
    folded,
    is_image_name,
    is_mask_sidecar,
    mask_file_name,
    names_with_long_masks,
    natural_key,
    path_of,
    printable_name,
    sort_naturally,
    stem_of,
)

NAMES = st.text(alphabet="abAB019.-_ éÉ", min_size=1, max_size=12).filter(lambda name: name.strip(".") != "")


def test_natural_order():
    names = ["img10.png", "img2.png", "IMG1.png", "img02.png", "a.png", "img2b.png", "10.png", "9.png", "007.png"]
    sort_naturally(names)
    assert names == [
        "007.png",
        "9.png",
        "10.png",
        "a.png",
        "IMG1.png",
        "img02.png",
        "img2.png",
        "img2b.png",
        "img10.png",
    ]


@settings(deadline=None)
@given(
    st.text(alphabet="abz_-. ", max_size=6), st.integers(0, 10**30), st.integers(0, 10**30), st.text("xy.", max_size=4)
)
def test_numbers_sort_by_value(prefix, one, other, rest):
    lower, higher = sorted((one, other))
    if lower < higher:
        assert natural_key(f"{prefix}{lower}{rest}") < natural_key(f"{prefix}{higher}{rest}")


@settings(deadline=None)
@given(st.lists(st.text(alphabet="aB1290-.", max_size=10), max_size=8), st.randoms())
def test_order_is_total_and_does_not_depend_on_the_listing(names, random):
    names = list(dict.fromkeys(names))
    expected = sorted(names, key=reference_key)
    shuffled = list(names)
    random.shuffle(shuffled)
    sort_naturally(shuffled)
    assert shuffled == expected


def reference_key(name: str) -> tuple[object, ...]:
    """Natural order the long way: a number sorts among other characters like the digit 0."""
    parts = [part for part in re.split(r"([0-9]+)", name.casefold()) if part]
    key: list[tuple[int, int]] = []
    for part in parts:
        if part.isdigit():
            key.append((ord("0"), int(part)))
        else:
            key.extend((ord(character), -1) for character in part)
    return (key, name)


@pytest.mark.parametrize(
    ("name", "stem"), [("a.jpg", "a"), ("a.b.jpg", "a.b"), ("a", "a"), (".jpg", ".jpg"), ("a.", "a"), ("..a", ".")]
)
def test_stem(name, stem):
    assert stem_of(name) == stem


def test_image_names():
    suffixes = ("png", "jpg", "JPEG", "webp", "avif", "bmp", "gif", "tif", "TIFF", "jfif")
    assert all(is_image_name(f"a.{suffix}") for suffix in suffixes)
    assert not any(is_image_name(name) for name in ("a.txt", "a.npz", "a", ".png", "a.mask", "a.jxl", "a.png.part"))


def test_mask_sidecars():
    assert all(is_mask_sidecar(name) for name in ("a-masklabel.png", "a-condlabel.PNG", "a_wmask.png", "a.mask"))
    assert not any(is_mask_sidecar(name) for name in ("masklabel.png", "a-mask.png", "a-masklabel.jpg", "mask.png"))


def long_masks(*names: str, folders: tuple[str, ...] = ()) -> dict[str, str]:
    long = names_with_long_masks(names, folders=folders)
    return {name: mask_file_name(name, keep_suffix=name in long) for name in names}


def test_a_stem_on_its_own_names_the_mask():
    assert long_masks("a.jpg", "b.png") == {"a.jpg": "a.png", "b.png": "b.png"}


def test_all_images_of_a_shared_stem_keep_their_extension():
    assert long_masks("a.jpg", "a.png", "b.png") == {"a.jpg": "a.jpg.png", "a.png": "a.png.png", "b.png": "b.png"}


def test_names_that_differ_in_case_or_normalisation_collide():
    assert long_masks("a.jpg", "A.PNG") == {"a.jpg": "a.jpg.png", "A.PNG": "A.PNG.png"}
    assert long_masks("a.jpg", "a.JPG") == {"a.jpg": "a.jpg.png", "a.JPG": "a.JPG.png"}
    composed, decomposed = unicodedata.normalize("NFC", "é.jpg"), unicodedata.normalize("NFD", "é.png")
    assert long_masks(composed, decomposed)[composed] == composed + ".png"


def test_a_long_mask_name_displaces_a_short_one():
    masks = long_masks("a.jpg", "a.png", "a.jpg.webp")
    assert masks == {"a.jpg": "a.jpg.png", "a.png": "a.png.png", "a.jpg.webp": "a.jpg.webp.png"}


def test_a_folder_displaces_a_mask_of_its_name():
    assert long_masks("a.jpg", folders=("a.png", "b")) == {"a.jpg": "a.jpg.png"}


@settings(deadline=None)
@given(st.lists(NAMES.map(lambda stem: stem + ".png") | NAMES.map(lambda stem: stem + ".jpg"), max_size=12))
def test_masks_of_one_folder_never_share_a_name(names):
    names = list({folded(name): name for name in names}.values())
    masks = long_masks(*names).values()
    assert len({folded(mask) for mask in masks}) == len(names)


def test_a_mask_may_have_as_long_a_name_as_its_image():
    name = "n" * 251 + ".jpg"
    assert mask_file_name(name, keep_suffix=False) == "n" * 251 + ".png"


@settings(deadline=None)
@given(st.text(alphabet="aé漢", min_size=80, max_size=260))
def test_mask_names_always_fit_a_file_system(stem):
    name = stem + ".jpg"
    mask = mask_file_name(name, keep_suffix=True)
    assert len(mask.encode()) <= 255
    assert mask.endswith(".png")
    assert mask != mask_file_name("x" + name, keep_suffix=True)


def test_bytes_that_are_no_text_are_written_as_hex():
    assert printable_name(b"b\xff.png".decode("utf-8", "surrogateescape")) == "b%dcff.png"
    assert printable_name("déjà.png") == "déjà.png"


@settings(deadline=None)
@given(st.binary(max_size=20))
def test_printable_names_can_be_stored(data):
    printable_name(data.decode("utf-8", "surrogateescape")).encode("utf-8")


def test_the_file_behind_a_printable_name(tmp_path):
    folder = os.fsencode(tmp_path) + b"/d\xfe"
    try:
        os.mkdir(folder)  # noqa: PTH102
    except OSError:
        pytest.skip("this file system takes Unicode names only")
    for name in (b"/d\xfe/b\xff.png", b"/plain%dcff.png", b"/100%.png"):
        Path(os.fsdecode(os.fsencode(tmp_path) + name)).touch()
    for image_id in ("d%dcfe/b%dcff.png", "plain%dcff.png", "100%.png"):
        assert path_of(tmp_path, image_id).is_file(), image_id
    assert path_of(tmp_path, "gone%dcff.png") == tmp_path / "gone%dcff.png"
