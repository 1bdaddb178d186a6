"""Prints figures of the structure: modules, floors, circles, and files that a request enters.

    python tools/structure.py [TREE]

TREE is another checkout to look at, such as an older one: ``git worktree add --detach /tmp/old
COMMIT``. Imports are read from the source, those inside functions and for types alone included.
The files that a request enters are counted while a proxy serves one, over TLS, on sockets of this
machine; its client and its upstream are plain sockets, so that only the proxy's own files count.
What a package's ``__init__`` holds besides its docstring makes it a module, else it is not counted.
"""

from __future__ import annotations

import argparse
import ast
import os
import ssl
import statistics
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Any

PACKAGE = "faultinject"
SMALL_LINES = 60
HOST = "api.anthropic.com"
EVENTS = 6

Graph = dict[str, set[str]]


class Source:
    """The modules of a tree and what each imports; a module's name is that below the package."""

    def __init__(self, root: Path) -> None:
        files = [path for path in sorted(root.rglob("*.py")) if "_generated" not in path.parts]
        self.paths = {_module_name(path.relative_to(root)): path for path in files}
        self.trees = {name: ast.parse(path.read_text("utf-8")) for name, path in self.paths.items()}
        self.imports: Graph = {name: set(self._imports(name)) - {name} for name in self.paths}

    def modules(self) -> list[str]:
        """Return the names of all modules but for packages that are only described."""
        return [
            name
            for name, tree in self.trees.items()
            if self.paths[name].name != "__init__.py"
            or any(isinstance(node, (ast.FunctionDef, ast.ClassDef)) for node in tree.body)
        ]

    def lines(self, name: str) -> int:
        """Return how many lines a module has."""
        return len(self.paths[name].read_text("utf-8").splitlines())

    def room(self, name: str) -> str:
        """Return the folder that a module is in; of one in none, its own name."""
        if self.paths[name].name == "__init__.py":
            return name
        return name.rpartition(".")[0] or name

    def rooms(self) -> Graph:
        """Return which rooms import which others."""
        graph: Graph = {self.room(name): set() for name in self.paths}
        for name, imported in self.imports.items():
            graph[self.room(name)] |= {self.room(other) for other in imported} - {self.room(name)}
        return graph

    def late_imports(self) -> int:
        """Return how many import statements stand inside functions."""
        return sum(
            late and isinstance(statement, (ast.Import, ast.ImportFrom))
            for tree in self.trees.values()
            for statement, late in statements(tree)
        )

    def types(self) -> list[str]:
        """Return the names of all classes at the top of modules."""
        return [
            node.name
            for tree in self.trees.values()
            for node in tree.body
            if isinstance(node, ast.ClassDef)
        ]

    def _imports(self, name: str) -> Iterator[str]:
        for node, _ in statements(self.trees[name]):
            if isinstance(node, ast.Import):
                dotted = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                module = node.module or ""
                dotted = [
                    inner if inner.partition(".")[2] in self.paths else module
                    for inner in (f"{module}.{alias.name}" for alias in node.names)
                ]
            else:
                continue
            for each in dotted:
                top, _, inner = each.partition(".")
                if top == PACKAGE and inner in self.paths and inner:
                    yield inner


def statements(node: ast.AST, late: bool = False) -> Iterator[tuple[ast.AST, bool]]:
    """Return all statements in a node, and whether each stands inside a function.

    Expressions, which are most of a tree and have no statements in them, are not gone through.
    """
    for inner in ast.iter_child_nodes(node):
        if isinstance(inner, (ast.stmt, ast.ExceptHandler, ast.match_case)):
            yield inner, late
            yield from statements(inner, late or isinstance(inner, _FUNCTIONS))


_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)


def _module_name(path: Path) -> str:
    parts = path.with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def circles(graph: Graph) -> list[set[str]]:
    """Return the largest groups in which each node leads to each other."""
    reached = {node: _reached(graph, node) for node in graph}
    groups = {
        frozenset({other for other in reached[node] if node in reached[other]}) for node in graph
    }
    return [set(group) for group in groups if len(group) > 1]


