"""An export of masks costs no more than one and a half times reading and writing the same masks with Pillow."""

import hashlib
import io
import time

import numpy as np
import pytest
from export_cases import export
from PIL import Image, ImageDraw, ImageFont
from store_cases import File

from automask.config import PipelineConfig
from automask.mask.drawing import fuse_fingerprint
from automask.mask.rendering import Mask
from automask.store import Store
from automask.values.geometry import Box
from automask.values.types import Fingerprints, Found, Kind, Patch, Region, Verdict

pytestmark = pytest.mark.slow

COUNT = 150
SIDE_PX = 1000
CONFIG = PipelineConfig()


def lettering(seed: int) -> tuple[list[Region], list[Patch]]:
    rng = np.random.default_rng(seed)
    regions, patches = [], []
    for line in range(6):
        picture = Image.new("L", (400, 60))
        font = ImageFont.load_default(int(rng.integers(16, 48)))
        ImageDraw.Draw(picture).text((2, 2), f"line {line} of image {seed}", fill=255, font=font)
        x, y = int(rng.integers(0, SIDE_PX - 400)), int(rng.integers(0, SIDE_PX - 60))
        box = Box(x, y, x + 400, y + 60)
        regions.append(Region(Kind.TEXT, box, 0.9, "test"))
        patches.append(Patch(box, np.asarray(picture) > 128, 1.0, "test"))
    return regions, patches


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """A store of masks of one megapixel, as a run leaves it; image files are not read by this export."""
    folder = tmp_path_factory.mktemp("speed") / "images"
    folder.mkdir()
    fingerprints = Fingerprints("detect", "refine", fuse_fingerprint(CONFIG, "refine"))
    root = folder.with_name("images-masks")
    with Store.open(root, create=True) as opened:
        run_id = opened.begin_run(config_json=CONFIG.model_dump_json(), input_root=str(folder), version="0")
        for number in range(COUNT):
            path = folder / f"{number:04d}.png"
            path.write_bytes(str(number).encode())
            regions, patches = lettering(number)
            size = {"width_px": SIDE_PX, "height_px": SIDE_PX}
            mask = Mask.from_patches(patches, regions, **size, render=CONFIG.render, policy=CONFIG.policy)
            result = Found(path.name, SIDE_PX, SIDE_PX, regions, patches, (), fingerprints).judged(
                confidence=0.9, verdict=Verdict.AUTO, fingerprints=fingerprints
            )
            facts = path.stat()
            file = File(path.name, path, facts.st_size, facts.st_mtime_ns, facts.st_ctime_ns, path.name)
            content = hashlib.sha256(path.read_bytes()).hexdigest()
            opened.put_result(file, result, mask.levels, content_sha256=content)
        opened.finish_run(run_id, status="done")
    return root


def test_a_mask_folder_takes_no_longer_than_pillow_needs(store, tmp_path):
    def with_pillow() -> float:
        started = time.perf_counter()
        for path in sorted((store / "masks").glob("*.png")):
            with Image.open(path) as picture:
                picture.load()
                picture.save(io.BytesIO(), "PNG")
        return time.perf_counter() - started

    def ours(attempt: int) -> float:
        started = time.perf_counter()
        summary = export(store, "kohya", output=tmp_path / str(attempt))
        assert summary.written == COUNT + 2
        return time.perf_counter() - started

    pairs = [(ours(attempt), with_pillow()) for attempt in range(3)]
    assert min(one / other for one, other in pairs) <= 1.5
