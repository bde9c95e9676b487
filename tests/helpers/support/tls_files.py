"""A certificate authority of the tests, and what it vouches for."""

import datetime
import ipaddress
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID


class Authority:
    """`file` holds its certificate (PEM)."""

    def __init__(self, folder: Path, name: str = "authority") -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        own = self._certificate(self._name, self._key, x509.BasicConstraints(ca=True, path_length=0), 1)
        self.file = folder / f"{name}.pem"
        self.file.write_bytes(own.public_bytes(serialization.Encoding.PEM))

    def key_and_certificate(self, host: str, *, days: int = 1) -> tuple[bytes, bytes]:
        """For a server; of negative `days` it has expired."""
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, host)])
        try:
            called: x509.GeneralName = x509.IPAddress(ipaddress.ip_address(host))
        except ValueError:
            called = x509.DNSName(host)
        certificate = self._certificate(name, key, x509.SubjectAlternativeName([called]), days)
        form = (serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        return key.private_bytes(serialization.Encoding.PEM, *form), certificate.public_bytes(serialization.Encoding.PEM)

    def _certificate(
        self, name: x509.Name, key: ec.EllipticCurvePrivateKey, extension: x509.ExtensionType, days: int
    ) -> x509.Certificate:
        now, day = datetime.datetime.now(datetime.timezone.utc), datetime.timedelta(days=1)
        made = x509.CertificateBuilder().subject_name(name).issuer_name(self._name).public_key(key.public_key())
        made = made.serial_number(x509.random_serial_number()).not_valid_before(now - 9 * day).not_valid_after(now + days * day)
        return made.add_extension(extension, critical=isinstance(extension, x509.BasicConstraints)).sign(
            self._key, hashes.SHA256()
        )
