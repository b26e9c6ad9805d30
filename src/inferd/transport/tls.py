"""TLS contexts, of the server and of who asks others; TLS 1.2 or later, nothing older."""

from __future__ import annotations

import ssl
from pathlib import Path

from inferd.core.errors import ConfigError


def server_context(
    certificate: Path, key: Path | None = None, *, client_ca: Path | None = None
) -> ssl.SSLContext:
    """Return a context for a listener.

    ``certificate``: PEM file with the certificate and its chain, ``key``: PEM file with the private
    key (``None``: in the same file), not encrypted. ``client_ca``: PEM file of the authorities
    whose client certificates are asked for and required.

    Raises ``ConfigError`` naming the file: missing, unreadable, not PEM, encrypted, or a key that
    does not belong to the certificate.
    """
    for path, what in ((certificate, "certificate"), (key, "key"), (client_ca, "client CA")):
        if path is not None:
            _check_readable(path, what)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_RENEGOTIATION | ssl.OP_NO_COMPRESSION
    context.set_alpn_protocols(["http/1.1"])
    try:
        context.load_cert_chain(certificate, key, password=_refuse_password)
    except (ssl.SSLError, ValueError, TypeError) as error:
        raise _explain(error, certificate, key) from None
    if client_ca is not None:
        try:
            context.load_verify_locations(client_ca)
        except ssl.SSLError:
            raise ConfigError(
                f"{client_ca}: holds no certificate in PEM form",
                help="give the certificates of the authorities, each from BEGIN to END CERTIFICATE",
            ) from None
        context.verify_mode = ssl.CERT_REQUIRED
    return context


def client_context(
    ca: Path | None = None, certificate: Path | None = None, key: Path | None = None
) -> ssl.SSLContext:
    """Return a context for connections to other servers; their certificates are verified.

    ``ca``: PEM file of the authorities that are trusted (``None``: the system's). ``certificate`` and
    ``key``: what this side shows of itself. Raises ``ConfigError`` naming the file.
    """
    for path, what in ((ca, "CA"), (certificate, "certificate"), (key, "key")):
        if path is not None:
            _check_readable(path, what)
    try:
        context = ssl.create_default_context(cafile=None if ca is None else str(ca))
    except ssl.SSLError:
        raise ConfigError(
            f"{ca}: holds no certificate in PEM form",
            help="give the certificates of the authorities, each from BEGIN to END CERTIFICATE",
        ) from None
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    if certificate is not None:
        try:
            context.load_cert_chain(certificate, key, password=_refuse_password)
        except (ssl.SSLError, ValueError, TypeError) as error:
            raise _explain(error, certificate, key) from None
    return context


def _check_readable(path: Path, what: str) -> None:
    try:
        with path.open("rb"):
            return
    except OSError as error:
        raise ConfigError(f"{path}: the TLS {what} cannot be read: {error.strerror}") from None


def _refuse_password() -> str:
    raise ValueError("encrypted")


def _explain(error: Exception, certificate: Path, key: Path | None) -> ConfigError:
    """Say which of the files is wrong: OpenSSL's own messages name neither."""
    holder = key or certificate
    if not isinstance(error, ssl.SSLError):
        return ConfigError(
            f"{holder}: the private key is encrypted",
            help="decrypt it (openssl pkey -in KEY -out PLAIN) and protect the file by its mode",
        )
    if error.reason and "MISMATCH" in error.reason:
        return ConfigError(
            f"{holder}: the private key does not belong to the certificate {certificate}",
            help="give the key the certificate was made for",
        )
    if b"-----BEGIN CERTIFICATE-----" not in certificate.read_bytes():
        return ConfigError(
            f"{certificate}: holds no certificate in PEM form",
            help="convert it: openssl x509 -inform DER -in CERT -out cert.pem",
        )
    if b"PRIVATE KEY-----" not in holder.read_bytes():
        return ConfigError(
            f"{holder}: holds no private key in PEM form",
            help="name the key file as well, or append the key to the certificate's file",
        )
    return ConfigError(
        f"{certificate} and {holder}: not usable for TLS: {error.reason or error}",
        help="check both files with: openssl x509 -in CERT -noout -text; openssl pkey -in KEY -check",
    )
