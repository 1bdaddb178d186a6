"""The certificate authority: what it refuses, what it creates, and what it signs."""

from __future__ import annotations

import ipaddress
import os
import shutil
import ssl
import subprocess
import sys
from datetime import UTC, datetime, timedelta, tzinfo
from pathlib import Path
from typing import TypeVar

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from faultinject.errors import SettingsError
from faultinject.tls.ca_store import looks_usable, read_ca_files, seconds_of
from faultinject.tls.certificate_authority import CertificateAuthority, default_data_dir
from tests.support.authorities import AuthorityFiles

posix_only = pytest.mark.skipif(os.name != "posix", reason="file modes are POSIX's")
not_root = pytest.mark.skipif(
    not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may read and write anything"
)
LONG_HOST = ".".join(["label-of-twenty-chars"] * 5) + ".example"

Extension = TypeVar("Extension", bound=x509.ExtensionType)

RSA_2048 = rsa.generate_private_key(65537, 2048)


def leaf_of(authority: CertificateAuthority, host: str) -> x509.Certificate:
    """Mint and parse."""
    return x509.load_pem_x509_certificate(authority.mint(host).certificate_chain_pem)


def value_of(certificate: x509.Certificate, kind: type[Extension]) -> Extension:
    """Return an extension's value."""
    return certificate.extensions.get_extension_for_class(kind).value


def refusal(certificate: Path, key: Path) -> str:
    """Return the one line with which the files are refused."""
    with pytest.raises(SettingsError) as caught:
        CertificateAuthority.load(certificate, key)
    message = str(caught.value)
    assert "\n" not in message
    return message


def run_python(code: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run code in a new interpreter; it must succeed."""
    command = [sys.executable, "-c", code, *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True)


# --- load ---


@pytest.mark.parametrize(
    "key", [ec.generate_private_key(ec.SECP384R1()), RSA_2048], ids=["EC P-384", "RSA"]
)
def test_load_takes_ec_and_rsa(tmp_path: Path, key: ec.EllipticCurvePrivateKey) -> None:
    """Both kinds of key sign."""
    certificate, key_path = AuthorityFiles(key=key).write(tmp_path)
    authority = CertificateAuthority.load(certificate, key_path)
    assert looks_usable(read_ca_files(certificate, key_path)), "the quick look finds it good"
    assert authority.certificate_path == certificate
    assert authority.key_path == key_path
    assert authority.certificate_pem == certificate.read_bytes()
    ca = x509.load_pem_x509_certificate(authority.certificate_pem)
    leaf_of(authority, "api.example.com").verify_directly_issued_by(ca)


@pytest.mark.parametrize("missing", ["ca.crt", "ca.key"])
def test_load_creates_nothing(tmp_path: Path, missing: str) -> None:
    """A named file that is not there is an error, and stays away."""
    certificate, key = AuthorityFiles().write(tmp_path)
    (tmp_path / missing).unlink()
    message = refusal(certificate, key)
    assert message.startswith(f"{tmp_path / missing}: there is no such file; name")
    assert not (tmp_path / missing).exists()


def test_one_file_for_both(tmp_path: Path) -> None:
    """Certificate and key may share a file, with text around; the key never leaves with it."""
    files = AuthorityFiles()
    both = tmp_path / "both.pem"
    both.write_bytes(b"Subject: me\n" + files.key_pem() + files.certificate_pem() + b"end\n")
    both.chmod(0o600)
    authority = CertificateAuthority.load(both, both)
    authority.mint("a.example")
    lines = authority.certificate_pem.splitlines()
    assert lines[0] == b"-----BEGIN CERTIFICATE-----"
    assert lines[-1] == b"-----END CERTIFICATE-----"
    assert b"PRIVATE KEY" not in authority.certificate_pem


@posix_only
def test_load_refuses_a_directory(tmp_path: Path) -> None:
    """What cannot be read is named, with the system's reason."""
    certificate, _ = AuthorityFiles().write(tmp_path)
    assert refusal(certificate, tmp_path).startswith(
        f"{tmp_path}: cannot be read (Is a directory); name a PEM file"
    )


def test_load_refuses_a_file_that_is_too_long(tmp_path: Path) -> None:
    """A device without an end, say, which would fill the memory."""
    certificate, key = AuthorityFiles().write(tmp_path)
    with key.open("ab") as file:
        file.truncate(2**20 + 1)
    assert refusal(certificate, key) == f"{key}: has more than 1048576 bytes; name a PEM file"


@not_root
def test_load_refuses_an_unreadable_file(tmp_path: Path) -> None:
    """A file of somebody else's."""
    certificate, key = AuthorityFiles().write(tmp_path)
    key.chmod(0)
    assert refusal(certificate, key).startswith(f"{key}: cannot be read (Permission denied);")


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\x30\x82\x01\x0a\xff",
        b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
        b"-----BEGIN CERTIFICATE-----\n\xff\xff\n-----END CERTIFICATE-----\n",
    ],
)
def test_load_refuses_what_is_not_pem(tmp_path: Path, content: bytes) -> None:
    """Empty files, DER, and PEM around rubbish, in either place."""
    certificate, key = AuthorityFiles().write(tmp_path)
    good_key = key.read_bytes()
    key.write_bytes(content)
    assert refusal(certificate, key) == (
        f"{key}: is not a PEM private key; it should start with '-----BEGIN PRIVATE KEY-----'"
    )
    key.write_bytes(good_key)
    certificate.write_bytes(content)
    assert refusal(certificate, key) == (
        f"{certificate}: is not a PEM certificate;"
        " it should start with '-----BEGIN CERTIFICATE-----'"
    )


