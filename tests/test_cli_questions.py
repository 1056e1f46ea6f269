"""What a run asks about what repeats: in its summary, with the commands that answer it, which then do so."""

import json
import shlex

import numpy as np
import pytest
from cli_process import automask, masks_of
from overlay_cases import WIDTH_PX, picture
from PIL import Image, ImageDraw

COUNT = 12
RUN = ("--detectors", "edges", "--option", f"overlay.reduced_px={WIDTH_PX}", "--no-report")


@pytest.fixture(scope="module")
def asked(tmp_path_factory):
    """A run over subjects before one background, which may be a frame, for people, and the same again as JSON."""
    folder = tmp_path_factory.mktemp("asked") / "my set"
    folder.mkdir()
    rng = np.random.default_rng(5)
    for number in range(COUNT):
        image = Image.fromarray(picture(1))
        x, y = 160 + int(rng.integers(-40, 41)), 130 + int(rng.integers(-20, 21))
        colour = tuple(int(level) for level in rng.integers(0, 255, 3))
        ImageDraw.Draw(image).ellipse((x - 50, y - 80, x + 50, y + 80), fill=colour)
        image.save(folder / f"{number}.png")
    first = automask("run", folder, *RUN, cwd=folder.parent)
    return folder.with_name("my set-masks"), first, automask("run", folder, *RUN, "--json", cwd=folder.parent)


def commands(lines):
    """What follows `yes:`, `no:` and so on, as one would type it."""
    ways = {}
    for line in lines:
        name, _, command = line.strip().partition(": automask ")
        if command:
            ways[name] = shlex.split(command)
    return ways


def test_the_summary_asks_once_for_the_group_and_names_the_commands(asked):
    root, first, _ = asked
    assert first.returncode == 0, first.stderr
    joined = " ".join(first.stdout.split())
    assert joined.count("Was this ") == 1
    assert f" {COUNT} pictures?" in joined
    for command in ("overlays apply", "overlays forget", "review"):
        assert f"automask {command} '{root}'" in joined
    assert "Was this " not in first.stderr, "once is enough"


def test_the_answer_masks_it_on_all_images_and_is_taken_back(asked):
    root, _, again = asked
    told = json.loads(again.stdout)
    (notice,) = [one for one in told["notices"] if one["code"] == "template-waits"]
    question, *lines = notice["message"].splitlines()
    ways = commands(lines)
    assert question.startswith("Was this ")
    assert set(ways) == {"yes", "no", "to see them first"}
    before = masks_of(root)
    yes = automask(*ways["yes"])
    assert yes.returncode == 0, yes.stderr
    after = masks_of(root)
    assert all(before[name] != after[name] for name in before)
    counts = json.loads(automask("status", root, "--json").stdout)["counts"]
    assert {name: counts[name] for name in ("auto", "review")} == {
        name: told["verdicts"].get(name, 0) for name in ("auto", "review")
    }, "an answer settles nothing"
    back = automask(*commands([yes.stdout.splitlines()[-1]])["To take it back"])
    assert back.returncode == 0, back.stderr
    assert masks_of(root) == before
    assert automask(*ways["no"]).returncode == 0
    assert masks_of(root) == before
    assert json.loads(automask("overlays", "list", root, "--json").stdout)[0]["decision"] == "forget"
