"""`automask captions`: files of every kind, never in place."""

import json

import pytest
from cli_process import CHEAP, automask, draw_images

from automask.captions.files import clean_json_file, clean_list_file, clean_text_file


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """(images, store): 001 and 003 have bars (kind frame), 000 and 002 have nothing."""
    folder = draw_images(tmp_path_factory.mktemp("captions") / "set", 4)
    (folder / "001.txt").write_bytes(b"\xef\xbb\xbf1girl, letterboxed, text\r\nsecond line, black_bars, cat\r\n")
    (folder / "002.txt").write_text("1girl, letterboxed")
    (folder / "sub" / "003.caption").write_text("A cat with black bars at the top and bottom.")
    (folder / "sub" / "003.json").write_text(
        json.dumps({"tags": ["cat", "border"], "width": 192, "caption": "cat, border"})
    )
    (folder / "sub" / "000.txt").write_text("framed, dog")
    rows = [{"file_name": "001.jpg", "text": "cat, border"}, {"file_name": "002.jpg", "text": "cat, border"}]
    (folder / "metadata.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (folder / "notes.md").write_text("border")
    assert automask("run", folder, *CHEAP).returncode == 0
    return folder, folder.with_name("set-masks")


def snapshot(folder):
    return {p.relative_to(folder): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_captions_go_to_a_new_folder(made, tmp_path):
    folder, store = made
    before = snapshot(folder)
    out = tmp_path / "out"
    done = automask("captions", store, "--output", out, "--json")
    assert done.returncode == 0, done.stderr
    assert snapshot(folder) == before
    summary = json.loads(done.stdout)
    assert (summary["files"], summary["changed"], summary["emptied"]) == (6, 4, [])
    assert (out / "001.txt").read_bytes() == b"\xef\xbb\xbf1girl, text\r\nsecond line, cat\r\n"
    assert (out / "002.txt").read_text() == "1girl, letterboxed"  # nothing is masked there
    assert (out / "sub" / "003.caption").read_text() == "A cat."
    assert json.loads((out / "sub" / "003.json").read_text()) == {"tags": ["cat"], "width": 192, "caption": "cat"}
    assert (out / "sub" / "000.txt").read_text() == "framed, dog"
    lines = (out / "metadata.jsonl").read_text().splitlines()
    assert [json.loads(line)["text"] for line in lines] == ["cat", "cat, border"]
    assert not (out / "notes.md").exists()
    assert automask("captions", store, "--output", out).returncode == 0  # again, over its own files


def test_diff_writes_nothing(made):
    folder, store = made
    done = automask("captions", store, "--diff")
    assert done.returncode == 0, done.stderr
    assert "-A cat with black bars at the top and bottom.\n+A cat." in done.stdout
    assert "002.txt" not in done.stdout
    assert not folder.with_name("set-captions").exists()
    assert "4 of 6" in done.stderr


def test_kinds_and_words(made, tmp_path):
    _, store = made
    assert "text" not in automask("captions", store, "--diff", "--kinds", "text").stdout
    (tmp_path / "w.toml").write_text('[frame]\ntags = ["cat"]\n')
    assert "+second line\n" in automask("captions", store, "--diff", "--words", tmp_path / "w.toml").stdout
    assert automask("captions", store, "--kinds", "nonsense").returncode == 2


def test_a_policy_that_keeps_frames_keeps_their_words(made):
    _, store = made
    automask("render", store, "--policy", "frame=keep", "--no-report")
    try:
        assert automask("captions", store, "--diff").stdout == ""
    finally:
        automask("render", store, "--policy", "frame=mask", "--no-report")


def test_the_dataset_is_refused_as_output(made):
    folder, store = made
    assert automask("captions", store, "--output", folder).returncode == 2


def test_a_caption_that_cannot_be_read_is_copied_and_named(tmp_path):
    folder = draw_images(tmp_path / "set", 2)
    (folder / "001.txt").write_bytes(b"caf\xe9, border")
    assert automask("run", folder, *CHEAP).returncode == 0
    done = automask("captions", tmp_path / "set-masks")
    assert done.returncode == 8
    assert "caption-unreadable" in done.stderr
    assert (tmp_path / "set-captions" / "001.txt").read_bytes() == b"caf\xe9, border"


def upper(text):
    return text.upper()


def test_files_keep_their_bytes_where_nothing_changes():
    assert clean_text_file(b"a\r\nb", str) == b"a\r\nb"
    data = b'{"caption":  "x", "other": [1, 2]}'
    assert clean_json_file(data, str) == data
    rows = b'{"file_name": "a", "text": "x"}\r\n{"file_name": "b",  "text": "y"}\n\n'
    assert clean_list_file(rows, lambda name: None) == rows
    assert clean_list_file(rows, lambda name: upper if name == "b" else None) == (
        b'{"file_name": "a", "text": "x"}\r\n{"file_name": "b", "text": "Y"}\n\n'
    )


def test_json_of_taggers():
    content = {
        "image": {"tags": {"watermark": 0.9, "cat": 0.8}, "captions": ["a cat", "watermark"]},
        "tag": "watermark",
    }

    def clean(text):
        return "" if text == "watermark" else text

    cleaned = json.loads(clean_json_file(json.dumps(content).encode(), clean))
    assert cleaned == {"image": {"tags": {"cat": 0.8}, "captions": ["a cat"]}, "tag": "watermark"}
    with pytest.raises(ValueError, match="line 2"):
        clean_list_file(b'{"file_name": "a"}\nnonsense\n', lambda name: None)