def test_load_refuses_an_encrypted_key(tmp_path: Path) -> None:
    """Nobody is asked for a passphrase, least of all on the terminal."""
    files = AuthorityFiles()
    certificate, key = files.write(tmp_path)
    key.write_bytes(files.key_pem(b"secret"))
    assert refusal(certificate, key) == (
        f"{key}: the private key is encrypted; write it without a passphrase"
        " ('openssl pkey -in KEY -out NEWKEY')"
    )


@pytest.mark.parametrize("other", [AuthorityFiles(), AuthorityFiles(key=RSA_2048)])
def test_load_refuses_another_key(tmp_path: Path, other: AuthorityFiles) -> None:
    """The key must be the certificate's."""
    certificate, key = AuthorityFiles().write(tmp_path)
    key.write_bytes(other.key_pem())
    assert refusal(certificate, key) == (
        f"{key}: is not the private key of {certificate}; name two files that were made together"
    )


@pytest.mark.parametrize(
    "weak",
    [
        ed25519.Ed25519PrivateKey.generate(),
        rsa.generate_private_key(65537, 1024),
    ],
    ids=["Ed25519", "RSA 1024"],
)
def test_load_refuses_keys_that_clients_refuse(tmp_path: Path, weak: rsa.RSAPrivateKey) -> None:
    """Better here than as a puzzle in every client."""
    message = refusal(*AuthorityFiles(key=weak).write(tmp_path))
    assert message.startswith(f"{tmp_path / 'ca.key'}: clients do not accept such a key; use an EC")


@pytest.mark.parametrize("ca", [False, None])
@pytest.mark.parametrize("cert_sign", [True, None])
def test_load_refuses_what_is_no_authority(
    tmp_path: Path, ca: bool | None, cert_sign: bool | None
) -> None:
    """CA:TRUE must be there, whatever the key usage says."""
    certificate, key = AuthorityFiles(ca=ca, cert_sign=cert_sign).write(tmp_path)
    assert refusal(certificate, key).startswith(
        f"{certificate}: is not a certificate authority (no basic constraint CA:TRUE); use"
    )


