"""`nanotool page --serve`: the page at an address of this computer, anew when the model changes."""

from __future__ import annotations

from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Lock

from nanotool.errors import NanoError
from nanotool.models import model_file
from nanotool.page.render import message_page

HOST = "127.0.0.1"  # this computer alone
_RELOAD = """<script>
setInterval(async () => {
  const stamp = await fetch("/stamp").then((answer) => answer.text()).catch(() => null);
  if (stamp !== null && stamp !== "%s") location.reload();
}, 1000);
</script>
"""


class PageServer(ThreadingHTTPServer):
    """Serves what ``render`` makes of the model at ``path``; made again when the file has changed.
    A model that cannot be read, half written as it may be, gives a page that says why."""

    daemon_threads = True

    def __init__(self, path: Path, render: Callable[[Path], str], port: int = 0) -> None:
        self._path, self._render = path, render
        self._lock = Lock()
        self._stamp, self._text = "", ""
        try:
            super().__init__((HOST, port), _Handler)
        except OSError as error:
            raise NanoError(
                f"Port {port} of this computer is not to be had: {error.strerror or error}.",
                "Choose another one with --serve-port, or 0 for any.",
            ) from error

    @property
    def address(self) -> str:
        """Where a browser finds it."""
        return f"http://{HOST}:{self.server_address[1]}/"

    def stamp(self) -> str:
        """What changes when the model's file does."""
        try:
            told = model_file(self._path).stat()
        except (NanoError, OSError):
            return "none"
        return f"{told.st_mtime_ns}-{told.st_size}"

    def text(self) -> str:
        """The page as it is now."""
        with self._lock:
            stamp = self.stamp()
            if stamp != self._stamp:
                try:
                    self._text = self._render(self._path)
                except NanoError as error:
                    self._text = message_page(str(error))
                self._stamp = stamp
            return self._text + _RELOAD % stamp


class _Handler(BaseHTTPRequestHandler):
    server: PageServer

    def do_GET(self) -> None:
        """The page, or its stamp."""
        # A page elsewhere that has this name resolved to us is none of ours.
        host, port = self.server.server_address[:2]
        if self.headers.get("Host") not in {f"{host!s}:{port}", f"localhost:{port}"}:
            self.send_error(403)
        elif self.path == "/":
            self._answer(self.server.text(), "text/html; charset=utf-8")
        elif self.path == "/stamp":
            self._answer(self.server.stamp(), "text/plain")
        else:
            self.send_error(404)

    def _answer(self, text: str, kind: str) -> None:
        content = text.encode("utf-8")
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        self.send_header("Cache-Control", "no-store")
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:
        """Nothing: the terminal is the user's."""
