"""`automask run` on good folders: what it writes, what it does again, what it says."""

import json

import numpy as np
import pytest
from cli_process import CHEAP, automask, draw_images, environment, install_detector, masks_of
from PIL import Image

COUNT = 6


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """One run over six images, for tests that only look."""
    folder = draw_images(tmp_path_factory.mktemp("run") / "set", COUNT)
    return folder, automask("run", folder, *CHEAP, "--json", cwd=folder.parent)


def run_json(*arguments, env=None):
    done = automask("run", *arguments, "--json", env=env)
    assert done.stdout, done.stderr
    return done.returncode, json.loads(done.stdout)


def test_one_upright_grey_mask_per_image_beside_the_folder(finished):
    folder, done = finished
    assert done.returncode == 0, done.stderr
    output = folder.with_name("set-masks")
    images = [path for path in folder.rglob("*") if path.is_file()]
    assert set(masks_of(output)) == {path.relative_to(folder).with_suffix(".png").as_posix() for path in images}
    for path in images:
        with (
            Image.open(output / "masks" / path.relative_to(folder).with_suffix(".png")) as mask,
            Image.open(path) as image,
        ):
            assert mask.mode == "L"
            assert mask.size == image.size
            assert "white = train" in mask.text["automask"]
    barred = np.asarray(Image.open(output / "masks" / "001.png"))
    assert not barred[:12].any()
    assert not barred[-12:].any()
    assert (barred[40:56] == 255).all()
    plain = np.asarray(Image.open(output / "masks" / "002.png"))
    assert (plain == 255).all()


def test_stdout_is_one_json_object_and_stderr_has_no_progress(finished):
    folder, done = finished
    summary = json.loads(done.stdout)
    assert done.stdout.count("\n") == 1
    assert summary["images"] == COUNT
    assert summary["written"] == {"analysed": COUNT}
    assert summary["verdicts"]["auto"] + summary["verdicts"].get("review", 0) == COUNT
    assert summary["output"] == str(folder.with_name("set-masks"))
    assert summary["exit_code"] == 0
    assert done.stderr == ""


def test_report_exists_and_has_every_image(finished):
    folder, done = finished
    page = folder.with_name("set-masks") / "report" / "index.html"
    assert json.loads(done.stdout)["report"] == str(page)
    assert page.read_text(encoding="utf-8").count("<article") == COUNT


def test_second_run_does_nothing_and_a_changed_image_is_done_again(tmp_path):
    folder = draw_images(tmp_path / "set", 4)
    assert run_json(folder, *CHEAP)[1]["written"] == {"analysed": 4}
    before = masks_of(tmp_path / "set-masks")
    assert run_json(folder, *CHEAP)[1]["reused"] == 4
    assert masks_of(tmp_path / "set-masks") == before
    Image.new("RGB", (50, 40), "red").save(folder / "001.jpg")
    (folder / "002.jpg").unlink()
    code, summary = run_json(folder, *CHEAP)
    assert (code, summary["written"], summary["reused"], summary["missing"]) == (0, {"analysed": 1}, 2, 1)
    assert Image.open(tmp_path / "set-masks" / "masks" / "001.png").size == (50, 40)
    assert "002.png" not in masks_of(tmp_path / "set-masks")


def test_another_growth_draws_again_and_another_detector_analyses_again(tmp_path):
    folder = draw_images(tmp_path / "set", 3)
    run_json(folder, *CHEAP)
    assert run_json(folder, *CHEAP, "--growth-cells", "2")[1]["written"] == {"rendered": 3}
    plugins = install_detector(tmp_path / "plugins", "nothing", "return [[] for image in images]")
    code, summary = run_json(folder, "--detectors", "nothing", env=environment(plugins))
    assert (code, summary["written"]) == (0, {"analysed": 3})