def test_load_refuses_an_authority_that_may_not_sign(tmp_path: Path) -> None:
    """A key usage without keyCertSign."""
    certificate, key = AuthorityFiles(cert_sign=False).write(tmp_path)
    assert refusal(certificate, key).startswith(
        f"{certificate}: may not sign certificates (its key usage lacks keyCertSign); use"
    )


def test_load_takes_an_authority_without_key_usage(tmp_path: Path) -> None:
    """Without the extension every usage is allowed (RFC 5280 section 4.2.1.3)."""
    paths = AuthorityFiles(cert_sign=None, key_identifier=False).write(tmp_path)
    leaf = leaf_of(CertificateAuthority.load(*paths), "a.example")
    ca = x509.load_pem_x509_certificate(paths[0].read_bytes())
    digest = x509.SubjectKeyIdentifier.from_public_key(ca.public_key()).digest
    assert value_of(leaf, x509.AuthorityKeyIdentifier).key_identifier == digest


def test_load_refuses_expired_and_future(tmp_path: Path) -> None:
    """Dates are compared with the clock, and named."""
    day = timedelta(days=1)
    certificate, key = AuthorityFiles(ends_in=-day).write(tmp_path)
    ended = datetime.now(UTC) - day
    assert refusal(certificate, key).startswith(
        f"{certificate}: expired on {ended:%Y-%m-%d}; use another"
    )
    certificate, key = AuthorityFiles(starts_in=day).write(tmp_path)
    assert refusal(certificate, key).startswith(f"{certificate}: is not valid before 2")


def test_load_refuses_unreadable_extensions(tmp_path: Path) -> None:
    """A certificate whose extensions do not parse."""
    certificate, key = AuthorityFiles().write(tmp_path)
    parsed = x509.load_pem_x509_certificate(certificate.read_bytes())
    der = parsed.public_bytes(Encoding.DER)
    # In the basic constraints, a broken string stands where the BOOLEAN was.
    broken = der.replace(b"\x30\x03\x01\x01\xff", b"\x30\x03\x0c\x01\xff")
    assert broken != der
    certificate.write_bytes(ssl.DER_cert_to_PEM_cert(broken).encode())
    assert refusal(certificate, key).startswith(f"{certificate}: has unreadable extensions; use")


@posix_only
def test_key_modes(tmp_path: Path) -> None:
    """A key that others may write is refused, one that they may read is marked; none is changed."""
    certificate, key = AuthorityFiles().write(tmp_path)
    assert not CertificateAuthority.load(certificate, key).key_readable_by_others
    for mode in (0o640, 0o604):
        key.chmod(mode)
        assert CertificateAuthority.load(certificate, key).key_readable_by_others
    for mode in (0o620, 0o602):
        key.chmod(mode)
        assert refusal(certificate, key) == (
            f"{key}: users other than its owner may write the private key; run 'chmod 600' on it"
        )
        assert key.stat().st_mode & 0o777 == mode


