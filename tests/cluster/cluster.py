"""A private PostgreSQL cluster: made in a fresh folder, reached through a socket in it, gone without a trace.

The demo starts one that stays (`cluster.py start`), the tests have one each (`with Cluster(pg_config) as cluster`).
PostgreSQL refuses to run as root, so under root the server runs as the user `postgres` (or ALIAPORT_RUNAS).
Standard library only; Cluster.connect() needs psycopg, which the tests' virtual environment has.
"""

import argparse
import atexit
import contextlib
import json
import os
import pathlib
import pwd
import shutil
import subprocess
import sys
import tempfile

PORT = 5432  # Only the name of the socket file: the cluster listens on no address.

# C.UTF-8 sorts the same everywhere. Checkpoints: the defaults would write each page of a bulk load twice.
SETTINGS = {
    "listen_addresses": "",
    "timezone": "UTC",
    "max_wal_size": "4GB",
    "shared_buffers": "256MB",
    "logging_collector": "off",
    "log_line_prefix": "%m [%p] %d ",
}


def server_environment():
    """The environment a server starts in: pgrx puts a backtrace into every DETAIL where RUST_BACKTRACE is set."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("RUST_", "PG", "LC_", "LANG"))}
    return kept | {"LC_ALL": "C.UTF-8"}


class Cluster:
    """One private cluster. `directory` is its socket directory and holds `data`, `log` and `files`."""

    def __init__(self, pg_config, settings=None, directory=None):
        self.pg_config = str(pg_config)
        self.bindir = pathlib.Path(self.ask_pg_config("--bindir"))
        self.settings = SETTINGS | (settings or {})
        self.runas = os.environ.get("ALIAPORT_RUNAS", "postgres") if os.geteuid() == 0 else None
        self.directory = pathlib.Path(directory) if directory else None
        self.connections = []

    def ask_pg_config(self, what):
        return subprocess.run([self.pg_config, what], check=True, capture_output=True, text=True).stdout.strip()

    def has_extension(self, name):
        """Whether this PostgreSQL has an extension; the servers of some majors come without contrib."""
        return pathlib.Path(self.ask_pg_config("--sharedir"), "extension", f"{name}.control").exists()

    @property
    def major(self):
        return int(self.ask_pg_config("--version").split()[1].split(".")[0])

    @property
    def files(self):
        """A folder that the server's OS user may read: sources to import go here."""
        return self.directory / "files"

    @property
    def data(self):
        return self.directory / "data"

    def as_server(self, *command, **how):
        """Runs a program as the server's OS user."""
        prefix = ["runuser", "-u", self.runas, "--"] if self.runas else []
        how = {"check": True, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True} | how
        done = subprocess.run(
            [*prefix, *map(str, command)], cwd=self.directory, env=server_environment(), stdin=subprocess.DEVNULL, **how
        )
        return done.stdout

    def start(self):
        """Makes the cluster and starts it; stop() is called at exit at the latest."""
        # A socket's path is at most 107 bytes, so the folder is in /tmp, whatever TMPDIR says.
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="aliaport.", dir="/tmp"))
        atexit.register(self.stop)
        self.files.mkdir()
        if self.runas:
            owner = pwd.getpwnam(self.runas)
            os.chown(self.directory, owner.pw_uid, owner.pw_gid)
        if not os.access(self.bindir / "initdb", os.X_OK):
            raise SystemExit(f"{self.bindir} has no initdb")
        try:
            self.as_server(self.bindir / "initdb", "-D", self.data, "-E", "UTF8", "--locale=C.UTF-8", "-U", "postgres",
                           "-A", "trust", "--no-sync")
            with open(self.data / "postgresql.auto.conf", "a", encoding="utf-8") as conf:
                for name, value in (self.settings | {"unix_socket_directories": str(self.directory)}).items():
                    conf.write(f"{name} = '{value}'\n")
            self.as_server(self.bindir / "pg_ctl", "-D", self.data, "-l", self.directory / "log", "-w", "start")
        except subprocess.CalledProcessError as e:
            log = self.directory / "log"
            raise SystemExit(f"{e}\n{e.stdout}\n{log.read_text() if log.exists() else ''}") from None
        return self

    def stop(self):
        """Stops the server and removes the folder. Does nothing the second time."""
        atexit.unregister(self.stop)
        for connection in self.connections:
            with contextlib.suppress(Exception):
                connection.close()
        if not self.directory or not self.directory.exists():
            return
        if self.is_running():
            self.as_server(self.bindir / "pg_ctl", "-D", self.data, "-m", "immediate", "-w", "stop", check=False)
        shutil.rmtree(self.directory, ignore_errors=True)

    def is_running(self):
        try:
            os.kill(int((self.data / "postmaster.pid").read_text().split()[0]), 0)
        except PermissionError:
            return True
        except (OSError, ValueError, IndexError):
            return False
        return True

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self.stop()

    def client_environment(self):
        return os.environ | {"PGHOST": str(self.directory), "PGPORT": str(PORT), "PGUSER": "postgres",
                             "PGCLIENTENCODING": "UTF8", "LC_ALL": "C.UTF-8"}

    def run(self, program, *arguments, **how):
        """Runs one of PostgreSQL's own client programs; its standard output."""
        how = {"check": True, "stdout": subprocess.PIPE, "text": True} | how
        return subprocess.run([str(self.bindir / program), *map(str, arguments)], env=self.client_environment(), **how).stdout

    def psql(self, sql, dbname="postgres"):
        """Runs SQL, stops at the first error, returns the values, unaligned."""
        return self.run("psql", "-XqAt", "-v", "ON_ERROR_STOP=1", "-d", dbname, "-c", sql).rstrip("\n")

    def recreate_database(self, name):
        self.psql(f'DROP DATABASE IF EXISTS "{name}"')
        self.psql(f'CREATE DATABASE "{name}" TEMPLATE template0 ENCODING \'UTF8\' LC_COLLATE \'C.UTF-8\' LC_CTYPE \'C.UTF-8\'')

    def connect(self, dbname="postgres", user="postgres", **how):
        """A psycopg connection in autocommit mode, closed by stop() at the latest."""
        import psycopg

        connection = psycopg.connect(
            **({"host": str(self.directory), "port": PORT, "dbname": dbname, "user": user, "autocommit": True} | how)
        )
        self.connections.append(connection)
        return connection

    def log(self):
        return (self.directory / "log").read_text(encoding="utf-8", errors="replace")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("verb", choices=["start", "stop", "psql", "directory"])
    parser.add_argument("--state", required=True, type=pathlib.Path, help="file that remembers the cluster")
    parser.add_argument("--pg-config", help="start: of which server")
    parser.epilog = "What stands after -- is psql's."
    mine, psql_arguments = sys.argv[1:], []
    if "--" in mine:
        mine, psql_arguments = mine[: mine.index("--")], mine[mine.index("--") + 1 :]
    args = parser.parse_args(mine)

    cluster = None
    if args.state.exists():
        known = json.loads(args.state.read_text())
        with contextlib.suppress(OSError, subprocess.CalledProcessError):
            cluster = Cluster(known["pg_config"], directory=known["directory"])

    if args.verb == "start":
        if cluster and cluster.is_running() and cluster.pg_config == args.pg_config:
            return
        if cluster:
            cluster.stop()
        cluster = Cluster(args.pg_config).start()
        atexit.unregister(cluster.stop)
        args.state.parent.mkdir(parents=True, exist_ok=True)
        args.state.write_text(json.dumps({"pg_config": cluster.pg_config, "directory": str(cluster.directory)}) + "\n")
    elif args.verb == "stop":
        if cluster:
            cluster.stop()
            print(f"stopped, and removed {cluster.directory}")
        else:
            print("there is no cluster to stop")
        args.state.unlink(missing_ok=True)
    elif not cluster or not cluster.is_running():
        sys.exit("there is no cluster: start one first")
    elif args.verb == "psql":
        os.execve(cluster.bindir / "psql", ["psql", *psql_arguments], cluster.client_environment())
    else:
        print(cluster.directory)


if __name__ == "__main__":
    main()
