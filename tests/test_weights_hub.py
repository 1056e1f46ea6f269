"""Weights of a hub, from a server of our own that speaks like one: pinned on the day they are pulled."""

import hashlib
import json
import os
import urllib.request
from contextlib import nullcontext

import pytest
from hub_server import hub_server
from typer.testing import CliRunner

from automask.errors import WeightsError
from automask.weights import DeclaredFile, WeightLibrary, WeightSpec, read_record
from automask_models import commands
from automask_models.download import _Redirects
from automask_models.pull import pull, spec_of_hub

CONFIG, WEIGHTS = b'{"model_type": "sam2"}', os.urandom(2_500_000)
FILES = {"config.json": CONFIG, "model.safetensors": WEIGHTS, "README.md": b"hello"}


@pytest.fixture
def hub(monkeypatch):
    for name in ("AUTOMASK_MIRROR", "HF_TOKEN", "HF_ENDPOINT"):
        monkeypatch.delenv(name, raising=False)
    with hub_server() as running:
        monkeypatch.setenv("HF_ENDPOINT", running.endpoint)
        yield running


def spec(*, asks_access: bool = False) -> WeightSpec:
    return WeightSpec(
        name="sam2-tiny", task="refine", licence="Apache-2.0", about="Nothing.", url=None, hub="org/tiny", shipped=None,
        page="https://example.org/tiny", asks_access=asks_access,
        files=(
            DeclaredFile(file="sam2-tiny/config.json"),
            DeclaredFile(file="sam2-tiny/model.safetensors"),
            DeclaredFile(file="sam2-tiny/processor_config.json", optional=True),
        ),
    )  # fmt: skip


def library(folder, **folders) -> WeightLibrary:
    return WeightLibrary({"sam2-tiny": spec()}, cache_folder=folder, **folders)


def names(folder) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()} - {"hashes.json"}


def test_what_is_pulled_is_checked_recorded_and_found(hub, tmp_path):
    commit = hub.publish("org/tiny", FILES)
    told = []
    fetched = pull(spec(), tmp_path, told=lambda name: lambda done, total: told.append((name, done, total)))
    assert [path.name for path in fetched] == ["config.json", "model.safetensors"]
    assert told[-1] == ("model.safetensors", len(WEIGHTS), len(WEIGHTS))
    record = read_record(tmp_path, "sam2-tiny")
    assert record is not None
    assert (record.hub, record.revision, record.is_whole) == ("org/tiny", commit, True)
    digest = hashlib.sha256(WEIGHTS).hexdigest()
    pulled = record.files["sam2-tiny/model.safetensors"]
    assert (pulled.sha256, pulled.stated, pulled.size_bytes) == (digest, digest, len(WEIGHTS))
    assert len(record.files["sam2-tiny/config.json"].stated) == 40
    found = library(tmp_path).find("tiny", stage="sam2")
    assert found is not None
    assert (found.path, found.is_from_hub) == (tmp_path / "sam2-tiny", True)
    # The bytes come from the commit, whatever the main branch is at by then.
    assert all(commit in path for path in hub.paths("GET") if "resolve" in path)
    hub.asked.clear()
    assert pull(spec(), tmp_path) == []
    assert hub.asked == []


def test_files_are_all_of_the_commit_of_the_first_one(hub, tmp_path):
    first = hub.publish("org/tiny", FILES)
    facts = []

    def told(name):
        if not facts:
            facts.append(hub.publish("org/tiny", {**FILES, "model.safetensors": WEIGHTS[::-1]}))

    pull(spec(), tmp_path, told=told)
    record = read_record(tmp_path, "sam2-tiny")
    assert record is not None
    assert record.revision == first
    assert (tmp_path / "sam2-tiny" / "model.safetensors").read_bytes() == WEIGHTS


@pytest.mark.parametrize("file", ["model.safetensors", "config.json"])
def test_changed_bytes_are_refused_and_pulled_again_as_they_were(hub, tmp_path, file):
    hub.publish("org/tiny", FILES)
    pull(spec(), tmp_path)
    path = tmp_path / "sam2-tiny" / file
    path.write_bytes(FILES[file][:-1] + b"?")
    with pytest.raises(WeightsError, match="another sha256 than when it was pulled") as caught:
        library(tmp_path).find("sam2-tiny")
    assert "automask models pull sam2-tiny" in caught.value.advice
    hub.publish("org/tiny", {**FILES, file: FILES[file][::-1]})  # the author moved on
    assert pull(spec(), tmp_path) == [path]
    assert path.read_bytes() == FILES[file]
    assert library(tmp_path).find("sam2-tiny") is not None


@pytest.mark.parametrize("file", ["model.safetensors", "config.json"])
def test_a_hub_that_changes_a_commit_is_refused(hub, tmp_path, file):
    hub.publish("org/tiny", dict(FILES))
    pull(spec(), tmp_path)
    (tmp_path / "sam2-tiny" / file).unlink()
    hub.commits["org/tiny"][0][1][file] = FILES[file][::-1]
    with pytest.raises(WeightsError, match="is not what it was when"):
        pull(spec(), tmp_path)
    assert not (tmp_path / "sam2-tiny" / file).exists()


