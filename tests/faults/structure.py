"""What must hold in the tables whenever somebody looks: asked in plain SQL, not of ngshare."""

from __future__ import annotations

from sqlalchemy import create_engine, text

from ngshare.database.engine import normalize_url

# Each counts rows that a transaction of which only a part is visible would leave.
QUESTIONS = {
    "directories without all of their files": """
        SELECT count(*) FROM snapshots s WHERE file_count <>
            (SELECT count(*) FROM snapshot_files f WHERE f.snapshot_pk = s.pk)""",
    "contents without all of their bytes": """
        SELECT count(*) FROM blobs b WHERE stored_size <>
            (SELECT coalesce(sum(length(data)), 0) FROM blob_chunks c WHERE c.digest = b.digest)""",
    "files without content": """
        SELECT count(*) FROM snapshot_files f WHERE NOT EXISTS
            (SELECT 1 FROM blobs b WHERE b.digest = f.digest)""",
    "submissions without a directory": """
        SELECT count(*) FROM submissions u WHERE NOT EXISTS
            (SELECT 1 FROM snapshots s WHERE s.pk = u.snapshot_pk)""",
    "feedback without a submission or a directory": """
        SELECT count(*) FROM feedback f WHERE
            NOT EXISTS (SELECT 1 FROM submissions u WHERE u.pk = f.submission_pk)
            OR NOT EXISTS (SELECT 1 FROM snapshots s WHERE s.pk = f.snapshot_pk)""",
    "assignments without a release": """
        SELECT count(*) FROM assignments a WHERE released_at IS NOT NULL AND NOT EXISTS
            (SELECT 1 FROM releases r WHERE r.assignment_pk = a.pk)""",
}


def find_faults(url: str, everything: bool) -> list[str]:
    """What is wrong in a database; everything: also SQLite's own check, which reads the file."""
    engine = create_engine(normalize_url(url))
    faults = []
    with engine.connect() as connection:
        for what, question in QUESTIONS.items():
            if count := connection.scalar(text(question)):
                faults.append(f"{count} {what}")
        if engine.dialect.name == "sqlite":
            faults += map(str, connection.execute(text("PRAGMA foreign_key_check")).all())
            if everything:
                said = connection.scalars(text("PRAGMA integrity_check")).all()
                faults += [line for line in said if line != "ok"]
    engine.dispose()
    return faults
