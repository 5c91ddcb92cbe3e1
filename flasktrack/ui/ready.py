"""What a page needs, loaded before anybody asks for one."""

from __future__ import annotations

import gc
from importlib import import_module
from pkgutil import iter_modules

import flasktrack.ui
from flasktrack.verify import compiled


def load_pages() -> None:
    """Import what pages import, so that the first one is drawn as soon as any other.

    Streamlit looks for garbage after every run of a page, while the page still waits to be sent. What is loaded here
    stays: it need not be looked through each time.
    """
    for module in iter_modules(flasktrack.ui.__path__):
        import_module(f"{flasktrack.ui.__name__}.{module.name}")
    compiled.load()  # it checks the few records, too, that came since the last page
    gc.collect()
    gc.freeze()