def test_expired_while_open(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An authority that expires under a running proxy signs nothing more."""
    authority = CertificateAuthority.load(*AuthorityFiles().write(tmp_path))
    authority.mint("a.example")

    class Later:
        @staticmethod
        def now(tz: tzinfo) -> datetime:
            return datetime.now(tz) + timedelta(days=11)

    monkeypatch.setattr("faultinject.tls.ca_checks.datetime", Later)
    with pytest.raises(SettingsError, match="expired on"):
        authority.mint("b.example")


# --- open_or_create ---


def test_open_or_create(tmp_path: Path) -> None:
    """The first call makes the authority, the second opens the same one."""
    directory = tmp_path / "new" / "data"
    first = CertificateAuthority.open_or_create(directory)
    again = CertificateAuthority.open_or_create(directory)
    assert first.certificate_pem == again.certificate_pem
    assert first.certificate_path == directory / "fault-ca.crt"
    assert sorted(p.name for p in directory.iterdir()) == [
        ".fault-ca.lock",
        "fault-ca.crt",
        "fault-ca.key",
    ]
    assert not first.key_readable_by_others


def test_it_is_known_whether_it_will_be_made(tmp_path: Path) -> None:
    """Of files that the user named nothing is ever made; a directory that is no good may be one."""
    certificate, key = tmp_path / "fault-ca.crt", tmp_path / "fault-ca.key"
    assert CertificateAuthority.is_missing(None, None, tmp_path)
    assert not CertificateAuthority.is_missing(certificate, key, tmp_path)
    CertificateAuthority.open_or_create(tmp_path)
    assert not CertificateAuthority.is_missing(None, None, tmp_path)
    assert CertificateAuthority.is_missing(None, None, tmp_path / ("x" * 300))


def test_own_authority_is_sound(tmp_path: Path) -> None:
    """P-256, ten years, critical constraints, a name that is each machine's own."""
    pems = [
        CertificateAuthority.open_or_create(tmp_path / name).certificate_pem for name in ("a", "b")
    ]
    ca, other = map(x509.load_pem_x509_certificate, pems)
    assert ca.subject != other.subject
    (common_name,) = ca.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    assert str(common_name.value).startswith("faultinject CA (")
    public = ca.public_key()
    assert isinstance(public, ec.EllipticCurvePublicKey)
    assert public.curve.name == "secp256r1"
    assert value_of(ca, x509.BasicConstraints) == x509.BasicConstraints(True, 0)
    assert value_of(ca, x509.KeyUsage).key_cert_sign
    assert timedelta(days=3640) < ca.not_valid_after_utc - datetime.now(UTC) < timedelta(days=3660)


@posix_only
def test_modes_with_an_open_umask(tmp_path: Path) -> None:
    """With umask 0 the key is still its owner's alone, from the open that makes it."""
    directory = tmp_path / "data"
    run_python(
        "import os, sys, pathlib\n"
        "os.umask(0)\n"
        "opened, real = [], os.open\n"
        "def watched(path, flags, mode=0o777, **more):\n"
        "    descriptor = real(path, flags, mode, **more)\n"
        "    opened.append((str(path), flags, os.fstat(descriptor).st_mode & 0o777))\n"
        "    return descriptor\n"
        "os.open = watched\n"
        "from faultinject.tls.certificate_authority import CertificateAuthority\n"
        "CertificateAuthority.open_or_create(pathlib.Path(sys.argv[1]))\n"
        "(made,) = [o for o in opened if o[0].endswith('fault-ca.key') and o[1] & os.O_CREAT]\n"
        "assert made[1] & os.O_EXCL and made[2] == 0o600, made\n",
        str(directory),
    )
    assert directory.stat().st_mode & 0o777 == 0o700
    modes = {path.name: path.stat().st_mode & 0o777 for path in directory.iterdir()}
    assert modes == {".fault-ca.lock": 0o600, "fault-ca.crt": 0o644, "fault-ca.key": 0o600}


CREATE_ON_SIGNAL = """
import pathlib, sys
from faultinject.tls import ca_creation, certificates
from faultinject.tls.certificate_authority import CertificateAuthority
print("ready", flush=True)
sys.stdin.readline()
ca = CertificateAuthority.open_or_create(pathlib.Path(sys.argv[1]))
ca.mint("a.example")
sys.stdout.write(ca.certificate_pem.decode())
"""


def test_first_starts_at_once_share_one(tmp_path: Path) -> None:
    """Four programs that find nothing at the same moment end up with one authority."""
    command = [sys.executable, "-c", CREATE_ON_SIGNAL, str(tmp_path / "data")]
    pipe = subprocess.PIPE
    programs = [subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True) for _ in range(4)]
    for program in programs:
        assert program.stdout is not None
        assert program.stdout.readline() == "ready\n"
    for program in programs:
        assert program.stdin is not None
        program.stdin.write("\n")
        program.stdin.flush()
    answers = {program.communicate(timeout=60)[0] for program in programs}
    assert [program.returncode for program in programs] == [0] * 4
    assert answers == {(tmp_path / "data" / "fault-ca.crt").read_text()}


