"""Who may call: host names, web origins, API keys, settings."""

import json
import socket
import stat

import pytest
from cli_process import automask, environment

pytest.importorskip("fastapi")

from api_server import png, serving

from automask.errors import ConfigError, OutputError, StoreLocked
from automask.store.locking import exclusive_lock
from automask_api.app import create_app
from automask_api.running import make_first_key, run_server
from automask_api.security.guard import host_name
from automask_api.security.keys import KEYS_FILE, ApiKeys, add_key, remove_key
from automask_api.settings import ServiceSettings, load_settings

READING = ["/v1/models", "/openapi.json", "/docs", "/v1/nothing"]


@pytest.fixture(scope="module")
def keyless(tmp_path_factory):
    with serving(
        tmp_path_factory.mktemp("data"), allowed_hosts=("box.lan",), cors_origins=("http://ui.lan",)
    ) as client:
        yield client


@pytest.fixture(scope="module")
def keyed(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    keys = [add_key(folder / KEYS_FILE, name) for name in ("trainer", "comfy")]
    with serving(folder) as client:
        client.keys = keys
        yield client


@pytest.mark.parametrize(
    "host", ["evil.example", "localhost.evil.example", "127.0.0.1.nip.io", "", "localhost:1/x", "a@localhost"]
)
def test_a_keyless_server_answers_to_its_own_names_only(keyless, host):
    for path in READING:
        answer = keyless.get(path, headers={"Host": host})
        assert answer.status_code in (400, 403), (host, path)
    assert keyless.post("/v1/masks", content=png(), headers={"Host": host}).status_code in (400, 403)


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:9", "127.0.0.1:80", "[::1]:8787", "box.lan"])
def test_its_own_names_are_taken_with_any_port(keyless, host):
    assert keyless.get("/v1/models", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://localhost:1"},
        {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors"},
        {"Sec-Fetch-Site": "same-site"},
    ],
)
def test_foreign_pages_are_refused_on_every_route(keyless, headers):
    for path in READING:
        assert keyless.get(path, headers=headers).status_code == 403
    answer = keyless.post("/v1/masks", content=png(), headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (403, "origin-refused")


def test_own_pages_and_named_origins_are_taken(keyless):
    own = str(keyless.base_url).rstrip("/")
    assert keyless.post("/v1/masks", content=png(), headers={"Origin": own}).status_code == 200
    named = keyless.post("/v1/masks", content=png(), headers={"Origin": "http://ui.lan"})
    assert named.headers["access-control-allow-origin"] == "http://ui.lan"
    asked = {"Origin": "http://ui.lan", "Access-Control-Request-Method": "POST"}
    assert keyless.options("/v1/masks", headers=asked).status_code == 200
    followed = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"}
    assert keyless.get("/docs", headers=followed).status_code == 200
    assert keyless.post("/v1/masks", content=png(), headers=followed).status_code == 403


def test_cross_origin_calls_are_off_by_default(tmp_path):
    with serving(tmp_path) as client:
        asked = {"Origin": "http://ui.lan", "Access-Control-Request-Method": "POST"}
        answer = client.options("/v1/masks", headers=asked)
    assert answer.status_code == 403
    assert "access-control-allow-origin" not in answer.headers


@pytest.mark.parametrize(
    "headers", [{}, {"Authorization": "Bearer amk_wrong"}, {"X-Api-Key": "é"}, {"Authorization": "Basic x"}]
)
def test_a_keyed_server_opens_to_its_keys_only(keyed, headers):
    encoded = {name: value.encode() for name, value in headers.items()}
    for path in [*READING, "/metrics"]:
        answer = keyed.get(path, headers=encoded)
        assert (answer.status_code, answer.json()["code"]) == (401, "key-required")
        assert answer.headers["www-authenticate"].startswith("Bearer")
    assert keyed.get("/healthz").status_code == 200


def test_each_key_opens_in_both_ways(keyed):
    for key in keyed.keys:
        assert keyed.get("/v1/models", headers={"Authorization": f"Bearer {key}"}).status_code == 200
        assert keyed.get("/v1/models", headers={"X-API-Key": key, "Host": "anything.lan"}).status_code == 200
        foreign = {"X-API-Key": key, "Origin": "http://evil.example"}
        assert keyed.get("/v1/models", headers=foreign).status_code == 403


def test_only_hashes_of_keys_are_kept_and_nobody_else_may_read_them(tmp_path):
    path = tmp_path / KEYS_FILE
    key = add_key(path, "a")
    assert key not in path.read_text()
    assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0
    assert ApiKeys.read(path).name_of(key) == "a"
    assert ApiKeys.read(path).name_of(key + "x") is None
    with pytest.raises(ConfigError):
        add_key(path, "a")
    remove_key(path, "a")
    assert not ApiKeys.read(path)
    path.write_text("[]")
    with pytest.raises(ConfigError):
        ApiKeys.read(path)


def test_elsewhere_than_on_loopback_keys_are_required(tmp_path):
    from fakes import pipeline

    settings = ServiceSettings(data_dir=tmp_path, host="0.0.0.0")
    with pytest.raises(ConfigError) as caught:
        create_app(pipeline(), None, settings)
    assert caught.value.code == "key-required"
    add_key(tmp_path / KEYS_FILE, "a")
    create_app(pipeline(), None, settings).state.service.threads.shutdown()


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("127.0.0.1", True),
        ("127.8.8.8", True),
        ("::1", True),
        ("localhost", True),
        ("0.0.0.0", False),
        ("::", False),
        ("box", False),
    ],
)
def test_what_loopback_is(tmp_path, host, expected):
    assert ServiceSettings(data_dir=tmp_path, host=host).is_loopback is expected


