"""Every door to an organization's data: open to the roles that the table says, in their own organization alone.

A door is a function of the data layer that takes a scope. The table below has to name every one of them.
"""

from __future__ import annotations

import ast
import importlib
import inspect
import pkgutil
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import Engine

import flasktrack
from flasktrack.access.acting import renewed
from flasktrack.access.members import add_member, change_roles, list_members, principal_for, remove_member
from flasktrack.access.permissions import ROLES, scope_for
from flasktrack.access.roles import Role
from flasktrack.errors import FlaskTrackError, NotPermitted
from flasktrack.export.exporting import ExportResult, export_records
from flasktrack.export.running import ask_for_export, record_export
from flasktrack.export.selection import ExportOptions
from flasktrack.http_api.problems import Problem
from flasktrack.http_api.reading import checkpoints_page, proof_text, records_page
from flasktrack.insight.attention.thresholds import DEFAULTS, InForce, read_thresholds, set_thresholds
from flasktrack.insight.copy import Copy
from flasktrack.insight.copy_place import open_copy
from flasktrack.insight.filter import RecordFilter
from flasktrack.insight.questions import Questions
from flasktrack.settings import Settings
from flasktrack.store.acts import append_act
from flasktrack.store.api_keys import issue_api_key, list_api_keys, revoke_api_key, tell
from flasktrack.store.engine import open_engine, writing
from flasktrack.store.exports import (
    append_export_act,
    append_proof_taken,
    cancel_export,
    find_export,
    list_exports,
    settle_export,
)
from flasktrack.store.organization_settings import change_setting, read_setting
from flasktrack.store.profile import Profile, ProfileInForce, change_profile, read_profile
from flasktrack.store.reader import Ledger
from flasktrack.store.row_security import of_organization
from flasktrack.store.saved_filters import delete_filter, find_filter, list_filters, may_change, save_filter
from flasktrack.store.scope import Permission, Scope, machine_scope, scoped
from flasktrack.store.service_accounts import add_service_account, list_service_accounts, retire_service_account
from flasktrack.store.verifications import latest_verdict, list_verifications
from flasktrack.trust.checkpoints import checkpoints_above, latest_checkpoint, list_checkpoints
from flasktrack.verify.runner import verify_organization
from tests.store.samples import NORTHWIND, SOUTHPORT, event, everything, organizations, record

ROOT = Path(__file__).resolve().parent.parent.parent
BERLIN = ZoneInfo("Europe/Berlin")
ALL = RecordFilter()
STRICTER = DEFAULTS.with_values("late_entry", {"hours": 1})


class Lab:
    """Two organizations, with what there is to see and do in the one that doors are tried on: northwind-labs."""

    def __init__(self, url: str, folder: Path) -> None:
        self.engine: Engine = open_engine(url)
        self.folder = folder
        self.settings = Settings(export_dir=folder / "exports")
        organizations(self.engine, NORTHWIND, SOUTHPORT)
        for organization, number in ((NORTHWIND, 3), (SOUTHPORT, 5)):
            record(self.engine, *(event(one) for one in range(1, number + 1)), organization=organization)
            for role in Role:
                scope = machine_scope(organization)
                add_member(self.engine, scope, f"user:{role}-of-{organization}", None, {role}, reason="SOP-3")
        verify_organization(self.engine, NORTHWIND, started_by="system:test")
        self.copy: Copy = open_copy(self.engine, f"duckdb:///{folder / 'copy.duckdb'}")
        machine = machine_scope(NORTHWIND)
        save_filter(self.engine, machine, "All", {}, shared=True)
        (self.saved,) = list_filters(self.engine, machine)
        options = ExportOptions(BERLIN)
        self.export = ask_for_export(self.engine, machine, ALL, 3, "jsonl", options, self.settings)

    def scope(self, role: Role, organization: str) -> Scope:
        principal = principal_for(self.engine, f"user:{role}-of-{organization}", "a test")
        assert principal is not None
        return scope_for(principal, organization)


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory, made_sqlite_file: Path) -> Iterator[Lab]:
    folder = tmp_path_factory.mktemp("doors")
    file = folder / "lab.db"
    file.write_bytes(made_sqlite_file.read_bytes())
    lab = Lab(f"sqlite:///{file}", folder)
    yield lab
    lab.copy.engine.dispose()
    lab.engine.dispose()


def _written(lab: Lab, do: Callable[[Any], Any]) -> Any:
    with writing(lab.engine) as connection:
        return do(connection)