def test_flags_beat_the_environment_which_beats_the_file(tmp_path):
    folder = draw_images(tmp_path / "set", 2)
    (tmp_path / "a.toml").write_text('detectors = ["edges"]\n[policy.frame]\naction = "keep"\n')
    summary = run_json(folder, "--config", tmp_path / "a.toml")[1]
    assert summary["written"] == {"analysed": 2}
    assert all(
        (np.asarray(Image.open(tmp_path / "set-masks" / "masks" / name)) == 255).all()
        for name in masks_of(tmp_path / "set-masks")
    )
    again = run_json(folder, "--config", tmp_path / "a.toml", env=environment(AUTOMASK_POLICY__FRAME__ACTION="mask"))[1]
    assert again["written"] == {"rendered": 2}
    flagged = run_json(
        folder,
        "--config",
        tmp_path / "a.toml",
        "--policy",
        "frame=keep",
        env=environment(AUTOMASK_POLICY__FRAME__ACTION="mask"),
    )[1]
    assert flagged["written"] == {"rendered": 2}


@pytest.mark.parametrize("name", ["list.txt", "list.json"])
def test_from_a_list(tmp_path, name):
    folder = draw_images(tmp_path / "set", 5)
    names = ["001.jpg", "sub/003.png"]
    text = "# two images\n\n" + "\n".join(names) if name.endswith("txt") else json.dumps([{"image": n} for n in names])
    (folder / name).write_text(text)
    code, summary = run_json("--from", folder / name, *CHEAP)
    assert (code, summary["written"]) == (0, {"analysed": 2})
    assert set(masks_of(folder / "list-masks")) == {"001.png", "sub/003.png"}


def test_summary_for_people(tmp_path):
    folder = draw_images(tmp_path / "set", 3)
    (folder / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    (folder / "caption.txt").write_text("a caption")
    done = automask("run", folder, *CHEAP)
    assert done.returncode == 8
    assert "4 images" in done.stdout
    assert "3 written" in done.stdout
    assert "white = train" in done.stdout
    assert "1 not-an-image" in done.stdout
    assert "broken.png" in done.stdout
    assert "report" in done.stdout
    assert "failed broken.png" in done.stderr


def test_much_masked_images_are_named(tmp_path):
    folder = draw_images(tmp_path / "set", 2)
    body = "return [[Region(Kind.FRAME, image.box, 0.9, 'all')] for image in images]"
    plugins = install_detector(tmp_path / "plugins", "all", body)
    done = automask("run", folder, "--detectors", "all", env=environment(plugins))
    assert done.returncode == 0, done.stderr
    assert "2 images masked over more than half" in done.stdout
    assert "001.jpg" in done.stdout


def test_quiet_says_nothing_and_the_log_file_has_it_all(tmp_path):
    folder = draw_images(tmp_path / "set", 2)
    plugins = install_detector(tmp_path / "plugins", "crash", "raise RuntimeError('boom 17')")
    env = environment(plugins)
    done = automask("run", folder, "--detectors", "crash", "--quiet", "--log-file", tmp_path / "log.txt", env=env)
    assert (done.returncode, done.stdout, done.stderr) == (8, "", "")
    assert "boom 17" in (tmp_path / "log.txt").read_text()


def test_what_plugins_print_does_not_reach_stdout(tmp_path):
    folder = draw_images(tmp_path / "set", 2)
    body = "print('from python')\nos.write(1, b'from C\\n')\nreturn [[] for image in images]"
    plugins = install_detector(tmp_path / "plugins", "loud", body)
    done = automask("run", folder, "--detectors", "loud", "--json", env=environment(plugins))
    assert json.loads(done.stdout)["written"] == {"analysed": 2}
    assert "from python" in done.stderr
    assert "from C" in done.stderr


def test_no_text_in_the_store_when_asked(tmp_path):
    folder = draw_images(tmp_path / "set", 1)
    region = "Region(Kind.TEXT, image.box, 0.9, 'reader', attributes={'text': 'secret words'})"
    body = f"return [[{region}] for image in images]"
    plugins = install_detector(tmp_path / "plugins", "reader", body)
    for extra, expected in (((), True), (("--no-text",), False)):
        done = automask("run", folder, "--detectors", "reader", *extra, env=environment(plugins))
        assert done.returncode == 0, done.stderr
        page = (tmp_path / "set-masks" / "report" / "index.html").read_text(encoding="utf-8")
        assert ("secret words" in page) is expected
