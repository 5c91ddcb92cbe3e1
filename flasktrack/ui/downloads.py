"""Files for a reader to take away: kept on disk for a day, streamed from there, and gone when the app ends in order.

An app that is killed leaves them in the machine's folder for temporary files.

Streamlit's own download button holds the whole file in memory. The address of a file is a secret of 256 bits, which
only the page that made it shows.
"""

from __future__ import annotations

import secrets
import shutil
import tempfile
import time
from pathlib import Path

import streamlit as st
from starlette.requests import Request
from starlette.responses import FileResponse, PlainTextResponse, Response
from starlette.routing import BaseRoute, Route

_PATH = "/download"
_KEPT = 86_400  # seconds


class Downloads:
    """The files that can be downloaded now."""

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="flasktrack-exports-")
        self._files: dict[str, Path] = {}

    def new_file(self, name: str) -> Path:
        """A place to write a file to; `name` is what the reader's computer will call it. Old files go.

        Raises OSError where there is no room.
        """
        place = Path(self._folder.name)
        place.mkdir(exist_ok=True)  # who cleans up temporary files may have taken it
        for folder in place.iterdir():
            if time.time() - folder.stat().st_mtime > _KEPT:
                shutil.rmtree(folder, ignore_errors=True)
        return Path(tempfile.mkdtemp(dir=place)) / name

    def offer(self, file: Path) -> str:
        """Make a file available, and return its address on this server."""
        token = secrets.token_urlsafe(32)
        self._files[token] = file
        base = str(st.get_option("server.baseUrlPath")).strip("/")
        return f"{f'/{base}' if base else ''}{_PATH}/{token}"

    def find(self, token: str) -> Path | None:
        """The file of an address; None where there is none (any more)."""
        return self._files.get(token)

    def withdraw(self, file: Path) -> None:
        """Delete a file that nobody needs any more, and what was written of it."""
        self._files = {token: kept for token, kept in self._files.items() if kept != file}
        shutil.rmtree(file.parent, ignore_errors=True)


@st.cache_resource(show_spinner=False)
def downloads() -> Downloads:
    """The one place for files; it lasts as long as the app."""
    return Downloads()


async def _send(request: Request) -> Response:
    file = downloads().find(request.path_params["token"])
    if file is None or not file.exists():
        return PlainTextResponse("This file is no longer here. Make the export again.", status_code=404)
    return FileResponse(
        file, filename=file.name, content_disposition_type="attachment", headers={"Cache-Control": "no-store"}
    )


ROUTES: list[BaseRoute] = [Route(f"{_PATH}/{{token}}", _send)]
