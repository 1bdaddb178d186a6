"""Translates messages of ``plugin.proto`` to and from faultinject's own values.

Only this module and `service` use the generated classes. ``plugin.proto`` says what the host
accepts as a reply, and this module makes sure of it.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping

import faultinject
from faultinject.faults.respond import InjectedResponse
from faultinject.http.message import Headers, RequestHead
from faultinject.plugin._generated import plugin_pb2 as pb
from faultinject.plugin.interface import Close, Direction, PassThrough, Reply, Side
from faultinject.proxy.local_reply import local_reply
from faultinject.settings import TunnelMode

SERVICE = pb.DESCRIPTOR.services_by_name["PluginService"]

MAX_REPLY_BYTES = 4_000_000
"""Largest answer. The host's gRPC library takes 4 MiB."""
MAX_CHUNK_BYTES = 3_900_000
"""Largest chunk. It must fit in an answer, together with the first bytes that were held back."""
MAX_ID_BYTES = 128
"""Longest id of a tunnel. Fault's are UUIDs of 36 characters."""

_QUESTION_BYTES = 4 * 1024
"""Largest message of a call without fields, so that later versions may add some."""
_DUPLEX_BYTES = 64 * 1024
"""Largest message about a tunnel of Fault, whose chunks have at most 8192 bytes."""
_REPLY_BYTES = 4 * 1024 * 1024
"""The same for a host that answers the sender: the default limit of gRPC libraries."""
_HTTP_BYTES = 33 * 1024 * 1024
"""Largest message with a request or response. Fault sends them in one piece, and the Messages API
takes 32 MB."""


def largest_messages(mode: TunnelMode) -> Mapping[str, int]:
    """Return the size limit of the messages of each call, in bytes."""
    largest = {method.name: _QUESTION_BYTES for method in SERVICE.methods}
    largest["ProcessTunnelData"] = _DUPLEX_BYTES if mode == "duplex" else _REPLY_BYTES
    largest["ProcessHttpRequest"] = largest["ProcessHttpResponse"] = _HTTP_BYTES
    return largest


_INFO_SIDES = {
    Side.CLIENT: pb.GetPluginInfoResponse.CLIENT,
    Side.UPSTREAM: pb.GetPluginInfoResponse.SERVER,
}
_SIDES: dict[int, Side] = {
    pb.ProcessTunnelDataRequest.CLIENT: Side.CLIENT,
    pb.ProcessTunnelDataRequest.SERVER: Side.UPSTREAM,
}
_DIRECTIONS: dict[int, Direction] = {
    pb.ProcessTunnelDataRequest.INGRESS: Direction.FROM_PEER,
    pb.ProcessTunnelDataRequest.EGRESS: Direction.TO_PEER,
}


# What the plugin is


def about(side: Side) -> pb.GetPluginInfoResponse:
    """Return the plugin's name, version and the side of this registration."""
    return pb.GetPluginInfoResponse(
        name="faultinject",
        version=faultinject.__version__,
        platform=f"python {sys.version_info.major}.{sys.version_info.minor} {sys.platform}",
        direction=pb.GetPluginInfoResponse.BOTH,
        side=_INFO_SIDES[side],
    )


def capabilities(*, http_forward: bool) -> pb.GetPluginCapabilitiesResponse:
    """Return what the plugin handles."""
    return pb.GetPluginCapabilitiesResponse(
        can_handle_http_forward=http_forward,
        can_handle_tunnel=True,
        protocols=[
            pb.GetPluginCapabilitiesResponse.HTTP,
            pb.GetPluginCapabilitiesResponse.HTTPS,
        ],
    )


def health(problem: str | None) -> pb.HealthCheckResponse:
    """Return a healthy reply, or one with the problem."""
    return pb.HealthCheckResponse(healthy=problem is None, message=problem or "ready")


# Tunnels


def side_of(request: pb.ProcessTunnelDataRequest) -> Side | None:
    """Return the peer whose connection a chunk uses; None if the field is neither."""
    return _SIDES.get(request.side)


def direction_of(request: pb.ProcessTunnelDataRequest) -> Direction | None:
    """Return the direction of a chunk; None if the field is neither."""
    return _DIRECTIONS.get(request.direction)