def _reached(graph: Graph, start: str) -> set[str]:
    found: set[str] = set()
    waiting = [start]
    while waiting:
        for node in graph[waiting.pop()] - found:
            found.add(node)
            waiting.append(node)
    return found


def floors(graph: Graph) -> int:
    """Return how many nodes the longest chain has; a circle counts as one node."""
    into = {node: node for node in graph}
    for group in circles(graph):
        into.update(dict.fromkeys(group, min(group)))
    merged: Graph = {into[node]: set() for node in graph}
    for node, others in graph.items():
        merged[into[node]] |= {into[other] for other in others} - {into[node]}
    heights: dict[str, int] = {}

    def height(node: str) -> int:
        if node not in heights:
            heights[node] = 1 + max((height(other) for other in merged[node]), default=0)
        return heights[node]

    return max(map(height, merged))


def figures(source: Source) -> dict[str, object]:
    """Return what can be read from the source."""
    modules = source.modules()
    lines = [source.lines(name) for name in modules]
    importers = Counter(other for imported in source.imports.values() for other in imported)
    bases = Counter(name.rpartition(".")[2] for name in modules)
    rooms = source.rooms()
    return {
        "files": len(source.paths),
        "modules": len(modules),
        "at the package's root": sum("." not in name for name in modules),
        "lines": sum(lines),
        "median lines": statistics.median(lines),
        f"modules under {SMALL_LINES} lines": sum(count < SMALL_LINES for count in lines),
        f"files under {SMALL_LINES} lines": sum(
            source.lines(name) < SMALL_LINES for name in source.paths
        ),
        "modules with one importer": sum(importers[name] == 1 for name in modules),
        "module names used more than once": sum(count > 1 for count in bases.values()),
        "type names used more than once": sum(
            count > 1 for count in Counter(source.types()).values()
        ),
        "rooms (folders, and modules in none)": len(rooms),
        "import arrows between rooms": sum(map(len, rooms.values())),
        "circles of rooms": len(circles(rooms)),
        "floors (longest chain of rooms)": floors(rooms),
        "circles of modules": len(circles(source.imports)),
        "longest chain of modules": floors(source.imports),
        "imports inside functions": source.late_imports(),
    }


# -- the files that a request enters ------------------------------------------------------------


@contextmanager
def entered(root: Path) -> Iterator[set[str]]:
    """Collect the package's files of which a function is called within the block."""
    found: set[str] = set()
    below = str(root) + os.sep

    def note(frame: FrameType, event: str, _: object) -> None:
        if event == "call" and frame.f_code.co_filename.startswith(below):
            found.add(frame.f_code.co_filename.removeprefix(below))

    sys.setprofile(note)
    try:
        yield found
    finally:
        sys.setprofile(None)


def stream() -> bytes:
    """Return a streamed answer, as Anthropic's API would send it."""
    delta = (
        b'event: content_block_delta\ndata: {"type":"content_block_delta","index":0,'
        b'"delta":{"type":"text_delta","text":"word "}}\n\n'
    )
    start = b'event: message_start\ndata: {"type":"message_start","message":{"id":"msg_1"}}\n\n'
    body = start + EVENTS * delta
    head = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nContent-Length: %d\r\n\r\n"
    return head % len(body) + body


