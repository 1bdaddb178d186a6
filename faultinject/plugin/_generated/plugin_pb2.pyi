from collections.abc import Iterable as _Iterable
from collections.abc import Mapping as _Mapping
from typing import ClassVar as _ClassVar

from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper

DESCRIPTOR: _descriptor.FileDescriptor

class HealthCheckRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class HealthCheckResponse(_message.Message):
    __slots__ = ("healthy", "message")
    HEALTHY_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    healthy: bool
    message: str
    def __init__(self, healthy: bool | None = ..., message: str | None = ...) -> None: ...

class GetPluginInfoRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class GetPluginInfoResponse(_message.Message):
    __slots__ = ("author", "direction", "name", "platform", "side", "url", "version")
    class Side(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        CLIENT: _ClassVar[GetPluginInfoResponse.Side]
        SERVER: _ClassVar[GetPluginInfoResponse.Side]
        ANY: _ClassVar[GetPluginInfoResponse.Side]

    CLIENT: GetPluginInfoResponse.Side
    SERVER: GetPluginInfoResponse.Side
    ANY: GetPluginInfoResponse.Side
    class Direction(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        INGRESS: _ClassVar[GetPluginInfoResponse.Direction]
        EGRESS: _ClassVar[GetPluginInfoResponse.Direction]
        BOTH: _ClassVar[GetPluginInfoResponse.Direction]

    INGRESS: GetPluginInfoResponse.Direction
    EGRESS: GetPluginInfoResponse.Direction
    BOTH: GetPluginInfoResponse.Direction
    NAME_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    AUTHOR_FIELD_NUMBER: _ClassVar[int]
    URL_FIELD_NUMBER: _ClassVar[int]
    PLATFORM_FIELD_NUMBER: _ClassVar[int]
    DIRECTION_FIELD_NUMBER: _ClassVar[int]
    SIDE_FIELD_NUMBER: _ClassVar[int]
    name: str
    version: str
    author: str
    url: str
    platform: str
    direction: GetPluginInfoResponse.Direction
    side: GetPluginInfoResponse.Side
    def __init__(
        self,
        name: str | None = ...,
        version: str | None = ...,
        author: str | None = ...,
        url: str | None = ...,
        platform: str | None = ...,
        direction: GetPluginInfoResponse.Direction | str | None = ...,
        side: GetPluginInfoResponse.Side | str | None = ...,
    ) -> None: ...

class GetPluginCapabilitiesRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class GetPluginCapabilitiesResponse(_message.Message):
    __slots__ = ("can_handle_http_forward", "can_handle_tunnel", "protocols")
    class SupportedProtocol(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        NONE: _ClassVar[GetPluginCapabilitiesResponse.SupportedProtocol]
        HTTP: _ClassVar[GetPluginCapabilitiesResponse.SupportedProtocol]
        HTTPS: _ClassVar[GetPluginCapabilitiesResponse.SupportedProtocol]
        POSTGRESQL: _ClassVar[GetPluginCapabilitiesResponse.SupportedProtocol]

    NONE: GetPluginCapabilitiesResponse.SupportedProtocol
    HTTP: GetPluginCapabilitiesResponse.SupportedProtocol
    HTTPS: GetPluginCapabilitiesResponse.SupportedProtocol
    POSTGRESQL: GetPluginCapabilitiesResponse.SupportedProtocol
    CAN_HANDLE_HTTP_FORWARD_FIELD_NUMBER: _ClassVar[int]
    CAN_HANDLE_TUNNEL_FIELD_NUMBER: _ClassVar[int]
    PROTOCOLS_FIELD_NUMBER: _ClassVar[int]
    can_handle_http_forward: bool
    can_handle_tunnel: bool
    protocols: _containers.RepeatedScalarFieldContainer[
        GetPluginCapabilitiesResponse.SupportedProtocol
    ]
    def __init__(
        self,
        can_handle_http_forward: bool | None = ...,
        can_handle_tunnel: bool | None = ...,
        protocols: _Iterable[GetPluginCapabilitiesResponse.SupportedProtocol | str] | None = ...,
    ) -> None: ...

class HttpHeader(_message.Message):
    __slots__ = ("name", "value")
    NAME_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    name: str
    value: str
    def __init__(self, name: str | None = ..., value: str | None = ...) -> None: ...

class HttpRequest(_message.Message):
    __slots__ = ("body", "headers", "method", "path")
    METHOD_FIELD_NUMBER: _ClassVar[int]
    PATH_FIELD_NUMBER: _ClassVar[int]
    HEADERS_FIELD_NUMBER: _ClassVar[int]
    BODY_FIELD_NUMBER: _ClassVar[int]
    method: str
    path: str
    headers: _containers.RepeatedCompositeFieldContainer[HttpHeader]
    body: bytes
    def __init__(
        self,
        method: str | None = ...,
        path: str | None = ...,
        headers: _Iterable[HttpHeader | _Mapping] | None = ...,
        body: bytes | None = ...,
    ) -> None: ...

class HttpResponse(_message.Message):
    __slots__ = ("body", "headers", "status_code")
    STATUS_CODE_FIELD_NUMBER: _ClassVar[int]
    HEADERS_FIELD_NUMBER: _ClassVar[int]
    BODY_FIELD_NUMBER: _ClassVar[int]
    status_code: int
    headers: _containers.RepeatedCompositeFieldContainer[HttpHeader]
    body: bytes
    def __init__(
        self,
        status_code: int | None = ...,
        headers: _Iterable[HttpHeader | _Mapping] | None = ...,
        body: bytes | None = ...,
    ) -> None: ...

class ProcessHttpRequestRequest(_message.Message):
    __slots__ = ("request",)
    REQUEST_FIELD_NUMBER: _ClassVar[int]
    request: HttpRequest
    def __init__(self, request: HttpRequest | _Mapping | None = ...) -> None: ...

class ProcessHttpRequestResponse(_message.Message):
    __slots__ = ("abort_response", "action", "modified_request")
    class Action(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        CONTINUE: _ClassVar[ProcessHttpRequestResponse.Action]
        ABORT: _ClassVar[ProcessHttpRequestResponse.Action]

    CONTINUE: ProcessHttpRequestResponse.Action
    ABORT: ProcessHttpRequestResponse.Action
    ACTION_FIELD_NUMBER: _ClassVar[int]
    MODIFIED_REQUEST_FIELD_NUMBER: _ClassVar[int]
    ABORT_RESPONSE_FIELD_NUMBER: _ClassVar[int]
    action: ProcessHttpRequestResponse.Action
    modified_request: HttpRequest
    abort_response: HttpResponse
    def __init__(
        self,
        action: ProcessHttpRequestResponse.Action | str | None = ...,
        modified_request: HttpRequest | _Mapping | None = ...,
        abort_response: HttpResponse | _Mapping | None = ...,
    ) -> None: ...

class ProcessHttpResponseRequest(_message.Message):
    __slots__ = ("response",)
    RESPONSE_FIELD_NUMBER: _ClassVar[int]
    response: HttpResponse
    def __init__(self, response: HttpResponse | _Mapping | None = ...) -> None: ...

class ProcessHttpResponseResponse(_message.Message):
    __slots__ = ("abort_response", "action", "modified_response")
    class Action(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        CONTINUE: _ClassVar[ProcessHttpResponseResponse.Action]
        ABORT: _ClassVar[ProcessHttpResponseResponse.Action]

    CONTINUE: ProcessHttpResponseResponse.Action
    ABORT: ProcessHttpResponseResponse.Action
    ACTION_FIELD_NUMBER: _ClassVar[int]
    MODIFIED_RESPONSE_FIELD_NUMBER: _ClassVar[int]
    ABORT_RESPONSE_FIELD_NUMBER: _ClassVar[int]
    action: ProcessHttpResponseResponse.Action
    modified_response: HttpResponse
    abort_response: HttpResponse
    def __init__(
        self,
        action: ProcessHttpResponseResponse.Action | str | None = ...,
        modified_response: HttpResponse | _Mapping | None = ...,
        abort_response: HttpResponse | _Mapping | None = ...,
    ) -> None: ...

class ProcessTunnelDataRequest(_message.Message):
    __slots__ = ("chunk", "direction", "id", "side")
    class Side(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        CLIENT: _ClassVar[ProcessTunnelDataRequest.Side]
        SERVER: _ClassVar[ProcessTunnelDataRequest.Side]

    CLIENT: ProcessTunnelDataRequest.Side
    SERVER: ProcessTunnelDataRequest.Side
    class Direction(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        INGRESS: _ClassVar[ProcessTunnelDataRequest.Direction]
        EGRESS: _ClassVar[ProcessTunnelDataRequest.Direction]
        BOTH: _ClassVar[ProcessTunnelDataRequest.Direction]

    INGRESS: ProcessTunnelDataRequest.Direction
    EGRESS: ProcessTunnelDataRequest.Direction
    BOTH: ProcessTunnelDataRequest.Direction
    ID_FIELD_NUMBER: _ClassVar[int]
    SIDE_FIELD_NUMBER: _ClassVar[int]
    DIRECTION_FIELD_NUMBER: _ClassVar[int]
    CHUNK_FIELD_NUMBER: _ClassVar[int]
    id: str
    side: ProcessTunnelDataRequest.Side
    direction: ProcessTunnelDataRequest.Direction
    chunk: bytes
    def __init__(
        self,
        id: str | None = ...,
        side: ProcessTunnelDataRequest.Side | str | None = ...,
        direction: ProcessTunnelDataRequest.Direction | str | None = ...,
        chunk: bytes | None = ...,
    ) -> None: ...

class ProcessTunnelDataResponse(_message.Message):
    __slots__ = ("buffer", "close", "pass_through", "replace")
    PASS_THROUGH_FIELD_NUMBER: _ClassVar[int]
    REPLACE_FIELD_NUMBER: _ClassVar[int]
    BUFFER_FIELD_NUMBER: _ClassVar[int]
    CLOSE_FIELD_NUMBER: _ClassVar[int]
    pass_through: PassThrough
    replace: Replace
    buffer: Buffer
    close: Close
    def __init__(
        self,
        pass_through: PassThrough | _Mapping | None = ...,
        replace: Replace | _Mapping | None = ...,
        buffer: Buffer | _Mapping | None = ...,
        close: Close | _Mapping | None = ...,
    ) -> None: ...

class PassThrough(_message.Message):
    __slots__ = ("chunk",)
    CHUNK_FIELD_NUMBER: _ClassVar[int]
    chunk: bytes
    def __init__(self, chunk: bytes | None = ...) -> None: ...

class Replace(_message.Message):
    __slots__ = ("modified_chunk",)
    MODIFIED_CHUNK_FIELD_NUMBER: _ClassVar[int]
    modified_chunk: bytes
    def __init__(self, modified_chunk: bytes | None = ...) -> None: ...

class Buffer(_message.Message):
    __slots__ = ("estimated_time_to_release_ms",)
    ESTIMATED_TIME_TO_RELEASE_MS_FIELD_NUMBER: _ClassVar[int]
    estimated_time_to_release_ms: int
    def __init__(self, estimated_time_to_release_ms: int | None = ...) -> None: ...

class Close(_message.Message):
    __slots__ = ("reason",)
    REASON_FIELD_NUMBER: _ClassVar[int]
    reason: str
    def __init__(self, reason: str | None = ...) -> None: ...
