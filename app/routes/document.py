"""GET / and each page's path: the document that the browser loads first, told where its server is.

Streamlit's own document guesses. On /region it asks /region/_stcore/health first, which is not there: an error on the
browser's console and a retry before every deep link. A page's path has one part, so its server is always one level up.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse
from streamlit.file_util import get_static_dir

SERVER = '<script>window.__streamlit = { BACKEND_BASE_URL: new URL(".", window.location.href).href }</script>'


def document(_: Request) -> HTMLResponse:
    """Never kept by the browser: the scripts that it names change with Streamlit's version."""
    return HTMLResponse(text(), headers={"Cache-Control": "no-cache"})


def to_root(request: Request) -> RedirectResponse:
    """The page that opens first lives at the root; its name leads there too."""
    return RedirectResponse(f"./?{request.url.query}" if request.url.query else "./")


@cache
def text() -> str:
    """Streamlit's document with the server's address and our title."""
    own = (Path(get_static_dir()) / "index.html").read_text(encoding="utf-8")
    return own.replace("<head>", f"<head>\n    {SERVER}", 1).replace(
        "<title>Streamlit</title>", "<title>Headroom</title>"
    )
