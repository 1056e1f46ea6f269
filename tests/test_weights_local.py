"""Weights are found in the stated order and never trusted without their hash."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from automask.errors import WeightsError
from automask.weights import WeightLibrary, combined_sha256, read_catalogue


def write_catalogue(folder: Path, contents: dict[str, bytes], *, url: str = "") -> Path:
    lines = ["[tiny]", 'task = "test"', 'licence = "CC0-1.0"', 'about = "Nothing."']
    if url:
        lines.append(f'url = "{url}"')
    for file, data in contents.items():
        lines += [
            "[[tiny.files]]",
            f'file = "{file}"',
            f'sha256 = "{hashlib.sha256(data).hexdigest()}"',
            f"size_bytes = {len(data)}",
        ]
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "weights.toml"
    path.write_text("\n".join(lines), encoding="utf-8")
    return path


def library(tmp_path: Path, contents: dict[str, bytes], **folders: Path) -> WeightLibrary:
    catalogue = write_catalogue(tmp_path / "package", contents)
    return WeightLibrary(read_catalogue(catalogue), cache_folder=tmp_path / "cache", **folders)


def put(folder: Path, file: str, data: bytes) -> Path:
    path = folder / file
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


def test_look_up_order_is_user_folder_then_package_then_cache(tmp_path):
    weights = library(tmp_path, {"tiny.onnx": b"abc"}, user_folder=tmp_path / "user")
    assert weights.find("tiny") is None
    for folder in ("cache", "package/weights", "user"):
        put(tmp_path / folder, "tiny.onnx", b"abc")
        found = weights.find("tiny")
        assert found is not None
        assert found.path == tmp_path / folder / "tiny.onnx"
        assert found.sha256 == hashlib.sha256(b"abc").hexdigest()


def test_a_changed_file_is_refused_even_where_the_hash_was_cached(tmp_path):
    weights = library(tmp_path, {"tiny.onnx": b"abc"})
    path = put(tmp_path / "cache", "tiny.onnx", b"abc")
    assert weights.find("tiny") is not None
    path.write_bytes(b"abd")
    with pytest.raises(WeightsError, match="sha256"):
        weights.find("tiny")


def test_the_hash_is_not_computed_twice(tmp_path, monkeypatch):
    weights = library(tmp_path, {"tiny.onnx": b"abc"})
    put(tmp_path / "cache", "tiny.onnx", b"abc")
    weights.find("tiny")
    monkeypatch.setattr("automask.weights.hashes.file_sha256", lambda path: pytest.fail("hashed again"))
    assert weights.find("tiny") is not None


def test_a_folder_weight_is_its_folder(tmp_path):
    contents = {"net/config.json": b"{}", "net/model.safetensors": b"xyz"}
    weights = library(tmp_path, contents)
    for file, data in contents.items():
        put(tmp_path / "cache", file, data)
    found = weights.find("tiny")
    assert found is not None
    assert found.path == tmp_path / "cache" / "net"
    assert found.sha256 == combined_sha256({file: hashlib.sha256(data).hexdigest() for file, data in contents.items()})
    (tmp_path / "cache" / "net" / "model.safetensors").unlink()
    with pytest.raises(WeightsError, match="missing"):
        weights.find("tiny")


def test_a_pair_opens_by_its_first_file_and_hashes_as_a_whole(tmp_path):
    contents = {"x.encoder.onnx": b"one", "x.decoder.onnx": b"two"}
    weights = library(tmp_path, contents)
    for file, data in contents.items():
        put(tmp_path / "cache", file, data)
    by_name, by_path = weights.find("tiny"), weights.find(str(tmp_path / "cache" / "x.encoder.onnx"))
    assert by_name is not None
    assert by_path is not None
    assert by_name.path == by_path.path == tmp_path / "cache" / "x.encoder.onnx"
    assert by_name.sha256 == by_path.sha256


def test_a_path_works_like_a_name(tmp_path):
    weights = library(tmp_path, {"tiny.onnx": b"abc"}, user_folder=tmp_path / "user")
    file = put(tmp_path / "elsewhere", "own.onnx", b"own")
    found = weights.find(str(file))
    assert found is not None
    assert (found.path, found.sha256) == (file, hashlib.sha256(b"own").hexdigest())
    put(tmp_path / "user", "mine.onnx", b"mine")
    assert weights.find("mine.onnx") is not None
    assert weights.find("nowhere.onnx") is None


def test_the_hash_of_an_encoder_covers_its_decoder(tmp_path):
    weights = library(tmp_path, {"tiny.onnx": b"abc"})
    encoder = put(tmp_path, "x.encoder.onnx", b"one")
    decoder = put(tmp_path, "x.decoder.onnx", b"two")
    before = weights.find(str(encoder))
    decoder.write_bytes(b"three")
    after = weights.find(str(encoder))
    assert before is not None
    assert after is not None
    assert before.sha256 != after.sha256


def test_a_hub_id_is_looked_up_in_the_local_cache_only(tmp_path):
    weights = library(tmp_path, {"tiny.onnx": b"abc"}, hub_folder=tmp_path / "hub")
    assert weights.find("somebody/some-sam") is None
    snapshot = tmp_path / "hub" / "models--somebody--some-sam"
    put(snapshot / "refs", "main", b"c0ffee\n")
    put(snapshot / "snapshots" / "c0ffee", "config.json", b"{}")
    found = weights.find("somebody/some-sam")
    assert found is not None
    assert found.path == snapshot / "snapshots" / "c0ffee"


def test_a_wrong_catalogue_says_where(tmp_path):
    path = tmp_path / "weights.toml"
    path.write_text('[tiny]\ntask = "x"\n', encoding="utf-8")
    with pytest.raises(WeightsError, match=r"weights\.toml"):
        read_catalogue(path)


def test_a_catalogue_cannot_point_outside_its_folder(tmp_path):
    with pytest.raises(WeightsError):
        read_catalogue(write_catalogue(tmp_path, {"../evil.onnx": b"x"}))


def test_the_variable_must_name_a_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("AUTOMASK_WEIGHTS", str(tmp_path / "nothing"))
    with pytest.raises(WeightsError, match="AUTOMASK_WEIGHTS"):
        WeightLibrary.discover()


def test_the_shipped_catalogue_reads_and_its_files_are_right():
    weights = WeightLibrary.discover()
    for spec in weights.specs.values():
        state = weights.state(spec, rehash=True)
        assert not state.problem
        assert state.folder is not None or spec.can_be_pulled, f"{spec.name} is neither shipped nor to be pulled"
        if spec.can_be_pulled:
            assert spec.page, f"{spec.name}: its page"
            assert spec.sources, f"{spec.name}: where its hashes and facts were read"
            assert spec.was_run or spec.unverified, f"{spec.name}: what nobody checked"
