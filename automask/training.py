"""Masked loss in your own training loop, for torch.

The one module of `automask` that imports torch, and nothing imports it. In all of it weight 1 = train, 0 = ignore, as
in the masks. A loop in full::

    dataset = MaskedImages.of_store(Path("images-masks"), size_px=(1024, 1024), flip_probability=0.5)
    for batch in torch.utils.data.DataLoader(dataset, batch_size=4):
        latents = vae.encode(batch["pixels"])
        weight = weight_on_latents(batch["weight"], cell_px=8)
        ...
        errors = torch.nn.functional.mse_loss(predicted, target, reduction="none")
        loss = masked_loss(errors, weight)
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple, Self, TypedDict

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image as PillowImage
from PIL import ImageOps
from torch import Tensor
from torch.utils.data import IterableDataset

from automask.config import DecodeConfig
from automask.dataset.decode import decode_bytes
from automask.dataset.names import is_image_name, path_of
from automask.store import Decision, Status, Store

Normalise = Literal["none", "image", "batch"]
Reduction = Literal["area", "min"]

_MOST_UNMASKED = 1000
"""Images in a row without a mask after which two streams are taken to be out of step: half of a usual shard."""


def masked_loss(
    errors: Tensor,
    weight: Tensor,
    *,
    normalise: Normalise = "none",
    unmasked_weight: float = 0.0,
    prior_errors: Tensor | None = None,
    prior_weight: float = 1.0,
) -> Tensor:
    """Mean of an error over what a mask lets through.

    Without normalisation an image that is masked over half of its area counts half, as in sd-scripts, SimpleTuner and
    diffusion-pipe; that is the steadier choice. With it every image (or batch) counts the same, however little of it
    is left, as in musubi-tuner and ai-toolkit; steps on heavily masked images are then noisier.

    Never NaN because of a mask: an image that is masked as a whole gives 0 and no gradient, and errors that are not
    finite do not count where the weight is 0. Their own gradient is the caller's: d(x - y)**2 is not finite where x
    is not.

    Args:
        errors: (B, C, H, W), (B, C, T, H, W), (B, tokens, C) or any other float tensor with the batch first: an error
            without reduction, such as `mse_loss(predicted, target, reduction="none")`.
        weight: Weights 0..1 of as many axes, each as long as in `errors` or 1, the batch never 1 in place of more:
            (B, 1, H, W) for images, (B, 1, 1, H, W) for videos with one mask, (B, tokens, 1) for packed latents.
        normalise: `none` divides by the number of elements; `image` by each image's mean weight as well; `batch` by
            that of the whole batch.
        unmasked_weight: 0..1, least weight anywhere.
        prior_errors: As `errors`, between the prediction and that of the model before training (adapter off): holds
            the masked part where it was. It counts with 1 - weight.
        prior_weight: Factor of that part, 0 or more; it is never normalised.

    Returns:
        (B,) the loss of each image; take `.mean()`.

    Raises:
        ValueError: The shapes do not fit, or a number is out of range.
    """
    _check_weight(errors, weight)
    if not 0.0 <= unmasked_weight <= 1.0:
        raise ValueError(f"unmasked_weight must be within 0..1, got {unmasked_weight!r}")
    if prior_weight < 0.0:
        raise ValueError(f"prior_weight must be 0 or more, got {prior_weight!r}")
    weight = weight.to(dtype=_accumulator(errors), device=errors.device).clamp(unmasked_weight, 1.0)
    loss = _mean_per_image(errors, weight)
    if normalise != "none":
        share = weight.flatten(1).mean(dim=1)
        share = share.mean().expand_as(share) if normalise == "batch" else share
        loss = torch.where(share > 0, loss / share.clamp_min(torch.finfo(share.dtype).tiny), torch.zeros_like(loss))
    if prior_errors is not None:
        if prior_errors.shape != errors.shape:
            raise ValueError(f"prior_errors must be {tuple(errors.shape)}, got {tuple(prior_errors.shape)}")
        loss = loss + prior_weight * _mean_per_image(prior_errors, 1.0 - weight)
    return loss


def weight_on_latents(weight: Tensor, *, cell_px: int = 8, reduction: Reduction = "area") -> Tensor:
    """Reduce masks at training size to the latent grid.

    Args:
        weight: (B, 1, H, W) float, 0..1, H and W multiples of the cell.
        cell_px: Side of a latent cell in training pixels: 8 for SD, SDXL, Flux; 16 or 32 for some.
        reduction: `area` is the mean of each cell, right for masks that were grown by a cell. `min` is the least weight
            in each cell: whatever touches a masked pixel is ignored, right for masks that were not grown.

    Returns:
        (B, 1, H / cell_px, W / cell_px) of the same dtype.

    Raises:
        ValueError: Another shape, sides that are not multiples of the cell, or NaN or values outside of 0..1.
    """
    if weight.ndim != 4 or weight.shape[1] != 1:
        raise ValueError(f"weight must be (B, 1, H, W), got {tuple(weight.shape)}")
    if cell_px < 1:
        raise ValueError(f"cell_px must be 1 or more, got {cell_px}")
    height_px, width_px = weight.shape[-2:]
    if height_px % cell_px or width_px % cell_px:
        raise ValueError(f"{width_px} x {height_px} px is not a multiple of the cell of {cell_px} px")
    if not weight.is_floating_point() or not bool(((weight >= 0) & (weight <= 1)).all()):
        raise ValueError("weight must be floating point within 0..1, white = 1 = train")
    cells = weight.unfold(2, cell_px, cell_px).unfold(3, cell_px, cell_px)
    return cells.mean(dim=(-2, -1)) if reduction == "area" else cells.amin(dim=(-2, -1))


def weight_on_tokens(weight: Tensor, *, patch_cells: int = 2, channels: int | None = None) -> Tensor:
    """Lay weights on packed latents, as Flux and its like train on: one token for each patch of cells.

    Args:
        weight: (B, 1, rows, columns) on the latent grid, rows and columns multiples of the patch.
        patch_cells: Side of a patch in cells.
        channels: Channels of the latents before packing, to get a weight for each element of a token in the order of
            `latents.view(B, C, rows/p, p, columns/p, p).permute(0, 2, 4, 1, 3, 5)`; None for one weight a token.

    Returns:
        (B, tokens, 1), the mean of each patch, or (B, tokens, channels * patch_cells ** 2). Tokens run by rows.

    Raises:
        ValueError: Another shape, or a grid that is not a multiple of the patch.
    """
    if weight.ndim != 4 or weight.shape[1] != 1:
        raise ValueError(f"weight must be (B, 1, rows, columns), got {tuple(weight.shape)}")
    count, _, rows, columns = weight.shape
    if patch_cells < 1 or rows % patch_cells or columns % patch_cells:
        raise ValueError(f"{rows} x {columns} cells is not a multiple of a patch of {patch_cells}")
    if channels is not None and channels < 1:
        raise ValueError(f"channels must be 1 or more, got {channels}")
    patches = weight.view(count, 1, rows // patch_cells, patch_cells, columns // patch_cells, patch_cells)
    tokens = patches.permute(0, 2, 4, 1, 3, 5).reshape(count, -1, patch_cells**2)
    return tokens.mean(dim=2, keepdim=True) if channels is None else tokens.repeat(1, 1, channels)


class Pair(NamedTuple):
    """An image file and its mask file; None where there is nothing to mask."""

    image: Path
    mask: Path | None


class Sample(TypedDict):
    """What `MaskedImages` gives for one image.

    `pixels` is (3, H, W) float32 in -1..1, `weight` (1, H, W) float32 in 0..1 with 1 = train, `path` the image file.
    """

    pixels: Tensor
    weight: Tensor
    path: str


class MaskedImages:
    """A map-style dataset of images and masks that gives both the same resize, crop and flip.

    Images are turned upright as their EXIF data says, and so must the masks be; automask's are. Randomness comes from
    torch's global generator, which a `DataLoader` seeds anew for each worker.

    Args:
        pairs: Images and masks.
        size_px: (width, height) of the samples; images are scaled to cover it and cropped.
        random_crop: Crop anywhere; otherwise in the middle.
        flip_probability: Share of samples that are mirrored left to right, 0..1.

    Raises:
        ValueError: A size or probability out of range, or no pairs.
    """

    def __init__(
        self,
        pairs: Sequence[Pair],
        *,
        size_px: tuple[int, int],
        random_crop: bool = False,
        flip_probability: float = 0.0,
    ) -> None:
        if not pairs:
            raise ValueError("there are no images")
        self._pairs = tuple(pairs)
        self._cut = _Cut(size_px, random_crop=random_crop, flip_probability=flip_probability)

    @classmethod
    def of_store(
        cls, store: Path, *, size_px: tuple[int, int], random_crop: bool = False, flip_probability: float = 0.0
    ) -> Self:
        """All images of an output of `automask run` that have a mask and were not excluded in review.

        Raises:
            StoreError: There is no usable store, or nothing was run on it.
            ValueError: No image has a mask.
        """
        with Store.open(store, read_only=True) as opened:
            last = opened.last_run()
            root = Path(last.input_root) if last is not None else store
            pairs = [
                Pair(path_of(root, row.image_id), opened.mask_path(row.mask_name))
                for row in opened.images(status=Status.DONE)
                if row.mask_name is not None and row.decision is not Decision.EXCLUDED
            ]
        return cls(pairs, size_px=size_px, random_crop=random_crop, flip_probability=flip_probability)

    def __len__(self) -> int:
        return len(self._pairs)

    def __getitem__(self, index: int) -> Sample:
        """One sample.

        Raises:
            IndexError: There is no such sample.
            ImageError: The image cannot be decoded.
            OSError: A file cannot be read.
            ValueError: Image and mask differ in size.
        """
        pair = self._pairs[index]
        image = decode_bytes(pair.image.read_bytes(), image_id=str(pair.image), config=DecodeConfig()).image
        levels = _mask_levels(pair, image.pixels.shape[:2])
        pixels, weight = self._cut(image.pixels, levels)
        return Sample(pixels=pixels, weight=weight, path=str(pair.image))


class MaskedStream(IterableDataset[dict[str, Any]]):  # type: ignore[misc, unused-ignore]
    """Images and masks of shards, read together: both get the same resize, crop and flip.

    Both must go through the same shards in the same order; shuffle the list of shards before, or samples behind. An
    image without a mask (it could not be read when masks were made) is left out. What comes is a dict: `pixels` and
    `weight` as in `Sample`, `key`, and the fields of `texts` that the sample has, as str.

    Args:
        images: Samples as WebDataset or `datasets` give them: `__key__`, and an image, encoded or opened by Pillow.
        masks: The same with masks under `png`.
        size_px: (width, height) of what comes; see `MaskedImages`, for the next two as well.
        random_crop: Crop anywhere.
        flip_probability: Share that is mirrored.
        texts: Further fields to pass on.

    Raises:
        ValueError: A size or probability out of range. While reading: no image under any known name, image and mask of
            different sizes, or two streams that are not in the same order.
        ImageError: While reading: an image cannot be decoded.
    """

    def __init__(
        self,
        images: Iterable[Mapping[str, Any]],
        masks: Iterable[Mapping[str, Any]],
        *,
        size_px: tuple[int, int],
        random_crop: bool = False,
        flip_probability: float = 0.0,
        texts: Sequence[str] = ("txt",),
    ) -> None:
        self._images = images
        self._masks = masks
        self._cut = _Cut(size_px, random_crop=random_crop, flip_probability=flip_probability)
        self._texts = tuple(texts)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        """One pass over both streams."""
        masks = iter(self._masks)
        mask = next(masks, None)
        unmasked = 0
        for sample in self._images:
            if mask is None:
                return
            if sample["__key__"] != mask["__key__"]:
                unmasked += 1
                if unmasked > _MOST_UNMASKED:
                    break
                continue
            yield self._given(sample, mask)
            unmasked = 0
            mask = next(masks, None)
        if mask is not None:
            raise ValueError(f"no image for the mask {mask['__key__']!r}: give the same shards in the same order")

    def _given(self, sample: Mapping[str, Any], mask: Mapping[str, Any]) -> dict[str, Any]:
        key = str(sample["__key__"])
        image = _upright(sample)
        drawn = mask["png"]
        levels = np.asarray((PillowImage.open(io.BytesIO(drawn)) if isinstance(drawn, bytes) else drawn).convert("L"))
        _check_size(levels, image.shape[:2], mask=f"the mask of {key}", image=key)
        pixels, weight = self._cut(image, levels)
        given = {"key": key, "pixels": pixels, "weight": weight}
        for name in self._texts:
            if name in sample:
                given[name] = sample[name].decode() if isinstance(sample[name], bytes) else sample[name]
        return given


class _Cut:
    """The same resize, crop and flip for an image and its mask; randomness is torch's."""

    def __init__(self, size_px: tuple[int, int], *, random_crop: bool, flip_probability: float) -> None:
        if min(size_px) < 1:
            raise ValueError(f"size_px must be positive, got {size_px}")
        if not 0.0 <= flip_probability <= 1.0:
            raise ValueError(f"flip_probability must be within 0..1, got {flip_probability!r}")
        self._size_px = size_px
        self._random_crop = random_crop
        self._flip_probability = flip_probability

    def __call__(self, image: NDArray[np.uint8], levels: NDArray[np.uint8]) -> tuple[Tensor, Tensor]:
        """`Sample`'s pixels and weight of an image (H, W, 3) uint8 RGB and a mask (H, W) uint8."""
        pixels, weight = _resized(image, levels, self._size_px)
        left, top = self._corner(weight.shape)
        window = np.s_[top : top + self._size_px[1], left : left + self._size_px[0]]
        pixels, weight = pixels[window], weight[window]
        if self._flip_probability and torch.rand(()).item() < self._flip_probability:
            pixels, weight = pixels[:, ::-1], weight[:, ::-1]
        return (
            torch.from_numpy(pixels.transpose(2, 0, 1).astype(np.float32) / 127.5 - 1.0),
            torch.from_numpy(weight[None].astype(np.float32) / 255.0),
        )

    def _corner(self, shape: tuple[int, ...]) -> tuple[int, int]:
        """(left, top) of the crop in an array of (rows, columns)."""
        room = (shape[1] - self._size_px[0], shape[0] - self._size_px[1])
        if not self._random_crop:
            return room[0] // 2, room[1] // 2
        return int(torch.randint(room[0] + 1, ())), int(torch.randint(room[1] + 1, ()))


