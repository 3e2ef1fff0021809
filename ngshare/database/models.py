"""The tables. Migrations build them; a test holds that these models say the same."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Any

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    DateTime,
    Dialect,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Text,
    TypeDecorator,
    UniqueConstraint,
    select,
)
from sqlalchemy.dialects import postgresql
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

INSTRUCTOR = "instructor"
STUDENT = "student"

# SQLite only counts up an INTEGER PRIMARY KEY.
Key = BigInteger().with_variant(Integer, "sqlite")
# Sorted by code point on both databases, as Python sorts.
Name = Text().with_variant(postgresql.TEXT(collation="C"), "postgresql")


class UTCDateTime(TypeDecorator[datetime]):
    """An aware datetime in UTC; SQLite, which has no zones, stores it without."""

    impl = DateTime(timezone=True)
    cache_ok = True
    python_type = datetime

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None or dialect.name != "sqlite":
            return value
        return value.astimezone(timezone.utc).replace(tzinfo=None)

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:
        return None if value is None else value.astimezone(timezone.utc)

    def result_processor(self, dialect: Dialect, coltype: object) -> Any:
        # From SQLite's text in one step: lists of thousands of times are mostly this.
        return (
            _read_time if dialect.name == "sqlite" else super().result_processor(dialect, coltype)
        )


def _read_time(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(f"{text}+00:00")


class Base(DeclarativeBase):
    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    type_annotation_map = {datetime: UTCDateTime, bytes: LargeBinary}


class User(Base):
    """A user of the Hub; services have no row here."""

    __tablename__ = "users"

    pk: Mapped[int] = mapped_column(Key, primary_key=True)
    name: Mapped[str] = mapped_column(Name, unique=True)


class Course(Base):
    """A course; one with deleted_at is out of sight of every call."""

    __tablename__ = "courses"

    pk: Mapped[int] = mapped_column(Key, primary_key=True)
    name: Mapped[str] = mapped_column(Name, unique=True)
    deleted_at: Mapped[datetime | None]


class Membership(Base):
    """A person in a course; one who was removed stays, inactive, with the work done."""

    __tablename__ = "memberships"
    __table_args__ = (
        UniqueConstraint("course_pk", "user_pk"),
        CheckConstraint("role IN ('instructor', 'student')", name="role"),
        Index(None, "user_pk"),
    )

    pk: Mapped[int] = mapped_column(Key, primary_key=True)
    course_pk: Mapped[int] = mapped_column(Key, ForeignKey("courses.pk"))
    user_pk: Mapped[int] = mapped_column(Key, ForeignKey("users.pk"))
    role: Mapped[str] = mapped_column(Text)
    first_name: Mapped[str | None] = mapped_column(Text)
    last_name: Mapped[str | None] = mapped_column(Text)
    email: Mapped[str | None] = mapped_column(Text)
    active: Mapped[bool] = mapped_column(default=True)


class Blob(Base):
    """Bytes that some file has: stored once, found by their SHA-256, never changed.

    `checksum` is the MD5 that the API shows; `encoding` is how the chunks are stored, `identity`
    or `zstd` (each chunk a frame of its own). `unused_since` is when the garbage collector first
    found that no snapshot refers to it.
    """

    __tablename__ = "blobs"

    digest: Mapped[bytes] = mapped_column(primary_key=True)
    size: Mapped[int] = mapped_column(BigInteger)
    checksum: Mapped[bytes]
    encoding: Mapped[str] = mapped_column(Text)
    stored_size: Mapped[int] = mapped_column(BigInteger)
    unused_since: Mapped[datetime | None]


class BlobChunk(Base):
    """A piece of a blob, in the order of seq.

    It has at most blobs.CHUNK_BYTES before encoding.
    """

    __tablename__ = "blob_chunks"

    digest: Mapped[bytes] = mapped_column(ForeignKey("blobs.digest"), primary_key=True)
    seq: Mapped[int] = mapped_column(primary_key=True)
    data: Mapped[bytes]


class Snapshot(Base):
    """An immutable directory, found by the digest of its manifest.

    See wire.manifest_digest.
    """

    __tablename__ = "snapshots"

    pk: Mapped[int] = mapped_column(Key, primary_key=True)
    digest: Mapped[bytes] = mapped_column(unique=True)
    size: Mapped[int] = mapped_column(BigInteger)
    file_count: Mapped[int]


class SnapshotFile(Base):
    """A path of a snapshot and the content it has there."""

    __tablename__ = "snapshot_files"
    __table_args__ = (UniqueConstraint("snapshot_pk", "path"), Index(None, "digest"))

    pk: Mapped[int] = mapped_column(Key, primary_key=True)
    snapshot_pk: Mapped[int] = mapped_column(Key, ForeignKey("snapshots.pk"))
    path: Mapped[str] = mapped_column(Name)
    digest: Mapped[bytes] = mapped_column(ForeignKey("blobs.digest"))


class Assignment(Base):
    """An assignment of a course; out of sight while released_at is null."""

    __tablename__ = "assignments"
    __table_args__ = (UniqueConstraint("course_pk", "name"),)

    pk: Mapped[int] = mapped_column(Key, primary_key=True)
    course_pk: Mapped[int] = mapped_column(Key, ForeignKey("courses.pk"))
    name: Mapped[str] = mapped_column(Name)
    released_at: Mapped[datetime | None]


class Release(Base):
    """A version of an assignment's files; the newest is the one to fetch."""

    __tablename__ = "releases"
    __table_args__ = (Index(None, "snapshot_pk"),)

    assignment_pk: Mapped[int] = mapped_column(Key, ForeignKey("assignments.pk"), primary_key=True)
    version: Mapped[int] = mapped_column(primary_key=True)
    snapshot_pk: Mapped[int] = mapped_column(Key, ForeignKey("snapshots.pk"))
    at: Mapped[datetime]
    by: Mapped[str] = mapped_column(Text)


