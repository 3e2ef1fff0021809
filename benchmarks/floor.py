"""The floor: a bare Tornado handler that moves the same bytes as the calls that are measured.

    python -m benchmarks.floor --port 9000

It knows no users, database or files: what it takes no server on Tornado can save.
"""

import argparse
import asyncio
import base64
import json
import os

from tornado.web import Application, RequestHandler, stream_request_body

from .course import COURSES, MEGABYTE

CONTENT = base64.encodebytes(os.urandom(MEGABYTE)).decode()
FILES = json.dumps({"success": True, "files": [{"path": "data.bin", "content": CONTENT}]}).encode()
COURSE_LIST = json.dumps({"success": True, "courses": COURSES}).encode()


class Bare(RequestHandler):
    received = 0

    def initialize(self) -> None:
        self.set_header("Content-Type", "application/json")

    def compute_etag(self) -> None:
        """None, as ours."""


class CoursesHandler(Bare):
    def get(self) -> None:
        self.finish(COURSE_LIST)


class FilesHandler(Bare):
    def get(self) -> None:
        self.finish(FILES)


@stream_request_body
class SubmitHandler(Bare):
    def data_received(self, chunk: bytes) -> None:
        pass

    def post(self) -> None:
        Bare.received += 1
        self.finish({"success": True, "timestamp": "2020-01-01 00:00:00.000000 UTC"})


class CountHandler(Bare):
    def get(self) -> None:
        self.finish({"success": True, "submissions": [{}] * Bare.received})


class HealthHandler(Bare):
    def get(self) -> None:
        self.finish({"success": True})


async def serve(port: int) -> None:
    routes = [
        (r".*/healthz", HealthHandler),
        (r".*/courses", CoursesHandler),
        (r".*/assignment/.*", FilesHandler),
        (r".*/submission/.*", SubmitHandler),
        (r".*/submissions/.*", CountHandler),
    ]
    Application(routes, log_function=lambda handler: None).listen(port, "127.0.0.1")
    await asyncio.Event().wait()


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.floor", description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    asyncio.run(serve(parser.parse_args().port))


if __name__ == "__main__":
    main()
