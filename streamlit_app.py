"""The door: the pages' script and the service routes as one ASGI application.

    streamlit run streamlit_app.py        with Streamlit's server and options
    uvicorn streamlit_app:app             under any ASGI server

HEADROOM_LAKE names the lake, a folder or an s3:// address (default var/lake).
"""

from __future__ import annotations

import gc
from pathlib import Path

import streamlit as st
from starlette.middleware import Middleware
from streamlit import config

from app.pages import VIEWS
from app.routes import routes
from app.routes.assets import CompressedAssets
from app.routes.security import SecurityHeaders
from app.ui.empty_states import on_script_error

# Under another ASGI server Streamlit looks for .streamlit/config.toml beside app/main.py and in the working folder; it
# lies here.
config._main_script_path = config._main_script_path or __file__
app = st.App(
    Path(__file__).parent / "app" / "main.py",
    routes=routes([view.name for view in VIEWS]),
    middleware=[Middleware(SecurityHeaders), Middleware(CompressedAssets)],
    on_script_error=on_script_error,
)
# What the imports made stays for good. Left to the collector, each full collection looks through its 230,000 objects
# again: 121 to 135 ms under the GIL, which every session waits for.
gc.collect()
gc.freeze()
