"""Knowledge about each API: how to recognise it, its errors, its headers and its streams.

`faultinject.providers.provider` defines what there is to know of an API, and
`faultinject.providers.known` has all APIs.
"""
