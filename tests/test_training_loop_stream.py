"""Images and masks of shards, read together: in step, cut and flipped alike, whatever library gives the samples."""

import importlib
import io
import tarfile

import numpy as np
import pytest
from PIL import Image

pytestmark = pytest.mark.slow
torch = pytest.importorskip("torch", reason="needs torch, which an extra brings; the slow suite runs it")
training = importlib.import_module("automask.training")

SIZE_PX = (64, 40)


def encoded(levels, form="PNG", **options):
    out = io.BytesIO()
    Image.fromarray(levels).save(out, form, **options)
    return out.getvalue()


def sample_pair(seed):
    """A picture that is black exactly where its mask is, as samples of two streams."""
    small = np.random.default_rng(seed).integers(0, 2, (9, 12), dtype=np.uint8) * 255
    levels = np.asarray(Image.fromarray(small).resize((120, 90), Image.Resampling.NEAREST))
    key = f"sub/{seed:04d}"
    image = {
        "__key__": key,
        "jpg": encoded(levels, "JPEG", quality=98),
        "txt": f"number {seed}".encode(),
        "json": b"{}",
    }
    return image, {"__key__": key, "png": encoded(levels)}


def shards(folder, *, count=6, unreadable=()):
    """Two tars as a sharded run leaves them: images with captions, and masks of those that could be read."""
    pairs = [sample_pair(seed) for seed in range(count)]
    for name, samples in (
        ("images.tar", [image for image, _ in pairs]),
        ("masks.tar", [mask for seed, (_, mask) in enumerate(pairs) if seed not in unreadable]),
    ):
        with tarfile.open(folder / name, "w") as tar:
            for sample in samples:
                for field, data in sample.items():
                    if field != "__key__":
                        member = tarfile.TarInfo(f"{sample['__key__']}.{field}")
                        member.size = len(data)
                        tar.addfile(member, io.BytesIO(data))
    return folder / "images.tar", folder / "masks.tar"


def check(given, *, seeds):
    assert [one["txt"] for one in given] == [f"number {seed}" for seed in seeds]
    for one in given:
        assert one["pixels"].shape == (3, SIZE_PX[1], SIZE_PX[0])
        grey, weight = (one["pixels"].mean(dim=0) + 1) / 2, one["weight"][0]
        assert (grey - weight).abs().mean() < 0.1, "black where the mask is, after the same crop and flip"


@pytest.mark.parametrize("options", [{}, {"random_crop": True, "flip_probability": 0.5}, {"flip_probability": 1.0}])
def test_both_streams_are_cut_and_flipped_alike(options):
    pairs = [sample_pair(seed) for seed in range(4)]
    stream = training.MaskedStream([i for i, _ in pairs], [m for _, m in pairs], size_px=SIZE_PX, **options)
    check(list(stream), seeds=range(4))
    check(list(stream), seeds=range(4))


@pytest.mark.parametrize("unreadable", [(0,), (2, 3), (5,), (0, 2, 5)])
def test_images_without_a_mask_are_left_out(unreadable):
    pairs = [sample_pair(seed) for seed in range(6)]
    masks = [mask for seed, (_, mask) in enumerate(pairs) if seed not in unreadable]
    stream = training.MaskedStream([image for image, _ in pairs], masks, size_px=SIZE_PX)
    check(list(stream), seeds=[seed for seed in range(6) if seed not in unreadable])


def test_streams_out_of_step_are_an_error():
    pairs = [sample_pair(seed) for seed in range(4)]
    stream = training.MaskedStream([i for i, _ in pairs], [m for _, m in reversed(pairs)], size_px=SIZE_PX)
    with pytest.raises(ValueError, match="same shards in the same order"):
        list(stream)


def test_an_endless_stream_without_masks_ends():
    image, _ = sample_pair(1)

    def endless():
        while True:
            yield image

    stream = training.MaskedStream(endless(), [sample_pair(2)[1]], size_px=SIZE_PX)
    with pytest.raises(ValueError, match="'sub/0002'"):
        list(stream)


def test_other_sizes_and_samples_without_an_image_are_errors():
    (image, mask), other = sample_pair(1), {"__key__": "sub/0001", "png": encoded(np.zeros((8, 8), np.uint8))}
    with pytest.raises(ValueError, match=r"8 x 8 px, but sub/0001 is 120 x 90 px"):
        list(training.MaskedStream([image], [other], size_px=SIZE_PX))
    with pytest.raises(ValueError, match="sub/0001 has no image, only __key__, txt"):
        list(training.MaskedStream([{"__key__": "sub/0001", "txt": b""}], [mask], size_px=SIZE_PX))


@pytest.mark.parametrize("workers", [0, 2])
def test_webdataset_reads_both(tmp_path, workers):
    wds = pytest.importorskip("webdataset", reason="pip install webdataset")
    images, masks = shards(tmp_path, unreadable=(2,))
    second = tmp_path / "second"
    second.mkdir()
    more, more_masks = shards(second)
    stream = training.MaskedStream(
        wds.WebDataset([str(images), str(more)], shardshuffle=False),
        wds.WebDataset([str(masks), str(more_masks)], shardshuffle=False),
        size_px=SIZE_PX,
    )
    given = [
        {"txt": text, "pixels": pixels, "weight": weight}
        for batch in torch.utils.data.DataLoader(stream, batch_size=2, num_workers=workers)
        for text, pixels, weight in zip(batch["txt"], batch["pixels"], batch["weight"], strict=True)
    ]
    given.sort(key=lambda one: one["txt"])
    check(given, seeds=[0, 0, 1, 1, 2, 3, 3, 4, 4, 5, 5])


def test_datasets_streams_both(tmp_path):
    datasets = pytest.importorskip("datasets", reason="pip install datasets")
    images, masks = shards(tmp_path, unreadable=(2,))
    both = [
        datasets.load_dataset("webdataset", data_files=str(path), split="train", streaming=True)
        for path in (images, masks)
    ]
    check(list(training.MaskedStream(*both, size_px=SIZE_PX)), seeds=[0, 1, 3, 4, 5])