def _exported(lab: Lab, scope: Scope) -> ExportResult:
    target = lab.folder / f"{scope.actor.id}.jsonl"
    target.unlink(missing_ok=True)
    return export_records(lab.engine, scope, ALL, "jsonl", target, options=ExportOptions(BERLIN))


def _make_room(lab: Lab) -> None:
    """End what was asked for: only so many exports are made at once."""
    for one in list_exports(lab.engine, machine_scope(NORTHWIND)):
        with writing(lab.engine) as writer:
            settle_export(writer, one.id, "cancelled")


def _proved(lab: Lab, scope: Scope) -> None:
    with suppress(Problem):  # there is no checkpoint
        proof_text(lab.engine, scope, "1")


def _recorded(lab: Lab, scope: Scope) -> Any:
    made = ExportResult(lab.folder / "x", 0, "00", 0, ALL)
    return record_export(lab.engine, scope, "jsonl", ExportOptions(BERLIN), made)


EVERY_MEMBER = None
Door = Callable[[Lab, Scope], Any]
DOORS: dict[Callable[..., Any], tuple[Permission | None, Door]] = {
    Ledger: (Permission.SEE_ACTIVITY, lambda lab, scope: list(Ledger(lab.engine, scope).stream())),
    Questions: (Permission.SEE_ACTIVITY, lambda lab, scope: Questions(lab.copy, scope).totals(ALL)),
    list_exports: (Permission.EXPORT, lambda lab, scope: list_exports(lab.engine, scope)),
    find_export: (Permission.EXPORT, lambda lab, scope: find_export(lab.engine, scope, lab.export.id)),
    cancel_export: (Permission.EXPORT, lambda lab, scope: cancel_export(lab.engine, scope, lab.export.id)),
    append_export_act: (
        Permission.EXPORT,
        lambda lab, scope: _written(lab, lambda writer: append_export_act(writer, scope, "download", lab.export)),
    ),
    append_proof_taken: (
        Permission.EXPORT,
        lambda lab, scope: _written(lab, lambda writer: append_proof_taken(writer, scope, 1, "a proof")),
    ),
    may_change: (EVERY_MEMBER, lambda lab, scope: may_change(scope, lab.saved)),
    ask_for_export: (
        Permission.EXPORT,
        lambda lab, scope: ask_for_export(
            lab.engine, scope, ALL, 3, "jsonl", ExportOptions(BERLIN, requested_by="user:else"), lab.settings
        ),
    ),
    export_records: (Permission.EXPORT, _exported),
    record_export: (Permission.EXPORT, _recorded),
    list_filters: (Permission.EXPORT, lambda lab, scope: list_filters(lab.engine, scope)),
    find_filter: (Permission.EXPORT, lambda lab, scope: find_filter(lab.engine, scope, "All")),
    save_filter: (Permission.EXPORT, lambda lab, scope: save_filter(lab.engine, scope, "Mine", {}, shared=False)),
    delete_filter: (Permission.EXPORT, lambda lab, scope: delete_filter(lab.engine, scope, "-", shared=True)),
    list_verifications: (Permission.SEE_INTEGRITY, lambda lab, scope: list_verifications(lab.engine, scope)),
    list_members: (Permission.MANAGE_MEMBERS, lambda lab, scope: list_members(lab.engine, scope)),
    add_member: (
        Permission.MANAGE_MEMBERS,
        lambda lab, scope: add_member(lab.engine, scope, "user:new", None, {Role.QA_LEAD}, reason="x"),
    ),
    change_roles: (
        Permission.MANAGE_MEMBERS,
        lambda lab, scope: change_roles(lab.engine, scope, "user:new", set(Role), reason="x"),
    ),
    remove_member: (
        Permission.MANAGE_MEMBERS,
        lambda lab, scope: remove_member(lab.engine, scope, "user:new", reason="x"),
    ),
    issue_api_key: (
        Permission.MANAGE_KEYS,
        lambda lab, scope: _written(
            lab, lambda writer: issue_api_key(writer, scope, name="LIMS", reason="x", may_read=True)
        ),
    ),
    revoke_api_key: (
        Permission.MANAGE_KEYS,
        lambda lab, scope: _written(lab, lambda writer: revoke_api_key(writer, scope, "ftk_x", reason="x")),
    ),
    list_api_keys: (Permission.MANAGE_KEYS, lambda lab, scope: list_api_keys(lab.engine, scope)),
    add_service_account: (
        Permission.MANAGE_KEYS,
        lambda lab, scope: _written(lab, lambda writer: add_service_account(writer, scope, "lims", "LIMS", reason="x")),
    ),
    retire_service_account: (
        Permission.MANAGE_KEYS,
        lambda lab, scope: _written(lab, lambda writer: retire_service_account(writer, scope, "lims", reason="x")),
    ),
    list_service_accounts: (Permission.MANAGE_KEYS, lambda lab, scope: list_service_accounts(lab.engine, scope)),
    set_thresholds: (
        Permission.SET_THRESHOLDS,
        lambda lab, scope: set_thresholds(lab.engine, scope, InForce(DEFAULTS, 0), STRICTER, reason="x"),
    ),
    change_setting: (
        Permission.MANAGE_SETTINGS,
        lambda lab, scope: _written(
            lab,
            lambda writer: change_setting(
                writer, scope, "name", {}, {"a": 1}, since=0, permission=Permission.MANAGE_SETTINGS, reason="x"
            ),
        ),
    ),
    change_profile: (
        Permission.MANAGE_SETTINGS,
        lambda lab, scope: change_profile(
            lab.engine, scope, ProfileInForce(Profile(NORTHWIND, "UTC"), 0), Profile("Northwind", "UTC"), reason="x"
        ),
    ),
    renewed: (Permission.SEAL, lambda lab, scope: renewed(lab.engine, scope, Permission.SEAL)),
    # What every page's numbers rest on, and what is set: any member may know, of their own organization.
    read_profile: (EVERY_MEMBER, lambda lab, scope: read_profile(lab.engine, scope)),
    read_thresholds: (EVERY_MEMBER, lambda lab, scope: read_thresholds(lab.engine, scope)),
    read_setting: (EVERY_MEMBER, lambda lab, scope: read_setting(lab.engine, scope, "attention")),
    latest_verdict: (EVERY_MEMBER, lambda lab, scope: latest_verdict(lab.engine, scope)),
    latest_checkpoint: (EVERY_MEMBER, lambda lab, scope: latest_checkpoint(lab.engine.connect(), scope)),
    list_checkpoints: (EVERY_MEMBER, lambda lab, scope: list_checkpoints(lab.engine.connect(), scope)),
    checkpoints_above: (EVERY_MEMBER, lambda lab, scope: checkpoints_above(lab.engine.connect(), scope, 0, 9)),
    # What programs ask over HTTP, in the scope of their key.
    records_page: (Permission.SEARCH_RECORDS, lambda lab, scope: records_page(lab.engine, scope, {})),
    checkpoints_page: (Permission.SEE_INTEGRITY, lambda lab, scope: checkpoints_page(lab.engine, scope, {})),
    proof_text: (Permission.SEE_ACTIVITY, lambda lab, scope: _proved(lab, scope)),
}
WITHOUT_A_CHECK = {scoped, append_act, tell}
"""What the doors are made of: a statement, and a record of what was done."""


