"""A mask file that a person saved over stays; one that broke is drawn again, and both are said."""

import dataclasses
import io
import os
import shutil
import struct
import zlib

import numpy as np
import pytest
from export_cases import export
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from review_cases import CONFIG, make_store, stored_levels

from automask.files.png import damage_of, encode_mask
from automask.fill.source import StoreSource
from automask.mask.rendering import CorrectionLayers
from automask.propagate.propagation import Proposal, apply, undo
from automask.run.edited import EDITED_FOLDER, FileState, adopt_edited_mask, look_at
from automask.run.redraw import redraw_image, redraw_store
from automask.store import Store
from automask.values.geometry import Box

NAME = "cat.jpg"


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    root = make_store(tmp_path_factory.mktemp("made"))
    redraw_store(root, CONFIG)
    return root


@pytest.fixture
def root(made, tmp_path):
    shutil.copytree(made, tmp_path / "store")
    return tmp_path / "store"


def file_of(root):
    return root / "masks" / "cat.png"


def rewrite(path, data):
    """New bytes, and a time that differs whatever the file system's clock does."""
    before = path.stat().st_mtime_ns
    path.write_bytes(data)
    os.utime(path, ns=(before + 10**9, before + 10**9))


def state_of(root):
    with Store.open(root, read_only=True) as store:
        return look_at(store, store.lookup(NAME)).state


def render(root):
    """Codes of what a new rendering says, and the mask that it leaves."""
    codes = [notice.code for notice in redraw_store(root, CONFIG).notices]
    return codes, stored_levels(root, NAME)


def chunks(data):
    """(name, first byte, byte behind its end) of the parts of a PNG file."""
    at = 8
    while at < len(data):
        (length,) = struct.unpack(">I", data[at : at + 4])
        yield data[at + 4 : at + 8].decode(), at, at + 12 + length
        at += 12 + length


def test_any_flipped_byte_is_damage(root):
    """Every one of the file: signature, lengths, names, header, our text, pixels, checksums."""
    path = file_of(root)
    data = path.read_bytes()
    assert {name for name, _, _ in chunks(data)} == {"IHDR", "tEXt", "IDAT", "IEND"}
    rng = np.random.default_rng(3)
    with Store.open(root, read_only=True) as store:
        row = store.lookup(NAME)
        for position in range(len(data)):
            flipped = bytearray(data)
            flipped[position] ^= 1 << int(rng.integers(8))
            rewrite(path, bytes(flipped))
            assert look_at(store, row).state is FileState.DAMAGED, position


@pytest.mark.parametrize("place", ["signature", "IHDR", "tEXt", "IDAT", "IEND"])
def test_damage_is_drawn_again_and_said(root, place):
    path = file_of(root)
    data, levels = path.read_bytes(), stored_levels(root, NAME)
    first = 0 if place == "signature" else next(at for name, at, _ in chunks(data) if name == place) + 5
    flipped = bytearray(data)
    flipped[first + 2] ^= 4
    rewrite(path, bytes(flipped))
    codes, drawn = render(root)
    assert codes == ["mask-damaged"]
    assert np.array_equal(drawn, levels)
    assert path.read_bytes() == data
    with Store.open(root, read_only=True) as store:
        assert store.corrected() == {}, "nobody corrected anything"
        assert list(store.verify()) == []
    assert not (root / EDITED_FOLDER).exists()
    assert render(root)[0] == []