async def files_entered(root: Path, rule: str, wanted: bytes) -> set[str]:
    """Return the files that one request enters; a rule is for it, its answer begins as wanted."""
    import trio
    import trustme

    from faultinject import serve
    from faultinject.config import PROXY_OPTIONS, load_settings

    authority = trustme.CA()
    upstream_tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(HOST).configure_cert(upstream_tls)

    async def answer(connection: trio.abc.Stream) -> None:
        async with connection:
            with suppress(trio.BrokenResourceError):  # the proxy is gone
                while await connection.receive_some():
                    await connection.send_all(stream())

    with tempfile.TemporaryDirectory() as folder:
        authority.cert_pem.write_to_path(str(Path(folder, "upstream.pem")))
        async with trio.open_nursery() as nursery:
            listeners = await trio.open_ssl_over_tcp_listeners(0, upstream_tls, host="127.0.0.1")
            tcp: Any = listeners[0].transport_listener
            nursery.start_soon(trio.serve_listeners, answer, listeners)
            given = {
                "proxy_port": ["0"],
                "data_dir": [folder],
                "target_host": [HOST],
                "connect_to": [f"{HOST}:443:127.0.0.1:{tcp.socket.getsockname()[1]}"],
                "upstream_ca": [str(Path(folder, "upstream.pem"))],
                "rule": [rule],
            }
            running = await nursery.start(partial(serve, load_settings(given, {}, PROXY_OPTIONS)))
            await request(running.port, running.ca_cert, wanted, root)  # loads what is late
            found = await request(running.port, running.ca_cert, wanted, root)
            nursery.cancel_scope.cancel()
    return found


async def request(port: int, ca_cert: Path, wanted: bytes, root: Path) -> set[str]:
    """Ask for a stream through the proxy, read what comes, and end the connection.

    Returns the files entered after the handshake, to the session's end.

    Raises `ValueError` if the answer does not begin as wanted, or is whole.
    """
    import trio

    tcp = await trio.open_tcp_stream("127.0.0.1", port)
    await tcp.send_all(b"CONNECT %s:443 HTTP/1.1\r\nHost: %s\r\n\r\n" % ((HOST.encode(),) * 2))
    await tcp.receive_some()
    context = ssl.create_default_context(cafile=str(ca_cert))
    tls = trio.SSLStream(tcp, context, server_hostname=HOST, https_compatible=True)
    body = b'{"model":"m","stream":true,"messages":[{"role":"user","content":"x"}]}'
    await tls.do_handshake()
    await trio.testing.wait_all_tasks_blocked(0.2)
    got = b""
    with entered(root) as found:
        await tls.send_all(
            b"POST /v1/messages HTTP/1.1\r\nHost: %s\r\nContent-Type: application/json\r\n"
            b"Content-Length: %d\r\nConnection: close\r\n\r\n%s" % (HOST.encode(), len(body), body)
        )
        with suppress(trio.BrokenResourceError):  # a cut stream
            while chunk := await tls.receive_some():
                got += chunk
        await trio.testing.wait_all_tasks_blocked(0.2)
    if not got.startswith(wanted) or got.endswith(stream()):
        raise ValueError(f"{got[:80]!r} came instead")
    await tls.aclose()
    return found


REQUESTS = {
    "files entered by an injected 429": ("respond 429", b"HTTP/1.1 429 "),
    "files entered by a harmed stream": (
        "cut after={event: content_block_delta, count: 3}",
        b"HTTP/1.1 200 ",
    ),
}


def main() -> None:
    """Print the figures of a tree, and with ``-v`` the files that requests enter."""
    parser = argparse.ArgumentParser(description="Print figures of the package's structure.")
    parser.add_argument("tree", nargs="?", type=Path, default=Path(__file__).parents[1])
    parser.add_argument("-v", action="store_true", help="name the files that requests enter")
    given = parser.parse_args()
    tree = given.tree.resolve()
    root = tree / PACKAGE
    rows = figures(Source(root))
    sys.path.insert(0, str(tree))
    import trio
    import trio.testing

    for title, (rule, wanted) in REQUESTS.items():
        files = trio.run(files_entered, root, rule, wanted)
        if not files:
            parser.error(f"another {PACKAGE} was imported than that in {tree}")
        rows[title] = len(files)
        if given.v:
            sys.stdout.write("\n  ".join([title, *sorted(files)]) + "\n")
    width = max(map(len, rows))
    sys.stdout.writelines(f"{title:{width}}  {value}\n" for title, value in rows.items())


if __name__ == "__main__":
    main()