def _public() -> Iterator[tuple[str, Callable[..., Any]]]:
    """Every public function and class below the pages."""
    for module in pkgutil.walk_packages(flasktrack.__path__, "flasktrack."):
        if module.name.startswith(("flasktrack.ui", "flasktrack.store.migrations", "flasktrack.__main__")):
            continue
        found = importlib.import_module(module.name)
        for name, thing in vars(found).items():
            mine = getattr(thing, "__module__", None) == module.name and not name.startswith("_")
            if mine and (inspect.isfunction(thing) or (inspect.isclass(thing) and "__init__" in vars(thing))):
                yield module.name, thing


def _parameters(thing: Callable[..., Any]) -> dict[str, inspect.Parameter]:
    return dict(inspect.signature(thing).parameters)


def test_every_function_that_takes_a_scope_is_in_the_table() -> None:
    takes = {thing for _, thing in _public() if any(one.annotation == "Scope" for one in _parameters(thing).values())}
    assert takes - WITHOUT_A_CHECK == set(DOORS)


@pytest.mark.parametrize("door", DOORS, ids=lambda door: door.__name__)
def test_a_door_is_open_to_the_roles_that_the_table_says_and_to_no_other(door: Callable[..., Any], lab: Lab) -> None:
    permission, go_through = DOORS[door]
    for role in Role:
        scope = lab.scope(role, NORTHWIND)
        if permission is not None and role not in ROLES[permission]:
            before = everything(lab.engine)
            with pytest.raises(NotPermitted):
                go_through(lab, scope)
            assert everything(lab.engine) == before
            continue
        try:
            go_through(lab, scope)
        except NotPermitted:
            pytest.fail(f"{role} may not")
        except FlaskTrackError:  # such as a member who is there already: it was let in, and refused for what it asked
            pass


