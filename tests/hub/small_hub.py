"""A small server on 127.0.0.1 that speaks enough of the Hub's protocol for the real client: repositories of models and
Spaces, commits, large files, downloads, tokens, and failures on demand."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote, urlsplit

TOKEN, READER = "hf_writer", "hf_reader"


@dataclass
class Repository:
    """Its commits, the last one last, each a dictionary of files; large files are kept beside."""

    private: bool = False
    commits: list[tuple[str, dict[str, bytes]]] = field(default_factory=list)

    def commit(self, files: dict[str, bytes]) -> str:
        sha = hashlib.sha1(f"{len(self.commits)}{sorted(files)}".encode()).hexdigest()
        self.commits.append((sha, files))
        return sha

    def at(self, revision: str) -> tuple[str, dict[str, bytes]] | None:
        if revision == "main":
            return self.commits[-1]
        return next((commit for commit in self.commits if commit[0] == revision), None)


class SmallHub:
    """The server; `repositories` maps "models/ada/dog" to a repository.

    `fail` is asked for each request, (method, path), for a status, or "cut" to break the connection in its middle;
    `requests` remembers them. `promised` is the size that files are said to have before they are sent, `tamper` changes
    the content on its way: (path, content) to what arrives.
    """

    def __init__(self) -> None:
        self.repositories: dict[str, Repository] = {}
        self.large: dict[str, bytes] = {}
        self.promised: int | None = None
        self.tamper: Callable[[str, bytes], bytes] = lambda path, content: content
        self.requests: list[tuple[str, str]] = []
        self.fail: Callable[[str, str], int | str | None] = lambda method, path: None
        handler = type("Handler", (_Handler,), {"hub": self})
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self.server.daemon_threads = True
        self.address = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()

    def files(self, name: str, kind: str = "models") -> dict[str, bytes]:
        return self.repositories[f"{kind}/{name}"].commits[-1][1]


class _Handler(BaseHTTPRequestHandler):
    hub: SmallHub
    protocol_version = "HTTP/1.1"

    def log_message(self, *given: object) -> None:
        pass

    def do_GET(self) -> None:
        self._serve()

    do_HEAD = do_POST = do_PUT = do_GET  # noqa: N815  (the names that http.server calls)

    def _serve(self) -> None:
        path = unquote(urlsplit(self.path).path)
        self.hub.requests.append((self.command, path))
        failure = self.hub.fail(self.command, path)
        length = int(self.headers.get("Content-Length") or 0)
        if failure == "cut" and self.command in ("PUT", "POST"):
            self.rfile.read(length // 2)
            self.connection.close()
            self.close_connection = True
            return
        body = self._body(length)
        if isinstance(failure, int):
            self._answer(failure, {"error": f"asked to fail with {failure}"})
            return
        self._route(path, body, failure == "cut")

    def _body(self, length: int) -> bytes:
        if self.headers.get("Transfer-Encoding") != "chunked":
            return self.rfile.read(length)
        parts = []
        while size := int(self.rfile.readline(), 16):
            parts.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(parts)

    def _route(self, path: str, body: bytes, cut: bool) -> None:
        token = (self.headers.get("Authorization") or "").removeprefix("Bearer ")
        if self.command == "POST" and path == "/api/validate-yaml":
            wrong = "no_such_licence" in json.loads(body)["content"]
            errors = [{"message": '"license" must be one of many'}] if wrong else []
            self._answer(400 if wrong else 200, {"errors": errors, "warnings": []})
        elif self.command == "POST" and path == "/api/repos/create":
            self._create(json.loads(body), token)
        elif match := re.fullmatch(r"/api/(models|spaces)/([^/]+/[^/]+)/(preupload|commit)/(.+)", path):
            self._write(*match.groups()[:3], body, token)
        elif match := re.fullmatch(r"/(?:spaces/)?([^/]+/[^/]+)\.git/info/lfs/objects/batch", path):
            objects = [
                {**each, "actions": {"upload": {"href": f"{self.hub.address}/large/{each['oid']}", "header": {}}}}
                for each in json.loads(body)["objects"]
            ]
            self._answer(200, {"transfer": "basic", "objects": objects})
        elif self.command == "PUT" and path.startswith("/large/"):
            self.hub.large[path.rpartition("/")[2]] = body
            self._answer(200, {})
        elif match := re.fullmatch(r"/api/(models|spaces)/([^/]+/[^/]+)(?:/(revision|tree)/([^/]+).*)?", path):
            self._describe(match, token)
        elif match := re.fullmatch(r"/(spaces/)?([^/]+/[^/]+)/resolve/([^/]+)/(.+)", path):
            self._resolve(match, token, cut)
        else:
            self._answer(404, {"error": f"nothing at {path}"})

    def _create(self, wanted: dict, token: str) -> None:
        if token != TOKEN:
            self._answer(403 if token == READER else 401, {"error": "you may not"})
            return
        kind = f"{wanted.get('type') or 'model'}s"
        name = f"{kind}/{wanted['organization']}/{wanted['name']}"
        address = f"{self.hub.address}/{'spaces/' if kind == 'spaces' else ''}{name.partition('/')[2]}"
        if name in self.hub.repositories:
            self._answer(409, {"error": "it exists", "url": address})
            return
        private = bool(wanted.get("private")) or wanted.get("visibility") == "private"
        self.hub.repositories[name] = Repository(private)
        self.hub.repositories[name].commit({".gitattributes": b"*.safetensors filter=lfs\n"})
        self._answer(200, {"url": address, "id": name.partition("/")[2], "name": name.partition("/")[2]})

    def _write(self, kind: str, name: str, what: str, body: bytes, token: str) -> None:
        repository = self._repository(kind, name, token)
        if repository is None:
            return
        if what == "preupload":
            files = [
                {"path": each["path"], "uploadMode": self._mode(each["path"]), "shouldIgnore": False, "oid": None}
                for each in json.loads(body)["files"]
            ]
            self._answer(200, {"files": files})
            return
        files = dict(repository.commits[-1][1])
        for line in body.decode().splitlines():
            entry = json.loads(line)
            value = entry["value"]
            if entry["key"] == "file":
                files[value["path"]] = base64.b64decode(value["content"])
            elif entry["key"] == "lfsFile":
                files[value["path"]] = self.hub.large[value["oid"]]
        sha = repository.commit(files)
        self._answer(200, {"commitUrl": f"{self.hub.address}/{name}/commit/{sha}", "commitOid": sha})

    @staticmethod
    def _mode(path: str) -> str:
        return "lfs" if path.endswith(".safetensors") else "regular"

    def _repository(self, kind: str, name: str, token: str) -> Repository | None:
        """The repository, or None after an answer that says why there is none."""
        repository = self.hub.repositories.get(f"{kind}/{name}")
        if repository is None or (repository.private and token not in (TOKEN, READER)):
            self._answer(401 if not token else 404, {"error": "not found"}, {"X-Error-Code": "RepoNotFound"})
            return None
        return repository

    def _describe(self, match: re.Match, token: str) -> None:
        repository = self._repository(match[1], match[2], token)
        if repository is None:
            return
        found = repository.at(match[4] or "main")
        if found is None:
            self._answer(404, {"error": "no such revision"}, {"X-Error-Code": "RevisionNotFound"})
            return
        sha, files = found
        if match[3] == "tree":
            entries = [
                {
                    "type": "file",
                    "path": path,
                    "size": len(content),
                    "oid": _blob_id(content),
                    **({"lfs": _pointer(content)} if self._mode(path) == "lfs" else {}),
                }
                for path, content in files.items()
            ]
            self._answer(200, entries)
            return
        siblings = [{"rfilename": path} for path in files]
        self._answer(200, {"id": match[2], "modelId": match[2], "sha": sha, "siblings": siblings, "private": False})

    def _resolve(self, match: re.Match, token: str, cut: bool) -> None:
        repository = self._repository("spaces" if match[1] else "models", match[2], token)
        if repository is None:
            return
        found = repository.at(match[3])
        if found is None:
            self._answer(404, {"error": "no such revision"}, {"X-Error-Code": "RevisionNotFound"})
            return
        sha, files = found
        if match[4] not in files:
            self._answer(404, {"error": "no such file"}, {"X-Error-Code": "EntryNotFound", "X-Repo-Commit": sha})
            return
        content = files[match[4]]
        self.send_response(200)
        self.send_header("X-Repo-Commit", sha)
        large = self._mode(match[4]) == "lfs"
        self.send_header("ETag", f'"{hashlib.sha256(content).hexdigest() if large else _blob_id(content)}"')
        content = self.hub.tamper(match[4], content)
        promised = self.hub.promised if self.command == "HEAD" else None
        self.send_header("Content-Length", str(promised or len(content)))
        self.end_headers()
        if self.command == "HEAD":
            return
        self.wfile.write(content[: len(content) // 2] if cut else content)
        if cut:
            self.wfile.flush()
            self.connection.close()
            self.close_connection = True

    def _answer(self, status: int, content: object, headers: dict[str, str] | None = None) -> None:
        body = json.dumps(content).encode()
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)


def _blob_id(content: bytes) -> str:
    """The hash under which git keeps a file."""
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


def _pointer(content: bytes) -> dict[str, object]:
    return {"oid": hashlib.sha256(content).hexdigest(), "size": len(content), "pointerSize": 130}
