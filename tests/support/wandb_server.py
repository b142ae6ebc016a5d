"""A W&B server for tests, on the loopback interface: of GraphQL and file storage what its client asks for.

It answers W&B's real client, run by the tests; nothing of the client is replaced. Whether the hosted service
answers alike is not shown by it.
"""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest

KEY = "0123456789" * 4
ENTITY, PROJECT = "me", "modyn_bench"
PAGE = 2
"""Entries of a page, whatever the client asks for, so that it has to turn pages."""


@dataclass
class ServedRun:
    """A run as the server has it."""

    id: str
    files: dict[str, bytes] = field(default_factory=dict)
    group: str | None = None
    state: str = "finished"
    sizes: dict[str, int] = field(default_factory=dict)
    """Sizes that the server tells, where they are not the true ones."""


@dataclass
class Server:
    """What the server holds, and what it was asked."""

    url: str = ""
    runs: list[ServedRun] = field(default_factory=list)
    views: list[dict[str, Any]] = field(default_factory=list)
    downloads: list[str] = field(default_factory=list)
    refuses: Callable[[str, dict[str, Any]], bool] = lambda query, variables: False
    """Whether a query, by its text and variables, is refused as one that this login may not ask."""

    def answer(self, query: str, variables: dict[str, Any]) -> dict[str, Any]:
        if "upsertBucket(" in query:
            return {"upsertBucket": {"bucket": self._begin(variables), "inserted": True}}
        if "createRunFiles(" in query:
            files = [
                {"name": name, "uploadUrl": f"{self.url}/files/{variables['run']}/{name}"}
                for name in variables["files"]
            ]
            return {"createRunFiles": {"runID": variables["run"], "uploadHeaders": [], "files": files}}
        if "rtifactType" in query:  # which the project has none of
            return {"project": None}
        if "upsertView" in query:
            self.views.append(variables)
            return {"upsertView": {"view": {"id": "view", "name": variables["name"]}, "inserted": True}}
        if "query Runs(" in query or "query RunFiles(" in query:
            if (variables["entity"], variables["project"]) != (ENTITY, PROJECT):
                return {"project": None}
            return {"project": self._runs(variables) if "query Runs(" in query else self._files(variables)}
        if "viewer" in query:
            return {"viewer": {"id": "me", "entity": ENTITY, "username": ENTITY, "teams": {"edges": []}}}
        return {}

    def _begin(self, variables: dict[str, Any]) -> dict[str, Any]:
        """Note a run that ``wandb sync`` brings; a later call without a group keeps the first one's."""
        known = {run.id: run for run in self.runs}
        if variables["name"] not in known:
            self.runs.append(ServedRun(variables["name"], group=variables["groupName"]))
        project = {"id": "1", "name": PROJECT, "entity": {"id": "me", "name": ENTITY}}
        return {"id": variables["name"], "name": variables["name"], "project": project, "historyLineCount": 0}

    def _runs(self, variables: dict[str, Any]) -> dict[str, Any]:
        filters = json.loads(variables["filters"])
        named = {"name": lambda run: run.id, "group": lambda run: run.group}
        wanted = [run for run in self.runs if all(named[key](run) == value for key, value in filters.items())]
        nodes = [
            {"id": run.id, "name": run.id, "group": run.group, "state": run.state, "tags": [], "projectId": "1"}
            for run in wanted
        ]
        return {"internalId": "1", "runCount": len(nodes), "runs": _page(nodes, variables["cursor"])}

    def _files(self, variables: dict[str, Any]) -> dict[str, Any]:
        (run,) = [run for run in self.runs if run.id == variables["name"]]
        nodes = [
            {
                "id": name,
                "name": name,
                "url": f"{self.url}/files/{run.id}/{name}",
                "directUrl": f"{self.url}/files/{run.id}/{name}",
                "sizeBytes": run.sizes.get(name, len(content)),
                "mimetype": "application/octet-stream",
                "updatedAt": None,
                "md5": None,
            }
            for name, content in run.files.items()
            if name in variables["fileNames"] or name.startswith("..")  # a hostile server sends what it likes
        ]
        page = _page(nodes, variables["fileCursor"])
        return {"internalId": "1", "run": {"fileCount": len(nodes), "files": page}}


def _page(nodes: list[dict[str, Any]], cursor: str | None) -> dict[str, Any]:
    first = int(cursor or 0)
    edges = [{"node": node, "cursor": str(first + i + 1)} for i, node in enumerate(nodes[first : first + PAGE])]
    return {"edges": edges, "pageInfo": {"endCursor": str(first + PAGE), "hasNextPage": first + PAGE < len(nodes)}}


def files_of(copied: Path) -> dict[str, bytes]:
    """The files of a run as ``wandb sync`` would upload them."""
    files = copied / "files"
    return {file.relative_to(files).as_posix(): file.read_bytes() for file in files.rglob("*") if file.is_file()}


@contextmanager
def serving() -> Iterator[Server]:
    """A server, and the settings under which W&B's client in this process uses it, logged in."""
    served = Server()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *args: Any) -> None:
            pass

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"] or 0))
            if not body:
                return self._reply(200, b"{}")
            if self.headers["Authorization"] != f"Basic {base64.b64encode(f'api:{KEY}'.encode()).decode()}":
                return self._reply(401, b"{}")
            if self.path != "/graphql":  # the history's rows, which nobody reads back
                return self._reply(200, b"{}")
            asked = json.loads(body)
            if "createArtifact(" in asked["query"]:  # W&B's tables are artifacts, too; this server has none
                return self._reply(400, b'{"errors": [{"message": "no artifacts here"}]}')
            variables = asked.get("variables") or {}
            if served.refuses(asked["query"], variables):
                return self._reply(403, b'{"errors": [{"message": "permission denied"}]}')
            return self._reply(200, json.dumps({"data": served.answer(asked["query"], variables)}).encode())

        def do_PUT(self) -> None:
            _, _, run, *name = unquote(self.path).split("/")
            content = self.rfile.read(int(self.headers["Content-Length"] or 0))
            (own,) = [each for each in served.runs if each.id == run]
            own.files["/".join(name)] = content
            self._reply(200, b"{}")

        def do_GET(self) -> None:
            _, kind, run, *name = unquote(self.path).split("/")
            files = {each.id: each.files for each in served.runs}.get(run, {}) if kind == "files" else {}
            served.downloads.append("/".join(name))
            content = files.get("/".join(name))
            self._reply(404 if content is None else 200, content or b"")

        def _reply(self, status: int, content: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    served.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield served
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def log_in(patch: pytest.MonkeyPatch, url: str, home: Path, *, key: str | None = KEY) -> None:
    """Let W&B's client ask that server, know no login but this key, and write nowhere else than into that home."""
    import wandb

    wandb.teardown()  # else its settings stay those of the first test
    for name, value in {"HOME": home, "XDG_CACHE_HOME": home / "cache", "WANDB_CONFIG_DIR": home / "config"}.items():
        patch.setenv(name, str(value))
    patch.setenv("WANDB_BASE_URL", url)
    patch.setenv("WANDB_SILENT", "true")
    if key is None:
        patch.delenv("WANDB_API_KEY", raising=False)
    else:
        patch.setenv("WANDB_API_KEY", key)
