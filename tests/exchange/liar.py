"""A server that answers what a test wants."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class Liar:
    """Answers every GET with what a test prepared for the first word of its path.

    Attributes:
        answers: by that word; what is not there is 404.
    """

    def __init__(self) -> None:
        liar = self
        self.answers: dict[str, dict[str, Any]] = {}

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                answer = liar.answers.get(self.path.strip("/").replace("?", "/").split("/")[0])
                body = {"success": True, **answer} if answer else {"success": False, "message": "?"}
                content = json.dumps(body).encode()
                self.send_response(200 if answer else 404)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