class Fetch(Base):
    """That a person has got files of a version of an assignment, and when for the first time."""

    __tablename__ = "fetches"
    __table_args__ = (Index(None, "user_pk"),)

    assignment_pk: Mapped[int] = mapped_column(
        Key, ForeignKey("assignments.pk", ondelete="CASCADE"), primary_key=True
    )
    user_pk: Mapped[int] = mapped_column(
        Key, ForeignKey("users.pk", ondelete="CASCADE"), primary_key=True
    )
    version: Mapped[int] = mapped_column(primary_key=True)
    at: Mapped[datetime]


class Submission(Base):
    """What a user submitted, and when; one user's times are distinct and grow.

    `idempotency_key` is what the client called the submission, so that it can ask again for a
    receipt that got lost; null if it gave no name.
    """

    __tablename__ = "submissions"
    __table_args__ = (
        UniqueConstraint("assignment_pk", "user_pk", "at"),
        Index(None, "assignment_pk", "user_pk", "idempotency_key", unique=True),
        Index(None, "snapshot_pk"),
        Index(None, "user_pk"),
    )

    pk: Mapped[int] = mapped_column(Key, primary_key=True)
    assignment_pk: Mapped[int] = mapped_column(Key, ForeignKey("assignments.pk"))
    user_pk: Mapped[int] = mapped_column(Key, ForeignKey("users.pk"))
    at: Mapped[datetime]
    snapshot_pk: Mapped[int] = mapped_column(Key, ForeignKey("snapshots.pk"))
    idempotency_key: Mapped[str | None] = mapped_column(Text)


class Removal(Base):
    """That a submission is out of sight of every call but the one that purges it.

    This is no column of submissions, because lists would be slower with it: they find what they
    need in an index.
    """

    __tablename__ = "removals"

    submission_pk: Mapped[int] = mapped_column(
        Key, ForeignKey("submissions.pk", ondelete="CASCADE"), primary_key=True
    )
    at: Mapped[datetime]
    by: Mapped[str] = mapped_column(Text)


REMOVED = select(Removal.submission_pk)


class Feedback(Base):
    """The feedback on a submission; releasing it again replaces it."""

    __tablename__ = "feedback"
    __table_args__ = (Index(None, "snapshot_pk"),)

    submission_pk: Mapped[int] = mapped_column(Key, ForeignKey("submissions.pk"), primary_key=True)
    snapshot_pk: Mapped[int] = mapped_column(Key, ForeignKey("snapshots.pk"))
    at: Mapped[datetime]
    by: Mapped[str] = mapped_column(Text)


class Upload(Base):
    """A content sent ahead by a member of a course, whose next call refers to it.

    Its snapshot is a directory of one file; the garbage collector forgets it after a day.
    """

    __tablename__ = "uploads"
    __table_args__ = (
        UniqueConstraint("course_pk", "by", "snapshot_pk"),
        Index(None, "snapshot_pk"),
    )

    pk: Mapped[int] = mapped_column(Key, primary_key=True)
    course_pk: Mapped[int] = mapped_column(Key, ForeignKey("courses.pk"))
    by: Mapped[str] = mapped_column(Text)
    snapshot_pk: Mapped[int] = mapped_column(Key, ForeignKey("snapshots.pk"))
    at: Mapped[datetime]


class AuditEntry(Base):
    """Who changed what, and when, in words: it refers to no row, and outlives them all."""

    __tablename__ = "audit_log"
    __table_args__ = (Index(None, "course_id"), Index(None, "at"))

    pk: Mapped[int] = mapped_column(Key, primary_key=True)
    at: Mapped[datetime]
    by: Mapped[str] = mapped_column(Text)
    action: Mapped[str] = mapped_column(Text)
    course_id: Mapped[str | None] = mapped_column(Name)
    assignment_id: Mapped[str | None] = mapped_column(Name)
    username: Mapped[str | None] = mapped_column(Name)
    detail: Mapped[str | None] = mapped_column(Text)
