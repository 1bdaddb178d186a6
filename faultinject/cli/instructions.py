"""The text of ``faultinject ca instructions``: who must trust the certificate, and how.

The variables of the clients of Python, Node, curl, Go and aws were measured (httpx 0.28, requests
2.34, boto3 1.44, curl 7.88, Node 20 and 24). That Node 22.21 uses the proxy is from its release
notes. The commands of the trust stores, Firefox and Java are from their manuals, as are the remarks
on curl and Git on Windows (curl's ``--cacert`` and ``--ssl-no-revoke``, git-config's ``http.*``).
"""

from __future__ import annotations

import hashlib
import shlex
import ssl
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from string import Template

from faultinject.cli.trust import ANCHOR_NAME, PLATFORMS, shown, trust_commands
from faultinject.environment.client_variables import VARIABLES, Holds

_SECTIONS = {
    "macos": """\
Install (for your user; asks for your password):
  $install
Verify:
  security verify-cert -c $cert
Remove:
  security delete-certificate -t -Z $sha1""",
    "debian": """\
Install:
  $install
Verify (it says OK):
  openssl verify -CApath /etc/ssl/certs $cert
Remove:
  sudo rm /usr/local/share/ca-certificates/$anchor && sudo update-ca-certificates --fresh""",
    "fedora": """\
Install:
  $install
Verify (it says OK):
  openssl verify -CAfile /etc/pki/tls/certs/ca-bundle.crt $cert
Remove:
  sudo trust anchor --remove $cert""",
    "windows": """\
Install (for your user; asks you to confirm):
  $install
Verify:
  certutil -user -verifystore Root $sha1
Remove:
  certutil -user -delstore Root $sha1""",
    "firefox": """\
Install: Settings, Privacy & Security, Certificates, View Certificates, Authorities, Import;
choose $cert
and tick "Trust this CA to identify websites". On macOS and Windows Firefox can use the system's
store instead: set security.enterprise_roots.enabled to true in about:config.
Verify: the certificate is in the list, and a page of a target host opens through the proxy.
Remove: select it in the list, then Delete or Distrust.""",
}

_VARIABLES = """\
For one program, without touching the system
`faultinject run -- command` sets all of these for a command, and `faultinject env` prints them for
a shell, with a bundle of the certificates that are trusted now and this one. By hand: most of them
replace what a program trusts, so that hosts other than the targets need the bundle that the last
lines make.

$variables
  Java            keytool -importcert -cacerts -storepass changeit -noprompt \\
                    -alias faultinject -file $cert
                  verify: keytool -list -cacerts -storepass changeit -alias faultinject
                  remove: keytool -delete -cacerts -storepass changeit -alias faultinject
                  the proxy: -Dhttps.proxyHost=127.0.0.1 -Dhttps.proxyPort=8080

  A bundle with the system's roots (Debian's file; elsewhere: python3 -m certifi prints one)
                  cat /etc/ssl/certs/ca-certificates.crt $cert > bundle.pem

Clients that let you set their base URL need none of this:
  ANTHROPIC_BASE_URL=http://127.0.0.1:8080"""


