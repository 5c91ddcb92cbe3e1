"""`witness`: what a witness does on its machine, and what a log does to have its checkpoints cosigned.

flasktrack witness request --organization ID | ssh witness flasktrack witness cosign | flasktrack witness add
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flasktrack.cli_common import NOT_SOUND, SOUND, answer, complain, database, say
from flasktrack.cli_files import read_lines, read_text, write_text
from flasktrack.core.add_checkpoint import MAX_REQUEST_CHARACTERS, format_request
from flasktrack.errors import CosignRefused, NotIntact
from flasktrack.settings import DATA, Settings
from flasktrack.store.organizations import get_organization, list_chains
from flasktrack.trust.keyring import Keyring

if TYPE_CHECKING:
    from flasktrack.seal.cosigning import Cosigned
    from flasktrack.seal.witness import Witness


def add_witness_commands(commands: Any, common: argparse.ArgumentParser) -> None:
    """Add `witness` to the command line's sub-parsers; `common` holds the options that every command takes."""
    summary = "have checkpoints cosigned by another party, or be that party"
    witness = commands.add_parser("witness", help=summary, description=f"{summary[0].upper()}{summary[1:]}.")
    actions = witness.add_subparsers(metavar="ACTION", required=True)

    def action(name: str, run: Callable[[argparse.Namespace], int], summary: str) -> argparse.ArgumentParser:
        added: argparse.ArgumentParser = actions.add_parser(name, parents=[common], help=summary, description=summary)
        added.set_defaults(run=run)
        return added

    request = action("request", _request, "for the log: ask a witness to cosign the newest checkpoint")
    request.add_argument("--organization", metavar="ID", required=True)
    request.add_argument("--witness", metavar="NAME", help="needed where several are trusted")
    request.add_argument(
        "--old", metavar="N", type=int, help="records in the last checkpoint that the witness cosigned"
    )
    request.add_argument("--output", metavar="FILE", type=Path, help="default: standard output")

    add = action("add", _add, "for the log: take a witness's answer into the checkpoint's note")
    add.add_argument("file", metavar="FILE", type=Path, nargs="?", help="default: standard input")
    add.add_argument("--organization", metavar="ID", help="default: whichever it fits")

    submit = action("submit", _submit, "for the log: ask a witness over HTTP, and take in its answer")
    submit.add_argument("--url", metavar="URL", required=True, help="the witness's submission prefix")
    submit.add_argument("--organization", metavar="ID", required=True)
    submit.add_argument("--witness", metavar="NAME", help="needed where several are trusted")

    init = action("init", _init, "for the witness: make its directory and keys")
    init.add_argument("--name", metavar="HOST/WORD", required=True, help="such as witness.example.org/w1")
    trust = action("trust", _trust, "for the witness: trust a log's public keys, as its `keys show` prints them")
    trust.add_argument("file", metavar="FILE", type=Path, help="vkeys, one a line")
    cosign = action("cosign", _cosign, "for the witness: cosign what extends all that it has seen, or say why not")
    cosign.add_argument("request", metavar="REQUEST", type=Path, nargs="?", help="default: standard input")
    cosign.add_argument("--output", metavar="FILE", type=Path, help="default: standard output")
    show = action("show", _show, "for the witness: print its public keys, to hand out; --json: and what it has seen")
    serve = action("serve", _serve, "for the witness: answer logs over HTTP (C2SP tlog-witness) until it is stopped")
    serve.add_argument("--host", metavar="NAME", default="127.0.0.1", help="default: this machine alone")
    serve.add_argument("--port", metavar="N", type=int, default=8600, help="default: 8600")
    for one in (init, trust, cosign, show, serve):
        one.add_argument("--state", metavar="DIR", type=Path, default=DATA / "witness", help="default: data/witness")


