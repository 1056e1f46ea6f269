"""Loaded by schemathesis in its own process: every second request gets real things, and what was answered is noted.

Random bytes are never an image and random names never a job, so that nothing but refusals would be seen.
"""

import base64
import collections
import itertools
import json
import os
from pathlib import Path

import schemathesis

GOOD = Path(os.environ["SCHEMATHESIS_GOOD"])
"""Folder with image.png, images.zip and jobs.json: {"finished": [...], "spare": [...], "folder": ...}."""
SEEN = Path(os.environ["SCHEMATHESIS_SEEN"])
"""Gets a line `METHOD /path/{as}/described STATUS` for each answer."""

_IMAGE = (GOOD / "image.png").read_bytes()
_ZIP = (GOOD / "images.zip").read_bytes()
_JOBS = json.loads((GOOD / "jobs.json").read_text())
_CONFIG = (
    '<View><Image name="i" value="$a"/><BrushLabels name="b" toName="i"><Label value="text"/></BrushLabels></View>'
)
_JSON = {
    "/v1/jobs": {"folder": _JOBS["folder"]},
    "/setup": {"project": "1.1", "schema": _CONFIG},
    "/predict": {
        "tasks": [{"data": {"a": "data:image/png;base64," + base64.b64encode(_IMAGE).decode("ascii")}}],
        "label_config": _CONFIG,
    },
}
_FINISHED, _SPARE = itertools.cycle(_JOBS["finished"]), itertools.cycle(_JOBS["spare"])
_calls: collections.Counter[str] = collections.Counter()


@schemathesis.hook
def before_call(context, case, kwargs):
    label = case.operation.label
    _calls[label] += 1
    if _calls[label] % 2:
        return
    if "{job_id}" in case.operation.path:
        case.path_parameters = {"job_id": next(_SPARE if case.method.upper() == "DELETE" else _FINISHED)}
    if label.endswith("/export"):
        case.query = {"to": "grey"}
    if case.media_type is None:
        return
    if _calls[label] % 4:
        case.query = {}  # as most people ask: without an option
    if case.media_type == "application/json":
        case.body = _JSON[case.operation.path]
    elif case.media_type == "application/zip":
        case.body = _ZIP
    elif case.media_type in ("application/octet-stream", "image/*"):
        case.body = _IMAGE
    elif case.media_type == "multipart/form-data":
        batch = case.operation.path.endswith(("/batch", "/upload"))
        case.body = {"images": [_IMAGE, _IMAGE]} if batch else {"image": _IMAGE}
        if case.operation.path == "/v1/refine":
            case.body["points"] = "20,20"


@schemathesis.hook
def after_call(context, case, response):
    with SEEN.open("a") as lines:
        lines.write(f"{case.operation.label} {response.status_code}\n")
