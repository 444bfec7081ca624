"""HTTP for a witness: `POST /add-checkpoint` and nothing else, HTTP/1.1 with keep-alive, small bounds."""

import ssl
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socket import socket
from threading import BoundedSemaphore, Thread

from station.custody.witness import TEXT_TYPE, Answer, Witness

PATH = "/add-checkpoint"
BODY_BYTES = 320 * 1024
IDLE_S = 30.0
"""A connection that is silent for so long is closed."""
CONNECTIONS = 64
POLL_S = 0.05
"""How soon a stop is noticed."""


class WitnessServer:
    """Serves in threads of its own, over TLS if it has a context for that."""

    def __init__(
        self, witness: Witness, host: str = "127.0.0.1", port: int = 0, tls: ssl.SSLContext | None = None
    ) -> None:
        """Bind at once, OSError if that cannot be; port 0 takes a free one."""
        self._scheme = "http" if tls is None else "https"
        self._server = _Server((host, port), _handler(witness), tls)
        self._thread = Thread(target=self._server.serve_forever, args=(POLL_S,), name="witness", daemon=True)

    @property
    def url(self) -> str:
        """Where it listens."""
        host, port = self._server.server_address[:2]
        return f"{self._scheme}://{host!s}:{port}"

    def start(self) -> None:
        """Begin to serve."""
        self._thread.start()

    def stop(self) -> None:
        """Serve no more; a request that is cut off has no answer, and what was kept for it does no harm."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = CONNECTIONS

    def __init__(
        self, address: tuple[str, int], handler: "type[BaseHTTPRequestHandler]", tls: ssl.SSLContext | None
    ) -> None:
        self._free = BoundedSemaphore(CONNECTIONS)
        super().__init__(address, handler)
        if tls is not None:  # whoever connects and is silent then keeps a thread of his own waiting, no more
            self.socket = tls.wrap_socket(self.socket, server_side=True, do_handshake_on_connect=False)

    def process_request(self, request: "socket | tuple[bytes, socket]", client_address: object) -> None:
        if self._free.acquire(blocking=False):
            super().process_request(request, client_address)
        else:
            self.shutdown_request(request)

    def process_request_thread(
        self, request: "socket | tuple[bytes, socket]", client_address: object
    ) -> None:
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._free.release()

    def handle_error(self, request: "socket | tuple[bytes, socket]", client_address: object) -> None:
        """A client that goes away is no event."""


def _handler(witness: Witness) -> "type[BaseHTTPRequestHandler]":
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        timeout = IDLE_S
        server_version, sys_version = "hardbin-witness", ""

        def do_POST(self) -> None:
            """Answer a submission."""
            if self.path != PATH:
                self._refuse(404, f"there is only {PATH} here\n")
                return
            length = self.headers.get("Content-Length", "")
            if not (length.isascii() and length.isdigit()) or "Transfer-Encoding" in self.headers:
                self._refuse(411, "a Content-Length is needed\n")
            elif int(length) > BODY_BYTES:
                self._refuse(413, f"at most {BODY_BYTES} bytes\n")
            else:
                body = self.rfile.read(int(length))
                if len(body) == int(length):
                    self._send(witness.add_checkpoint(body))

        def _refuse(self, status: int, text: str) -> None:
            """Answer without reading the body, so nothing more can be read from this connection."""
            self.close_connection = True
            self._send(Answer(status, text, TEXT_TYPE))

        def _send(self, answer: Answer) -> None:
            data = answer.body.encode()
            self.send_response(answer.status)
            self.send_header("Content-Type", answer.kind)
            self.send_header("Content-Length", str(len(data)))
            if self.close_connection:
                self.send_header("Connection", "close")
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing: what counts is in the files."""

    return Handler
