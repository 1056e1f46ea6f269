from __future__ import annotations

import itertools
import os
import sys
import time
import tracemalloc
import types
from pathlib import Path

import pytest
from dataset_samples import encoded, needs_byte_names, scene

from automask.dataset.codes import SkipReason
from automask.dataset.image_file import ImageFile
from automask.dataset.walk import Skipped, walk
from automask.errors import InputError
from automask.values.types import Issue

needs_links = pytest.mark.skipif(sys.platform == "win32", reason="links need rights on Windows")


def touch(root: Path, *names: str) -> None:
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


def images(root: Path, exclude: tuple[Path, ...] = ()) -> list[str]:
    return [item.id for item in walk(root, exclude=exclude) if isinstance(item, ImageFile)]


def skipped(root: Path, exclude: tuple[Path, ...] = ()) -> dict[str, str]:
    return {item.path: item.reason for item in walk(root, exclude=exclude) if isinstance(item, Skipped)}


def issues(root: Path) -> list[Issue]:
    found: list[Issue] = []
    for _ in walk(root, on_issue=found.append):
        pass
    return found


def test_natural_order_images_before_subfolders(tmp_path):
    touch(tmp_path, "img10.png", "img2.png", "b/1.jpg", "a10/x.webp", "a2/y.gif", "a2/z/deep.tiff")
    assert images(tmp_path) == ["img2.png", "img10.png", "a2/y.gif", "a2/z/deep.tiff", "a10/x.webp", "b/1.jpg"]


def test_facts_of_a_file(tmp_path):
    (tmp_path / "sub").mkdir()
    path = tmp_path / "sub" / "a.jpg"
    path.write_bytes(encoded(scene(), "JPEG"))
    status = path.stat()
    assert list(walk(tmp_path)) == [
        ImageFile(
            id="sub/a.jpg",
            path=path,
            size_bytes=status.st_size,
            mtime_ns=status.st_mtime_ns,
            ctime_ns=status.st_ctime_ns,
            mask_name="sub/a.png",
        )
    ]


def test_rules_for_what_is_left_out(tmp_path):
    touch(
        tmp_path,
        "a.png",
        "a.txt",
        ".hidden.png",
        ".git/b.png",
        "a-masklabel.png",
        "a-condlabel.png",
        "a_wmask.png",
        "a.mask",
        "__MACOSX/._a.png",
        "old/automask.sqlite",
        "old/masks/a.png",
    )
    assert images(tmp_path) == ["a.png"]
    assert skipped(tmp_path) == {
        "a.txt": "not-an-image",
        ".hidden.png": "hidden",
        ".git": "hidden",
        "a-masklabel.png": "mask-sidecar",
        "a-condlabel.png": "mask-sidecar",
        "a_wmask.png": "mask-sidecar",
        "a.mask": "mask-sidecar",
        "__MACOSX": "system-folder",
        "old": "own-output",
    }


def test_excluded_paths(tmp_path):
    touch(tmp_path, "a.png", "b.png", "out/masks/a.png")
    excluded = (tmp_path / "out", tmp_path / "b.png", tmp_path / "later")
    walking = walk(tmp_path, exclude=excluded)
    touch(tmp_path, "later/c.png")  # the output folder is made while the walk is under way
    assert [item.id for item in walking if isinstance(item, ImageFile)] == ["a.png"]
    assert skipped(tmp_path, excluded) == {"b.png": "own-output", "out": "own-output", "later": "own-output"}


def test_a_root_that_is_an_output_has_no_images(tmp_path):
    touch(tmp_path, "automask.sqlite", "masks/a.png")
    assert list(walk(tmp_path)) == [Skipped(".", SkipReason.OWN_OUTPUT)]


def test_empty_folder(tmp_path):
    assert list(walk(tmp_path)) == []


def test_root_that_is_no_folder(tmp_path):
    touch(tmp_path, "a.png")
    for path in (tmp_path / "a.png", tmp_path / "missing"):
        with pytest.raises(InputError) as caught:
            walk(path)
        assert str(path) in caught.value.message


def test_folder_named_like_an_image(tmp_path):
    touch(tmp_path, "a.jpg/b.png", "a.png")
    assert images(tmp_path) == ["a.png", "a.jpg/b.png"]


def test_masks_of_colliding_stems(tmp_path):
    touch(tmp_path, "s/a.jpg", "s/a.png", "s/b.jpg", "t/a.jpg")
    names = {item.id: item.mask_name for item in walk(tmp_path) if isinstance(item, ImageFile)}
    assert names == {"s/a.jpg": "s/a.jpg.png", "s/a.png": "s/a.png.png", "s/b.jpg": "s/b.png", "t/a.jpg": "t/a.png"}


@needs_byte_names
def test_masks_of_names_that_differ_in_case(tmp_path):
    touch(tmp_path, "a.jpg", "a.JPG", "B.png", "b.webp")
    names = {item.id: item.mask_name for item in walk(tmp_path) if isinstance(item, ImageFile)}
    assert names == {"a.JPG": "a.JPG.png", "a.jpg": "a.jpg.png", "B.png": "B.png.png", "b.webp": "b.webp.png"}


