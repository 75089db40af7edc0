"""What the server answers beside Streamlit's own: health, readiness, metrics, and the document of each page."""

from __future__ import annotations

from collections.abc import Sequence

from starlette.routing import Route

from app.routes.document import document, to_root
from app.routes.health import healthz, metrics, readyz


def routes(pages: Sequence[str]) -> list[Route]:
    """The routes; `pages` are the names of the pages, the one that opens first in front."""
    service = [Route("/healthz", healthz), Route("/readyz", readyz), Route("/metrics", metrics)]
    first, *others = pages
    return [
        *service,
        Route("/", document),
        Route(f"/{first}", to_root),
        *(Route(f"/{name}", document) for name in others),
    ]
