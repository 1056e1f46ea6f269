"""Exports are read as the trainers read them: what must not be learned weighs nothing, what is clean weighs all."""

import shutil

import numpy as np
import pytest
from export_cases import artefact_of, export, make_dataset, make_store
from PIL import Image
from trainer_loaders import CELL_PX, LOADERS, antialiased, blocks, nearest, nearest_exact

from automask.config import PipelineConfig, RenderConfig
from automask.trainers import reducers
from automask.trainers.conventions import TRAINERS

LEAK = 0.03
COVERED = 0.02


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    return make_dataset(tmp_path_factory.mktemp("contract") / "images")


@pytest.fixture(scope="module")
def store(images):
    return make_store(images)


def pictures(images):
    return sorted(path for path in images.iterdir() if path.suffix != ".txt")


def test_every_trainer_has_a_loader_here():
    assert set(LOADERS) == set(TRAINERS)


@pytest.fixture(scope="module", params=sorted(LOADERS))
def exported(request, store, tmp_path_factory):
    output = tmp_path_factory.mktemp("out") / request.param
    export(store, request.param, output=output)
    return request.param, output


def test_what_was_found_is_not_trained(exported, images, store):
    name, output = exported
    worst = []
    for path in pictures(images):
        seen = LOADERS[name](path, output, images)
        covered = seen.follow(artefact_of(store, path.name)) > COVERED
        assert np.isfinite(seen.cells).all()
        if path.name == "clean.png":
            assert not covered.any()
            continue
        assert covered.sum() > 20, f"{path.name} has too little on it to say anything"
        leak = float(seen.cells[covered].mean())
        worst.append(float(seen.cells[covered].max()))
        assert leak <= LEAK, f"{path.name}: {leak:.3f} of the weight is left"
        assert seen.cells.mean() > 0.3, f"{path.name} is masked nearly everywhere"
    if name != "ai-toolkit":  # its random blur reaches some cells now and then
        assert max(worst) <= 0.1


def test_a_clean_image_stays_white(exported, images):
    name, output = exported
    seen = LOADERS[name](images / "clean.png", output, images)
    assert (seen.cells == 1.0).all()


def test_no_mask_is_extra(exported, images):
    """sd-scripts stops at a mask without an image."""
    _, output = exported
    stems = {path.stem for path in pictures(images)}
    if (output / "masks").is_dir():
        assert {path.stem for path in (output / "masks").rglob("*") if path.is_file()} == stems


def test_normalised_losses_are_numbers(store, images, tmp_path):
    """ai-toolkit, musubi and AnimaLoraStudio divide by the mean: an image without a trained cell must not be there."""
    folder = shutil.copytree(images, tmp_path / "with-black")
    Image.new("RGB", (640, 512), (255, 0, 0)).save(folder / "all-red.png")
    store = make_store(folder)
    for name in ("ai-toolkit", "musubi", "animalora", "onetrainer"):
        output = tmp_path / name
        summary = export(store, name, output=output, images="link")
        assert summary.left_out == {"fully-masked": ("all-red.png",)}
        assert not list(output.rglob("all-red*"))
        for floor in (0.0, 0.1, 1.0):
            for path in pictures(images):
                cells = LOADERS[name](folder / path.name, output, folder).cells
                lifted = floor + cells * (1 - floor)
                assert np.isfinite(lifted / lifted.mean()).all()
                assert np.isfinite((lifted * 0.5).sum() / lifted.sum())


@pytest.mark.parametrize("name", ["kohya", "onetrainer", "diffusion-pipe"])
@pytest.mark.parametrize("render", [RenderConfig(training_px=512), RenderConfig(training_px=2048, growth_cells=0.5)])
def test_the_export_makes_up_for_another_rendering_of_the_store(name, render, images, tmp_path):
    """Masks drawn for another resolution are drawn again for the one that is asked for."""
    store = make_store(shutil.copytree(images, tmp_path / "images"), config=PipelineConfig(render=render))
    images = tmp_path / "images"
    export(store, name, output=tmp_path / name, training_px=1024)
    for path in pictures(images):
        if path.name == "clean.png":
            continue
        seen = LOADERS[name](path, tmp_path / name, images)
        covered = seen.follow(artefact_of(store, path.name)) > COVERED
        assert seen.cells[covered].mean() <= LEAK


@pytest.mark.parametrize(("training_px", "cell_px"), [(512, 8), (768, 16), (1536, 32)])
@pytest.mark.parametrize("name", ["kohya", "simpletuner", "diffusion-pipe"])
def test_other_resolutions_and_cells(name, training_px, cell_px, images, store, tmp_path):
    """The loaders above train at 1024 px with cells of 8; the reducers that they confirm tell about the rest."""
    export(store, name, output=tmp_path, training_px=training_px, cell_px=cell_px)
    trainer = TRAINERS[name]
    for path in (images / "wide.jpg", images / "long.png", images / "small.png"):
        mask = tmp_path / "masks" / (path.name if name == "simpletuner" else f"{path.stem}.png")
        weight = np.asarray(Image.open(mask)).astype(np.float32) / 255
        artefact = artefact_of(store, path.name).astype(np.float32)
        bucket = trainer.bucket(artefact.shape[1], artefact.shape[0], training_px)
        shape_cells = bucket.shape_cells(cell_px)
        covered = reducers.area(bucket.fitted(artefact, resample=Image.Resampling.BOX), shape_cells) > COVERED
        cells = trainer.cells(weight, training_px=training_px, cell_px=cell_px)
        assert covered.any()
        assert cells[covered].mean() <= LEAK
        assert cells[covered].max() <= 0.1


@pytest.mark.slow
def test_the_reducers_of_this_test_are_those_of_torch():
    torch = pytest.importorskip("torch")
    weight = np.random.default_rng(0).random((CELL_PX * 30, CELL_PX * 44)).astype(np.float32)
    tensor = torch.from_numpy(weight)[None, None]

    def reduced(mode, **options):
        return torch.nn.functional.interpolate(tensor, size=(30, 44), mode=mode, **options)[0, 0].numpy()

    np.testing.assert_allclose(blocks(weight), reduced("area"), atol=1e-5)
    np.testing.assert_array_equal(nearest(weight), reduced("nearest"))
    np.testing.assert_array_equal(nearest_exact(weight), reduced("nearest-exact"))
    np.testing.assert_allclose(antialiased(weight), reduced("bilinear", antialias=True), atol=1e-4)