@needs_byte_names
def test_names_that_are_not_unicode(tmp_path):
    folder = os.fsencode(tmp_path) + b"/d\xfe"
    os.mkdir(folder)  # noqa: PTH102
    for name in (b"b\xff.png", b"b%dcff.png", b"c\xff.jpg"):
        Path(os.fsdecode(folder + b"/" + name)).touch()

    found = {item.id: item for item in walk(tmp_path) if isinstance(item, ImageFile)}

    assert set(found) == {"d%dcfe/b%dcff.png", "d%dcfe/c%dcff.jpg"}
    assert found["d%dcfe/c%dcff.jpg"].mask_name == "d%dcfe/c%dcff.png"
    assert found["d%dcfe/c%dcff.jpg"].path.exists()
    assert skipped(tmp_path) == {"d%dcfe/b%dcff.png": "name-collision"}


@needs_byte_names
def test_longest_possible_names(tmp_path):
    name = "n" * 251 + ".jpg"
    touch(tmp_path, name, "n" * 251 + ".png")
    masks = [item.mask_name for item in walk(tmp_path) if isinstance(item, ImageFile)]
    assert len(set(masks)) == 2
    for mask in masks:
        (tmp_path / mask).touch()


@needs_links
def test_link_loops_end(tmp_path):
    root = tmp_path / "root"
    touch(root, "a.png", "sub/b.png")
    (root / "sub" / "self").symlink_to(root / "sub")
    (root / "sub" / "up").symlink_to("..")
    (root / "above").symlink_to(tmp_path)
    (root / "ring.png").symlink_to("ring.png")
    (root / "gone.png").symlink_to("nowhere.png")
    assert images(root) == ["a.png", "sub/b.png"]
    assert skipped(root) == {
        "above/root": "already-walked",
        "sub/self": "already-walked",
        "sub/up": "already-walked",
        "ring.png": "broken-link",
        "gone.png": "broken-link",
    }


@needs_links
def test_linked_folders_and_files_outside_the_root_are_followed_once(tmp_path):
    touch(tmp_path, "elsewhere/x.png", "elsewhere/deep/y.png", "root/a.png", "single.png")
    root = tmp_path / "root"
    (root / "l1").symlink_to(tmp_path / "elsewhere")
    (root / "l2").symlink_to(tmp_path / "elsewhere")
    (root / "s.png").symlink_to(tmp_path / "single.png")
    (tmp_path / "elsewhere" / "deep" / "back").symlink_to(tmp_path / "elsewhere")
    assert images(root) == ["a.png", "s.png", "l1/x.png", "l1/deep/y.png"]
    assert skipped(root) == {"l1/deep/back": "already-walked", "l2": "already-walked"}


@needs_links
def test_link_into_a_hidden_cache_is_followed(tmp_path):
    touch(tmp_path, ".cache/set/a.png", "b.png")
    (tmp_path / "set").symlink_to(".cache/set")
    assert images(tmp_path) == ["b.png", "set/a.png"]


@needs_links
def test_many_folders_that_link_to_each_other(tmp_path):
    outside = tmp_path / "outside"
    for index in range(8):
        touch(outside, f"{index}/a.png")
    for index in range(8):
        for other in range(8):
            (outside / str(index) / f"to{other}").symlink_to(outside / str(other))
    root = tmp_path / "root"
    root.mkdir()
    (root / "start").symlink_to(outside / "0")
    assert len(images(root)) == 8


@needs_links
def test_link_to_the_excluded_output(tmp_path):
    touch(tmp_path, "out/masks/a.png", "root/b.png")
    (tmp_path / "root" / "masks").symlink_to(tmp_path / "out" / "masks")
    assert images(tmp_path / "root", (tmp_path / "out" / "masks",)) == ["b.png"]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_a_pipe_is_not_opened(tmp_path):
    os.mkfifo(tmp_path / "a.png")
    assert skipped(tmp_path) == {"a.png": "not-a-file"}


def test_unreadable_folder_is_left_out_and_the_rest_goes_on(tmp_path, monkeypatch):
    touch(tmp_path, "a.png", "locked/b.png", "open/c.png")
    scandir = os.scandir

    def refuse(path):
        if Path(path).name == "locked":
            raise PermissionError(13, "Permission denied")
        return scandir(path)

    if hasattr(os, "geteuid") and os.geteuid() == 0:  # root may list everything
        monkeypatch.setattr(os, "scandir", refuse)
    else:
        (tmp_path / "locked").chmod(0)
    assert images(tmp_path) == ["a.png", "open/c.png"]
    assert skipped(tmp_path) == {"locked": "unreadable-folder"}
    (tmp_path / "locked").chmod(0o700)