def test_the_second_in_the_lock_makes_nothing(tmp_path: Path) -> None:
    """Whoever gets the lock looks again before it makes anything."""
    from faultinject.tls.ca_creation import create_files

    authority = CertificateAuthority.open_or_create(tmp_path)

    def never() -> tuple[bytes, bytes]:
        raise AssertionError("made twice")

    create_files(authority.certificate_path, authority.key_path, tmp_path / "staging", never)


@pytest.mark.parametrize("renames", [0, 1])
def test_a_crash_leaves_nothing_half_made(tmp_path: Path, renames: int) -> None:
    """A program killed before or between the renames does not harm the next start."""
    code = (
        "import os, pathlib, sys\n"
        "from faultinject.tls.certificate_authority import CertificateAuthority\n"
        "real, left = pathlib.Path.replace, int(sys.argv[2])\n"
        "def replace(path, target):\n"
        "    global left\n"
        "    if not left: os._exit(9)\n"
        "    left -= 1\n"
        "    return real(path, target)\n"
        "pathlib.Path.replace = replace\n"
        "CertificateAuthority.open_or_create(pathlib.Path(sys.argv[1]))\n"
    )
    with pytest.raises(subprocess.CalledProcessError) as caught:
        run_python(code, str(tmp_path), str(renames))
    assert caught.value.returncode == 9
    assert not (tmp_path / "fault-ca.crt").exists()
    assert (tmp_path / ".fault-ca.new").exists()
    leaf_of(CertificateAuthority.open_or_create(tmp_path), "a.example")
    assert not (tmp_path / ".fault-ca.new").exists()


def test_what_a_crash_at_the_last_step_leaves_is_removed(tmp_path: Path) -> None:
    """The pair is in place then; the next start tidies up, unless another program is at it."""
    from filelock import FileLock

    authority = CertificateAuthority.open_or_create(tmp_path)
    staging = tmp_path / ".fault-ca.new"
    staging.mkdir()
    (staging / "fault-ca.key").write_text("half a key")
    with FileLock(tmp_path / ".fault-ca.lock"):
        CertificateAuthority.open_or_create(tmp_path)
        assert staging.exists()
    again = CertificateAuthority.open_or_create(tmp_path)
    assert again.certificate_pem == authority.certificate_pem
    assert not staging.exists()


@pytest.mark.parametrize("kind", ["file", "link"])
def test_something_else_in_the_staging_directorys_place(tmp_path: Path, kind: str) -> None:
    """It goes, and nothing that it leads to."""
    aside = tmp_path / "aside"
    aside.mkdir()
    staging = tmp_path / "data" / ".fault-ca.new"
    staging.parent.mkdir()
    if kind == "file":
        staging.write_text("")
    else:
        staging.symlink_to(aside)
    CertificateAuthority.open_or_create(staging.parent)
    assert aside.exists()
    assert not staging.exists()


def test_certificate_without_its_key(tmp_path: Path) -> None:
    """A certificate that clients may trust already is never replaced silently."""
    authority = CertificateAuthority.open_or_create(tmp_path)
    authority.key_path.unlink()
    with pytest.raises(SettingsError, match=r"fault-ca.key: is missing next to fault-ca.crt; put"):
        CertificateAuthority.open_or_create(tmp_path)
    assert authority.certificate_path.read_bytes() == authority.certificate_pem


def test_directory_that_cannot_be_made(tmp_path: Path) -> None:
    """A file where the directory should be."""
    taken = tmp_path / "taken"
    taken.write_text("")
    with pytest.raises(SettingsError, match=r"taken: the certificate authority cannot be written"):
        CertificateAuthority.open_or_create(taken)


