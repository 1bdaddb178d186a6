"""`python -m tests.agents --cache FOLDER`: each agent, each way in, each preset.

Exits with 1 if an agent did not reach the proxy, or a preset did not reach the agent. With
``--write`` the table of docs/agents.md is written anew.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
from pathlib import Path

from tests.agents.installing import NotInstalledError, executable
from tests.agents.known import AGENTS, WAYS, Agent
from tests.agents.running import run_agent
from tests.agents.table import Key, cell, write
from tests.interop.findings import table as findings

PRESETS = ("none", "overload-storm", "stream-overloaded", "stream-cut")


def main() -> int:
    """Run what is asked for; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.agents", description=__doc__)
    parser.add_argument("--cache", type=Path, required=True, help="where agents are installed")
    parser.add_argument("--agent", action="append", help="only this one; repeatable")
    parser.add_argument("--preset", action="append", help="only this one; repeatable")
    parser.add_argument("--write", action="store_true", help="write the table of docs/agents.md")
    parser.add_argument(
        "--write-findings", action="store_true", help="write that of docs/findings.md alone"
    )
    chosen = parser.parse_args()
    presets = chosen.preset or PRESETS
    cells: dict[str, dict[Key, str]] = {}
    found: dict[findings.Key, str] = {}
    versions: dict[str, str] = {}
    complaints: list[str] = []
    for agent in AGENTS:
        if chosen.agent and agent.executable not in chosen.agent:
            continue
        try:
            command = executable(agent, chosen.cache)
        except NotInstalledError as error:
            print(f"{agent.name}: skipped: {error}")
            continue
        versions[agent.name] = _version(command)
        print(f"{agent.name} {versions[agent.name]}")
        cells[agent.name], told = _try(agent, command, presets, complaints)
        found |= {(f"{agent.name} {versions[agent.name]}", preset): told[preset] for preset in told}
    if chosen.write:
        write(versions, cells)
    if chosen.write or chosen.write_findings:
        columns = [f"`{preset}`" for preset in presets if preset != "none"]
        findings.put("agents", findings.written("agent", columns, found))
    print("\n".join(complaints) or f"{len(cells)} agents reached the proxy both ways")
    return 1 if complaints or not cells else 0


def _try(
    agent: Agent, command: Path, presets: tuple[str, ...] | list[str], complaints: list[str]
) -> tuple[dict[Key, str], dict[str, str]]:
    """Return what an agent did, and what was found of it through the proxy, by preset."""
    cells: dict[Key, str] = {}
    found: dict[str, str] = {}
    for preset in presets:
        options = ("--error-probability", "0") if preset == "none" else ("--preset", preset)
        for way in WAYS:
            outcome = run_agent(agent, agent.way(way), command, options)
            cells[preset, way] = cell(outcome)
            words = findings.found_words(outcome.findings)
            print(f"  {preset}, {way}: {cells[preset, way]}; found: {words}", flush=True)
            if way == "proxy" and preset != "none":
                found[f"`{preset}`"] = words
            print(f"    last words: {outcome.last_words[:200]}", flush=True)
            if not outcome.reached:
                complaints.append(f"{agent.name}, {way}, {preset}: no model call came")
            elif preset != "none" and not outcome.harmed:
                complaints.append(f"{agent.name}, {way}: {preset} harmed no model call")
    return cells, found


def _version(command: Path) -> str:
    said = subprocess.run(
        [command, "--version"], capture_output=True, text=True, check=False, timeout=120
    )
    found = re.search(r"\d+\.\d+\.\d+", said.stdout + said.stderr)
    return found.group() if found else "?"


if __name__ == "__main__":
    sys.exit(main())
