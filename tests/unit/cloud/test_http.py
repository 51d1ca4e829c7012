# SPDX-License-Identifier: MIT
"""Messages for network faults, and the classification of transient ones."""

from __future__ import annotations

import datetime
import email.utils
import ipaddress
import socket
import ssl
from collections.abc import Iterator
from pathlib import Path

import publisher as faults
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from publisher import Publisher

from unit.cloud.offers import Waits
from vmlab.cloud.http import Web
from vmlab.cloud.http_fault import WebFault


@pytest.fixture
def publisher() -> Iterator[Publisher]:
    with Publisher() as publisher:
        yield publisher


def _fault(url: str) -> WebFault:
    with pytest.raises(WebFault) as caught:
        Web(pause=Waits(), silence_s=0.05).text(url)
    return caught.value


def _untrusted(directory: Path, name: str = "127.0.0.1", *, days: int = 10) -> tuple[ssl.SSLContext, Path]:
    """A self-signed certificate, valid until `days` from now."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(days=20))
        .not_valid_after(now + datetime.timedelta(days=days))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(name))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    own = directory / "own.pem"
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    own.write_bytes(private + certificate.public_bytes(serialization.Encoding.PEM))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(own)
    return context, own


def test_a_certificate_that_nobody_signed_is_told_and_not_tried_again(tmp_path: Path) -> None:
    with Publisher(tls=_untrusted(tmp_path)[0]) as publisher:
        fault = _fault(publisher.offer("/list", b"x"))
    assert fault.message == "127.0.0.1: certificate verification failed: self-signed certificate"
    assert not fault.passes
    assert "clock" in fault.hint
    assert publisher.asked == []


def test_a_certificate_that_has_expired_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    context, own = _untrusted(tmp_path, days=-1)
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(own))
    with Publisher(tls=context) as publisher:
        fault = _fault(publisher.offer("/list", b"x"))
    assert "certificate has expired" in fault.message


def test_a_server_that_speaks_no_tls_is_told(publisher: Publisher) -> None:
    fault = _fault(publisher.offer("/list", b"x").replace("http:", "https:"))
    assert fault.message == "127.0.0.1: the TLS connection failed: wrong version number"
    assert not fault.passes


def test_a_name_that_does_not_exist_is_told() -> None:
    # RFC 6761, 6.4: no resolver knows a name below `invalid`.
    fault = _fault("https://cloud-images.invalid/SHA256SUMS")
    assert fault.message.startswith("cannot resolve 'cloud-images.invalid': ")


@pytest.mark.parametrize(("number", "waits"), [(socket.EAI_NONAME, []), (socket.EAI_AGAIN, [1.0, 2.0, 4.0, 8.0])])
def test_only_a_name_server_that_is_away_may_come_back(
    monkeypatch: pytest.MonkeyPatch, number: int, waits: list[float]
) -> None:
    def resolve(*_: object, **__: object) -> None:
        raise socket.gaierror(number, "no such luck")

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    paused = Waits()
    with pytest.raises(WebFault, match=r"cannot resolve 'cloud\.example': no such luck"):
        Web(pause=paused).text("https://cloud.example/SHA256SUMS")
    assert paused.seconds == waits


def test_nobody_listening_is_told(publisher: Publisher) -> None:
    url = publisher.offer("/list", b"x")
    publisher.close()
    fault = _fault(url)
    assert fault.message == "127.0.0.1: connection refused"
    assert "network" in fault.hint


def test_after_a_redirect_the_host_that_fails_is_named(publisher: Publisher) -> None:
    publisher.order_always("/list", faults.redirect("http://mirror.invalid/list"))
    assert _fault(publisher.url("/list")).message.startswith("cannot resolve 'mirror.invalid'")


def test_no_network_at_all_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def connect(*_: object, **__: object) -> None:
        raise OSError(101, "Network is unreachable")

    monkeypatch.setattr("urllib3.util.connection.create_connection", connect)
    assert _fault("https://192.0.2.1/list").message == "192.0.2.1: network is unreachable"


def test_a_server_that_falls_silent_is_told(publisher: Publisher) -> None:
    publisher.offer("/list", b"x" * 200_000)
    publisher.order_always("/list", faults.slow(200_000))
    fault = _fault(publisher.url("/list"))
    assert fault.message == "127.0.0.1 does not answer"
    assert fault.passes


def test_a_server_that_compresses_uninvited_is_refused(publisher: Publisher) -> None:
    publisher.offer("/list", b"x")
    publisher.order_always("/list", faults.Answer(headers={"Content-Encoding": "gzip"}))
    assert "as 'gzip', expected no encoding" in _fault(publisher.url("/list")).message


def test_a_list_is_not_followed_out_of_encryption(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    context, own = _untrusted(tmp_path)
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(own))
    with Publisher() as plain, Publisher(tls=context) as publisher:
        plain.offer("/list", b"x")
        publisher.order_always("/list", faults.redirect(plain.url("/list")))
        fault = _fault(publisher.url("/list"))
    assert fault.message == f"{publisher.url('/list')} redirects to {plain.url('/list')}, which is not encrypted"
    assert not fault.passes


@pytest.mark.parametrize(
    "url", ["cloud.example/list", "ftp://cloud.example/list", "https:///list", "https://[::1/list"]
)
def test_what_is_no_address_is_told(url: str) -> None:
    assert "an invalid web address" in _fault(url).message


def test_a_date_to_come_back_at_is_understood(publisher: Publisher) -> None:
    soon = datetime.datetime.now(datetime.UTC) + datetime.timedelta(seconds=30)
    publisher.offer("/list", b"x")
    publisher.order("/list", faults.status(503, retry_after=email.utils.format_datetime(soon, usegmt=True)))
    paused = Waits()
    assert Web(pause=paused).text(publisher.url("/list")) == "x"
    assert 20 < paused.seconds[0] <= 30


@pytest.mark.parametrize("text", ["soon", "", "-5"])
def test_a_time_that_is_none_is_not_taken(publisher: Publisher, text: str) -> None:
    publisher.offer("/list", b"x")
    publisher.order("/list", faults.status(503, retry_after=text))
    paused = Waits()
    Web(pause=paused).text(publisher.url("/list"))
    assert paused.seconds == [1.0]
