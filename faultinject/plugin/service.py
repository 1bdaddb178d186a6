"""Answers the six calls of one registration.

A defect in a call is reported, and answered so that neither the host nor another tunnel is harmed.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from attrs import define

from faultinject.plugin import wire
from faultinject.plugin._generated import plugin_pb2 as pb
from faultinject.plugin.guard import CLOSED_BY_DEFECT, TunnelGuard, report_defect
from faultinject.plugin.http_forward import CLIENT_UNKNOWN, HttpForward
from faultinject.plugin.interface import Close, Direction, Replace, Reply, Side, TooMuchError
from faultinject.plugin.registrations import Registrations
from faultinject.tls.client_hello import AlertDescription, fatal_alert


@define(eq=False, repr=False)
class PluginService:
    """The calls of the registration on one ``side``."""

    side: Side
    registrations: Registrations
    tunnels: TunnelGuard
    http: HttpForward

    def calls(self) -> Mapping[str, Callable[[Any], Awaitable[Any]]]:
        """Return the calls by their names in ``plugin.proto``."""
        return {
            "HealthCheck": self.health,
            "GetPluginInfo": self.about,
            "GetPluginCapabilities": self.capabilities,
            "ProcessHttpRequest": self.http_request,
            "ProcessHttpResponse": self.http_response,
            "ProcessTunnelData": self.tunnel_data,
        }

    # Calls about the plugin. They never wait, because the host does nothing else meanwhile.

    async def health(self, _request: pb.HealthCheckRequest) -> pb.HealthCheckResponse:
        """Return whether both sides are registered, which tunnels need."""
        self.registrations.polled(self.side)
        return wire.health(self.registrations.problem())

    async def about(self, _request: pb.GetPluginInfoRequest) -> pb.GetPluginInfoResponse:
        """Return the plugin's name and version."""
        self.registrations.polled(self.side)
        return wire.about(self.side)

    async def capabilities(
        self, _request: pb.GetPluginCapabilitiesRequest
    ) -> pb.GetPluginCapabilitiesResponse:
        """Return what the plugin handles."""
        self.registrations.polled(self.side)
        return wire.capabilities(http_forward=self._decides_on_http)

    # Tunnels

    async def tunnel_data(
        self, request: pb.ProcessTunnelDataRequest
    ) -> pb.ProcessTunnelDataResponse:
        """Hand a chunk to its tunnel, and wait for the reply as long as it takes.

        Raises `TooMuchError` for an id that is too long to keep.
        """
        if len(request.id.encode()) > wire.MAX_ID_BYTES:
            raise TooMuchError(f"a tunnel's id has at most {wire.MAX_ID_BYTES} bytes")
        self.registrations.called(self.side)
        reply = await self._reply(request)
        try:
            return wire.tunnel_reply(reply)
        except ValueError as error:
            self.tunnels.failed(request.id, error)
            return wire.tunnel_reply(CLOSED_BY_DEFECT)

    async def _reply(self, request: pb.ProcessTunnelDataRequest) -> Reply:
        side, direction = wire.side_of(request), wire.direction_of(request)
        # A host that answers the sender needs one registration only, for both of its sides.
        expected = self.registrations.mode == "reply" or side is self.side
        if side is None or direction is None or not expected:
            return Close(f"no call for side {request.side:d}, direction {request.direction:d} here")
        if len(request.chunk) > wire.MAX_CHUNK_BYTES:
            return Close(f"a chunk has more than {wire.MAX_CHUNK_BYTES} bytes")
        if await self.registrations.is_alone(self.side):
            return _end_of_lone_side(direction)
        return await self.tunnels.guarded_reply(side, direction, request.id, request.chunk)

    # HTTP

    @property
    def _decides_on_http(self) -> bool:
        """Whether rules apply in this registration. No request must be decided on twice."""
        return self.http.enabled and self.side is Side.CLIENT

    async def http_request(
        self, request: pb.ProcessHttpRequestRequest
    ) -> pb.ProcessHttpRequestResponse:
        """Answer a request in the upstream's place, or pass it on."""
        try:
            if self._decides_on_http:
                head = wire.request_head(request.request)
                response = self.http.answer(head, request.request.body)
                if response is not None:
                    return wire.injected(response)
        except Exception as error:  # noqa: BLE001 - the request goes on
            report_defect(self.http.runtime.listener, CLIENT_UNKNOWN, error)
        return wire.passed_request(request.request)

    async def http_response(
        self, request: pb.ProcessHttpResponseRequest
    ) -> pb.ProcessHttpResponseResponse:
        """Pass a response on."""
        return wire.passed_response(request.response)


def _end_of_lone_side(direction: Direction) -> Reply:
    """Return the reply that ends a tunnel at once if only one side is registered.

    For a chunk from a peer, `Close` passes an end on to the other peer, which then ends the tunnel.
    For a chunk to a peer, `Close` would only stop the bytes, and both peers would wait. There a TLS
    alert makes the upstream end the connection.
    """
    if direction is Direction.FROM_PEER:
        return Close("only one side of the tunnel is registered")
    return Replace(fatal_alert(AlertDescription.INTERNAL_ERROR))
