"""Where images of a sharded run may be gathered into: nowhere that a run reads."""

import shutil

import pytest
from cli_process import automask
from shard_cases import image_folder, run_unsure, source_of

from automask.errors import ConfigError, OutputError
from automask.run.shards.gathering import gather


@pytest.fixture
def place(tmp_path):
    """A folder with a source of single files and its target."""
    run_unsure(image_folder(tmp_path / "set", 2), tmp_path / "target")
    return tmp_path


def files_in(folder):
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


@pytest.mark.parametrize("into", ["set", "set/store", "set/sub/../store", "target", "target/store", "link/store"])
def test_source_and_target_are_left_alone(place, into):
    (place / "link").symlink_to(place / "set")
    before = files_in(place)
    with pytest.raises(OutputError, match=r"the source|the sharded target") as refused:
        gather(str(place / "target"), place / into, doubtful=2)
    assert "--into" in refused.value.advice
    assert "--output" not in f"{refused.value}"
    assert files_in(place) == before
    run_unsure(place / "set", place / "second")


def test_the_images_beside_a_store_do_not_come_into_the_source(tmp_path):
    run_unsure(image_folder(tmp_path / "photos-images", 2), tmp_path / "target")
    with pytest.raises(OutputError, match="the source"):
        gather(str(tmp_path / "target"), tmp_path / "photos", doubtful=2)


@pytest.mark.parametrize("kind", ["tar", "parquet"])
def test_a_folder_of_shards(tmp_path, kind):
    source = source_of(kind, tmp_path / "set", 3)
    run_unsure(source, tmp_path / "target")
    with pytest.raises(OutputError, match="of its own"):
        gather(str(tmp_path / "target"), tmp_path / "set", doubtful=2)
    shutil.copytree(tmp_path / "set", tmp_path / "others")
    with pytest.raises(OutputError, match="of its own"):
        gather(str(tmp_path / "target"), tmp_path / "others", doubtful=2)
    assert gather(str(tmp_path / "target"), tmp_path / "store", doubtful=2).gathered == 2
    assert gather(str(tmp_path / "target"), tmp_path / "store", doubtful=2).present == 2


def test_another_target(place):
    run_unsure(place / "set", place / "other")
    with pytest.raises(OutputError, match="is a sharded target"):
        gather(str(place / "target"), place / "other", doubtful=2)


def test_a_url(place):
    said = automask("gather", "target", "--into", "s3://user:secret@bucket/store", "--doubtful", 2, cwd=place)
    assert said.returncode == ConfigError.exit_code, said.stderr
    assert "--into is s3://" in said.stderr
    assert "secret" not in said.stderr
    assert {path.name for path in place.iterdir()} == {"set", "target"}
