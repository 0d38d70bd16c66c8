"""A small server with the part of the Hub that its client uses: listings, file heads, ranges; it can also fail."""

import hashlib
import json
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote, urlsplit

REVISION = "0123456789abcdef0123456789abcdef01234567"


@dataclass
class Hub:
    """The files of repositories, and the ranges that were requested.

    `cut`: the connection breaks after so many bytes of a file's first answer. `lies`: files listed with a wrong
    hash."""

    files: dict[tuple[str, str], bytes]
    cut: dict[str, int] = field(default_factory=dict)
    lies: set[str] = field(default_factory=set)
    ranges: list[str | None] = field(default_factory=list)

    def sha256(self, repository: str, name: str) -> str:
        return hashlib.sha256(self.files[repository, name]).hexdigest()

    def listing(self, repository: str) -> dict[str, Any]:
        siblings = []
        for (owner, name), content in self.files.items():
            if owner != repository:
                continue
            blob = hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()
            entry: dict[str, Any] = {"rfilename": name, "size": len(content), "blobId": blob}
            if not name.endswith(".json"):
                digest = self.sha256(repository, name) if name not in self.lies else "0" * 64
                entry["lfs"] = {"sha256": digest, "size": len(content), "pointerSize": 130}
            siblings.append(entry)
        return {"id": repository, "sha": REVISION, "siblings": siblings}


def serve(hub: Hub) -> ThreadingHTTPServer:
    """Serve on a free local port, in threads; the caller shuts the server down."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_: object) -> None:
            pass

        def do_HEAD(self) -> None:
            self._answer(body=False)

        def do_GET(self) -> None:
            self._answer(body=True)

        def _answer(self, *, body: bool) -> None:
            path = unquote(urlsplit(self.path).path).strip("/")
            if path.startswith("api/models/"):
                owner, name = path.removeprefix("api/models/").split("/")[:2]
                listing = hub.listing(f"{owner}/{name}")
                content = json.dumps(listing).encode()
                self._headers(200 if listing["siblings"] else 404, len(content))
                self.wfile.write(content)
                return
            repository, _, rest = path.partition("/resolve/")
            file = rest.partition("/")[2]
            if (repository, file) not in hub.files:
                self._headers(404, 0)
                return
            content = hub.files[repository, file]
            start = 0
            if body:
                given = self.headers.get("Range")
                hub.ranges.append(given)
                if given:
                    start = int(given.removeprefix("bytes=").partition("-")[0])
            self._headers(206 if start else 200, len(content) - start, start, hub.sha256(repository, file))
            if body:
                stop = hub.cut.pop(file, len(content))
                self.wfile.write(content[start:stop])
                if stop < len(content):
                    self.close_connection = True

        def _headers(self, status: int, length: int, start: int = 0, digest: str | None = None) -> None:
            self.send_response(status)
            self.send_header("Content-Length", str(length))
            if digest:
                self.send_header("ETag", f'"{digest}"')
                self.send_header("X-Repo-Commit", REVISION)
                self.send_header("Accept-Ranges", "bytes")
                if start:
                    self.send_header("Content-Range", f"bytes {start}-{start + length - 1}/{start + length}")
            self.end_headers()

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server
