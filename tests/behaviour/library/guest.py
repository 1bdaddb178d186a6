"""Run as a program: what of this process changes when faultinject is imported, and serves.

First the process takes on what a user's program may have loaded, and is looked at. Then it
imports every module of faultinject, serves some requests, and is looked at again. It prints the
differences, a line each; the last line says how much was compared.

With ``plugin`` as its argument it serves the plugin, in a program that has loaded trio-asyncio.
At last it changes something itself, which must be seen.
"""

from __future__ import annotations

import asyncio
import atexit
import concurrent.futures
import faulthandler
import gc
import http.client
import importlib
import json
import locale
import logging
import os
import pkgutil
import random
import re
import resource
import signal
import socket
import ssl
import sys
import tempfile
import threading
import types
import urllib.request
import warnings
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import attrs
import click
import cryptography
import filelock
import google.protobuf.message
import grpclib.client
import grpclib.server
import grpclib.utils
import h2.connection
import h11
import httpx
import pytest
import rich
import trio
import trio.testing
import uvicorn
import yaml

USED = (
    asyncio, attrs, click, concurrent.futures, cryptography, filelock, google.protobuf.message,
    grpclib.client, grpclib.server, grpclib.utils, h2.connection, h11, http.client, httpx, json,
    logging, pytest, random, rich, socket, ssl, trio, uvicorn, warnings, yaml,
)  # fmt: skip
"""What a user's program may have loaded, and could see changed."""
CHANGES_BY_LOADING = "faultinject.plugin.bridge.grpc_server"
"""Loads trio-asyncio, which changes asyncio: only `serve_plugin` does that, when it is called."""

# What libraries keep for themselves, and change when they are used by anybody.
OWN_BUSINESS = {
    ("attr._make", "_CountingAttr"),  # counts all fields of all classes
}


def looked_at() -> dict[str, Any]:
    """Return what there is to compare."""
    return dict(_attributes()) | _of_the_process()


def _attributes() -> Iterator[tuple[str, Any]]:
    """Return what each module's names and each class's members are bound to."""
    for module_name in sorted(MODULES):
        module = MODULES[module_name]
        for name, value in list(vars(module).items()):
            if isinstance(value, types.ModuleType) or (module_name, name) in OWN_BUSINESS:
                continue  # an inner module appears when somebody imports it
            yield f"{module_name}.{name}", id(value)
            if isinstance(value, type) and value.__module__ == module_name:
                for member, inner in list(vars(value).items()):
                    yield f"{module_name}.{name}.{member}", id(inner)
            if isinstance(value, types.FunctionType):
                yield f"{module_name}.{name}'s code", id(value.__code__)


def _of_the_process() -> dict[str, Any]:
    loggers = {"": logging.root} | {
        name: each
        for name, each in logging.root.manager.loggerDict.items()
        if isinstance(each, logging.Logger) and name.partition(".")[0] in MODULES
    }
    return {
        "environment": dict(os.environ),
        "directory": Path.cwd(),
        "path": list(sys.path),
        "finders": [id(each) for each in (*sys.meta_path, *sys.path_hooks)],
        "hooks": [id(each) for each in (sys.excepthook, sys.unraisablehook, sys.displayhook)],
        "thread's hook": id(threading.excepthook),
        "streams": [id(each) for each in (sys.stdin, sys.stdout, sys.stderr)],
        "encodings": [each.encoding for each in (sys.stdin, sys.stdout, sys.stderr)],
        "trace": (sys.gettrace(), sys.getprofile()),
        "recursion": sys.getrecursionlimit(),
        "switches": sys.getswitchinterval(),
        "digits": sys.get_int_max_str_digits(),
        "async hooks": tuple(sys.get_asyncgen_hooks()),
        "signals": {n: str(signal.getsignal(n)) for n in sorted(signal.valid_signals())},
        "wakeup": _wakeup(),
        "blocked signals": signal.pthread_sigmask(signal.SIG_BLOCK, []),
        "collector": (gc.isenabled(), gc.get_threshold(), gc.get_debug(), gc.get_freeze_count()),
        "collector's callbacks": list(gc.callbacks),
        "exit functions": atexit._ncallbacks(),
        "warnings": [str(each) for each in warnings.filters],
        "warnings shown by": id(warnings.showwarning),
        "loggers": {name: _of_logger(each) for name, each in loggers.items()},
        "logging's class": id(logging.getLoggerClass()),
        "locale": locale.setlocale(locale.LC_ALL),
        "umask": _umask(),
        "limits": [resource.getrlimit(each) for each in LIMITS],
        "socket's timeout": socket.getdefaulttimeout(),
        "random": hash(random.getstate()),
        "fault handler": faulthandler.is_enabled(),
        "asyncio's policy": id(asyncio.get_event_loop_policy()),
        "ssl's contexts": (id(ssl._create_default_https_context), id(ssl.SSLContext)),
        "opener": id(urllib.request._opener),
    }  # fmt: skip