def _upright(sample: Mapping[str, Any]) -> NDArray[np.uint8]:
    """The image (H, W, 3) uint8 RGB of a sample of a stream, turned as its EXIF data says."""
    key = sample["__key__"]
    image = next((sample[name] for name in sample if name == "image" or is_image_name(f"x.{name}")), None)
    if image is None:
        raise ValueError(f"{key} has no image, only {', '.join(sample)}")
    if isinstance(image, bytes):
        return decode_bytes(image, image_id=str(key), config=DecodeConfig()).image.pixels
    return np.asarray(ImageOps.exif_transpose(image).convert("RGB"))


def _check_weight(errors: Tensor, weight: Tensor) -> None:
    if not errors.is_floating_point() or errors.ndim < 2:
        raise ValueError(f"errors must be floating point with the batch first, got {errors.dtype} {errors.ndim} axes")
    fits = weight.ndim == errors.ndim and weight.shape[0] == errors.shape[0]
    if not fits or any(own not in (1, full) for own, full in zip(weight.shape, errors.shape, strict=True)):
        raise ValueError(
            f"weight {tuple(weight.shape)} does not fit errors {tuple(errors.shape)}: as many axes are needed, each as "
            "long or 1"
        )


def _accumulator(errors: Tensor) -> torch.dtype:
    # A mean over 64 x 64 x 16 elements overflows or loses its digits in half precision.
    return torch.float32 if errors.dtype in (torch.float16, torch.bfloat16) else errors.dtype