def _request(options: argparse.Namespace) -> int:
    from flasktrack.seal.cosigning import make_request

    keyring = Keyring.from_settings(Settings.from_environment())
    with database(options) as engine:
        try:
            request = make_request(engine, options.organization, keyring, options.witness, options.old)
        except NotIntact as problem:
            return _not_sound(problem)
    text = format_request(request)
    if options.output is not None:
        write_text(options.output, text)
    elif not options.json:
        print(text, end="")
        return SOUND
    document = {"organization_id": options.organization, "old": request.old_size, "request": text}
    answer(options, document, f"The request, from {request.old_size:,} records on, is in {options.output}.")
    return SOUND


def _submit(options: argparse.Namespace) -> int:
    from flasktrack.seal.cosigning import make_request, take_in
    from flasktrack.seal.witness_http import submit

    keyring = Keyring.from_settings(Settings.from_environment())
    with database(options) as engine:
        try:
            lines = submit(
                options.url, lambda old: make_request(engine, options.organization, keyring, options.witness, old)
            )
        except CosignRefused as refusal:
            if not refusal.unsound:
                raise
            return _not_sound(refusal)
        except NotIntact as problem:
            return _not_sound(problem)
        return _taken_in(options, take_in(engine, keyring, lines, [options.organization]))


def _add(options: argparse.Namespace) -> int:
    from flasktrack.seal.cosigning import take_in

    keyring = Keyring.from_settings(Settings.from_environment())
    lines = read_text(options.file, MAX_REQUEST_CHARACTERS, "an answer of a witness")
    with database(options) as engine:
        names = list_chains(engine)
        if options.organization:
            names = [get_organization(engine, options.organization).id]
        return _taken_in(options, take_in(engine, keyring, lines, names))


def _taken_in(options: argparse.Namespace, cosigned: Cosigned) -> int:
    added = f"{cosigned.added} signatures were added to" if cosigned.added else "nothing is new for"
    sentence = f"{cosigned.organization_id}: {added} the checkpoint over {cosigned.size:,} records."
    answer(options, cosigned._asdict(), sentence)
    return SOUND


def _init(options: argparse.Namespace) -> int:
    witness = _witness(options)
    witness.create(options.name)
    vkeys = witness.vkeys()
    lines = [
        f"The witness {options.name} is ready, in {options.state}. Its public keys, for the log's operator:",
        *vkeys,
    ]
    answer(options, {"name": options.name, "state": str(options.state), "vkeys": vkeys}, *lines)
    return SOUND


def _trust(options: argparse.Namespace) -> int:
    added = _witness(options).trust(read_lines(options.file))
    answer(options, {"added": added}, f"{'1 key is' if added == 1 else f'{added:,} keys are'} trusted that was not.")
    return SOUND


def _cosign(options: argparse.Namespace) -> int:
    text = read_text(options.request, MAX_REQUEST_CHARACTERS, "a request to a witness")
    try:
        lines = _witness(options).cosign(text)
    except CosignRefused as refusal:
        if not refusal.unsound:
            raise
        return _not_sound(refusal)
    if options.output is not None:
        write_text(options.output, lines)
    elif not options.json:
        print(lines, end="")
        return SOUND
    answer(options, {"cosignature": lines}, f"Cosigned; the answer is in {options.output}.")
    return SOUND


def _show(options: argparse.Namespace) -> int:
    witness = _witness(options)
    vkeys = witness.vkeys()
    logs = [seen._asdict() for seen in witness.logs()]
    answer(options, {"name": witness.name, "vkeys": vkeys, "logs": logs}, *vkeys)
    return SOUND


def _serve(options: argparse.Namespace) -> int:
    from flasktrack.seal.witness_http import server

    witness = _witness(options)
    witness.check()
    with server(witness, options.host, options.port) as running:
        say(f"The witness {witness.name} answers at http://{options.host}:{running.server_port}")
        with suppress(KeyboardInterrupt):
            running.serve_forever()
    return SOUND


def _witness(options: argparse.Namespace) -> Witness:
    from flasktrack.seal.witness import Witness

    return Witness(options.state, Settings.from_environment().key_passphrase)


def _not_sound(problem: Exception) -> int:
    """Checked, and not sound: one line on standard error, as other findings that are no result."""
    complain(str(problem))
    return NOT_SOUND
