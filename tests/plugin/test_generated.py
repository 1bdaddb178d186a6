"""The message classes at hand are those of plugin.proto, and the check would notice if not."""

from __future__ import annotations

import pytest
from google.protobuf.descriptor_pool import Default

from faultinject.plugin._generated import plugin_pb2
from tests.plugin import generate_proto
from tests.plugin.generate_proto import CLASSES, TYPES, declared, differences

CALLS = {
    "HealthCheck": ("HealthCheckRequest", "HealthCheckResponse"),
    "GetPluginInfo": ("GetPluginInfoRequest", "GetPluginInfoResponse"),
    "GetPluginCapabilities": ("GetPluginCapabilitiesRequest", "GetPluginCapabilitiesResponse"),
    "ProcessHttpRequest": ("ProcessHttpRequestRequest", "ProcessHttpRequestResponse"),
    "ProcessHttpResponse": ("ProcessHttpResponseRequest", "ProcessHttpResponseResponse"),
    "ProcessTunnelData": ("ProcessTunnelDataRequest", "ProcessTunnelDataResponse"),
}

# What Fault 0.16.0 sends and understands, byte by byte: field numbers and enums are the wire.
WIRE = [
    (plugin_pb2.HealthCheckResponse(healthy=True, message="m"), "0801 12016d"),
    (
        plugin_pb2.GetPluginInfoResponse(
            name="n", version="v", author="a", url="u", platform="p",
            direction=plugin_pb2.GetPluginInfoResponse.BOTH,
            side=plugin_pb2.GetPluginInfoResponse.SERVER,
        ),
        "0a016e 120176 1a0161 220175 2a0170 3002 3801",
    ),
    (
        plugin_pb2.GetPluginCapabilitiesResponse(
            can_handle_http_forward=True, can_handle_tunnel=True, protocols=[1, 2]
        ),
        "0801 1001 1a020102",
    ),
    (
        plugin_pb2.HttpRequest(
            method="G", path="/", body=b"b",
            headers=[plugin_pb2.HttpHeader(name="n", value="v")],
        ),
        "0a0147 12012f 1a060a016e120176 220162",
    ),
    (
        plugin_pb2.HttpResponse(
            status_code=200, body=b"b", headers=[plugin_pb2.HttpHeader(name="n", value="v")]
        ),
        "08c801 12060a016e120176 1a0162",
    ),
    (
        plugin_pb2.ProcessHttpRequestRequest(request=plugin_pb2.HttpRequest(method="G")),
        "0a030a0147",
    ),
    (
        plugin_pb2.ProcessHttpRequestResponse(
            action=plugin_pb2.ProcessHttpRequestResponse.ABORT,
            modified_request=plugin_pb2.HttpRequest(method="G"),
            abort_response=plugin_pb2.HttpResponse(status_code=1),
        ),
        "0801 12030a0147 1a020801",
    ),
    (
        plugin_pb2.ProcessHttpResponseRequest(response=plugin_pb2.HttpResponse(status_code=1)),
        "0a020801",
    ),
    (
        plugin_pb2.ProcessHttpResponseResponse(
            action=plugin_pb2.ProcessHttpResponseResponse.ABORT,
            modified_response=plugin_pb2.HttpResponse(status_code=1),
            abort_response=plugin_pb2.HttpResponse(status_code=2),
        ),
        "0801 12020801 1a020802",
    ),
    (
        plugin_pb2.ProcessTunnelDataRequest(
            id="i", chunk=b"c",
            side=plugin_pb2.ProcessTunnelDataRequest.SERVER,
            direction=plugin_pb2.ProcessTunnelDataRequest.EGRESS,
        ),
        "0a0169 1001 1801 220163",
    ),
    (
        plugin_pb2.ProcessTunnelDataResponse(pass_through=plugin_pb2.PassThrough(chunk=b"c")),
        "0a030a0163",
    ),
    (
        plugin_pb2.ProcessTunnelDataResponse(replace=plugin_pb2.Replace(modified_chunk=b"c")),
        "12030a0163",
    ),
    (plugin_pb2.ProcessTunnelDataResponse(replace=plugin_pb2.Replace()), "1200"),
    (
        plugin_pb2.ProcessTunnelDataResponse(
            buffer=plugin_pb2.Buffer(estimated_time_to_release_ms=1)
        ),
        "1a020801",
    ),
    (plugin_pb2.ProcessTunnelDataResponse(close=plugin_pb2.Close(reason="r")), "22030a0172"),
]  # fmt: skip


def test_what_is_committed_is_current():
    """Else run the command that the message names."""
    assert generate_proto.main(["--check"]) is None


def test_the_check_notices_what_is_not_current():
    """A changed message and a missing or changed type."""
    classes, types = CLASSES.read_text(), TYPES.read_text()
    assert differences(classes, types) == []
    assert differences(classes.replace("healthy", "healthz"), types) == [
        "plugin_pb2.py does not hold the messages of plugin.proto"
    ]
    (wrong,) = differences(classes, types.replace("    healthy: bool\n", "    healthz: bool\n"))
    assert wrong == (
        "plugin_pb2.pyi differs from plugin.proto in"
        " HealthCheckResponse.healthy, HealthCheckResponse.healthz"
    )


def test_the_command_says_what_is_wrong(tmp_path, monkeypatch):
    """One line that names the mend; and it mends."""
    monkeypatch.setattr(generate_proto, "CLASSES", tmp_path / "plugin_pb2.py")
    monkeypatch.setattr(generate_proto, "TYPES", tmp_path / "plugin_pb2.pyi")
    (tmp_path / "plugin_pb2.py").write_text("")
    (tmp_path / "plugin_pb2.pyi").write_text(TYPES.read_text())
    assert generate_proto.main(["--check"]) == (
        f"plugin_pb2.py does not hold the messages of plugin.proto; run `{generate_proto.COMMAND}`"
    )
    assert generate_proto.main([]) is None
    assert generate_proto.main(["--check"]) is None
    assert generate_proto.main(["--chek"]) == f"usage: {generate_proto.COMMAND} [--check]"


def test_declared_names():
    """Classes, their fields, and classes within them; not functions."""
    source = "class A:\n  b: int\n  class C:\n    d: str\n  def e(self): ...\nf: int\n"
    assert declared(source) == {"A", "A.b", "A.C", "A.C.d", "f"}


def test_the_calls():
    """Names and types are the wire too."""
    service = plugin_pb2.DESCRIPTOR.services_by_name["PluginService"]
    assert service.full_name == "plugin.PluginService"
    assert {
        method.name: (method.input_type.name, method.output_type.name) for method in service.methods
    } == CALLS
    assert not any(m.client_streaming or m.server_streaming for m in service.methods)


@pytest.mark.parametrize(("message", "on_the_wire"), WIRE)
def test_the_wire(message, on_the_wire):
    """Every field of every message, and the values of the enums that are used."""
    assert message.SerializeToString(deterministic=True) == bytes.fromhex(on_the_wire)
    assert type(message).FromString(bytes.fromhex(on_the_wire)) == message


def test_another_plugin_proto_may_live_beside_it():
    """The classes are in a pool of their own: the file's name is a common one."""
    assert plugin_pb2.DESCRIPTOR.pool is not Default()