def tunnel_reply(reply: Reply) -> pb.ProcessTunnelDataResponse:
    """Return the answer to a chunk. It is never Buffer.

    Fault makes no difference between a chunk that is returned in Replace and one in PassThrough. A
    host that gives Replace back to the sender does. Raises `ValueError` if the reply is larger than
    the host takes.
    """
    if isinstance(reply, Close):
        return pb.ProcessTunnelDataResponse(close=pb.Close(reason=reply.reason))
    if len(reply.data) > MAX_REPLY_BYTES:
        raise ValueError(f"a reply of {len(reply.data)} bytes is more than the host takes")
    if isinstance(reply, PassThrough):
        return pb.ProcessTunnelDataResponse(pass_through=pb.PassThrough(chunk=reply.data))
    return pb.ProcessTunnelDataResponse(replace=pb.Replace(modified_chunk=reply.data))


# HTTP


def request_head(request: pb.HttpRequest) -> RequestHead:
    """Return a request's head."""
    headers = tuple((each.name.encode(), each.value.encode()) for each in request.headers)
    return RequestHead(request.method.encode(), request.path.encode(), headers)


def passed_request(request: pb.HttpRequest) -> pb.ProcessHttpRequestResponse:
    """Return the reply that passes a request on unchanged."""
    path, has_query, _ = request.path.partition("?")
    same = pb.HttpRequest(
        method=request.method or "GET",
        path=path or "/",
        headers=request.headers,
        body=request.body,
    )
    answer = pb.ProcessHttpRequestResponse(
        action=pb.ProcessHttpRequestResponse.CONTINUE, modified_request=same
    )
    if answer.ByteSize() <= MAX_REPLY_BYTES:
        return answer
    if not has_query:  # only then is a request unchanged if we do not return it
        return pb.ProcessHttpRequestResponse(action=pb.ProcessHttpRequestResponse.CONTINUE)
    return injected(_too_large("request"))


def injected(response: InjectedResponse) -> pb.ProcessHttpRequestResponse:
    """Return the reply that gives the client an injected response instead of the upstream's."""
    answer = pb.ProcessHttpRequestResponse(
        action=pb.ProcessHttpRequestResponse.ABORT,
        abort_response=pb.HttpResponse(
            status_code=response.status,
            headers=_headers(response.headers, but=b"content-length"),
            body=response.body,
        ),
    )
    return answer if answer.ByteSize() <= MAX_REPLY_BYTES else injected(_too_large("response"))


def passed_response(response: pb.HttpResponse) -> pb.ProcessHttpResponseResponse:
    """Return the reply that passes a response on unchanged."""
    names = {header.name.lower() for header in response.headers}
    same = pb.HttpResponse()
    same.CopyFrom(response)
    if "content-length" not in names:
        same.headers.append(_content_length(response.body))
    answer = _passed(same)
    if answer.ByteSize() <= MAX_REPLY_BYTES:
        return answer
    if "content-length" in names:  # only then is a response unchanged if we do not return it
        return pb.ProcessHttpResponseResponse(action=pb.ProcessHttpResponseResponse.CONTINUE)
    return unreadable_response()


def unreadable_response() -> pb.ProcessHttpResponseResponse:
    """Return the reply that puts an error in place of a response's headers and body.

    It is for a response that cannot be returned. Nothing better is possible: the host does not let
    a plugin change the status, and an RPC error makes the whole host fail.
    """
    error = _too_large("response")
    return _passed(pb.HttpResponse(headers=_headers(error.headers), body=error.body))


def _passed(response: pb.HttpResponse) -> pb.ProcessHttpResponseResponse:
    return pb.ProcessHttpResponseResponse(
        action=pb.ProcessHttpResponseResponse.CONTINUE, modified_response=response
    )


def _too_large(what: str) -> InjectedResponse:
    words = f"the {what} is too large to be passed on by a plugin ({MAX_REPLY_BYTES} bytes)"
    return local_reply(502, "limit", words)


def _content_length(body: bytes) -> pb.HttpHeader:
    return pb.HttpHeader(name="content-length", value=str(len(body)))


def _headers(headers: Headers, but: bytes = b"") -> Iterable[pb.HttpHeader]:
    return [
        pb.HttpHeader(name=name.decode(), value=value.decode())
        for name, value in headers
        if name.lower() != but
    ]
