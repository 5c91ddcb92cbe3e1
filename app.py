"""FlaskTrack's dashboard: a door at which people sign in, and behind it the page that the address names.

streamlit run app.py
"""

from __future__ import annotations

import sys
from pathlib import Path

import streamlit as st
from starlette.middleware import Middleware
from streamlit.runtime.pages_manager import PagesManager
from streamlit.runtime.scriptrunner import get_script_run_ctx

from flasktrack import settings
from flasktrack.demo import load_sample_lab
from flasktrack.errors import FlaskTrackError
from flasktrack.store.engine import is_blank, open_database
from flasktrack.store.organizations import list_chains
from flasktrack.trust.keyring import Keyring
from flasktrack.ui import faults, session
from flasktrack.ui.door import Door, trust_no_forwarding
from flasktrack.ui.downloads import download_routes
from flasktrack.ui.entrance import open_entrance
from flasktrack.ui.guard import Guard
from flasktrack.ui.ready import load_pages
from flasktrack.ui.registry import PAGES
from flasktrack.ui.sidebar import draw_sidebar
from flasktrack.ui.sign_in_page import SignInPage
from flasktrack.ui.theme import apply_style


def main() -> None:
    """Run one page, with whatever goes wrong shown as a sentence."""
    router = st.navigation(
        [
            st.Page(page.path, title=page.title, url_path=page.url_path, default=not page.url_path)
            for page in PAGES.values()
        ],
        position="hidden",
    )
    st.set_page_config(page_title=f"{router.title} - FlaskTrack", layout="wide")
    apply_style()
    with faults.readable():
        chosen = settings.Settings.from_environment()
        if chosen.sign_in == settings.DEMO and chosen.database_url == settings.DEFAULT_DATABASE_URL:
            _fill_embedded_database(settings.DEFAULT_DATABASE_URL)
        draw_sidebar(session.begin_run(), router.url_path)
        router.run()


@st.cache_resource(show_spinner="Making the sample lab ...")
def _fill_embedded_database(url: str) -> None:
    """Make the embedded database and the keys where there are none, and fill an empty one with the sample lab.

    One that the settings name is left alone: an address that is mistyped must not become a database.
    """
    keyring = Keyring.from_settings(settings.Settings.from_environment())
    if not keyring.exists():
        keyring.create()
    engine = session.database()
    if is_blank(engine) or not list_chains(open_database(url)):
        load_sample_lab(engine)


if get_script_run_ctx(suppress_warning=True) is None:
    # The server loads this file before any session runs it. Without the next line, a page's address that is opened
    # first of all would be looked up among pages/*.py, of which there are none.
    PagesManager.uses_pages_directory = False
    try:
        entrance = open_entrance()
    except FlaskTrackError as problem:
        sys.exit(f"flasktrack: {problem}")
    trust_no_forwarding()
    load_pages()
    app = st.App(
        Path(__file__).name,
        routes=[*download_routes(entrance.base), *SignInPage(entrance, session.database).routes()],
        middleware=[
            Middleware(Guard, url=entrance.settings.url),
            Middleware(Door, entrance=entrance, engine=session.database),
        ],
    )
else:
    main()
