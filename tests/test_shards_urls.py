"""Sources and targets by URL: none with a scheme reads this disk, no credential is told, networks may fail a while."""

import json
import logging
import subprocess
import sys

import fsspec
import pytest
from cli_process import CHEAP, automask, environment
from fsspec.implementations.memory import MemoryFileSystem
from shard_cases import copy_into, copy_out, encoded, image_folder, masks_in, run, tar_bytes, webdataset_tar

from automask.dataset.shards.opening import expanded
from automask.dataset.shards.tars import TarSource
from automask.errors import ConfigError, InputError, OutputError
from automask.files.folders import FileEntry, Unreachable
from automask.files.places import folder_at, split_address
from automask.files.remote import RemoteFolder
from automask.files.urls import is_url, redacted, scheme_of
from automask.run.shards.status import status_of, verify


@pytest.fixture
def memory():
    """fsspec's file system in memory, empty."""
    files = fsspec.filesystem("memory")
    files.store.clear()
    files.pseudo_dirs[:] = [""]
    yield files
    files.store.clear()


class TestAddresses:
    @pytest.mark.parametrize(
        ("address", "scheme"),
        [
            ("s3://b/x", "s3"),
            ("S3://b", "s3"),
            ("s3:/b/x", "s3"),  # what a Path makes of it
            ("memory://a", "memory"),
            ("file:///a", "file"),
            ("a/b", None),
            ("/a:b/c", None),
            ("C:\\images", None),
            ("C:/images", None),
            ("c", None),
        ],
    )
    def test_schemes(self, address, scheme):
        assert scheme_of(address) == scheme
        assert is_url(address) == (scheme is not None)

    def test_braces_count_and_list(self):
        assert list(expanded("a/{08..11}.tar")) == [f"a/{number:02d}.tar" for number in range(8, 12)]
        assert list(expanded("{a,b}{0..1}")) == ["a0", "a1", "b0", "b1"]
        with pytest.raises(InputError):
            list(expanded("{0..99999999999}"))

    def test_folder_and_name(self):
        assert split_address("a.tar") == (".", "a.tar")
        assert split_address("/a.tar") == ("/", "a.tar")
        assert split_address("s3://b/a.tar") == ("s3://b", "a.tar")

    def test_secrets_are_taken_out_of_any_text(self, monkeypatch):
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wJalrXUtnFEMI/K7MDENG")
        monkeypatch.setenv("HF_TOKEN", "hf_abcdefgh")
        text = (
            "GET https://me:hunter2@host/b/x.tar?X-Amz-Signature=abc123&X-Amz-Credential=AKIA refused for "
            "wJalrXUtnFEMI/K7MDENG (hf_abcdefgh) at az://c/x?sv=2024&sig=Zm9v%3D"
        )
        told = redacted(text)
        for secret in ("me:", "hunter2", "abc123", "AKIA", "wJalr", "hf_abc", "Zm9v", "sig"):
            assert secret not in told
        assert "https://host/b/x.tar" in told
        assert "az://c/x" in told


