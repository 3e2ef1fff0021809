"""`make run`: ngshare without a Hub, on sample data in the folder `sample`."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

FOLDER = Path("sample")
PORT = 12121
URL = f"http://127.0.0.1:{PORT}/api/"


def get(path: str) -> dict:
    with urllib.request.urlopen(URL + path, timeout=5) as response:
        return json.load(response)


def wait_until_ready(server: subprocess.Popen[bytes]) -> None:
    while server.poll() is None:
        try:
            get("healthz")
            return
        except urllib.error.HTTPError as error:
            sys.exit(f"{URL} is no ngshare: {error}")
        except urllib.error.URLError:
            time.sleep(0.1)
    sys.exit(server.returncode)


def main() -> None:
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # stop the server, too
    FOLDER.mkdir(exist_ok=True)
    database = f"sqlite:///{FOLDER.resolve()}/ngshare.db"
    options = ["--vngshare", "--port", str(PORT), "--admins", "root", "--database", database]
    server = subprocess.Popen([sys.executable, "-m", "ngshare", "--log-level", "WARN", *options])
    try:
        wait_until_ready(server)
        if not get("courses?user=root")["courses"]:
            get("initialize-Data6ase?action=init")
        print(
            f"""
ngshare is running on sample data in {FOLDER}/ (delete that folder to start afresh).

Open     {URL}?user=root
The database as tables: {URL}pages/database?user=root
The API, to be tried:   {URL}pages/api?user=root

Ask it, as the instructor kevin, for what the student lawrence submitted:
    curl '{URL}submission/course1/challenge/lawrence?user=kevin'
Submit something, as lawrence:
    curl -d user=lawrence --data-urlencode 'files=[{{"path": "a.txt", "content": "aGVsbG8="}}]' \\
        {URL}submission/course1/challenge

Stop it with Ctrl-C.""",
            flush=True,
        )
        server.wait()
    except KeyboardInterrupt:
        pass
    finally:
        server.terminate()  # Ctrl-C has reached the server by itself, SIGTERM has not
    sys.exit(server.wait())


if __name__ == "__main__":
    main()
