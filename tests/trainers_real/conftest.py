"""Paths of the helpers, the images, and what was measured, for the page."""

import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE.parent), str(HERE), str(HERE / "loaders")]


def pytest_collection_modifyitems(config, items):
    if config.getoption("--trainers") is None:
        reason = pytest.mark.skip(reason="needs --trainers DIR, see docs/trainers/conformance.md")
        for item in items:
            if HERE in item.path.parents and "needs_checkouts" in item.fixturenames:
                item.add_marker(reason)


@pytest.fixture(scope="session")
def needs_checkouts(request):
    """The folder of the checkouts."""
    return request.config.getoption("--trainers").resolve()


@pytest.fixture(scope="session")
def images(tmp_path_factory):
    from dataset import make_images

    return make_images(tmp_path_factory.mktemp("real") / "images")


@pytest.fixture(scope="session")
def store(images):
    from export_cases import make_store

    return make_store(images)


@pytest.fixture(scope="session")
def report(request):
    """Rows of the table by the title of their run; written to the page at the end where that was asked for."""
    from page import write_results

    rows: dict[str, str] = {}
    yield rows
    if request.config.getoption("--update-conformance"):
        write_results(rows)
