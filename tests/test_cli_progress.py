"""What a log says of a run that takes long."""

import io

import pytest
from cli_process import automask, draw_images, environment, install_detector
from rich.console import Console

from automask.cli.progress import RunNarrator
from automask.run.events import Counted, ImageFailed, ImageReused, StageProgress
from automask.values.types import Verdict


class Clock:
    now_s = 0.0

    def __call__(self):
        return self.now_s


def event(image_id, is_failed):
    return ImageFailed(image_id, issues=()) if is_failed else ImageReused(image_id, verdict=Verdict.AUTO)


def lines_of(*, count, seconds_each, terminal=False, quiet=False, failed=()):
    out, clock = io.StringIO(), Clock()
    console = Console(file=out, force_terminal=terminal, width=200, color_system=None)
    narrator = RunNarrator(console, shows_progress=not quiet, clock=clock)
    with narrator:
        narrator(Counted(total=count))
        for index in range(count):
            clock.now_s += seconds_each
            narrator(event(f"{index}.png", index in failed))
        for done in (1, 2):
            clock.now_s += 11
            narrator(StageProgress("overlay", doing="comparing", done=done, total=2))
    return out.getvalue().splitlines()


def test_a_log_gets_a_line_now_and_then():
    lines = lines_of(count=400, seconds_each=1.0, failed={3})
    masks = [line for line in lines if line.startswith("masks")]
    assert masks[0] == "masks: 20 of 400 (5 %), 0:06:20 left, 1 failed"
    assert masks[-1] == "masks: 400 of 400 (100 %), 0:00:00 left, 1 failed"
    assert len(masks) == 20
    assert lines[-1] == "overlay: comparing: 2 of 2 (100 %), 0:00:00 left"


def test_a_long_run_is_not_silent_and_a_short_one_says_nothing():
    slow = [line for line in lines_of(count=10, seconds_each=120.0) if line.startswith("masks")]
    assert len(slow) == 10
    huge = [line for line in lines_of(count=20_000, seconds_each=0.1) if line.startswith("masks")]
    assert 20 <= len(huge) <= 40  # 5 % take 100 s: a line each minute
    assert not [line for line in lines_of(count=50, seconds_each=0.1) if line.startswith("masks")]


@pytest.mark.parametrize("options", [{"terminal": True}, {"quiet": True}])
def test_a_terminal_has_its_bar_and_quiet_is_quiet(options):
    assert not [line for line in lines_of(count=400, seconds_each=1.0, **options) if line.startswith("masks: ")]


@pytest.mark.slow
def test_a_redirected_run_tells_how_far_it_is(tmp_path):
    folder = draw_images(tmp_path / "set", 4)
    plugins = install_detector(tmp_path / "plugins", "slow", "time.sleep(5)\nreturn [[] for image in images]")
    done = automask(
        "run", folder, "--detectors", "slow", "--dataset-detectors", "none", "--no-report", env=environment(plugins)
    )
    assert done.returncode == 0, done.stderr
    said = [line for line in done.stderr.splitlines() if line.startswith("masks: ")]
    assert said
    assert said[0].startswith(("masks: 2 of 4 (50 %)", "masks: 3 of 4 (75 %)"))