@pytest.mark.parametrize("file", ["model.safetensors", "config.json"])
def test_other_bytes_than_the_hub_states_are_not_kept(hub, tmp_path, file):
    hub.publish("org/tiny", FILES)
    hub.lies[file] = FILES[file][:-1] + b"?"
    with pytest.raises(WeightsError, match="other bytes than stated") as caught:
        pull(spec(), tmp_path)
    assert caught.value.code == "weights-mismatch"
    assert not {name for name in names(tmp_path) if file in name}
    with pytest.raises(WeightsError) if file == "model.safetensors" else nullcontext():
        library(tmp_path).find("sam2-tiny")


def test_a_hub_that_states_nothing_is_refused(hub, tmp_path):
    hub.publish("org/tiny", FILES)
    hub.hides_facts = True
    with pytest.raises(WeightsError, match="states no commit and hash"):
        pull(spec(), tmp_path)
    assert names(tmp_path) == set()


def test_a_broken_connection_goes_on_where_it_broke_off(hub, tmp_path):
    hub.publish("org/tiny", FILES)
    hub.break_after = 1_000_000
    with pytest.raises(WeightsError, match="Run the same line again") as caught:
        pull(spec(), tmp_path)
    assert caught.value.code == "weights-offline"
    with pytest.raises(WeightsError, match=r"not finished|is missing"):
        library(tmp_path).find("sam2-tiny")
    hub.break_after = None
    hub.asked.clear()
    pull(spec(), tmp_path)
    (ranged,) = [headers["Range"] for _, path, headers in hub.asked if "storage" in path]
    assert ranged == "bytes=1000000-"
    assert (tmp_path / "sam2-tiny" / "model.safetensors").read_bytes() == WEIGHTS
    assert not {name for name in names(tmp_path) if name.endswith(".part")}


def test_a_server_without_ranges_starts_anew(hub, tmp_path):
    hub.publish("org/tiny", FILES)
    hub.break_after = 1_000_000
    with pytest.raises(WeightsError):
        pull(spec(), tmp_path)
    hub.break_after, hub.ignores_ranges = None, True
    pull(spec(), tmp_path)
    assert (tmp_path / "sam2-tiny" / "model.safetensors").read_bytes() == WEIGHTS


def test_a_damaged_rest_is_thrown_away(hub, tmp_path):
    hub.publish("org/tiny", FILES)
    digest = hashlib.sha256(WEIGHTS).hexdigest()
    rest = tmp_path / "sam2-tiny" / f".model.safetensors.{digest[:16]}.part"
    rest.parent.mkdir()
    rest.write_bytes(b"x" * 1000)
    with pytest.raises(WeightsError, match="other bytes"):
        pull(spec(), tmp_path)
    assert not rest.exists()
    pull(spec(), tmp_path)
    assert library(tmp_path).find("sam2-tiny") is not None


def test_access_that_must_be_asked_for(hub, tmp_path, monkeypatch):
    hub.publish("org/tiny", FILES)
    hub.token = "secret"
    with pytest.raises(WeightsError, match="401") as caught:
        pull(spec(asks_access=True), tmp_path)
    assert "https://example.org/tiny" in caught.value.advice
    assert "HF_TOKEN" in caught.value.advice
    monkeypatch.setenv("HF_TOKEN", "secret")
    assert len(pull(spec(asks_access=True), tmp_path)) == 2


def test_the_token_is_for_the_hub_only(hub, tmp_path, monkeypatch):
    monkeypatch.setenv("HF_TOKEN", "secret")
    hub.publish("org/tiny", FILES)
    monkeypatch.setenv("AUTOMASK_MIRROR", hub.endpoint)
    pull(spec(), tmp_path)
    assert not [headers for _, _, headers in hub.asked if "Authorization" in headers]
    request = urllib.request.Request("https://hub.example/x", headers={"Authorization": "Bearer secret", "X-Y": "z"})
    for url, kept in (("https://storage.example/x", False), ("https://hub.example/y", True)):
        following = _Redirects(followed=True).redirect_request(request, None, 302, "Found", {}, url)
        assert following is not None
        assert following.has_header("Authorization") == kept


def test_a_mirror_stands_for_every_host(hub, tmp_path, monkeypatch):
    hub.publish("org/tiny", FILES)
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(WeightsError, match="Cannot fetch"):
        pull(spec(), tmp_path)
    monkeypatch.setenv("AUTOMASK_MIRROR", hub.endpoint + "/")
    pull(spec(), tmp_path)
    record = read_record(tmp_path, "sam2-tiny")
    assert record is not None
    assert record.endpoint == hub.endpoint
    digest = hashlib.sha256(WEIGHTS).hexdigest()
    hub.stored["x.pth"] = WEIGHTS
    elsewhere = WeightSpec(
        name="x", task="refine", licence="CC0-1.0", about="", url="https://nowhere.invalid/storage/", shipped=None,
        files=(DeclaredFile(file="x.pth", sha256=digest, size_bytes=len(WEIGHTS)),),
    )  # fmt: skip
    assert pull(elsewhere, tmp_path) == [tmp_path / "x.pth"]


