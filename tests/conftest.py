"""The flags of the test suite."""

from pathlib import Path


def pytest_addoption(parser):
    parser.addoption("--update-golden", action="store_true", help="Write golden files anew; read the difference then.")
    parser.addoption(
        "--trainers",
        type=Path,
        metavar="DIR",
        help="Run exports through the trainers' own loaders; DIR holds the checkouts of docs/trainers/conformance.md.",
    )
    parser.addoption(
        "--update-conformance", action="store_true", help="Write the results of --trainers into that page."
    )
