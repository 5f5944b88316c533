"""TLS contexts, shaken hands with in memory: names, versions, client certificates, ALPN, and errors about files."""

from __future__ import annotations

import ssl
from pathlib import Path

import pytest

from wsgikit.errors import ConfigError
from wsgikit.master.settings import CertificateSettings, TlsSettings
from wsgikit.master.tls import server_context

HERE = Path(__file__).parent / "certificates"


def pem(name: str) -> str:
    return str(HERE / name)


LOCALHOST = CertificateSettings(cert=pem("localhost.pem"), key=pem("localhost.key"))
SHOP = CertificateSettings(cert=pem("shop-both.pem"), names=("shop.example", "*.Shop.example."))


def client_context() -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=pem("ca.pem"))
    context.check_hostname = False
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT  # on from Python 3.13; these certificates are older
    return context


def shake(server: ssl.SSLContext, client: ssl.SSLContext, name: str | None) -> tuple[ssl.SSLObject, ssl.SSLObject]:
    """Both ends after a whole handshake over two memory buffers."""
    up, down = ssl.MemoryBIO(), ssl.MemoryBIO()
    ends = [client.wrap_bio(down, up, server_hostname=name), server.wrap_bio(up, down, server_side=True)]
    open_ends = list(ends)
    for _ in range(10):
        for end in list(open_ends):
            try:
                end.do_handshake()
                open_ends.remove(end)
            except ssl.SSLWantReadError:
                pass
    assert not open_ends
    return ends[0], ends[1]


def common_name(end: ssl.SSLObject) -> str:
    certificate = end.getpeercert() or {}
    return dict(pair[0] for pair in certificate["subject"])["commonName"]  # type: ignore[misc, index]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("shop.example", "shop"),
        ("SHOP.example", "shop"),
        ("www.shop.example", "shop"),
        ("a.b.shop.example", "localhost"),
        ("other.example", "localhost"),
        ("localhost", "localhost"),
        (None, "localhost"),
    ],
)
def test_the_server_name_chooses_the_certificate(name: str | None, expected: str) -> None:
    server = server_context(TlsSettings(certificates=(LOCALHOST, SHOP)))
    client, _ = shake(server, client_context(), name)
    assert common_name(client) == expected


@pytest.mark.parametrize("name", ["localhost", "shop.example"])
def test_a_required_client_certificate_is_checked_under_every_name(name: str) -> None:
    server = server_context(
        TlsSettings(certificates=(LOCALHOST, SHOP), client_cert="required", client_ca=pem("ca.pem"))
    )
    without = client_context()
    without.maximum_version = ssl.TLSVersion.TLSv1_2  # with 1.3 the client learns of the refusal only when it reads
    with pytest.raises(ssl.SSLError):
        shake(server, without, name)
    bearer = client_context()
    bearer.load_cert_chain(pem("client.pem"), pem("client.key"))
    _, accepted = shake(server, bearer, name)
    assert common_name(accepted) == "client"


def test_an_optional_client_certificate_may_be_absent() -> None:
    server = server_context(TlsSettings(certificates=(SHOP,), client_cert="optional", client_ca=pem("ca.pem")))
    _, accepted = shake(server, client_context(), "shop.example")
    assert accepted.getpeercert() is None


@pytest.mark.parametrize("name", ["localhost", "shop.example"])
def test_alpn_offers_http_1_1_only(name: str) -> None:
    server = server_context(TlsSettings(certificates=(LOCALHOST, SHOP)))
    browser = client_context()
    browser.set_alpn_protocols(["h2", "http/1.1"])
    client, _ = shake(server, browser, name)
    assert client.selected_alpn_protocol() == "http/1.1"


def test_the_minimum_version_holds() -> None:
    old = client_context()
    old.maximum_version = ssl.TLSVersion.TLSv1_2
    shake(server_context(TlsSettings(certificates=(SHOP,))), old, "shop.example")
    with pytest.raises(ssl.SSLError):
        shake(server_context(TlsSettings(certificates=(SHOP,), minimum="1.3")), old, "shop.example")


def test_ciphers_are_openssl_strings() -> None:
    context = server_context(TlsSettings(certificates=(SHOP,), ciphers="ECDHE-ECDSA-AES256-GCM-SHA384"))
    names = {cipher["name"] for cipher in context.get_ciphers() if cipher["protocol"] == "TLSv1.2"}
    assert names == {"ECDHE-ECDSA-AES256-GCM-SHA384"}
    with pytest.raises(ConfigError, match="knows no cipher in 'NONSENSE'"):
        server_context(TlsSettings(certificates=(SHOP,), ciphers="NONSENSE"))


def test_an_encrypted_key_needs_its_password_and_never_asks_the_terminal() -> None:
    encrypted = pem("encrypted.key")
    server_context(
        TlsSettings(certificates=(CertificateSettings(cert=pem("localhost.pem"), key=encrypted, password="secret"),))
    )
    with pytest.raises(ConfigError, match=r"encrypted\.key is encrypted: set its password"):
        server_context(TlsSettings(certificates=(CertificateSettings(cert=pem("localhost.pem"), key=encrypted),)))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (TlsSettings(certificates=()), "there is no certificate"),
        (TlsSettings(certificates=(LOCALHOST, LOCALHOST)), "needs names: only the first does without"),
        (TlsSettings(certificates=(SHOP, LOCALHOST, SHOP)), "needs names"),
        (TlsSettings(certificates=(SHOP, SHOP)), "two certificates for the name 'shop.example'"),
        (
            TlsSettings(certificates=(CertificateSettings(cert="/no/such"),)),
            "cannot read the certificate file /no/such",
        ),
        (
            TlsSettings(certificates=(CertificateSettings(cert=pem("shop.pem"), key="/no/such"),)),
            "cannot read the key file /no/such: No such file",
        ),
        (
            TlsSettings(certificates=(CertificateSettings(cert=pem("shop.pem"), key=pem("localhost.key")),)),
            r"localhost\.key does not belong to certificate .*shop\.pem",
        ),
        (TlsSettings(certificates=(CertificateSettings(cert=__file__),)), "both must be PEM files"),
        (TlsSettings(certificates=(SHOP,), minimum="1.1"), "minimum is '1.1', allowed are 1.2, 1.3"),
        (TlsSettings(certificates=(SHOP,), client_cert="yes"), "client_cert is 'yes', allowed are none, optional"),
        (TlsSettings(certificates=(SHOP,), client_cert="required"), "client certificates need client_ca"),
        (
            TlsSettings(certificates=(SHOP,), client_cert="required", client_ca=__file__),
            "holds no PEM certificate",
        ),
    ],
)
def test_mistakes_name_the_file_or_the_value(settings: TlsSettings, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        server_context(settings)