_VARIABLES_ON_WINDOWS = """\
For one program, without touching the system
`faultinject run -- command` sets these variables for a command, with a bundle of the certificates
that are trusted now and this one. By hand: a variable is for programs that the same window starts
afterwards. Most replace what the program trusts: for hosts other than the targets use the bundle
that the last lines make.

  PowerShell      $$env:HTTPS_PROXY = 'http://127.0.0.1:8080'
                  $$env:SSL_CERT_FILE = $powershell
  cmd             set "HTTPS_PROXY=http://127.0.0.1:8080"
                  set "SSL_CERT_FILE=$path"

The variable for the certificate, by client:
$variables
  Go, .NET        none: they ask the system's store, see above
  curl            Windows' own (Schannel) ignores CURL_CA_BUNDLE and checks for revocation, which
                  our certificates cannot answer:
                  curl --ssl-no-revoke --cacert $cert https://...
                  curl with OpenSSL, such as Git's: CURL_CA_BUNDLE
  Git             git -c http.sslBackend=openssl -c http.sslCAInfo=$cert ...
                  With Schannel, once the certificate is in the system's store:
                  git -c http.sslBackend=schannel -c http.schannelCheckRevoke=false ...
  Java            keytool -importcert -cacerts -storepass changeit -noprompt ^
                    -alias faultinject -file $cert   (in PowerShell: ` for ^)
                  verify: keytool -list -cacerts -storepass changeit -alias faultinject
                  remove: keytool -delete -cacerts -storepass changeit -alias faultinject
                  the proxy: -Dhttps.proxyHost=127.0.0.1 -Dhttps.proxyPort=8080

  A bundle with the public roots (in PowerShell; the package certifi prints their file)
                  Get-Content (py -m certifi), $powershell | Set-Content -Encoding ascii bundle.pem

Clients that let you set their base URL need none of this:
  PowerShell      $$env:ANTHROPIC_BASE_URL = 'http://127.0.0.1:8080'
  cmd             set "ANTHROPIC_BASE_URL=http://127.0.0.1:8080"
"""


def instructions_for(platforms: Sequence[str], certificate: Path, pem: bytes) -> str:
    """Return the platforms' sections and the environment variables, for a certificate."""
    sections = [_section(name, certificate, pem) for name in platforms]
    return "\n\n".join(
        [f"The certificate: {certificate}", *sections, *_pages(platforms, certificate)]
    )


def _pages(platforms: Sequence[str], certificate: Path) -> Iterator[str]:
    """Return the variables as the platforms' shells set them."""
    if tuple(platforms) != ("windows",):
        cert = _quoted(certificate, "posix")
        yield _filled(_VARIABLES, cert=cert, variables="\n".join(_lines("export {}={}", cert)))
    if "windows" in platforms:
        yield _filled(
            _VARIABLES_ON_WINDOWS.rstrip(),
            variables="\n".join(_lines("{}", "", without=_ELSEWHERE)),
            path=str(certificate),
            cert=_quoted(certificate, "windows"),
            powershell="'" + str(certificate).replace("'", "''") + "'",
        )


_ELSEWHERE = {"HTTPS_PROXY", "http_proxy", "grpc_proxy", "CURL_CA_BUNDLE", "GIT_SSL_CAINFO"}
"""Variables of which the page of Windows says more than their names."""


def _lines(form: str, cert: str, without: Collection[str] = ()) -> Iterator[str]:
    """Yield who reads each variable of the table, and what sets it."""
    values = {Holds.PROXY: "http://127.0.0.1:8080", Holds.ONE: "1"}
    for variable in VARIABLES:
        if variable.readers and variable.name not in without:
            yield f"  {variable.readers}"
            yield " " * 18 + form.format(variable.name, values.get(variable.holds, cert))


def _section(platform: str, certificate: Path, pem: bytes) -> str:
    known = {
        "cert": str(certificate) if platform == "firefox" else _quoted(certificate, platform),
        "sha1": sha1_fingerprint(pem),
        "anchor": ANCHOR_NAME,
        "install": ""
        if platform == "firefox"
        else shown(platform, trust_commands(platform, certificate)),
    }
    return f"{PLATFORMS[platform]}\n" + _filled(_SECTIONS[platform], **known)


def _quoted(path: Path, platform: str) -> str:
    return f'"{path}"' if platform == "windows" else shlex.quote(str(path))


def _filled(template: str, **known: str) -> str:
    return Template(template).substitute(known)


def sha1_fingerprint(pem: bytes) -> str:
    """Return the SHA-1 of the first certificate, which is its name on macOS and Windows."""
    end = b"-----END CERTIFICATE-----"
    first = pem.partition(end)[0] + end
    der = ssl.PEM_cert_to_DER_cert(first.decode("ascii", "replace"))
    return hashlib.sha1(der, usedforsecurity=False).hexdigest().upper()
