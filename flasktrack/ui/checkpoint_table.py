"""Checkpoints over time: how far each seals, who signed it, and where else it is kept."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from flasktrack.errors import FlaskTrackError, InvalidNote
from flasktrack.settings import Settings
from flasktrack.trust.anchors import Anchors
from flasktrack.trust.checkpoints import StoredCheckpoint, list_checkpoints, open_note
from flasktrack.trust.key_files import KEY_NAMES
from flasktrack.trust.keyring import Keyring, ThirdParty, TrustedKey
from flasktrack.ui.charts import table_height
from flasktrack.ui.session import Context
from flasktrack.ui.text import literal
from flasktrack.ui.times import minute, short

_MOST = 100


def draw_checkpoints(context: Context) -> None:
    """Draw the newest checkpoints; what a signature is worth is checked as they are drawn."""
    with context.engine.connect() as connection:
        stored = list_checkpoints(connection, context.scope)
    st.markdown(f"**Checkpoints** ({len(stored):,}{', the newest' if len(stored) > _MOST else ''})")
    if not stored:
        st.caption("None yet. Seal now signs the first; `python -m flasktrack checkpoint` does so on a schedule.")
        return
    settings = Settings.from_environment()
    keyring = Keyring.from_settings(settings)
    trusted: list[TrustedKey] = []
    others: list[ThirdParty] = []
    anchored: set[int] = set()
    try:
        trusted = keyring.trusted(context.organization.id)
        others = keyring.third_parties()
        if settings.anchor_dir is not None:
            anchored = {anchor.size for anchor in Anchors(settings.anchor_dir).read(context.organization.id)}
    except FlaskTrackError as problem:
        st.warning(f"Not all is checked here: {literal(str(problem))}", icon=":material/warning:")
    origin = keyring.origin(context.organization.id)
    shown = stored[::-1][:_MOST]
    frame = pd.DataFrame(
        [
            (
                checkpoint.size,
                short(checkpoint.created_at, context.zone),
                *_signed_by(context, checkpoint, origin, trusted, others),
                "yes" if checkpoint.size in anchored else "no",
                checkpoint.root.hex()[:12],
            )
            for checkpoint in shown
        ],
        columns=["size", "created", "signed", "witnesses", "stamped", "anchored", "root"],
    )
    column = st.column_config
    st.dataframe(
        frame,
        hide_index=True,
        height=table_height(len(frame), 250),
        column_config={
            "size": column.NumberColumn("Records sealed", format="localized", width=110),
            "created": column.TextColumn(f"Signed ({context.zone.key})", width=170),
            "signed": column.TextColumn("Signatures", width=270),
            "witnesses": column.TextColumn("Witnesses", width=150),
            "stamped": column.TextColumn("Time stamp", width=150),
            "anchored": column.TextColumn("Anchored", width=80),
            "root": column.TextColumn("Root", width=120, help="The first 12 characters."),
        },
    )


def _signed_by(
    context: Context,
    checkpoint: StoredCheckpoint,
    origin: str,
    trusted: list[TrustedKey],
    others: list[ThirdParty],
) -> tuple[str, str, str]:
    """Who signed, who cosigned, and when a time stamp authority saw it; only what is valid and trusted counts."""
    try:
        opened = open_note(checkpoint.note, origin, trusted, others)
    except InvalidNote as problem:
        return f"✕ {problem.what}", "", ""
    signed = ", ".join(f"{KEY_NAMES[key.type]} {key.key_id.hex()}" for key in opened.signers)
    witnesses = ", ".join(cosigner.key.name for cosigner in opened.cosigners)
    stamped = "" if opened.stamped_at is None else minute(opened.stamped_at, context.zone)
    return f"✓ {signed}", witnesses, stamped
