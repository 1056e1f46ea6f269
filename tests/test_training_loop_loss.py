"""Masked loss and weights on latents: values, gradients, no NaN."""

import importlib

import numpy as np
import pytest

pytestmark = pytest.mark.slow
torch = pytest.importorskip("torch", reason="needs torch, which an extra brings; the slow suite runs it")
training = importlib.import_module("automask.training")

NORMALISE = ("none", "image", "batch")


def errors_and_weight(seed=0, shape=(3, 4, 6, 5)):
    generator = torch.Generator().manual_seed(seed)
    errors = torch.rand(shape, generator=generator, dtype=torch.float64)
    weight = torch.rand((shape[0], 1, *shape[2:]), generator=generator, dtype=torch.float64)
    return errors, weight


def test_values_against_numpy():
    errors, weight = errors_and_weight()
    e, w = errors.numpy(), weight.numpy()
    plain = (e * w).mean(axis=(1, 2, 3))
    shares = w.mean(axis=(1, 2, 3))
    np.testing.assert_allclose(training.masked_loss(errors, weight), plain)
    np.testing.assert_allclose(training.masked_loss(errors, weight, normalise="image"), plain / shares)
    np.testing.assert_allclose(training.masked_loss(errors, weight, normalise="batch"), plain / shares.mean())
    lifted = training.masked_loss(errors, weight, unmasked_weight=0.4)
    np.testing.assert_allclose(lifted, (e * np.clip(w, 0.4, 1)).mean(axis=(1, 2, 3)))


def test_image_normalisation_is_the_trainers_sum_over_sum():
    errors, weight = errors_and_weight()
    expected = (errors * weight).sum(dim=(1, 2, 3)) / weight.expand_as(errors).sum(dim=(1, 2, 3))
    torch.testing.assert_close(training.masked_loss(errors, weight, normalise="image"), expected)


def test_prior_counts_where_the_mask_does_not():
    errors, weight = errors_and_weight()
    prior, _ = errors_and_weight(seed=1)
    expected = (errors * weight + 0.5 * prior * (1 - weight)).mean(dim=(1, 2, 3))
    actual = training.masked_loss(errors, weight, prior_errors=prior, prior_weight=0.5)
    torch.testing.assert_close(actual, expected)


@pytest.mark.parametrize("normalise", NORMALISE)
@pytest.mark.parametrize("with_prior", [False, True])
def test_gradients(normalise, with_prior):
    predicted, weight = errors_and_weight(shape=(2, 2, 3, 3))
    target, _ = errors_and_weight(seed=2, shape=(2, 2, 3, 3))
    weight = (weight > 0.4).double()
    frozen = target + 1

    def loss(prediction):
        prior = (prediction - frozen) ** 2 if with_prior else None
        errors = (prediction - target) ** 2
        return training.masked_loss(errors, weight, normalise=normalise, prior_errors=prior)

    assert torch.autograd.gradcheck(loss, predicted.requires_grad_())
    loss(predicted).mean().backward()
    masked = (weight == 0).expand_as(predicted)
    assert bool((predicted.grad[masked] != 0).all()) is with_prior
    assert bool((predicted.grad[~masked] != 0).all())


@pytest.mark.parametrize("normalise", NORMALISE)
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
def test_a_fully_masked_image_gives_nothing_and_no_nan(normalise, dtype):
    errors = torch.ones((2, 4, 8, 8), dtype=dtype, requires_grad=True)
    weight = torch.ones((2, 1, 8, 8))
    weight[0] = 0
    loss = training.masked_loss(errors, weight, normalise=normalise)
    loss.mean().backward()
    assert loss[0] == 0
    assert loss[1] > 0
    assert bool(torch.isfinite(errors.grad).all())
    assert bool((errors.grad[0] == 0).all())
    nothing = training.masked_loss(errors, torch.zeros((2, 1, 8, 8)), normalise=normalise)
    assert nothing.tolist() == [0, 0]


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_errors_that_are_not_finite_do_not_leak_through_the_mask(bad):
    errors = torch.ones((1, 2, 2, 2))
    errors[..., 0] = bad
    errors.requires_grad_()
    weight = torch.tensor([[[[0.0, 1.0], [0.0, 1.0]]]])
    loss = training.masked_loss(errors, weight, normalise="image")
    loss.sum().backward()
    assert loss.item() == 1
    assert bool(torch.isfinite(errors.grad).all())