def test_directory_that_cannot_be_looked_at(tmp_path: Path) -> None:
    """The system's reason is passed on."""
    with pytest.raises(SettingsError, match=r"\(File name too long\);"):
        CertificateAuthority.open_or_create(tmp_path / ("a" * 300))


def test_lock_that_another_program_holds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A lock that does not become free ends in an error that names it."""
    from filelock import FileLock

    monkeypatch.setattr("faultinject.tls.ca_creation._LOCK_SECONDS", 0.0)
    with (
        FileLock(tmp_path / ".fault-ca.lock"),
        pytest.raises(SettingsError, match=r"another program has held \.fault-ca\.lock"),
    ):
        CertificateAuthority.open_or_create(tmp_path)


@pytest.mark.parametrize(
    "printed",
    ["Jan  1 00:00:00 1970 GMT", "Feb 29 23:59:59 2028 GMT", "Dec 31 09:08:07 9999 GMT"],
)
def test_dates_are_read_as_python_reads_them(printed: str) -> None:
    """OpenSSL prints them in one way, whatever the locale."""
    assert seconds_of(printed) == ssl.cert_time_to_seconds(printed)


@pytest.mark.parametrize(
    ("printed", "why"),
    [
        ("", "not enough values"),
        ("Jun  1 12:00 2030 GMT", "not enough values"),
        ("Juni 1 12:00:00 2030 GMT", "not in tuple"),
        ("Jun 31 12:00:00 2030 GMT", "day"),
        ("Jun  1 12:00:00 2030 CET", "is not in GMT"),
    ],
)
def test_other_dates_are_not_read(printed: str, why: str) -> None:
    """The closer look is left to say what they are."""
    with pytest.raises(ValueError, match=why):
        seconds_of(printed)


OPEN_AND_WATCH = """
import builtins, os, pathlib, sys
from faultinject.tls.certificate_authority import CertificateAuthority
written = []
def hook(event, args):
    if event == "open" and args[2] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT):
        written.append(args)
    elif event in ("os.mkdir", "os.rename", "os.chmod", "os.remove"):
        written.append((event, args))
sys.addaudithook(hook)
sys.dont_write_bytecode = True
CertificateAuthority.open_or_create(pathlib.Path(sys.argv[1]))
assert not written, written
"""


def test_opening_writes_nothing(tmp_path: Path) -> None:
    """An existing authority is opened read-only."""
    CertificateAuthority.open_or_create(tmp_path)
    run_python(OPEN_AND_WATCH, str(tmp_path))


def test_default_data_dir_is_not_created() -> None:
    """The directory is this program's own, whether it exists or not."""
    existed = default_data_dir().exists()
    assert default_data_dir().name == "faultinject"
    assert default_data_dir().exists() == existed


@pytest.mark.parametrize("problem", [RuntimeError, KeyError, None])
def test_a_user_without_a_home(
    monkeypatch: pytest.MonkeyPatch, problem: type[Exception] | None
) -> None:
    """A container's uid may be nobody's, and HOME unset or relative: the option is named."""

    def path(*_args: object, **_more: object) -> Path:
        if problem is not None:
            raise problem("no home")
        return Path("relative/share")

    monkeypatch.setattr("platformdirs.user_data_path", path)
    with pytest.raises(SettingsError, match=r"no home .* name one with --data-dir"):
        default_data_dir()


@pytest.mark.parametrize(
    ("purposes", "good"),
    [
        ([ExtendedKeyUsageOID.CLIENT_AUTH], False),
        ([ExtendedKeyUsageOID.CODE_SIGNING, ExtendedKeyUsageOID.OCSP_SIGNING], False),
        ([ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.SERVER_AUTH], True),
        ([ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE], True),
    ],
)
def test_an_authority_for_other_purposes(
    tmp_path: Path, purposes: list[x509.ObjectIdentifier], good: bool
) -> None:
    """Clients refuse what it signs for servers, so the start does."""
    files = AuthorityFiles(more=(x509.ExtendedKeyUsage(purposes),)).write(tmp_path)
    if good:
        CertificateAuthority.load(*files)
    else:
        with pytest.raises(SettingsError, match=r"ca.crt: may not sign .* lacks serverAuth"):
            CertificateAuthority.load(*files)