LIMITS = [getattr(resource, name) for name in dir(resource) if name.startswith("RLIMIT_")]


def _of_logger(logger: logging.Logger) -> tuple[object, ...]:
    return logger.level, logger.disabled, logger.propagate, list(logger.handlers)


def _wakeup() -> int:
    number = signal.set_wakeup_fd(-1)
    signal.set_wakeup_fd(number)
    return number


def _umask() -> int:
    mask = os.umask(0o22)
    os.umask(mask)
    return mask


def import_all() -> list[str]:
    """Import every module of the package but the one that is known to change something."""
    import faultinject

    found = pkgutil.walk_packages(faultinject.__path__, "faultinject.")
    names = [each.name for each in found]
    for name in names:
        if name not in (CHANGES_BY_LOADING, "faultinject.__main__"):
            importlib.import_module(name)
    return names


async def serve_for_a_moment(folder: Path) -> None:
    """Serve requests that a rule answers, and some that the fake API answers, through HTTPS."""
    import faultinject

    settings = faultinject.Settings(
        proxy_port=0, data_dir=folder, fake_upstream=True, error_probability=0.5, seed=1
    )
    async with trio.open_nursery() as nursery:
        proxy = await nursery.start(faultinject.serve, settings)
        trust = ssl.create_default_context(cafile=str(proxy.ca_cert))
        async with httpx.AsyncClient(proxy=proxy.url, verify=trust, trust_env=False) as client:
            statuses = {
                (await client.get("https://api.anthropic.com/v1/models")).status_code
                for _ in range(12)
            }
        assert statuses == {200, 500}, statuses
        nursery.cancel_scope.cancel()


def differences(before: dict[str, Any], after: dict[str, Any]) -> Iterator[str]:
    """Return what is not as it was."""
    for name in sorted(before.keys() | after.keys()):
        old, new = before.get(name, "absent"), after.get(name, "absent")
        if old != new:
            yield f"{name}: {old} became {new}"


async def warm_up() -> None:
    """Use the libraries as anybody would: they fill what they keep for later."""
    asyncio.get_event_loop_policy()
    with tempfile.TemporaryDirectory():
        pass
    async with trio.open_nursery() as nursery:
        listeners = await nursery.start(partial(trio.serve_tcp, _answer, 0, host="127.0.0.1"))
        port = listeners[0].socket.getsockname()[1]
        async with httpx.AsyncClient(trust_env=False) as client:
            await client.get(f"http://127.0.0.1:{port}")
        await trio.to_thread.run_sync(gc.collect)
        nursery.cancel_scope.cancel()


async def _answer(stream: trio.SocketStream) -> None:
    await stream.receive_some()
    await stream.send_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")


async def serve_plugin_for_a_moment(folder: Path) -> None:
    """Serve the plugin, and stop it."""
    import faultinject

    settings = faultinject.PluginSettings(port=0, upstream_port=0, data_dir=folder)
    async with trio.open_nursery() as nursery:
        await nursery.start(faultinject.serve_plugin, settings)
        nursery.cancel_scope.cancel()


def plant() -> None:
    """Change what must be noticed."""
    h11._readers.header_field_re = re.compile(b"x")
    gc.freeze()
    signal.signal(signal.SIGTERM, lambda *_: None)


SERVING = {"": serve_for_a_moment, "plugin": serve_plugin_for_a_moment}


def main(what: str = "") -> None:
    """Compare, and print."""
    if what == "plugin":
        importlib.import_module("trio_asyncio")
    trio.run(warm_up)
    loaded = {name: each for name, each in sys.modules.items() if name != "__main__"}
    MODULES.update((n, each) for n, each in loaded.items() if isinstance(each, types.ModuleType))
    assert not any(name.startswith("faultinject") for name in MODULES)
    with tempfile.TemporaryDirectory() as folder:
        before = looked_at()
        names = import_all()
        assert what == "plugin" or "trio_asyncio" not in sys.modules  # it changes asyncio for all
        imported = looked_at()
        trio.run(SERVING[what], Path(folder))
        served = looked_at()
    plant()
    planted = looked_at()
    for when, then, now in (
        ("import", before, imported),
        ("serving", imported, served),
        ("planting", served, planted),
    ):
        for line in differences(then, now):
            print(f"{when}: {line}")
    print(len(before), "facts,", len(names), "modules")


MODULES: dict[str, types.ModuleType] = {}
"""What was loaded before faultinject."""

if __name__ == "__main__":
    main(*sys.argv[1:])
