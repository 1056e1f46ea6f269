"""Commands of the tests are forked: that a new process gives the same, and that every command works in one."""

import sys

import pytest
from cli_process import CHEAP, automask, draw_images, environment, install_detector, masks_of, new_process
from cli_process import forker as the_forker
from export_cases import tree

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="commands are forked on Linux only")


def written(out):
    """All names, and what is in pictures: texts have the paths of their store."""
    return {name: data if name.endswith(".png") else b"" for name, data in tree(out).items()}


@pytest.fixture(scope="module")
def stores(tmp_path_factory):
    """The same run in a forked and in a new process."""
    made = []
    for run in (automask, new_process):
        folder = draw_images(tmp_path_factory.mktemp("forked") / "set", 4)
        (folder / "001.txt").write_text("A cat. A watermark is in the corner.")
        done = run("run", folder, *CHEAP)
        assert (done.returncode, done.stderr) == (0, "")
        made.append((folder, folder.with_name("set-masks"), done))
    return made


def test_a_run_gives_the_same(stores):
    (_, forked, done), (_, new, expected) = stores
    assert masks_of(forked) == masks_of(new) != {}
    assert [line.split()[0] for line in done.stdout.splitlines()[1:]] == [
        line.split()[0] for line in expected.stdout.splitlines()[1:]
    ]


@pytest.mark.parametrize(
    "arguments",
    [
        ("status", "{store}", "--json"),
        ("show", "{store}", "001.jpg"),
        ("render", "{store}", "--growth-cells", "2", "--json", "--no-report"),
        ("export", "{store}", "--to", "kohya", "--output", "{out}"),
        ("check", "{images}", "--for", "onetrainer", "--training-px", "256"),
        ("captions", "{store}", "--output", "{out}"),
        ("fill", "{store}", "--output", "{out}"),
        ("crop", "{store}", "--output", "{out}"),
        ("report", "{store}"),
        ("models", "list"),
        ("nosuch",),
    ],
    ids=lambda arguments: " ".join(arguments[:2]),
)
def test_every_command_gives_the_same(stores, tmp_path, arguments):
    told = []
    for run, (images, store, _) in zip((automask, new_process), stores, strict=True):
        out = tmp_path / run.__name__
        done = run(*(part.format(store=store, images=images, out=out) for part in arguments), cwd=tmp_path)
        text = (done.stdout + done.stderr).replace(str(out), "OUT").replace(str(images.parent), "HERE")
        told.append((done.returncode, "".join(c for c in text if not c.isdigit()).split(), written(out)))
    assert told[0] == told[1]


def test_what_imports_would_see_is_not_forked(tmp_path):
    forker = the_forker()
    assert forker.can_do(environment())
    assert forker.can_do(environment(AUTOMASK_POLICY__FRAME__ACTION="mask"))
    assert forker.can_do(environment(install_detector(tmp_path / "plugins", "own", "return []")))
    (tmp_path / "fastapi.py").touch()
    assert not forker.can_do(environment(tmp_path))
    assert not forker.can_do(environment(OMP_NUM_THREADS="7"))


def test_a_crash_is_told_by_its_signal_and_costs_the_next_command_nothing(tmp_path):
    crash = install_detector(tmp_path / "plugins", "crash", "os.kill(os.getpid(), 9)")
    folder = draw_images(tmp_path / "set", 1)
    assert automask("run", folder, "--detectors", "crash", env=environment(crash)).returncode == -9
    assert automask("--version").returncode == 0
