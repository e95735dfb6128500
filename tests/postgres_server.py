"""A real PostgreSQL for tests, from Debian's package, on a free port and stopped with the tests.

A plugin: a test module says `pytest_plugins = "postgres_server"` and takes the fixture `postgres`.
"""

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.util import find_spec
from itertools import count
from pathlib import Path
from urllib.parse import quote

import pytest

PROGRAMS = max(Path("/usr/lib/postgresql").glob("*/bin"), default=None)
USER, PASSWORD = "지킴이", "p@ss/w:rd?#% 가"

# What a test database need not survive is not waited for.
_HASTY = ("fsync=off", "full_page_writes=off", "synchronous_commit=off")


@dataclass
class Postgres:
    """A server of its own folder; `url` names a database on it by TCP and password."""

    folder: Path
    port: int
    process: "subprocess.Popen[bytes] | None" = None
    numbers: Iterator[int] = field(default_factory=count)

    def url(self, database: str, *, password: str = PASSWORD) -> str:
        """Return the URL of a database, as a user would write it."""
        return f"postgresql://{quote(USER)}:{quote(password, safe='')}@127.0.0.1:{self.port}/{database}"

    def execute(self, sql: str) -> None:
        """Run one statement as superuser, through the socket."""
        import psycopg

        with psycopg.connect(
            host=str(self.folder), port=self.port, user=USER, dbname="postgres", autocommit=True
        ) as connection:
            connection.execute(sql)  # type: ignore[call-overload]

    @contextmanager
    def database(self, template: str = "template1") -> Iterator[str]:
        """A database of its own: yields its URL."""
        name = f"jikimi{next(self.numbers)}"
        self.execute(f"CREATE DATABASE {name} TEMPLATE {template}")
        try:
            yield self.url(name)
        finally:
            self.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")

    def start(self) -> None:
        """Start the server and wait until it answers; it ends when the tests' process does."""
        options = [f"port={self.port}", "listen_addresses=127.0.0.1", *_HASTY]
        options.append(f"unix_socket_directories={self.folder}")
        flags = [part for option in options for part in ("-c", option)]
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                as_postgres("postgres", "-D", str(self.folder / "data"), *flags), stdout=log, stderr=log
            )
        deadline = time.monotonic() + 30
        while not self._answers():
            if self.process.poll() is not None or time.monotonic() > deadline:
                pytest.fail(f"PostgreSQL did not start: {(self.folder / 'log').read_text()}")
            time.sleep(0.05)

    def stop(self) -> None:
        """End the server, cutting its connections."""
        if self.process is None:
            return
        self.process.send_signal(signal.SIGINT)
        try:
            self.process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process = None

    def _answers(self) -> bool:
        import psycopg

        try:
            self.execute("SELECT 1")
        except psycopg.OperationalError:
            return False
        return True


def as_postgres(program: str, *args: str) -> list[str]:
    """Return the command line: the server refuses to be root, and ends with whoever started it."""
    assert PROGRAMS is not None
    becoming = ["--reuid=postgres", "--regid=postgres", "--clear-groups"] if os.geteuid() == 0 else []
    return ["setpriv", *becoming, "--pdeathsig=INT", str(PROGRAMS / program), *args]


@pytest.fixture(scope="session")
def postgres(need: Callable[[str, bool], None]) -> Iterator[Postgres]:
    """A running PostgreSQL with no databases of ours."""
    need("postgres", PROGRAMS is not None and find_spec("psycopg") is not None)
    # Not in pytest's folder: user postgres may not enter it, and a socket's path has 107 bytes at most.
    with tempfile.TemporaryDirectory(prefix="jikimi-pg-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        password_file = folder / "password"
        password_file.write_text(PASSWORD)
        if os.geteuid() == 0:
            for path in (folder, password_file):
                shutil.chown(path, "postgres", "postgres")
        _make_cluster(folder, password_file)
        server = Postgres(folder, _free_port())
        try:
            server.start()
            yield server
        finally:
            server.stop()


def _make_cluster(folder: Path, password_file: Path) -> None:
    made = subprocess.run(
        as_postgres(
            *("initdb", "-D", str(folder / "data"), "-U", USER, f"--pwfile={password_file}"),
            *("--auth-local=trust", "--auth-host=scram-sha-256"),
            *("--no-sync", "--encoding=UTF8", "--locale=C.UTF-8"),
        ),
        capture_output=True,
        text=True,
        check=False,
    )
    if made.returncode != 0:
        pytest.fail(f"initdb: {made.stdout}{made.stderr}")


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
        assert isinstance(port, int)
        return port
