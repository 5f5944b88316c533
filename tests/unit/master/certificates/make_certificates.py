"""How the files in this folder were made (with the library `cryptography`). They are valid from 2020 to 2120, so that
neither a slow nor a fast clock breaks the tests, and they protect nothing."""

from __future__ import annotations

import datetime
import ipaddress
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

HERE = Path(__file__).parent
FROM, UNTIL = datetime.datetime(2020, 1, 1), datetime.datetime(2120, 1, 1)
PEM = serialization.Encoding.PEM
FORMAT = serialization.PrivateFormat.PKCS8


def certificate(name, key, issuer_name, issuer_key, names=()):
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer_name or subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(FROM)
        .not_valid_after(UNTIL)
        .add_extension(x509.BasicConstraints(ca=not names, path_length=None), critical=True)
        .add_extension(usage(authority=not names), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()), critical=False)
    )
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    return builder.sign(issuer_key, hashes.SHA256())


def usage(authority):
    """Python 3.13 asks for it in an authority's certificate (RFC 5280 4.2.1.3)."""
    others = ("content_commitment", "key_encipherment", "data_encipherment", "key_agreement")
    never = dict.fromkeys((*others, "encipher_only", "decipher_only"), False)
    return x509.KeyUsage(digital_signature=True, key_cert_sign=authority, crl_sign=authority, **never)


def write_key(file, key, encryption=None):
    encryption = encryption or serialization.NoEncryption()
    (HERE / file).write_bytes(key.private_bytes(PEM, FORMAT, encryption))


authority_key = ec.generate_private_key(ec.SECP256R1())
authority = certificate("Test authority", authority_key, None, authority_key)
(HERE / "ca.pem").write_bytes(authority.public_bytes(PEM))
subjects = {
    "localhost": [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))],
    "shop": [x509.DNSName("shop.example"), x509.DNSName("*.shop.example")],
    "client": [x509.DNSName("client.example")],
}
for name, names in subjects.items():
    key = ec.generate_private_key(ec.SECP256R1())
    made = certificate(name, key, authority.subject, authority_key, names).public_bytes(PEM)
    (HERE / f"{name}.pem").write_bytes(made)
    write_key(f"{name}.key", key)
    if name == "localhost":
        write_key("encrypted.key", key, serialization.BestAvailableEncryption(b"secret"))
    if name == "shop":
        (HERE / "shop-both.pem").write_bytes((HERE / "shop.key").read_bytes() + made)
