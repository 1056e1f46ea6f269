"""Fixtures of the tests that drive the review page in a browser: a test module names this file in `pytest_plugins`."""

import pytest
from review_browser import Reviewer, browser
from review_cases import make_store, need_chromium, served


@pytest.fixture(scope="module")
def context(tmp_path_factory):
    need_chromium()
    with browser(tmp_path_factory.mktemp("profile")) as context:
        yield context


@pytest.fixture
def root(tmp_path):
    return make_store(tmp_path)


@pytest.fixture
def server(root):
    with served(root) as server:
        yield server


@pytest.fixture
def reviewer(context, server):
    page = context.new_page()
    reviewer = Reviewer(page)
    reviewer.open(server.address)
    yield reviewer
    assert reviewer.errors == []
    page.close()
