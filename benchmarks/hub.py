"""A stand-in for the Hub, for load tests: it answers `GET /hub/api/user` after a given delay.

    python -m benchmarks.hub --port 8081 --delay 0.005 --users alice,bob

A real Hub answers about 280 identity calls a second on two cores, and would be what is measured.
"""

import argparse
import asyncio

from tornado.web import Application, RequestHandler

SERVICE_NAME = "ngshare"
SERVICE_TOKEN = "token-of-the-service"


def token_of(user: str) -> str:
    """The API token that this Hub knows `user` by."""
    return f"token-of-user-{user}"


def user_model(name: str) -> dict[str, object]:
    """What the Hub says about a user: the keys that a stock JupyterHub 5 or 6 sends."""
    return {
        "kind": "user",
        "name": name,
        "admin": False,
        "groups": [],
        "roles": ["user"],
        "scopes": [f"access:services!service={SERVICE_NAME}", f"read:users:name!user={name}"],
        "session_id": None,
        "token_id": f"a-{name}",
        "server": None,
        "pending": None,
    }


def service_model() -> dict[str, object]:
    """What the Hub says about the service itself."""
    return {
        "kind": "service",
        "name": SERVICE_NAME,
        "admin": False,
        "roles": [],
        "scopes": [],
        "session_id": None,
    }


class VersionHandler(RequestHandler):
    def get(self) -> None:
        self.write({"version": "6.1.1"})


class UserHandler(RequestHandler):
    def initialize(self, models: dict[str, dict[str, object]], delay: float) -> None:
        self.models = models
        self.delay = delay

    async def get(self) -> None:
        await asyncio.sleep(self.delay)
        _, _, token = self.request.headers.get("Authorization", "").partition(" ")
        model = self.models.get(token)
        if model is None:
            self.set_status(403)
            model = {"status": 403, "message": "Missing or invalid credentials."}
        self.write(model)


async def serve(port: int, delay: float, users: list[str]) -> None:
    """Answer until the process is ended."""
    models = {token_of(user): user_model(user) for user in users}
    models[SERVICE_TOKEN] = service_model()
    options = {"models": models, "delay": delay}
    application = Application(
        [("/hub/api/?", VersionHandler), ("/hub/api/user", UserHandler, options)],
        log_function=lambda handler: None,
    )
    application.listen(port, "127.0.0.1")
    await asyncio.Event().wait()


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.hub", description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--delay", type=float, default=0.005, help="seconds before each answer")
    parser.add_argument("--users", default="", help="the users it knows, with commas between")
    arguments = parser.parse_args()
    asyncio.run(serve(arguments.port, arguments.delay, arguments.users.split(",")))


if __name__ == "__main__":
    main()