@pytest.mark.parametrize(
    ("damage", "state"),
    [
        (lambda data: b"", FileState.DAMAGED),
        (lambda data: data[:-1], FileState.DAMAGED),
        (lambda data: data[: len(data) // 2], FileState.DAMAGED),
        (lambda data: bytes(len(data)), FileState.DAMAGED),
        (lambda data: data[:100] + bytes(len(data) - 100), FileState.DAMAGED),
        (lambda data: data[:20], FileState.UNUSABLE),  # nothing tells any more whose it was
        (lambda data: b"a note to myself", FileState.UNUSABLE),
        (lambda data: data + b"behind the end", FileState.OURS),
        (lambda data: data, FileState.OURS),
    ],
)
def test_other_damage(root, damage, state):
    data, levels = file_of(root).read_bytes(), stored_levels(root, NAME)
    rewrite(file_of(root), damage(data))
    assert state_of(root) is state
    assert np.array_equal(render(root)[1], levels)
    assert (root / EDITED_FOLDER / "cat.png").exists() is (state is FileState.UNUSABLE)


def save(picture, format_name="PNG", **options):
    data = io.BytesIO()
    picture.save(data, format_name, **options)
    return data.getvalue()


def edit(root):
    levels = stored_levels(root, NAME).copy()
    levels[100:140, 20:90] = 0
    return levels


def two_levels(levels):
    return np.where(levels < 128, 0, 255).astype(np.uint8)


OUR_TEXT = PngInfo()
OUR_TEXT.add_text("automask", "white = train, black = ignore")
OUR_TEXT.add_text("automask-crc32", "01234567")
EDITORS = {
    "grey": lambda levels: save(Image.fromarray(levels)),
    "grey that kept our text": lambda levels: save(Image.fromarray(levels), pnginfo=OUR_TEXT),
    "colours": lambda levels: save(Image.fromarray(levels).convert("RGB")),
    "opaque colours": lambda levels: save(Image.fromarray(levels).convert("RGBA")),
    "palette": lambda levels: save(Image.fromarray(two_levels(levels)).convert("P")),
    "black and white": lambda levels: save(Image.fromarray(two_levels(levels)).convert("1")),
    "0 and 1": lambda levels: save(Image.fromarray((two_levels(levels) // 255).astype(np.uint8))),
    "16 bits": lambda levels: save(Image.fromarray(levels.astype(np.uint16) * 257)),
    "webp in a png's name": lambda levels: save(Image.fromarray(levels).convert("RGB"), "WEBP", lossless=True),
    "tiff in a png's name": lambda levels: save(Image.fromarray(levels), "TIFF"),
}


@pytest.mark.parametrize("editor", EDITORS)
def test_an_edit_wins_whatever_program_saved_it(root, editor):
    wanted = edit(root)
    rewrite(file_of(root), EDITORS[editor](wanted))
    assert state_of(root) is FileState.EDITED
    codes, drawn = render(root)
    assert codes == ["mask-edited"]
    assert np.array_equal(drawn, wanted if editor in ("grey", "colours", "16 bits") else drawn)
    assert np.array_equal(two_levels(drawn), two_levels(wanted))
    assert damage_of(file_of(root).read_bytes()) is None
    codes, again = render(root)
    assert codes == []
    assert np.array_equal(again, drawn)
    with Store.open(root, read_only=True) as store:
        assert len(store.correction_history(store.lookup(NAME).content_sha256)) == 1


def test_pixels_that_nobody_changed_are_no_edit(root):
    """Programs that make files smaller drop our text."""
    rewrite(file_of(root), save(Image.fromarray(stored_levels(root, NAME)), optimize=True))
    assert state_of(root) is FileState.OURS
    assert render(root)[0] == []


def test_a_mask_of_a_killed_run_is_no_edit(root):
    rewrite(file_of(root), encode_mask(edit(root)))
    assert state_of(root) is FileState.OURS


def test_a_second_file_that_cannot_be_used_does_not_replace_the_first(root):
    for side in (5, 6, 7):
        rewrite(file_of(root), save(Image.new("L", (side, side))))
        assert render(root)[0] == ["mask-edited-unusable"]
    assert sorted(path.name for path in (root / EDITED_FOLDER).iterdir()) == ["cat-2.png", "cat-3.png", "cat.png"]


def test_a_run_that_was_killed_after_it_kept_an_edit_keeps_it_once(root):
    rewrite(file_of(root), EDITORS["grey"](edit(root)))
    with Store.open(root) as store:
        row = store.lookup(NAME)
        assert adopt_edited_mask(store, row).code == "mask-edited"
        adopt_edited_mask(store, row)
        assert len(store.correction_history(row.content_sha256)) == 1


def test_an_edit_is_kept_before_anything_draws_over_it(root):
    """By the page, an import or a propagation, all of which draw single masks."""
    wanted = edit(root)
    rewrite(file_of(root), EDITORS["grey"](wanted))
    with Store.open(root) as store:
        redraw_image(store, store.lookup(NAME), CONFIG)
    assert np.array_equal(stored_levels(root, NAME), wanted)


def test_a_propagation_comes_on_top_of_an_edit(root):
    wanted = edit(root)
    rewrite(file_of(root), EDITORS["grey"](wanted))
    artefact = np.ones((10, 12), dtype=np.bool_)
    with Store.open(root) as store:
        row = store.lookup(NAME)
        proposal = Proposal(NAME, row.content_sha256, Box(300, 20, 312, 30), artefact, 1.0, (300, 20))
        operation = apply(store, [proposal], mode="add", author="ann", source_sha256=row.content_sha256)
    drawn = stored_levels(root, NAME)
    assert (drawn[20:30, 300:312] == 0).all()
    assert (drawn[100:140, 20:90] == 0).all()
    with Store.open(root) as store:
        newest = store.correction(row.content_sha256)
        more = np.zeros_like(newest.layers.weight_set)
        more[5:9, 5:9] = True
        layers = dataclasses.replace(newest.layers, add=newest.layers.add | more)
        layers = dataclasses.replace(layers, weight_set=layers.weight_set & ~more)
        store.put_correction(row.content_sha256, layers, author="bob", tool="review", based_on=newest.revision)
        assert undo(store, operation, author="ann").adjusted == (row.content_sha256,)
    wanted[5:9, 5:9] = 0
    assert np.array_equal(stored_levels(root, NAME), wanted)


def test_an_edit_is_part_of_what_is_shown_and_exported_before_a_run_keeps_it(root, tmp_path):
    export(root, "grey", output=tmp_path / "out")
    wanted = edit(root)
    rewrite(file_of(root), EDITORS["colours"](wanted))
    export(root, "grey", output=tmp_path / "out")
    with Image.open(tmp_path / "out" / "masks" / "cat.png") as mask:
        assert mask.mode == "L"
        assert np.array_equal(np.asarray(mask), wanted)
    with StoreSource.open(root) as source:
        assert np.array_equal(source.mask(source.store.lookup(NAME)).levels, wanted)


def test_a_file_with_right_checksums_and_wrong_pixels_is_damage_too(root):
    """A stream that ends early."""
    data = file_of(root).read_bytes()
    pixels = zlib.compress(bytes(100))
    name, first, behind = next(part for part in chunks(data) if part[0] == "IDAT")
    body = pixels[:-6]
    chunk = struct.pack(">I", len(body)) + name.encode() + body
    chunk += struct.pack(">I", zlib.crc32(name.encode() + body))
    assert damage_of(data[:first] + chunk + data[behind:]) == "its pixels are cut off"
    assert damage_of(data) is None


def test_damage_that_leaves_no_trace_in_the_folder_never_reaches_an_export(root, tmp_path):
    """A disk changes bytes and no date: only who reads the file can know."""
    path, levels = file_of(root), stored_levels(root, NAME)
    before, data = path.stat(), bytearray(path.read_bytes())
    data[-30] ^= 16
    path.write_bytes(bytes(data))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    export(root, "grey", output=tmp_path / "out")
    with Image.open(tmp_path / "out" / "masks" / "cat.png") as mask:
        assert np.array_equal(np.asarray(mask), levels)
    with Store.open(root, read_only=True) as store:
        assert [problem.code for problem in store.verify()] == ["mask-damaged"]


def test_what_a_person_called_regions_outlives_an_edit(root):
    with Store.open(root) as store:
        row = store.lookup(NAME)
        layers = CorrectionLayers(kinds={"test 60,200,360,260": "watermark"})
        store.put_correction(row.content_sha256, layers, author="ann", tool="review", based_on=None)
        redraw_image(store, row, CONFIG)
    rewrite(file_of(root), EDITORS["grey"](edit(root)))
    render(root)
    with Store.open(root, read_only=True) as store:
        assert [kind.value for kind in store.lookup(NAME).kinds] == ["watermark"]
