"""Answers of Google: of the front end of its own APIs, and of the load balancers that it sells."""

from __future__ import annotations

from faultinject.http.message import Headers, standard_phrase
from faultinject.providers.provider import ErrorPage
from faultinject.providers.shape import Fields

_TEMPORARY = (
    "The server encountered a temporary error and could not complete your request."
    "<p>Please try again in 30 seconds."
)
_UNAVAILABLE = "The service you requested is not available yet.<p>Please try again in 30 seconds."
_TOO_LARGE = "Your client issued a request that was too large."
_LOGO = "//www.google.com/images/branding/googlelogo"
_STYLE = (
    "*{margin:0;padding:0}html,code{font:15px/22px arial,sans-serif}html{background:#fff;"
    "color:#222;padding:15px}body{margin:7% auto 0;max-width:390px;min-height:180px;padding:30px 0"
    " 15px}* > body{background:url(//www.google.com/images/errors/robot.png) 100% 5px no-repeat;"
    "padding-right:205px}p{margin:11px 0 22px;overflow:hidden}ins{color:#777;text-decoration:none}"
    "a img{border:0}@media screen and (max-width:772px){body{background:none;margin-top:0;"
    "max-width:none;padding-right:0}}#logo{background:url("
    f"{_LOGO}/1x/googlelogo_color_150x54dp.png) no-repeat;margin-left:-5px}}@media only screen and"
    f" (min-resolution:192dpi){{#logo{{background:url({_LOGO}/2x/googlelogo_color_150x54dp.png)"
    " no-repeat 0% 0%/100% 100%;-moz-border-image:url("
    f"{_LOGO}/2x/googlelogo_color_150x54dp.png) 0}}}}@media only screen and"
    f" (-webkit-min-device-pixel-ratio:2){{#logo{{background:url({_LOGO}"
    "/2x/googlelogo_color_150x54dp.png) no-repeat;-webkit-background-size:100% 100%}}"
    "#logo{display:inline-block;height:54px;width:150px}"
)


def _headers(fields: Fields) -> Headers:
    del fields
    return ((b"Referrer-Policy", b"no-referrer"),)


def _page(name: str, status: int, html: str, evidence: str) -> ErrorPage:
    kind = "text/html; charset=UTF-8"
    body = html.encode()
    reason = standard_phrase(status)
    return ErrorPage(f"{name}-{status}", status, reason, kind, lambda _: body, _headers, evidence)


def _front_end(status: int, title: str, sentence: str, evidence: str) -> ErrorPage:
    html = (
        "<!DOCTYPE html>\n<html lang=en>\n  <meta charset=utf-8>\n"
        '  <meta name=viewport content="initial-scale=1, minimum-scale=1, width=device-width">\n'
        f"  <title>Error {status} ({title})!!1</title>\n  <style>\n    {_STYLE}\n  </style>\n"
        "  <a href=//www.google.com/><span id=logo aria-label=Google></span></a>\n"
        f"  <p><b>{status}.</b> <ins>That\u2019s an error.</ins>\n"
        f"  <p>{sentence}  <ins>That\u2019s all we know.</ins>\n"
    )
    return _page("google", status, html, evidence)


def _load_balancer(status: int, sentence: str, evidence: str) -> ErrorPage:
    html = (
        '\n<html><head>\n<meta http-equiv="content-type" content="text/html;charset=utf-8">\n'
        f"<title>{status} Server Error</title>\n</head>\n<body text=#000000 bgcolor=#ffffff>\n"
        f"<h1>Error: Server Error</h1>\n<h2>{sentence}</h2>\n<h2></h2>\n</body></html>\n"
    )
    return _page("google-load-balancer", status, html, evidence)


_HEADERS = "; its headers are those of a captured 400 of Google's front end"
_FORM = "the form of google-502; that it comes with this status and sentence is not verified"

FRONT_END = (
    _front_end(
        502,
        "Server Error",
        _TEMPORARY,
        f"the page is captured (google-gemini/gemini-cli#4646){_HEADERS}",
    ),
    _front_end(503, "Service Unavailable", _UNAVAILABLE, _FORM),
    _front_end(504, "Gateway Timeout", _TEMPORARY, _FORM),
    _front_end(413, "Request Entity Too Large", _TOO_LARGE, _FORM),
)
"""Of Google's own APIs."""

LOAD_BALANCER = (
    _load_balancer(502, _TEMPORARY, "captured from load balancers of others, 332 bytes"),
    _load_balancer(
        503, _UNAVAILABLE, "the form of google-load-balancer-502; the sentence is not verified"
    ),
    _load_balancer(
        504, _TEMPORARY, "the form of google-load-balancer-502; the status is not verified"
    ),
)
"""Of the APIs of others in Google's cloud."""