class TestSchemesWithoutADriver:
    @pytest.mark.parametrize(
        ("address", "extra"), [("gs://b/x", "gcs"), ("az://b/x", "azure"), ("abfs://b/x", "azure"), ("s3://b/x", "s3")]
    )
    def test_the_error_says_what_to_install(self, address, extra, monkeypatch):
        def gone(*args, **options):
            raise ImportError("Install something")

        monkeypatch.setattr(fsspec.core, "url_to_fs", gone)
        monkeypatch.setattr(fsspec, "url_to_fs", gone, raising=False)
        with pytest.raises(ConfigError, match=f"the extra `{extra}`") as refused:
            folder_at(address)
        assert refused.value.code == "url-driver-missing"

    def test_without_fsspec_as_well(self, monkeypatch):
        monkeypatch.setitem(sys.modules, "fsspec", None)
        with pytest.raises(ConfigError, match="the extra `scale`"):
            folder_at("s3://b/x")

    @pytest.mark.parametrize("address", ["nosuch://b/x", "s3:/b/x", "s3://", "file://relative"])
    def test_what_is_no_place_is_refused_and_no_folder_of_that_name_is_read(self, address, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        image_folder(tmp_path / address.replace("://", ":/").strip("/"), 1)
        with pytest.raises((ConfigError, InputError)):
            run(address, tmp_path / "target")
        assert not (tmp_path / "target").exists()

    def test_the_command_says_the_pip_line(self, tmp_path):
        image_folder(tmp_path / "gs:" / "b" / "x", 1)
        (tmp_path / "gcsfs.py").write_text("raise ImportError('no gcsfs')")  # wherever the tests run
        done = automask("run", "gs://b/x", "--output", "out", *CHEAP, cwd=tmp_path, env=environment(tmp_path))
        assert done.returncode == 2, done.stderr
        assert "url-driver-missing" in done.stderr
        assert "[gcs]" in done.stderr
        assert not (tmp_path / "out").exists()

    @pytest.mark.parametrize("where", ["source", "target"])
    def test_credentials_in_a_url_are_refused_and_not_repeated(self, where, tmp_path):
        url = "s3://AKIAKEY:hunter2secret@bucket/x"
        source, target = (url, tmp_path / "out") if where == "source" else (image_folder(tmp_path / "set", 1), url)
        done = automask("run", source, "--output", target, *CHEAP, "--debug", cwd=tmp_path)
        assert done.returncode != 0
        assert "hunter2" not in done.stderr.replace("s3://AKIAKEY:hunter2secret@bucket/x'", "")
        plain = automask("run", source, "--output", target, *CHEAP, cwd=tmp_path)
        assert plain.returncode == 3
        assert "hunter2" not in plain.stderr + plain.stdout


class TestMemory:
    """A whole run with source and target in fsspec's own file system: what is not a disk goes the same way."""

    def test_a_folder_of_images(self, memory, tmp_path):
        folder = image_folder(tmp_path / "set", 5)
        (folder / "twin.jpg").write_bytes(encoded(8, "jpg"))
        (folder / "twin.png").write_bytes(encoded(9))
        (folder / ".hidden.png").write_bytes(encoded(9))
        (folder / "x-masklabel.png").write_bytes(encoded(9))
        copy_into(memory, folder, "/data")
        summary = run("memory://data", "memory://out", shard_images=3)
        run(folder, tmp_path / "target", shard_images=3)
        assert (summary.images, summary.shards) == (7, 3)
        assert masks_in(copy_out(memory, "/out", tmp_path / "copy")) == masks_in(tmp_path / "target")
        assert run("memory://data", "memory://out", shard_images=3).reused == 3
        found = status_of("memory://out")
        assert (found.done, found.missing, found.masks) == (3, 0, 7)
        assert list(verify("memory://out")) == []
        memory.pipe_file("/out/masks/000001.tar", b"x")
        assert [problem.code for problem in verify("memory://out")] == ["shard-file-changed"]

    def test_tars_and_a_target_on_this_disk(self, memory, tmp_path):
        for number in range(2):
            webdataset_tar(tmp_path / "data" / f"{number}.tar", first=4 * number)
        copy_into(memory, tmp_path / "data", "/tars")
        run("memory://tars/*.tar", tmp_path / "target")
        run(tmp_path / "data", tmp_path / "local")
        assert masks_in(tmp_path / "target") == masks_in(tmp_path / "local")
        assert run("memory://tars/{0..1}.tar", tmp_path / "again").images == 8

    def test_keys_that_lead_out_of_a_folder_stay_inside_the_target(self, memory):
        """Object stores have no folders, and take `..` for a name like any other."""
        entries = [FileEntry(key, 1, "t") for key in ("../up.tar", "x/../../../../evil.tar.gz", "/abs.tar")]
        shards = [
            shard for shard, _ in TarSource(folder_at("memory://data"), entries, "x").shards(9, on_progress=print)
        ]
        assert [shard.name for shard in shards] == ["_/up", "x/_/_/_/_/evil", "_/abs"]

    def test_a_target_inside_its_source_is_no_input(self, memory, tmp_path):
        copy_into(memory, image_folder(tmp_path / "set", 2), "/data")
        memory.pipe_file("/data/masks/old.png", encoded(1))
        assert run("memory://data", "memory://data/masks").images == 2

    def test_a_file_url_is_this_disk(self, tmp_path):
        folder = image_folder(tmp_path / "set", 2)
        assert run(folder.as_uri(), (tmp_path / "target").as_uri()).images == 2
        assert len(masks_in(tmp_path / "target")) == 2


class Flaky(MemoryFileSystem):
    """Fails as many times as it is told to before each answer."""

    protocol = "flaky"
    cachable = False
    fails = 0

    def _maybe(self):
        if self.left:
            self.left -= 1
            raise OSError("connection reset https://me:hunter2@host/x?sig=abcdef")
        self.left = type(self).fails

    def __init__(self, **options):
        super().__init__(**options)
        self.left = type(self).fails

    def cat_file(self, path, **options):
        self._maybe()
        return super().cat_file(path, **options)


class TestFailingNetworks:
    def folder(self, fails, pauses):
        Flaky.fails = fails
        return RemoteFolder(Flaky(), "/data", "flaky://data", pause=pauses.append)

    def test_a_read_is_tried_again_with_growing_pauses(self, memory):
        memory.pipe_file("/data/a", b"content")
        pauses = []
        assert self.folder(3, pauses).read("a") == b"content"
        assert len(pauses) == 3
        assert pauses[2] > pauses[1] > pauses[0] > 0.3

    def test_a_file_goes_on_where_it_broke(self, memory):
        memory.pipe_file("/data/a", bytes(range(256)) * 100_000)
        with self.folder(2, []).open("a") as file:
            data = file.read()
            assert data == bytes(range(256)) * 100_000
            file.seek(-3, 2)
            assert file.read() == bytes([253, 254, 255])

    def test_it_ends_with_an_error_that_names_no_secret(self, memory, caplog):
        memory.pipe_file("/data/a", b"content")
        caplog.set_level(logging.DEBUG)
        with pytest.raises(Unreachable) as failed:
            self.folder(99, []).read("a")
        for text in (str(failed.value), caplog.text):
            assert "connection reset" in text
            assert "hunter2" not in text
            assert "abcdef" not in text

    def test_what_is_not_there_is_not_asked_for_again(self, memory):
        pauses = []
        folder = self.folder(0, pauses)
        with pytest.raises(FileNotFoundError):
            folder.read("missing")
        assert folder.facts("missing") is None
        assert folder.read_many(["missing", "gone"]) == [None, None]
        assert pauses == []

    def test_a_shard_whose_source_does_not_answer_is_left_for_the_next_run(self, memory, tmp_path, monkeypatch):
        for number in range(3):
            memory.pipe_file(f"/data/{number}.tar", tar_bytes([(f"{number}.png", encoded(number))]))
        original = RemoteFolder.read

        def read(self, name, **options):
            if name == "1.tar":
                raise Unreachable("memory://data: TimeoutError: https://u:pw@h/1.tar?sig=abcdef")
            return original(self, name, **options)

        monkeypatch.setattr(RemoteFolder, "read", read)
        summary = run("memory://data", tmp_path / "target")
        assert list(summary.unfinished) == ["1"]
        assert "abcdef" not in json.dumps([*summary.unfinished.values(), *(one.message for one in summary.notices)])
        assert sorted(path.name for path in (tmp_path / "target" / "done").iterdir()) == ["0.done", "2.done"]
        monkeypatch.setattr(RemoteFolder, "read", original)
        again = run("memory://data", tmp_path / "target")
        assert (again.reused, dict(again.done)) == (2, {"analysed": 1})

    @pytest.mark.parametrize(
        ("said", "is_about_keys"),
        [
            ("The provided token has expired.", True),
            ("An error occurred (ExpiredToken) when calling GetObject", True),
            ("Access Denied", False),
        ],
    )
    def test_keys_that_expire_are_no_fault_of_an_image(self, memory, tmp_path, monkeypatch, said, is_about_keys):
        copy_into(memory, image_folder(tmp_path / "set", 3), "/data")
        original = MemoryFileSystem.cat_file

        def cat_file(self, path, **options):
            if path.endswith("000.png"):
                raise PermissionError(said)
            return original(self, path, **options)

        monkeypatch.setattr(MemoryFileSystem, "cat_file", cat_file)
        summary = run("memory://data", tmp_path / "target")
        if is_about_keys:
            assert list(summary.unfinished) == ["000000"]
        else:
            assert (summary.images, summary.failed, dict(summary.issue_counts)) == (3, 1, {"image-unreadable": 1})

    def test_a_network_that_is_gone_ends_the_run(self, memory, tmp_path, monkeypatch):
        for number in range(8):
            memory.pipe_file(f"/data/{number}.tar", tar_bytes([(f"{number}.png", encoded(number))]))

        def read(self, name, **options):
            raise Unreachable("memory://data: no route to host")

        monkeypatch.setattr(RemoteFolder, "read", read)
        with pytest.raises(OutputError, match="in a row") as ended:
            run("memory://data", tmp_path / "target")
        assert ended.value.code == "target-unreachable"
        assert list((tmp_path / "target" / "claims").iterdir()) == []


def test_listing_a_thousand_names_at_a_time():
    """S3 gives pages; the whole list is never in memory."""

    class Pages:
        asked = 0

        def call_s3(self, name, *, Bucket, Prefix, MaxKeys, ContinuationToken="0"):
            assert (name, Bucket, Prefix, MaxKeys) == ("list_objects_v2", "b", "x/", 1000)
            self.asked += 1
            number = int(ContinuationToken)
            keys = [{"Key": f"x/{number}-{index:04d}.png", "Size": 7, "ETag": '"e"'} for index in range(1000)]
            return {"Contents": keys, "IsTruncated": number < 2, "NextContinuationToken": str(number + 1)}

    pages = Pages()
    entries = RemoteFolder(pages, "b/x", "s3://b/x").files()
    assert next(entries) == FileEntry("0-0000.png", 7, "e")
    assert pages.asked == 1
    assert len(list(entries)) == 2999
    assert pages.asked == 3


def test_the_command_line_imports_none_of_it():
    code = (
        "import sys, automask.cli.app as app; app.build_app()\n"
        "assert not [name for name in ('fsspec', 'pyarrow', 's3fs', 'automask.run.shards') if name in sys.modules]\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
