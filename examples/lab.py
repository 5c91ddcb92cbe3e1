"""A small laboratory's application, whose every change is on record: `make example`, or `python -m examples.lab`.

It keeps its samples and batches in FlaskTrack's own database, so the dashboard shows what is done here. Lines marked
with (1) and (2) are all that recording needs, besides `@audited` on the classes.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Annotated, TypeVar

import uvicorn
from fastapi import BackgroundTasks, Depends, FastAPI, HTTPException, Request, Response
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from pydantic import BaseModel, ConfigDict
from sqlalchemy import Engine, ForeignKey, String, func, select
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column, relationship

from flasktrack.capture.asgi import RequestScope
from flasktrack.capture.context import Actor, acting, current, identify
from flasktrack.capture.marks import audited
from flasktrack.capture.recorder import capture
from flasktrack.errors import InvalidOrganization
from flasktrack.settings import Settings
from flasktrack.store.engine import initialize, open_engine, writing
from flasktrack.store.organizations import create_organization

T = TypeVar("T")
ORGANIZATION = "example-lab"
PEOPLE = {  # by token: an example's sign-in, and no more than that
    "zoe": Actor("user", "u-17", "Zoë Ødegaard", "analyst"),
    "amir": Actor("user", "u-04", "Amir Haddad", "lab manager"),
    "lims": Actor("service_account", "lims-sync", "LIMS"),
}
RECOUNT = Actor("automation", "recount", "Stock recount")


class Base(DeclarativeBase):
    """The application's tables, beside FlaskTrack's."""


@audited(entity_type="batch", name="id")
class Batch(Base):
    __tablename__ = "lab_batch"
    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    status: Mapped[str] = mapped_column(server_default="open")
    volume_ul: Mapped[float | None]
    samples: Mapped[list[Sample]] = relationship(back_populates="batch")


@audited(entity_type="sample", name="label", mask=["patient"])
class Sample(Base):
    __tablename__ = "lab_sample"
    id: Mapped[int] = mapped_column(primary_key=True)
    label: Mapped[str]
    volume_ul: Mapped[float]
    patient: Mapped[str | None]
    batch_id: Mapped[str] = mapped_column(ForeignKey("lab_batch.id"))
    batch: Mapped[Batch] = relationship(back_populates="samples")


class NewSample(BaseModel):
    """What POST /samples takes."""

    label: str
    volume_ul: float
    batch_id: str
    patient: str | None = None


class SampleChange(BaseModel):
    """What PATCH /samples/{id} takes."""

    volume_ul: float


class SampleOut(BaseModel):
    """A sample as it is shown."""

    model_config = ConfigDict(from_attributes=True)
    id: int
    label: str
    volume_ul: float
    batch_id: str


def signed_in(token: Annotated[HTTPAuthorizationCredentials, Depends(HTTPBearer())]) -> None:
    """Say who makes this request: whatever it changes is theirs."""
    actor = PEOPLE.get(token.credentials)
    if actor is None:
        raise HTTPException(401, "Unknown token. This example knows: " + ", ".join(PEOPLE))
    identify(actor, credential_id=f"token-{token.credentials}")


@contextmanager
def transaction(engine: Engine) -> Iterator[Session]:
    """A session in a transaction, committed at the end and rolled back on an error."""
    with writing(engine) as connection, Session(connection) as session:
        yield session
        session.flush()


def session_of(request: Request) -> Iterator[Session]:
    """The request's session."""
    with transaction(request.app.state.engine) as session:
        yield session


Database = Annotated[Session, Depends(session_of, scope="function")]  # it commits before the answer is sent


def find(session: Session, kind: type[T], key: str | int) -> T:
    """An object by its key, or the answer that there is none."""
    found = session.get(kind, key)
    if found is None:
        raise HTTPException(404, f"There is no {kind.__name__.lower()} {key}.")
    return found


def make_app(engine: Engine) -> FastAPI:
    """The application over a database that has FlaskTrack's tables, the organization and its own tables."""
    recorder = capture(engine, ORGANIZATION)  # (1)
    app = FastAPI(title="Example laboratory", dependencies=[Depends(signed_in)])
    app.add_middleware(RequestScope)  # (2)
    app.state.engine = engine

    @app.put("/batches/{batch_id}", status_code=201)
    def add_batch(batch_id: str, session: Database) -> None:
        session.add(Batch(id=batch_id))

    @app.post("/batches/{batch_id}/approve")
    def approve(batch_id: str, session: Database) -> None:
        find(session, Batch, batch_id).status = "approved"
        session.flush()
        recorder.act(session, "approve", "batch", batch_id, entity_name=batch_id)

    @app.post("/batches/{batch_id}/recount", status_code=202)
    def recount_later(batch_id: str, tasks: BackgroundTasks) -> None:
        tasks.add_task(recount, batch_id)

    def recount(batch_id: str) -> None:
        """A machine's work, for the person who asked for it."""
        asked = current().actor
        for_whom = f"{asked.type}:{asked.id}" if asked else None
        with acting(RECOUNT, on_behalf_of=for_whom, reason="recount"), transaction(engine) as session:
            total = select(func.sum(Sample.volume_ul)).where(Sample.batch_id == batch_id)
            find(session, Batch, batch_id).volume_ul = session.scalar(total)

    @app.get("/samples", response_model=list[SampleOut])
    def samples(session: Database) -> Sequence[Sample]:
        return session.scalars(select(Sample).order_by(Sample.id)).all()

    @app.post("/samples", status_code=201, response_model=SampleOut)
    def add_sample(new: NewSample, session: Database) -> Sample:
        find(session, Batch, new.batch_id)
        sample = Sample(**new.model_dump())
        session.add(sample)
        session.flush()
        return sample

    @app.patch("/samples/{sample_id}", response_model=SampleOut)
    def change_sample(sample_id: int, change: SampleChange, session: Database) -> Sample:
        sample = find(session, Sample, sample_id)
        sample.volume_ul = change.volume_ul
        return sample

    @app.delete("/samples/{sample_id}", status_code=204)
    def discard_sample(sample_id: int, session: Database) -> Response:
        session.delete(find(session, Sample, sample_id))
        return Response(status_code=204)

    return app


def prepare(url: str) -> Engine:
    """An engine over the database, which gets what it lacks: the audit tables, the organization, the lab's tables."""
    engine = open_engine(url)
    initialize(engine)
    try:
        with writing(engine) as connection:
            create_organization(connection, ORGANIZATION, "Example Laboratory")
    except InvalidOrganization:
        pass  # it is there from the last time
    Base.metadata.create_all(engine)
    return engine


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m examples.lab", description="A laboratory's application.")
    parser.add_argument("--port", type=int, default=8600)
    port = parser.parse_args().port
    print(f"Try it at http://127.0.0.1:{port}/docs with the token zoe, amir or lims; then look at the dashboard.")
    uvicorn.run(make_app(prepare(Settings.from_environment().database_url)), port=port, log_level="warning")


if __name__ == "__main__":
    main()
