"""A small server that speaks as a Hugging Face hub does: facts of files, redirects to storage, ranges, a listing."""

import hashlib
import json
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

SMALL_BYTES = 2000
"""Larger files lie in storage that the hub redirects to, and are known by their sha256; others by git's hash."""


def git_sha1(data: bytes) -> str:
    return hashlib.sha1(f"blob {len(data)}\0".encode() + data).hexdigest()


class HubServer(ThreadingHTTPServer):
    """`commits[hub_id]` is a list of (commit, {file: bytes}), the newest last; the other attributes are faults."""

    def __init__(self):
        super().__init__(("127.0.0.1", 0), _Handler)
        self.commits: dict[str, list[tuple[str, dict[str, bytes]]]] = {}
        self.asked: list[tuple[str, str, dict[str, str]]] = []
        self.break_after: int | None = None
        self.stored: dict[str, bytes] = {}
        self.lies: dict[str, bytes] = {}
        self.token = ""
        self.hides_facts = False
        self.ignores_ranges = False
        self.renamed: dict[str, str] = {}

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def publish(self, hub_id: str, files: dict[str, bytes]) -> str:
        listed = self.commits.setdefault(hub_id, [])
        commit = hashlib.sha1(f"{hub_id} {len(listed)}".encode()).hexdigest()
        listed.append((commit, files))
        return commit

    def paths(self, method: str = "GET") -> list[str]:
        return [path for verb, path, _ in self.asked if verb == method]


class _Handler(BaseHTTPRequestHandler):
    server: HubServer

    def do_HEAD(self):
        self._answer(with_body=False)

    def do_GET(self):
        self._answer(with_body=True)

    def log_message(self, *args):
        pass

    def _answer(self, *, with_body: bool) -> None:
        hub = self.server
        hub.asked.append((self.command, self.path, dict(self.headers)))
        parts = self.path.strip("/").split("/")
        if parts[0] == "storage":
            self._send_bytes(hub.stored[parts[1]], {"ETag": '"of-the-storage"'}, with_body=with_body)
            return
        if hub.token and self.headers.get("Authorization") != f"Bearer {hub.token}":
            self._send(401, {"X-Error-Code": "GatedRepo"})
        elif parts[:2] == ["api", "models"]:
            _, files = hub.commits["/".join(parts[2:4])][-1]
            body = json.dumps({"siblings": [{"rfilename": name} for name in files]}).encode()
            self._send_bytes(body, {}, with_body=with_body)
        elif (hub_id := "/".join(parts[:2])) in hub.renamed:
            self._send(307, {"Location": self.path.replace(hub_id, hub.renamed[hub_id])})
        else:
            self._send_file(hub_id, revision=parts[3], name="/".join(parts[4:]), with_body=with_body)

    def _send_file(self, hub_id: str, *, revision: str, name: str, with_body: bool) -> None:
        hub = self.server
        commits = hub.commits.get(hub_id, [])
        commits = commits[-1:] if revision == "main" else [one for one in commits if one[0] == revision]
        if not commits or name not in commits[0][1]:
            self._send(404, {})
            return
        commit, data = commits[0][0], commits[0][1][name]
        facts = {} if hub.hides_facts else {"X-Repo-Commit": commit}
        if len(data) <= SMALL_BYTES:
            headers = {**facts, "ETag": f'"{git_sha1(data)}"'}
            self._send_bytes(hub.lies.get(name, data), headers, with_body=with_body)
            return
        digest = hashlib.sha256(data).hexdigest()
        hub.stored[digest] = hub.lies.get(name, data)
        facts |= {} if hub.hides_facts else {"X-Linked-Etag": f'"{digest}"', "X-Linked-Size": str(len(data))}
        self._send(302, {**facts, "Location": f"{hub.endpoint}/storage/{digest}"})

    def _send(self, status: int, headers: dict[str, str], length: int = 0) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(length))
        self.end_headers()

    def _send_bytes(self, data: bytes, headers: dict[str, str], *, with_body: bool) -> None:
        start, status = 0, 200
        wanted = self.headers.get("Range")
        if wanted and not self.server.ignores_ranges:
            start, status = int(wanted.removeprefix("bytes=").rstrip("-")), 206
            if start >= len(data):
                self._send(416, {})
                return
            headers = {**headers, "Content-Range": f"bytes {start}-{len(data) - 1}/{len(data)}"}
        self._send(status, headers, len(data) - start)
        if with_body:
            most = self.server.break_after
            self.wfile.write(data[start:] if most is None else data[start : start + most])
            if most is not None and most < len(data) - start:
                self.close_connection = True


@contextmanager
def hub_server():
    with HubServer() as running:
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        yield running
        running.shutdown()
