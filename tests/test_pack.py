"""Materials that travel: so much of a folder as fits, which is a folder of materials itself."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from automask.errors import InputError
from automask_training.synth.index import MaterialIndex
from automask_training.synth.pack import SHARES, main, pack

_SIZES = {"backgrounds": (40, 900), "sprites": (40, 700), "logos": (60, 90), "marks": (5, 100), "negatives": (30, 300)}


@pytest.fixture
def materials(tmp_path: Path) -> Path:
    folder = tmp_path / "materials"
    listed: dict[str, list[dict[str, object]]] = {"frames": []}
    for kind, (count, size) in _SIZES.items():
        (folder / kind).mkdir(parents=True)
        listed[kind] = []
        for number in range(count):
            (folder / kind / f"{number}.bin").write_bytes(bytes(size))
            source = "rare" if number == 0 else f"s{number % 3}"
            listed[kind].append({"file": f"{kind}/{number}.bin", "source": source, "licence": "CC0"})
    (folder / "fonts").mkdir()
    (folder / "fonts" / "small.ttf").write_bytes(bytes(400))
    (folder / "fonts" / "huge.ttc").write_bytes(bytes(9_000))
    faces = [("small.ttf", 0), ("huge.ttc", 0), ("huge.ttc", 1)]
    listed["faces"] = [
        {"file": f"fonts/{file}", "index": index, "style": "plain", "scripts": ["latin"]} for file, index in faces
    ]
    (folder / "materials.json").write_text(json.dumps(listed))
    return folder


def test_a_pack_fits_and_has_something_of_every_kind_and_source(materials: Path, tmp_path: Path) -> None:
    counts = pack(materials, tmp_path / "pack", most_bytes=30_000)
    files = [path for path in (tmp_path / "pack").rglob("*") if path.suffix in (".bin", ".ttf", ".ttc")]
    assert 20_000 < sum(path.stat().st_size for path in files) <= 30_000
    index = MaterialIndex.read(tmp_path / "pack")
    assert {each.file for each in index.backgrounds} < {each.file for each in MaterialIndex.read(materials).backgrounds}
    assert {each.source for each in index.backgrounds} == {"rare", "s0", "s1", "s2"}
    assert [face.file for face in index.faces] == ["fonts/small.ttf"]
    assert counts["marks"] == len(index.marks) == 5
    assert sorted(each.relative_to(tmp_path / "pack").as_posix() for each in files) == sorted(
        {each.file for kind in SHARES for each in getattr(index, kind)}
    )


def test_all_of_it_fits_into_more(materials: Path, tmp_path: Path) -> None:
    pack(materials, tmp_path / "pack", most_bytes=10_000_000)
    assert MaterialIndex.read(tmp_path / "pack") == MaterialIndex.read(materials)


def test_the_same_size_gives_the_same_pack(materials: Path, tmp_path: Path) -> None:
    for name in ("one", "two"):
        pack(materials, tmp_path / name, most_bytes=20_000)
    one, two = (MaterialIndex.read(tmp_path / name) for name in ("one", "two"))
    assert one == two


def test_what_is_there_is_not_overwritten(materials: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(InputError, match="is there already"):
        pack(materials, tmp_path, most_bytes=20_000)
    assert main([str(tmp_path / "none"), str(tmp_path / "pack"), "--megabytes", "1"]) != 0
    assert "holds no materials.json" in capsys.readouterr().err