def _mean_per_image(errors: Tensor, weight: Tensor) -> Tensor:
    # Not errors * weight alone: 0 * inf is NaN.
    counted = errors.to(weight.dtype).masked_fill(weight <= 0, 0.0)
    return (counted * weight).flatten(1).mean(dim=1)


def _mask_levels(pair: Pair, shape: tuple[int, ...]) -> NDArray[np.uint8]:
    if pair.mask is None:
        return np.full(shape, 255, dtype=np.uint8)
    with PillowImage.open(pair.mask) as mask:
        levels = np.asarray(mask.convert("L"))
    _check_size(levels, shape, mask=str(pair.mask), image=str(pair.image))
    return levels


def _check_size(levels: NDArray[np.uint8], shape: tuple[int, ...], *, mask: str, image: str) -> None:
    if levels.shape != shape:
        raise ValueError(
            f"{mask} is {levels.shape[1]} x {levels.shape[0]} px, but {image} is {shape[1]} x {shape[0]} px upright"
        )


def _resized(
    pixels: NDArray[np.uint8], levels: NDArray[np.uint8], size_px: tuple[int, int]
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Scale both until they cover a size: the image smoothly, the mask without over- and undershoot."""
    height_px, width_px = levels.shape
    scale = max(size_px[0] / width_px, size_px[1] / height_px)
    size = (max(size_px[0], round(width_px * scale)), max(size_px[1], round(height_px * scale)))
    if size == (width_px, height_px):
        return pixels, levels
    picture = PillowImage.fromarray(pixels).resize(size, PillowImage.Resampling.LANCZOS)
    mask = PillowImage.fromarray(levels).resize(size, PillowImage.Resampling.BILINEAR)
    return np.asarray(picture), np.asarray(mask)
