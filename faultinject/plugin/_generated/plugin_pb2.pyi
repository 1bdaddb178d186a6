from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

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
    def __init__(self, healthy: _Optional[bool] = ..., message: _Optional[str] = ...) -> None: ...

class GetPluginInfoRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class GetPluginInfoResponse(_message.Message):
    __slots__ = ("name", "version", "author", "url", "platform", "direction", "side")
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
    def __init__(self, name: _Optional[str] = ..., version: _Optional[str] = ..., author: _Optional[str] = ..., url: _Optional[str] = ..., platform: _Optional[str] = ..., direction: _Optional[_Union[GetPluginInfoResponse.Direction, str]] = ..., side: _Optional[_Union[GetPluginInfoResponse.Side, str]] = ...) -> None: ...

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
    protocols: _containers.RepeatedScalarFieldContainer[GetPluginCapabilitiesResponse.SupportedProtocol]
    def __init__(self, can_handle_http_forward: _Optional[bool] = ..., can_handle_tunnel: _Optional[bool] = ..., protocols: _Optional[_Iterable[_Union[GetPluginCapabilitiesResponse.SupportedProtocol, str]]] = ...) -> None: ...

class HttpHeader(_message.Message):
    __slots__ = ("name", "value")
    NAME_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    name: str
    value: str
    def __init__(self, name: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...

class HttpRequest(_message.Message):
    __slots__ = ("method", "path", "headers", "body")
    METHOD_FIELD_NUMBER: _ClassVar[int]
    PATH_FIELD_NUMBER: _ClassVar[int]
    HEADERS_FIELD_NUMBER: _ClassVar[int]
    BODY_FIELD_NUMBER: _ClassVar[int]
    method: str
    path: str
    headers: _containers.RepeatedCompositeFieldContainer[HttpHeader]
    body: bytes
    def __init__(self, method: _Optional[str] = ..., path: _Optional[str] = ..., headers: _Optional[_Iterable[_Union[HttpHeader, _Mapping]]] = ..., body: _Optional[bytes] = ...) -> None: ...

class HttpResponse(_message.Message):
    __slots__ = ("status_code", "headers", "body")
    STATUS_CODE_FIELD_NUMBER: _ClassVar[int]
    HEADERS_FIELD_NUMBER: _ClassVar[int]
    BODY_FIELD_NUMBER: _ClassVar[int]
    status_code: int
    headers: _containers.RepeatedCompositeFieldContainer[HttpHeader]
    body: bytes
    def __init__(self, status_code: _Optional[int] = ..., headers: _Optional[_Iterable[_Union[HttpHeader, _Mapping]]] = ..., body: _Optional[bytes] = ...) -> None: ...

class ProcessHttpRequestRequest(_message.Message):
    __slots__ = ("request",)
    REQUEST_FIELD_NUMBER: _ClassVar[int]
    request: HttpRequest
    def __init__(self, request: _Optional[_Union[HttpRequest, _Mapping]] = ...) -> None: ...

class ProcessHttpRequestResponse(_message.Message):
    __slots__ = ("action", "modified_request", "abort_response")
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
    def __init__(self, action: _Optional[_Union[ProcessHttpRequestResponse.Action, str]] = ..., modified_request: _Optional[_Union[HttpRequest, _Mapping]] = ..., abort_response: _Optional[_Union[HttpResponse, _Mapping]] = ...) -> None: ...

class ProcessHttpResponseRequest(_message.Message):
    __slots__ = ("response",)
    RESPONSE_FIELD_NUMBER: _ClassVar[int]
    response: HttpResponse
    def __init__(self, response: _Optional[_Union[HttpResponse, _Mapping]] = ...) -> None: ...

class ProcessHttpResponseResponse(_message.Message):
    __slots__ = ("action", "modified_response", "abort_response")
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
    def __init__(self, action: _Optional[_Union[ProcessHttpResponseResponse.Action, str]] = ..., modified_response: _Optional[_Union[HttpResponse, _Mapping]] = ..., abort_response: _Optional[_Union[HttpResponse, _Mapping]] = ...) -> None: ...

class ProcessTunnelDataRequest(_message.Message):
    __slots__ = ("id", "side", "direction", "chunk")
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
    def __init__(self, id: _Optional[str] = ..., side: _Optional[_Union[ProcessTunnelDataRequest.Side, str]] = ..., direction: _Optional[_Union[ProcessTunnelDataRequest.Direction, str]] = ..., chunk: _Optional[bytes] = ...) -> None: ...

class ProcessTunnelDataResponse(_message.Message):
    __slots__ = ("pass_through", "replace", "buffer", "close")
    PASS_THROUGH_FIELD_NUMBER: _ClassVar[int]
    REPLACE_FIELD_NUMBER: _ClassVar[int]
    BUFFER_FIELD_NUMBER: _ClassVar[int]
    CLOSE_FIELD_NUMBER: _ClassVar[int]
    pass_through: PassThrough
    replace: Replace
    buffer: Buffer
    close: Close
    def __init__(self, pass_through: _Optional[_Union[PassThrough, _Mapping]] = ..., replace: _Optional[_Union[Replace, _Mapping]] = ..., buffer: _Optional[_Union[Buffer, _Mapping]] = ..., close: _Optional[_Union[Close, _Mapping]] = ...) -> None: ...

class PassThrough(_message.Message):
    __slots__ = ("chunk",)
    CHUNK_FIELD_NUMBER: _ClassVar[int]
    chunk: bytes
    def __init__(self, chunk: _Optional[bytes] = ...) -> None: ...

class Replace(_message.Message):
    __slots__ = ("modified_chunk",)
    MODIFIED_CHUNK_FIELD_NUMBER: _ClassVar[int]
    modified_chunk: bytes
    def __init__(self, modified_chunk: _Optional[bytes] = ...) -> None: ...

class Buffer(_message.Message):
    __slots__ = ("estimated_time_to_release_ms",)
    ESTIMATED_TIME_TO_RELEASE_MS_FIELD_NUMBER: _ClassVar[int]
    estimated_time_to_release_ms: int
    def __init__(self, estimated_time_to_release_ms: _Optional[int] = ...) -> None: ...

class Close(_message.Message):
    __slots__ = ("reason",)
    REASON_FIELD_NUMBER: _ClassVar[int]
    reason: str
    def __init__(self, reason: _Optional[str] = ...) -> None: ...
