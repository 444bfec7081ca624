"""What keeps other sites out: who may be the host, where a command may come from, what the page may load."""

from base64 import b64encode
from collections.abc import Mapping
from hashlib import sha256

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

POLICY = (
    "default-src 'self'; object-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'self'; "
    "require-trusted-types-for 'script'; trusted-types lit-html"
)
HEADERS: Mapping[str, str] = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
}
"""With every answer; nothing inline, nothing from elsewhere, no frame around the page."""
STRICT = "max-age=31536000"
"""Over TLS: a browser that was here once never comes without it."""
BODY_MAX = 16 * 1024


def own_style(style: str) -> dict[str, str]:
    """Return the header of a page that is shown in a frame of ours: nothing but its own style sheet."""
    digest = b64encode(sha256(style.encode()).digest()).decode()
    policy = f"default-src 'none'; style-src 'sha256-{digest}'; frame-ancestors 'self'; base-uri 'none'"
    return {"Content-Security-Policy": f"{policy}; form-action 'none'"}


class Defence:
    """Around the whole application: an answer to a host that is not ours is none."""

    def __init__(self, app: ASGIApp, hosts: frozenset[str]) -> None:
        self._app, self._hosts = app, hosts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self._app(scope, receive, send)

        host = Headers(scope=scope).get("host", "").lower()

        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
                if scope["scheme"] == "https" and not host.startswith("localhost"):
                    headers.setdefault("Strict-Transport-Security", STRICT)
                headers.setdefault("Cache-Control", "no-store")
            await send(message)

        if host not in self._hosts:
            return await refusal("wrong_audience", "this console has another name", 421)(
                scope, receive, sending
            )
        return await self._app(scope, receive, sending)


def refusal(code: str, reason: str, status: int) -> JSONResponse:
    """Return a receipt of something that had no effect."""
    return JSONResponse({"ok": False, "code": code, "reason": reason}, status)


def forged(request: Request) -> bool:
    """Tell whether a request that changes something comes from elsewhere than our page."""
    headers = request.headers
    if not headers.get("content-type", "").startswith("application/json"):
        return True
    site = headers.get("sec-fetch-site")
    if site is not None:
        return site != "same-origin"
    return headers.get("origin") != f"{request.url.scheme}://{headers.get('host')}"


async def body_of(request: Request) -> bytes:
    """Return the body of a request; ValueError if it is larger than any that is meant."""
    data = bytearray()
    async for chunk in request.stream():
        data += chunk
        if len(data) > BODY_MAX:
            raise ValueError(f"at most {BODY_MAX} bytes are taken")
    return bytes(data)