def test_each_sees_their_own_organization_alone(lab: Lab) -> None:
    for organization in (NORTHWIND, SOUTHPORT):
        ledger = Ledger(lab.engine, lab.scope(Role.QA_LEAD, organization))
        found = [checked.record.organization_id for checked in ledger.stream()]
        assert set(found) == {organization}
        assert ledger.count() == len(found)
    theirs = lab.scope(Role.QA_LEAD, SOUTHPORT)
    assert find_export(lab.engine, theirs, lab.export.id) is None
    assert list_exports(lab.engine, theirs) == []
    assert list_verifications(lab.engine, theirs) == []
    assert [found.name for found in list_filters(lab.engine, theirs)] == []
    asked = ask_for_export(lab.engine, machine_scope(NORTHWIND), ALL, 3, "jsonl", ExportOptions(BERLIN), lab.settings)
    cancel_export(lab.engine, theirs, asked.id)
    mine = find_export(lab.engine, machine_scope(NORTHWIND), asked.id)
    assert mine is not None
    assert mine.status == "running"
    subjects = {one.subject for one in list_members(lab.engine, lab.scope(Role.ADMINISTRATOR, SOUTHPORT))}
    assert subjects == {f"user:{role}-of-{SOUTHPORT}" for role in Role}
    for role in Role:
        principal = principal_for(lab.engine, f"user:{role}-of-{SOUTHPORT}", "a test")
        assert principal is not None
        with pytest.raises(NotPermitted):
            scope_for(principal, NORTHWIND)


def test_an_export_is_on_record_as_of_who_asked_whatever_the_options_say(lab: Lab) -> None:
    reviewer = lab.scope(Role.COMPLIANCE_REVIEWER, NORTHWIND)
    _make_room(lab)
    options = ExportOptions(BERLIN, requested_by="user:else")
    asked = ask_for_export(lab.engine, reviewer, ALL, 3, "jsonl", options, lab.settings)
    assert asked.requested_by == reviewer.actor.subject


# Who may name a scope that no person's roles gave


ISSUERS = {
    "Scope": {"flasktrack/store/scope.py", "flasktrack/access/permissions.py", "flasktrack/store/api_key_use.py"}
}
"""A person's roles give one, and so does an API key."""
MACHINES = ("flasktrack/store/", "flasktrack/trust/", "flasktrack/verify/", "flasktrack/seal/", "flasktrack/demo/",
            "flasktrack/capture/", "flasktrack/cli", "flasktrack/insight/copy", "flasktrack/insight/intake",
            "flasktrack/access/acting.py", "flasktrack/export/running.py")  # fmt: skip
"""FlaskTrack's own work. `export.running` looks up an export's row, to learn for whom it is to be written."""


def _called(path: Path) -> set[str]:
    calls = (node.func for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call))
    return {call.id if isinstance(call, ast.Name) else getattr(call, "attr", "") for call in calls}


def _sources() -> dict[str, Path]:
    found = [*ROOT.glob("flasktrack/**/*.py"), *ROOT.glob("pages/**/*.py"), ROOT / "app.py"]
    return {str(path.relative_to(ROOT)): path for path in found}


@pytest.mark.parametrize(("name", "path"), _sources().items(), ids=str)
def test_what_answers_people_makes_no_scope_of_its_own(name: str, path: Path) -> None:
    called = _called(path)
    if name not in ISSUERS["Scope"]:
        assert "Scope" not in called
    if not name.startswith(MACHINES):
        assert not called & {"machine_scope", "machine_scoped"}
    if name.startswith(("flasktrack/ui/", "pages/")) or name == "app.py":
        assert not called & {"operator_scope", "acting", "scoped"}


def test_what_pages_ask_takes_no_organization_but_a_scope() -> None:
    """Nothing that pages import from below can be asked for any organization that one likes to name."""
    asked = {}
    for name, path in _sources().items():
        if not (name.startswith(("flasktrack/ui/", "pages/")) or name == "app.py"):
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and str(node.module).startswith("flasktrack."):
                module = importlib.import_module(str(node.module))
                for alias in node.names:
                    thing = getattr(module, alias.name, None)  # None: a module
                    if inspect.isfunction(thing) and "organization_id" in _parameters(thing):
                        asked[thing.__name__] = name
    decides = {"decide", "require", "scope_for", "permissions_of"}  # by the principal, whose organizations are known
    assert set(asked) <= decides | {of_organization.__name__}  # which narrows what is seen