def test_settings_come_from_the_environment_and_unknown_ones_are_refused(monkeypatch, tmp_path):
    monkeypatch.setenv("AUTOMASK_SERVE_ROOTS", f"{tmp_path}:/srv")
    monkeypatch.setenv("AUTOMASK_SERVE_ALLOWED_HOSTS", "a, b")
    settings = load_settings({"port": 1})
    assert [str(root) for root in settings.roots] == [str(tmp_path), "/srv"]
    assert (settings.allowed_hosts, settings.port) == (("a", "b"), 1)
    monkeypatch.setenv("AUTOMASK_SERVE_ROOT", "/srv")
    with pytest.raises(ConfigError, match="AUTOMASK_SERVE_ROOT,"):
        load_settings()
    with pytest.raises(ConfigError, match="prot"):
        load_settings({"prot": 1}, environment={})
    with pytest.raises(ConfigError, match="port"):
        load_settings({"port": -1}, environment={})


def test_names_in_host_headers():
    assert host_name("A.b:80") == "a.b"
    assert host_name("[::1]:80") == "::1"
    assert host_name("a@b") == host_name("a/b") == host_name("[") == ""


def test_keys_on_the_command_line(tmp_path):
    folder = ("--data-dir", tmp_path / "data")
    made = automask("serve", "keys", "add", "laptop", *folder)
    assert made.returncode == 0, made.stderr
    assert made.stdout.startswith("amk_")
    assert automask("serve", "keys", "list", *folder).stdout == "laptop\n"
    again = automask("serve", "keys", "add", "laptop", *folder)
    assert (again.returncode, "config-invalid" in again.stderr) == (2, True)
    assert automask("serve", "keys", "remove", "laptop", *folder).returncode == 0
    wrong = automask("serve", env=environment(AUTOMASK_SERVE_PROT="1"))
    assert (wrong.returncode, "AUTOMASK_SERVE_PROT" in wrong.stderr) == (2, True)
    assert json.loads((tmp_path / "data" / KEYS_FILE).read_text()) == {}


def test_the_first_key_is_printed_once(tmp_path, capsys):
    settings = ServiceSettings(data_dir=tmp_path, host="0.0.0.0")
    make_first_key(settings)
    key = capsys.readouterr().out.split()[-1]
    assert ApiKeys.read(tmp_path / KEYS_FILE).name_of(key) is not None
    make_first_key(settings)
    assert capsys.readouterr().out == ""
    make_first_key(ServiceSettings(data_dir=tmp_path / "own"))
    assert not (tmp_path / "own").exists()


def test_a_data_folder_has_one_server(tmp_path):
    with exclusive_lock(tmp_path / "server.lock"), pytest.raises(StoreLocked, match="Another server"):
        run_server(ServiceSettings(data_dir=tmp_path, port=0), None)


def test_a_taken_port_is_said(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(OutputError) as caught:
        run_server(ServiceSettings(data_dir=tmp_path, port=taken.getsockname()[1]), None)
    assert caught.value.code == "port-taken"
