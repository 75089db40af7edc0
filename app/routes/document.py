"""GET / and each page's path: the document that the browser loads first, told where its server is.

Streamlit's own document guesses. On /region it asks /region/_stcore/health first, which is not there: an error on the
browser's console and a retry before every deep link. A page's path has one part, so its server is always one level up.
"""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path

from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse
from streamlit.file_util import get_static_dir

SERVER = '<script>window.__streamlit = { BACKEND_BASE_URL: new URL(".", window.location.href).href }</script>'

OWN = Path(__file__).parent.parent / "static"


def document(_: Request) -> HTMLResponse:
    """Never kept by the browser: the scripts that it names change with Streamlit's version."""
    return HTMLResponse(text(), headers={"Cache-Control": "no-cache"})


def to_root(request: Request) -> RedirectResponse:
    """The page that opens first lives at the root; its name leads there too."""
    return RedirectResponse(f"./?{request.url.query}" if request.url.query else "./")


@cache
def text() -> str:
    """Streamlit's document with the server's address, our title, and what its front end leaves to its host page: history,
    keys and paper.
    """
    document = (Path(get_static_dir()) / "index.html").read_text(encoding="utf-8")
    shell = f'<script src="{_address("shell.js")}"></script><link rel="stylesheet" href="{_address("shell.css")}" />'
    return document.replace("<head>", f"<head>\n    {SERVER}\n    {shell}", 1).replace(
        "<title>Streamlit</title>", "<title>Headroom</title>"
    )


def _address(name: str) -> str:
    """Where a file of app/static is served: another address once it has changed, as browsers keep it."""
    return f"./app/static/{name}?{hashlib.sha256((OWN / name).read_bytes()).hexdigest()[:12]}"
