"""Image and mask get the same resize, crop and flip."""

import importlib

import numpy as np
import pytest
from cli_process import CHEAP, automask, draw_images
from PIL import Image

pytestmark = pytest.mark.slow
torch = pytest.importorskip("torch", reason="needs torch, which an extra brings; the slow suite runs it")
training = importlib.import_module("automask.training")

SIZE_PX = (64, 40)


def write_pair(folder, *, orientation=1, mask_size=None):
    """A picture that is black exactly where its mask is, so that what is done to both can be compared."""
    rng = np.random.default_rng(5)
    small = rng.integers(0, 2, (9, 12), dtype=np.uint8) * 255
    levels = Image.fromarray(small).resize((120, 90), Image.Resampling.NEAREST)
    stored = levels.convert("RGB")
    exif = Image.Exif()
    if orientation == 6:  # stored pixels are the upright ones turned to the left
        stored = stored.transpose(Image.Transpose.ROTATE_90)
        exif[0x0112] = 6
    image, mask = folder / "a.png", folder / "mask.png"
    stored.save(image, exif=exif)
    (levels.resize(mask_size) if mask_size else levels).save(mask)
    return training.Pair(image, mask)


@pytest.mark.parametrize("orientation", [1, 6])
@pytest.mark.parametrize("options", [{}, {"random_crop": True, "flip_probability": 0.5}, {"flip_probability": 1.0}])
def test_both_are_cut_and_flipped_alike(tmp_path, orientation, options):
    dataset = training.MaskedImages([write_pair(tmp_path, orientation=orientation)], size_px=SIZE_PX, **options)
    torch.manual_seed(0)
    seen = set()
    for _ in range(8):
        sample = dataset[0]
        assert sample["pixels"].shape == (3, SIZE_PX[1], SIZE_PX[0])
        assert sample["weight"].shape == (1, SIZE_PX[1], SIZE_PX[0])
        assert sample["weight"].dtype == torch.float32
        brightness = sample["pixels"].mean(dim=0) / 2 + 0.5
        assert float((brightness - sample["weight"][0]).abs().mean()) < 0.06
        seen.add(sample["weight"].numpy().tobytes())
    assert (len(seen) > 2) is bool(options.get("random_crop"))


def test_no_mask_is_white(tmp_path):
    pair = write_pair(tmp_path)
    sample = training.MaskedImages([pair._replace(mask=None)], size_px=SIZE_PX)[0]
    assert bool((sample["weight"] == 1).all())


def test_a_mask_of_another_size_is_refused(tmp_path):
    pair = write_pair(tmp_path, mask_size=(90, 120))
    with pytest.raises(ValueError, match="90 x 120"):
        training.MaskedImages([pair], size_px=SIZE_PX)[0]


def test_arguments_are_checked(tmp_path):
    pair = write_pair(tmp_path)
    with pytest.raises(ValueError, match="no images"):
        training.MaskedImages([], size_px=SIZE_PX)
    with pytest.raises(ValueError, match="flip_probability"):
        training.MaskedImages([pair], size_px=SIZE_PX, flip_probability=2)
    with pytest.raises(ValueError, match="size_px"):
        training.MaskedImages([pair], size_px=(0, 8))


def test_a_store_feeds_a_data_loader(tmp_path):
    folder = draw_images(tmp_path / "set", 4)
    assert automask("run", folder, *CHEAP).returncode == 0
    dataset = training.MaskedImages.of_store(tmp_path / "set-masks", size_px=SIZE_PX, flip_probability=0.5)
    assert len(dataset) == 4
    (batch,) = torch.utils.data.DataLoader(dataset, batch_size=4)
    weight = training.weight_on_latents(batch["weight"])
    assert weight.shape == (4, 1, 5, 8)
    assert 0 < float(weight.mean()) < 1  # every second picture has bars
    loss = training.masked_loss(batch["pixels"].square(), batch["weight"])
    assert bool(torch.isfinite(loss).all())
