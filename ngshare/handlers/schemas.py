"""Shapes of what travels, as JSON Schema: what the operations of the OpenAPI document share.

Objects may have more keys than are listed: clients leave out what they don't know. Ids and paths
are constrained in requests only: ngshare 0.6 took others, and what it took is still there.
"""

from __future__ import annotations

from typing import Any

from ngshare.handlers.archives import TAR, ZIP
from ngshare.handlers.bodies import FORM, MULTIPART
from ngshare.handlers.listings import LONGEST_PART
from ngshare.limits import Limits

JSON = "application/json"
BYTES = "application/octet-stream"

Schema = dict[str, Any]
Content = dict[str, Schema]  # by media type

# What wire.is_legal_name refuses, but for the lengths in bytes; of paths what check_paths does.
_CONTROL = r"\u0000-\u001f\u007f-\u009f\u2028\u2029"
_DIGIT64 = r"[A-Za-z0-9+/][ \t\r\n]*"
_PAD = r"=[ \t\r\n]*"
_BASE64 = (
    rf"^[ \t\r\n]*(({_DIGIT64}){{4}})*(({_DIGIT64}){{2}}({_PAD}){{2}}|({_DIGIT64}){{3}}{_PAD})?$"
)
_DAY = "[1-9][0-9]{3}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])"
_TIME = r"([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]\.[0-9]"


def ref(name: str) -> Schema:
    """One of SCHEMAS."""
    return {"$ref": f"#/components/schemas/{name}"}


def described(schema: Schema, description: str) -> Schema:
    """The same with words."""
    return {**schema, "description": description}


def array(items: Schema) -> Schema:
    """A list of these."""
    return {"type": "array", "items": items}


def record(optional: dict[str, Schema] | None = None, **required: Schema) -> Schema:
    """An object with these keys, and others."""
    schema: Schema = {"type": "object", "properties": {**required, **(optional or {})}}
    return {**schema, "required": list(required)} if required else schema


def answer(optional: dict[str, Schema] | None = None, **required: Schema) -> Content:
    """What a call that succeeded has to say."""
    return {JSON: record(optional, success={"const": True}, **required)}


def form(optional: dict[str, Schema] | None = None, **required: Schema) -> Content:
    """The fields of a form."""
    return dict.fromkeys((FORM, MULTIPART), record(optional, **required))


def upload(**fields: Schema) -> Content:
    """The bodies that bring a directory; with these fields if they are forms."""
    files = array(ref("NewFile"))
    parts = {**array({"type": "string", "contentMediaType": BYTES}), "minItems": 1}
    multipart = {
        **record({"files": files, "file": parts}, **fields),
        "anyOf": [{"required": ["files"]}, {"required": ["file"]}],
        "description": "A part with a file name is a file of this path, whatever its own name.",
    }
    return {FORM: record(files=files, **fields), MULTIPART: multipart, TAR: {}, ZIP: {}}


def _segments(illegal: str) -> str:
    """A pattern: segments between slashes, none of them empty, `.` or `..`."""
    first, other = f"[^./{illegal}]", f"[^/{illegal}]"
    segment = rf"({first}{other}*|\.{first}{other}*|\.\.{other}+)"
    return f"^{segment}(/{segment})*$"


TEXT: Schema = {"type": "string"}
MAYBE_TEXT: Schema = {"type": ["string", "null"]}
FLAG: Schema = {"type": "boolean", "default": False}
BOOLEAN: Schema = {"type": "boolean"}
COUNT: Schema = {"type": "integer", "minimum": 0}
NUMBER: Schema = {"type": "integer", "minimum": 1}
NAME, PATH, TIMESTAMP, SHA256 = map(ref, ("Name", "Path", "Timestamp", "Sha256"))
BASE64: Schema = {"type": "string", "contentEncoding": "base64"}
NEW_PERSON = {"first_name": TEXT, "last_name": TEXT, "email": TEXT}
PERSON = {"username": TEXT, **dict.fromkeys(NEW_PERSON, MAYBE_TEXT)}
FILES = array(ref("File"))
RELEASE = {"sha256": SHA256, "version": NUMBER, "released_at": TIMESTAMP}
_DIRECTORY = {
    "sha256": SHA256,
    "size": COUNT,
    "file_count": COUNT,
    "notebooks": described(array(TEXT), "Without `.ipynb`."),
}

# Arguments.
_WHEN = f"{_DAY} {_TIME}{{1,6}}( UTC| )?"
WHEN: Schema = {"type": "string", "pattern": f"^{_WHEN}$"}
WHEN_OR_LATEST = described(
    {"type": "string", "pattern": f"^({_WHEN})?$"}, "Of the submission; empty for the latest."
)
LIMIT: Schema = {"type": "integer", "minimum": 1, "maximum": LONGEST_PART, "default": LONGEST_PART}
CURSOR = described(
    {"type": "string", "pattern": "^[0-9]{1,18}$"}, "The `next_cursor` of the part before this."
)
PATHS = described(array(PATH), "Only these files, and those in these folders.")

SCHEMAS: dict[str, Schema] = {
    "Name": {
        "type": "string",
        "description": "An id: in UTF-8 at most 255 bytes between slashes, and 1,024 in all.",
        "minLength": 1,
        "maxLength": 1024,
        "pattern": _segments(_CONTROL),
    },
    "Path": {
        "type": "string",
        "description": "Of a file, or of a folder: like an id, without backslashes and colons.",
        "minLength": 1,
        "maxLength": 1024,
        "pattern": _segments(rf"\\:{_CONTROL}"),
    },
    "Timestamp": {
        "type": "string",
        "pattern": f"^{_DAY} {_TIME}{{6}} UTC$",
        "examples": ["2020-01-30 10:30:47.524219 UTC"],
    },
    "Sha256": {"type": "string", "pattern": "^[0-9a-f]{64}$"},
    "Person": record(**PERSON),
    "File": record(
        {"content": described(BASE64, "Left out in lists.")},
        path=TEXT,
        checksum={"type": "string", "pattern": "^[0-9a-f]{32}$", "description": "The MD5."},
        size=COUNT,
        sha256=SHA256,
    ),
    "NewFile": {
        **record({"content": {**BASE64, "pattern": _BASE64}, "sha256": SHA256}, path=PATH),
        "anyOf": [{"required": ["content"]}, {"required": ["sha256"]}],
        "description": "The SHA-256 is that of the content, or stands for bytes that the server "
        "has and that the caller may read.",
    },
    "Course": record(course_id=TEXT, role={"enum": ["instructor", "student", "admin"]}),
    "Assignment": record(
        course_id=TEXT, assignment_id=TEXT, version=NUMBER, released_at=TIMESTAMP, **_DIRECTORY
    ),
    "Feedback": record(released_at=TIMESTAMP, sha256=SHA256, files=FILES),
    "Submission": record(
        {"files": FILES},
        course_id=TEXT,
        assignment_id=TEXT,
        student_id=TEXT,
        submission_id=NUMBER,
        timestamp=TIMESTAMP,
        feedback={"anyOf": [ref("Feedback"), {"type": "null"}]},
        **_DIRECTORY,
    ),
    "Limits": described(
        record(**dict.fromkeys([*Limits.__dataclass_fields__, "max_upload_bytes"], COUNT)),
        "0 stands for no limit.",
    ),
    "Error": record(
        {"missing": described(array(SHA256), "With the code `missing_content`.")},
        success={"const": False},
        message=described(TEXT, "For people."),
        code={"type": "string", "pattern": "^[a-z0-9_]+$", "description": "For programs."},
        request_id={"type": "string", "pattern": "^[0-9a-f]{16}$"},
    ),
}