def test_a_renamed_repository_is_followed(hub, tmp_path):
    hub.publish("new/tiny", FILES)
    hub.renamed["org/tiny"] = "new/tiny"
    pull(spec(), tmp_path)
    assert library(tmp_path).find("sam2-tiny") is not None


@pytest.mark.parametrize(
    ("files", "taken"),
    [
        (["config.json", "model.safetensors", "x.pt", "README.md"], ["config.json", "model.safetensors"]),
        (["best.pt", "last.txt", "my own.pt", "../out.pt"], ["best.pt"]),
        (["best.pt", "best.onnx", "sub/other.onnx"], ["best.onnx"]),
        (["config.json", "pytorch_model.bin"], ["config.json", "pytorch_model.bin"]),
    ],
)
def test_any_hub_id_can_be_pulled_by_itself(hub, tmp_path, files, taken):
    hub.publish("Some/Model", {name: name.encode() * 500 for name in files})
    made = spec_of_hub("Some/Model", tmp_path)
    assert [path.name for path in pull(made, tmp_path)] == taken
    found = WeightLibrary({}, cache_folder=tmp_path).find("Some/Model")
    assert found is not None
    assert (found.path, found.is_from_hub) == (tmp_path / "Some--Model", True)
    (tmp_path / "Some--Model" / taken[-1]).write_bytes(b"changed")
    with pytest.raises(WeightsError, match="bytes instead of"):
        WeightLibrary({}, cache_folder=tmp_path).find("Some/Model")


def test_a_hub_id_without_weights_says_so(hub, tmp_path):
    hub.publish("Some/Model", {"README.md": b"hello"})
    with pytest.raises(WeightsError, match="has no"):
        spec_of_hub("Some/Model", tmp_path)


def test_files_that_a_user_puts_into_a_folder_of_their_own_need_no_record(tmp_path):
    for folder in ("user", "cache"):
        for name in ("config.json", "model.safetensors"):
            (tmp_path / folder / "sam2-tiny").mkdir(parents=True, exist_ok=True)
            (tmp_path / folder / "sam2-tiny" / name).write_bytes(FILES[name])
    found = library(tmp_path / "cache", user_folder=tmp_path / "user").find("sam2-tiny")
    assert found is not None
    assert found.path == tmp_path / "user" / "sam2-tiny"
    with pytest.raises(WeightsError, match=r"sam2-tiny\.pulled\.json.* is missing"):
        library(tmp_path / "cache").find("sam2-tiny")


def test_no_record_leads_out_of_its_folder(hub, tmp_path):
    hub.publish("Some/Model", {"best.pt": WEIGHTS})
    pull(spec_of_hub("Some/Model", tmp_path), tmp_path)
    path = tmp_path / "Some--Model.pulled.json"
    path.write_text(path.read_text().replace("Some--Model/best.pt", "../best.pt"))
    with pytest.raises(WeightsError, match="cannot be read"):
        WeightLibrary({}, cache_folder=tmp_path).find("Some/Model")


@pytest.mark.parametrize("content", [b"", b"{", b'{"hub": "org/tiny"}'])
def test_a_damaged_record_is_no_reason_to_trust(hub, tmp_path, content):
    hub.publish("org/tiny", FILES)
    pull(spec(), tmp_path)
    (tmp_path / "sam2-tiny.pulled.json").write_bytes(content)
    with pytest.raises(WeightsError, match="cannot be read"):
        library(tmp_path).find("sam2-tiny")
    with pytest.raises(WeightsError, match="cannot be read"):
        pull(spec(), tmp_path)


def test_the_command_takes_names_words_and_hub_ids(hub, tmp_path, monkeypatch):
    built = library(tmp_path)
    monkeypatch.setattr(commands.WeightLibrary, "discover", classmethod(lambda cls: built))
    commit = hub.publish("org/tiny", FILES)
    hub.publish("Some/Model", {"best.pt": WEIGHTS})
    done = CliRunner().invoke(commands.app, ["pull", "sam2:tiny", "Some/Model", "--json"])
    assert done.exit_code == 0, done.output + str(done.exception)
    tiny, other = json.loads(done.stdout)
    assert (tiny["name"], tiny["revision"], tiny["pinned"]) == ("sam2-tiny", commit, False)
    assert (other["name"], other["path"]) == ("Some/Model", str(tmp_path / "Some--Model"))
    assert CliRunner().invoke(commands.app, ["verify", "sam2-tiny"]).exit_code == 0
    (tmp_path / "sam2-tiny" / "config.json").write_bytes(CONFIG[::-1])
    assert isinstance(CliRunner().invoke(commands.app, ["verify"]).exception, WeightsError)
    error = CliRunner().invoke(commands.app, ["pull", "sam2:nothing"]).exception
    assert isinstance(error, WeightsError)
