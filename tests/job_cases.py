"""Folders for jobs of the service, and waiting for them."""

import time

from api_server import png

FINAL = ("done", "failed", "cancelled")


def finished(client, job_id, seconds=60):
    deadline = time.monotonic() + seconds
    while True:
        job = client.get(f"/v1/jobs/{job_id}").json()
        if job["state"] in FINAL:
            return job
        assert time.monotonic() < deadline, job
        time.sleep(0.05)


def red_folder(folder, count=5):
    (folder / "sub").mkdir(parents=True)
    for index in range(count):
        (folder / ("sub" if index % 2 else ".") / f"{index}.png").write_bytes(png(seed=index))
    return folder
