"""Base-URL mode: finds the target of a request that was sent to the proxy as if it were the API.

Such a request names no host. With one target it goes there. With several, its path and headers must
show which is meant, because the target gets the key that is in the request. If they do not, the
request is refused.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from attrs import evolve

from faultinject.authority import Authority, TargetPattern
from faultinject.errors import ClientProtocolError
from faultinject.http.message import RequestHead
from faultinject.providers.vendors import named_vendors, vendor_of, vendors_of_keys

MISDIRECTED = 421
"""Misdirected Request: this server cannot answer for the target (RFC 9110 section 15.5.20)."""


def single_targets(targets: Iterable[TargetPattern]) -> list[TargetPattern]:
    """Return the targets that are single hosts, the first of each authority."""
    single = [target for target in targets if target.exact]
    return list({each.authority: each for each in reversed(single)}.values())[::-1]


def target_meant(single: Sequence[TargetPattern], head: RequestHead) -> TargetPattern:
    """Return which of the `single_targets` a request is for.

    Raises `ClientProtocolError` if that is unclear.
    """
    if not single:
        raise ClientProtocolError(
            "this is a proxy; to use it as a base URL, give a --target-host that is a single host"
        )
    if len(single) == 1:
        return single[0]
    fitting = _fitting(single, head)
    if len(fitting) == 1:
        return fitting[0]
    raise ClientProtocolError(
        "it cannot be told from its path and headers which target this request is for; use the"
        " proxy as HTTPS proxy, where the host is named, or start one for each target, on a port of"
        " its own",
        MISDIRECTED,
    )


def _fitting(targets: Sequence[TargetPattern], head: RequestHead) -> Sequence[TargetPattern]:
    """Return the targets that a request may be for."""
    path = path_of(head)
    vendors = {target: vendor_of(target.host) for target in targets}
    having = [each for each, vendor in vendors.items() if vendor and vendor.has(path)]
    having = having or [each for each, v in vendors.items() if v and v.corrected(path) != path]
    named = named_vendors(head)
    if fitting := [each for each, vendor in vendors.items() if vendor and vendor.name in named]:
        # Where path and headers contradict each other nothing is left.
        return [each for each in fitting if each in having] if having else fitting
    if None in vendors.values() or not having:
        return targets  # a host of which nothing is known may have any path
    if len(having) == 1:
        return having
    # What several have, as /v1/models: by the header that the key is in.
    return [each for each in having if (v := vendors[each]) and head.has_header(v.key_header)]


def check_keys(head: RequestHead, authority: Authority) -> None:
    """Refuse a key whose form only another vendor than the host's gives out.

    Raises `ClientProtocolError`. It never shows the key.
    """
    vendor = vendor_of(authority.host)
    if vendor is None:
        return
    owner = next((each for each in vendors_of_keys(head) if each is not vendor), None)
    if owner is not None:
        raise ClientProtocolError(
            f"the request has a key of {owner.name}'s form and would go to {authority.host},"
            f" which is {vendor.name}'s: give that vendor's host as --target-host, or use"
            " --allow-foreign-keys",
            MISDIRECTED,
        )


def corrected(head: RequestHead, authority: Authority) -> RequestHead:
    """Return the request with its path corrected to one that the target's API has.

    Some clients want ``/v1`` in their base URL and some do not. Without it, or with it twice, the
    API would not know the path. See `Vendor.corrected`.
    """
    vendor = vendor_of(authority.host)
    if vendor is None or (meant := vendor.corrected(path := path_of(head))) == path:
        return head
    _, mark, query = head.target.partition(b"?")
    return evolve(head, target=meant.encode() + mark + query)


def path_of(head: RequestHead) -> str:
    """Return the path of a request's target, without its query."""
    return head.target.partition(b"?")[0].decode("ascii", "backslashreplace")
