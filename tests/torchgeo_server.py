# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""A `torchgeo` command that answers at once.

Snakemake starts the command anew for each fit and test, and each time Python takes long
to import TorchGeo. This one asks the process of the tests, which forks one that has it.
"""

import json
import socketserver
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from processes import fork
from torchgeo.main import main as torchgeo

from experiments.tables.with_models import main as with_models

CLIENT = """#!{python} -IS
import json, os, socket, sys
with socket.socket(socket.AF_UNIX) as server:
    server.connect({address!r})
    server.sendall(json.dumps(sys.argv[1:]).encode() + b'\\n')
    answer = json.loads(server.makefile().readline())
print(answer['output'])
sys.exit(answer['status'])
"""


def run(arguments: list[str]) -> None:
    """Be the torchgeo command, with models of the user's where there are any."""
    (with_models if '--' in arguments else torchgeo)(arguments)


class Handler(socketserver.StreamRequestHandler):
    """Answers a command with its output and its exit status."""

    def handle(self) -> None:
        done = fork(run, json.loads(self.rfile.readline()))
        output = done.stdout + done.stderr
        answer = {'output': output, 'status': abs(done.returncode)}
        self.wfile.write(json.dumps(answer).encode() + b'\n')


class Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    """Answers several commands at a time."""

    daemon_threads = True


@contextmanager
def served(folder: Path) -> Iterator[Path]:
    """Serve a torchgeo command.

    Args:
        folder: A folder for it; the path of a socket must be short.

    Yields:
        The command.
    """
    address, command = folder / 'socket', folder / 'torchgeo'
    command.write_text(CLIENT.format(python=sys.executable, address=str(address)))
    command.chmod(0o755)
    with Server(str(address), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield command
        server.shutdown()