@pytest.mark.skipif(shutil.which("openssl") is None, reason="needs the openssl command")
def test_an_authority_whose_key_is_for_pss_alone(tmp_path: Path) -> None:
    """Most clients do not take it."""
    key, certificate = tmp_path / "ca.key", tmp_path / "ca.pem"
    make = ["openssl", "req", "-x509", "-newkey", "rsa-pss", "-pkeyopt", "rsa_keygen_bits:2048"]
    make += ["-nodes", "-subj", "/CN=PSS", "-keyout", str(key), "-out", str(certificate)]
    subprocess.run(make, check=True, capture_output=True)
    key.chmod(0o600)
    with pytest.raises(SettingsError, match=r"ca\.(pem|key): clients do not accept"):
        CertificateAuthority.load(certificate, key)


HOSTS = ["a.example", "b.a.example", "xa.example", "192.0.2.7", "2001:db8::1"]


@pytest.mark.parametrize(
    ("permitted", "excluded", "left_out"),
    [
        (["a.example"], None, ["xa.example"]),
        ([".A.example"], None, ["xa.example"]),
        (None, ["a.example"], ["a.example", "b.a.example"]),
        (None, [""], ["a.example", "b.a.example", "xa.example"]),
        (["example"], ["b.a.example"], ["b.a.example"]),
        (["192.0.2.0/24"], None, ["2001:db8::1"]),
        (None, ["2001:db8::/32"], ["2001:db8::1"]),
    ],
)
def test_name_constraints(
    tmp_path: Path, permitted: list[str] | None, excluded: list[str] | None, left_out: list[str]
) -> None:
    """Each kind of name is held to those of its kind."""

    def names(texts: list[str] | None) -> list[x509.GeneralName] | None:
        return None if texts is None else [_general(text) for text in texts]

    constraints = x509.NameConstraints(names(permitted), names(excluded))
    authority = CertificateAuthority.load(*AuthorityFiles(more=(constraints,)).write(tmp_path))
    assert authority.uncovered_names(HOSTS) == left_out


def _general(text: str) -> x509.GeneralName:
    return x509.IPAddress(ipaddress.ip_network(text)) if "/" in text else x509.DNSName(text)


def test_without_name_constraints(tmp_path: Path) -> None:
    """Every name will do."""
    authority = CertificateAuthority.load(*AuthorityFiles().write(tmp_path))
    assert authority.uncovered_names(HOSTS) == []


# --- mint ---


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> CertificateAuthority:
    """Return an authority of our own making."""
    return CertificateAuthority.open_or_create(tmp_path_factory.mktemp("ca"))


@pytest.mark.parametrize(
    ("host", "dns"),
    [
        ("api.example.com", True),
        ("under_score.example", True),
        (LONG_HOST, True),
        ("192.0.2.7", False),
        ("2001:db8::7", False),
    ],
)
def test_leaf_extensions(authority: CertificateAuthority, host: str, dns: bool) -> None:
    """What RFC 5280's strict reading and the browsers ask of a leaf."""
    leaf = leaf_of(authority, host)
    ca = x509.load_pem_x509_certificate(authority.certificate_pem)
    names = value_of(leaf, x509.SubjectAlternativeName)
    kind = x509.DNSName if dns else x509.IPAddress
    assert [str(name) for name in names.get_values_for_type(kind)] == [host]
    assert len(names) == 1
    assert not value_of(leaf, x509.BasicConstraints).ca
    assert value_of(leaf, x509.KeyUsage).digital_signature
    assert not value_of(leaf, x509.KeyUsage).key_cert_sign
    assert [usage.dotted_string for usage in value_of(leaf, x509.ExtendedKeyUsage)] == [
        "1.3.6.1.5.5.7.3.1"
    ]
    own = value_of(ca, x509.SubjectKeyIdentifier).digest
    assert value_of(leaf, x509.AuthorityKeyIdentifier).key_identifier == own
    assert value_of(leaf, x509.SubjectKeyIdentifier).digest != own
    common_names = leaf.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    assert [a.value for a in common_names] == ([] if len(host) > 64 else [host])