def test_half_precision_is_summed_in_single():
    errors = torch.full((1, 16, 128, 128), 100.0, dtype=torch.float16)
    loss = training.masked_loss(errors, torch.ones((1, 1, 128, 128)))
    assert (loss.dtype, loss.item()) == (torch.float32, 100.0)


@pytest.mark.parametrize("weight_shape", [(2, 1, 1, 4, 4), (2, 1, 3, 4, 4)])
def test_videos_take_one_mask_or_one_a_frame(weight_shape):
    errors = torch.rand((2, 4, 3, 4, 4))
    weight = torch.rand(weight_shape)
    expected = (errors * weight).mean(dim=(1, 2, 3, 4))
    torch.testing.assert_close(training.masked_loss(errors, weight), expected)


@pytest.mark.parametrize(
    ("weight_shape", "options", "message"),
    [
        ((2, 4, 4), {}, "does not fit"),
        ((1, 1, 4, 4), {}, "does not fit"),
        ((2, 1, 4, 5), {}, "does not fit"),
        ((2, 1, 4, 4), {"unmasked_weight": 1.5}, "unmasked_weight"),
        ((2, 1, 4, 4), {"prior_weight": -1.0}, "prior_weight"),
        ((2, 1, 4, 4), {"prior_errors": torch.zeros((2, 3, 4, 5))}, "prior_errors"),
    ],
)
def test_what_does_not_fit_is_refused(weight_shape, options, message):
    with pytest.raises(ValueError, match=message):
        training.masked_loss(torch.zeros((2, 3, 4, 4)), torch.zeros(weight_shape), **options)


@pytest.mark.parametrize("cell_px", [8, 16, 32])
def test_reduction_to_cells(cell_px):
    generator = torch.Generator().manual_seed(3)
    weight = (torch.rand((2, 1, 64, 96), generator=generator) > 0.1).float()
    area = training.weight_on_latents(weight, cell_px=cell_px)
    assert area.shape == (2, 1, 64 // cell_px, 96 // cell_px)
    expected = torch.nn.functional.interpolate(weight, size=area.shape[-2:], mode="area")
    torch.testing.assert_close(area, expected)
    least = training.weight_on_latents(weight, cell_px=cell_px, reduction="min")
    assert bool((least <= area + 1e-6).all())
    assert set(least.unique().tolist()) <= {0.0, 1.0}


@pytest.mark.parametrize(
    ("weight", "message"),
    [
        (torch.ones((1, 3, 8, 8)), "must be"),
        (torch.ones((1, 1, 8, 9)), "multiple"),
        (torch.full((1, 1, 8, 8), 255.0), "within"),
        (torch.full((1, 1, 8, 8), float("nan")), "within"),
        (torch.ones((1, 1, 8, 8), dtype=torch.uint8), "floating"),
    ],
)
def test_weights_that_cannot_be_reduced_are_refused(weight, message):
    with pytest.raises(ValueError, match=message):
        training.weight_on_latents(weight)


def test_tokens_have_the_order_of_packed_latents():
    latents = torch.rand((2, 4, 6, 8))
    weight = torch.rand((2, 1, 6, 8))

    def pack(values):
        count, channels, rows, columns = values.shape
        patches = values.view(count, channels, rows // 2, 2, columns // 2, 2).permute(0, 2, 4, 1, 3, 5)
        return patches.reshape(count, rows // 2 * (columns // 2), channels * 4)

    on_tokens = training.weight_on_tokens(weight, channels=4)
    torch.testing.assert_close(pack(latents) * on_tokens, pack(latents * weight))
    torch.testing.assert_close(training.masked_loss(pack(latents), on_tokens), training.masked_loss(latents, weight))
    mean = training.weight_on_tokens(weight)
    torch.testing.assert_close(mean[..., 0], on_tokens.mean(dim=2))
    with pytest.raises(ValueError, match="multiple"):
        training.weight_on_tokens(torch.ones((1, 1, 5, 4)))
