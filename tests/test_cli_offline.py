"""The demo, and with it the default pipeline, works on a machine without any network."""

import json

import numpy as np
from cli_process import automask, environment
from PIL import Image

NO_NETWORK = '''
"""Refuses every connection and every name look-up, and leaves a note about each attempt."""
import os, socket

def refused(*arguments, **options):
    with open(os.environ["ATTEMPTS"], "a") as file:
        file.write(repr(arguments) + "\\n")
    raise OSError("no network in this test")

socket.socket.connect = socket.socket.connect_ex = refused
socket.create_connection = socket.getaddrinfo = socket.gethostbyname = refused
open(os.environ["ATTEMPTS"], "a").close()
'''


def test_demo_offline_finds_the_marks_of_the_bundled_images(tmp_path):
    (tmp_path / "guard").mkdir()
    (tmp_path / "guard" / "sitecustomize.py").write_text(NO_NETWORK)
    attempts = tmp_path / "attempts.txt"
    env = environment(tmp_path / "guard", ATTEMPTS=str(attempts), HOME=str(tmp_path / "home"))
    done = automask("demo", "--json", cwd=tmp_path, env=env)
    assert done.returncode == 0, done.stderr
    assert attempts.read_text() == "", "something reached for the network (an empty file: the guard was active)"
    summary = json.loads(done.stdout)
    assert summary["images"] == 8
    assert summary["failed"] == 0
    masks = tmp_path / "automask-demo" / "images-masks" / "masks"

    def weight(name: str, box: tuple[int, int, int, int]) -> float:
        with Image.open(masks / name) as mask:
            return float(np.asarray(mask.crop(box)).mean()) / 255

    assert weight("photos/coffee.png", (700, 530, 860, 565)) < 0.1  # the date
    assert weight("photos/coffee.png", (100, 50, 600, 400)) > 0.9
    assert weight("photos/cat.png", (250, 260, 650, 340)) < 0.2  # the agency mark
    assert weight("photos/rocket.png", (0, 0, 960, 60)) < 0.02  # letterbox
    assert weight("photos/rocket.png", (300, 420, 660, 450)) < 0.1  # subtitle
    assert weight("photos/rocket.png", (100, 100, 860, 380)) > 0.9
    assert weight("art/poster.png", (60, 80, 660, 180)) < 0.1  # headline
    assert weight("art/card.png", (70, 60, 400, 95)) < 0.1  # title
    assert weight("art/card.png", (60, 130, 600, 600)) > 0.9
    assert weight("art/valley.png", (0, 0, 960, 640)) > 0.98
