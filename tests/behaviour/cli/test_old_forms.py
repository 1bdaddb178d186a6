"""Tests of how the Go program's command lines are read."""

import click
import pytest

from faultinject.cli.old_forms import current_form


@pytest.mark.parametrize(
    ("typed", "current"),
    [
        ([], []),
        (["--help"], ["--help"]),
        (["--version"], ["--version"]),
        (["-h"], ["-h"]),
        (["proxy", "--seed", "1"], ["proxy", "--seed", "1"]),
        (["proxy", "--standalone"], ["proxy", "--standalone"]),
        (["--standalone"], ["proxy"]),
        (["-standalone", "-proxy-port", "80"], ["proxy", "--proxy-port", "80"]),
        (["--standalone=true", "--seed=1"], ["proxy", "--seed=1"]),
        (["--seed", "1", "--standalone", "-h"], ["proxy", "--seed", "1", "-h"]),
        (["-status-code=429", "--standalone"], ["proxy", "--status-code=429"]),
        (["--export-ca", "ca.pem"], ["proxy", "--export-ca", "ca.pem"]),
        (["-install-ca"], ["proxy", "--install-ca"]),
        (["-data-dir=d", "--export-ca=-"], ["proxy", "--data-dir=d", "--export-ca=-"]),
    ],
)
def test_what_still_works(typed, current):
    """--standalone, in any place, means the proxy; commands stay as they are."""
    assert current_form(typed) == current


@pytest.mark.parametrize(
    ("typed", "shown"),
    [
        (["--proxy-port", "8080"], "faultinject proxy --proxy-port 8080"),
        (["-target-host", "*.a b"], "faultinject proxy --target-host '*.a b'"),
        (["--seed=1", "--no-marker"], "faultinject proxy --seed=1 --no-marker"),
        (["--header", "Set-Cookie: s", "--seed", "1"], "faultinject proxy --header ... --seed 1"),
        (["--error-body=s"], "faultinject proxy --error-body=..."),
        (["--plugin"], "faultinject plugin"),
        (["-plugin", "--seed", "1"], "faultinject plugin"),
        (["--plugin-port", "50051"], "faultinject plugin"),
        (["--port", "50051"], "faultinject plugin --port 50051"),
        (["-port=50051", "-seed", "1"], "faultinject plugin --port=50051 --seed 1"),
        (["--seed", "1", "--port", "50051"], "faultinject plugin --seed 1 --port 50051"),
    ],
)
def test_what_is_no_more_shows_the_new_command(typed, shown):
    """Without what may be a secret."""
    with pytest.raises(click.UsageError) as caught:
        current_form(typed)
    assert caught.value.format_message().endswith(f"is a command now: {shown}") or (
        caught.value.format_message().endswith(f"of its own now: {shown}")
    )


def test_the_line_that_the_user_sees(run):
    """One line, exit code 2."""
    code, out, err = run("--proxy-port", "8080")
    assert (code, out) == (2, "")
    assert err == "faultinject: the proxy is a command now: faultinject proxy --proxy-port 8080\n"


def test_the_certificate_is_exported_without_a_command(run, tmp_path):
    """As the Go program did it."""
    code, out, _ = run("--data-dir", str(tmp_path), "-export-ca", "-")
    assert code == 0
    assert out.startswith("-----BEGIN CERTIFICATE-----")


def test_the_standalone_form_reaches_the_proxy(run):
    """Its options are checked as the proxy's are."""
    code, _, err = run("-standalone", "-status-code", "1")
    assert code == 2
    assert err == "faultinject: --status-code: '1' is not a whole number from 200 to 599\n"
