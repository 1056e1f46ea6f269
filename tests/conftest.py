"""One flag for everything that is compared with a file."""


def pytest_addoption(parser):
    parser.addoption("--update-golden", action="store_true", help="Write golden files anew; read the difference then.")