def test_files_that_vanish_during_the_walk(tmp_path):
    touch(tmp_path, "a.png", "b.png", "sub/c.png")
    walking = walk(tmp_path)
    assert isinstance(next(walking), ImageFile)
    (tmp_path / "b.png").unlink()
    (tmp_path / "sub" / "c.png").unlink()
    (tmp_path / "sub").rmdir()
    assert list(walking) == [Skipped("b.png", SkipReason.VANISHED), Skipped("sub", SkipReason.VANISHED)]


def test_first_image_comes_before_the_tree_is_walked(tmp_path, monkeypatch):
    touch(tmp_path, "a.png", *(f"d{index}/x.png" for index in range(50)))
    listed: list[str] = []
    scandir = os.scandir

    def record(path):
        listed.append(str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", record)
    walking = walk(tmp_path)
    assert isinstance(walking, types.GeneratorType)
    next(walking)
    assert set(listed) == {str(tmp_path)}


@pytest.fixture(scope="module")
def huge_folder(tmp_path_factory):
    root = tmp_path_factory.mktemp("huge")
    for index in range(100_000):
        os.close(os.open(root / f"img{index}.png", os.O_CREAT | os.O_WRONLY))
    return root


def test_a_folder_of_100_000_images_starts_at_once(huge_folder):
    started = time.perf_counter()
    first = next(walk(huge_folder))
    elapsed_s = time.perf_counter() - started
    assert isinstance(first, ImageFile)
    assert first.id == "img0.png"
    assert elapsed_s < 5  # 0.4 s on an idle machine


def test_a_folder_of_100_000_images_needs_little_more_than_its_names(huge_folder):
    names_bytes = sum(sys.getsizeof(f"img{index}.png") for index in range(100_000))
    tracemalloc.start()
    walking = walk(huge_folder, on_issue=lambda issue: None)
    next(walking)
    kept, listing_peak = tracemalloc.get_traced_memory()
    tracemalloc.reset_peak()
    assert sum(isinstance(item, ImageFile) for item in itertools.islice(walking, 20_000)) == 20_000
    giving_out_peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert kept < 2 * names_bytes
    assert giving_out_peak < 3 * names_bytes  # pathlib interns the names; nothing else piles up
    assert listing_peak < 6 * names_bytes  # sort keys and stems, dropped before the first image comes out


def test_many_folders_need_no_more_memory_than_few(tmp_path):
    def peak_of(folders: int) -> int:
        root = tmp_path / str(folders)
        for index in range(folders):
            touch(root, f"set{index}/a{index}.png", f"set{index}/b{index}.png")
        peaks = []
        for _ in range(3):  # threads that other tests left behind can only add to a peak
            tracemalloc.start()
            for _ in walk(root):
                pass
            peaks.append(tracemalloc.get_traced_memory()[1])
            tracemalloc.stop()
        return min(peaks)

    few, many = peak_of(100), peak_of(1000)
    assert many - few < 900 * 500  # a name of some 60 bytes each, and not a folder with its paths


@pytest.mark.parametrize(("pictures", "masks"), [("images", "masks"), ("images", "images_mask"), ("raw", "depth")])
def test_mirrored_folder_is_warned_of_once(tmp_path, pictures, masks):
    touch(tmp_path, *(f"{folder}/{index}.png" for folder in (pictures, masks) for index in range(40)))
    touch(tmp_path, *(f"other/{index}x.jpg" for index in range(40)))
    found = issues(tmp_path)
    assert [issue.code for issue in found] == ["mirrored-folder"]
    assert pictures in found[0].message
    assert masks in found[0].message
    assert len(images(tmp_path)) == 120  # a warning, nothing is left out


def test_mirrored_folder_below_its_images(tmp_path):
    touch(tmp_path, *(f"{name}.jpg" for name in "abcde"), *(f"masks/{name}.png" for name in "abcde"))
    assert [issue.code for issue in issues(tmp_path)] == ["mirrored-folder"]


def test_mirrored_folder_without_a_telling_name(tmp_path):
    stems = ("cat on mat", "dog", "red house", "sea")
    touch(tmp_path, *(f"{folder}/{stem}.png" for folder in ("A", "B") for stem in stems))
    assert [issue.code for issue in issues(tmp_path)] == ["mirrored-folder"]


def test_almost_complete_mirror(tmp_path):
    touch(tmp_path, *(f"images/p{index}.jpg" for index in range(200)))
    touch(tmp_path, *(f"masks/p{index}.png" for index in range(190)))
    assert len(issues(tmp_path)) == 1


def test_numbered_concepts_are_no_mirror(tmp_path):
    touch(tmp_path, *(f"{concept}/image ({n}).png" for concept in ("10_cat", "20_dog", "5_hat") for n in range(30)))
    assert issues(tmp_path) == []


def test_different_folders_are_no_mirror(tmp_path):
    touch(tmp_path, *(f"{folder}/{folder}_{n}.png" for folder in ("cats", "masks", "dogs") for n in range(30)))
    assert issues(tmp_path) == []