def test_leaf_validity(authority: CertificateAuthority) -> None:
    """At most 200 days in all, from a day ago."""
    leaf, now = leaf_of(authority, "a.example"), datetime.now(UTC)
    assert leaf.not_valid_after_utc - leaf.not_valid_before_utc < timedelta(days=200)
    assert leaf.not_valid_before_utc < now - timedelta(hours=23)
    assert leaf.not_valid_after_utc > now + timedelta(days=180)


def test_leaf_stays_within_its_authority(tmp_path: Path) -> None:
    """A leaf begins no earlier and ends no later than its issuer."""
    files = AuthorityFiles(starts_in=timedelta(minutes=-5), ends_in=timedelta(hours=3))
    authority = CertificateAuthority.load(*files.write(tmp_path))
    ca = x509.load_pem_x509_certificate(authority.certificate_pem)
    leaf = leaf_of(authority, "a.example")
    assert leaf.not_valid_before_utc == ca.not_valid_before_utc
    assert leaf.not_valid_after_utc == ca.not_valid_after_utc


def test_serials_differ_and_keys_do_not(authority: CertificateAuthority) -> None:
    """Browsers refuse two certificates of one issuer with the same serial number."""
    leaves = [leaf_of(authority, "a.example") for _ in range(5)]
    assert len({leaf.serial_number for leaf in leaves}) == 5
    assert len({authority.mint(host).private_key_pem for host in ("a.example", "b.example")}) == 1


def test_secrets_stay_out_of_reprs(authority: CertificateAuthority) -> None:
    """A repr in a traceback or a log shows no key."""
    leaf = authority.mint("a.example")
    for text in (repr(authority), repr(leaf), repr(authority._issuer)):
        assert "PRIVATE KEY" not in text


@pytest.mark.skipif(shutil.which("openssl") is None, reason="needs the openssl command")
@pytest.mark.parametrize("host", ["api.example.com", "192.0.2.7", "2001:db8::7", LONG_HOST])
def test_openssl_verifies_strictly(
    tmp_path: Path, authority: CertificateAuthority, host: str
) -> None:
    """The command agrees, name and purpose included."""
    leaf = tmp_path / "leaf.pem"
    leaf.write_bytes(authority.mint(host).certificate_chain_pem)
    option = "-verify_ip" if host[0] in "12" else "-verify_hostname"
    command = ["openssl", "verify", "-x509_strict", "-purpose", "sslserver", option, host]
    done = subprocess.run(
        [*command, "-CAfile", str(authority.certificate_path), str(leaf)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout.strip()) == (0, f"{leaf}: OK"), done.stderr


def test_the_null_device_is_no_key_and_its_modes_are_good(tmp_path: Path) -> None:
    """Nobody should be told to change them."""
    certificate, _ = AuthorityFiles().write(tmp_path)
    assert "is not a PEM private key" in refusal(certificate, Path(os.devnull))


@pytest.mark.skipif(os.name == "nt", reason="Windows has other pipes")
def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    """OpenSSL reads the files once more, and nobody may ever write to a pipe."""
    certificate, key = AuthorityFiles().write(tmp_path)
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    assert refusal(pipe, key).startswith(f"{pipe}: cannot be read (it is a pipe, not a file);")
    assert refusal(certificate, pipe).startswith(f"{pipe}: cannot be read (it is a pipe")
