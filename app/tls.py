"""Names of certificate files enter; a client's TLS context leaves, or what is wrong with a file."""

from __future__ import annotations

import functools
import ssl
from pathlib import Path


class CertificateError(ValueError):
    """A certificate file can't be used; the text says which and why."""


@functools.cache
def client_context(
    authorities: Path | None = None,
    certificate: Path | None = None,
    key: Path | None = None,
    *,
    verified: bool = True,
    named: bool = True,
) -> ssl.SSLContext:
    """Return a context for connections to servers; files are read once a process.

    Args:
        authorities: PEM certificates that may vouch for a server; none: the system's.
        certificate: PEM certificate that proves who we are, where the server asks.
        key: Its key, unencrypted; none: it stands in the certificate's file.
        verified: Whether a server must have a certificate of an authority.
        named: Whether that certificate must name the host we connect to.

    Raises:
        CertificateError: A file can't be read, or holds something else.
    """
    context = _trusting(authorities)
    context.check_hostname = verified and named
    context.verify_mode = ssl.CERT_REQUIRED if verified else ssl.CERT_NONE
    if certificate is not None:
        _prove(context, certificate, key)
    return context


def _trusting(authorities: Path | None) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=authorities)
    except OSError as error:
        raise CertificateError(
            f"the certificates of {authorities} could not be read ({error}); they must be PEM"
        ) from error


def _prove(context: ssl.SSLContext, certificate: Path, key: Path | None) -> None:
    try:
        # OpenSSL would ask on the terminal for the password of an encrypted key.
        context.load_cert_chain(certificate, key, password="")
    except (OSError, ValueError) as error:
        files = f"{certificate} and {key}" if key else str(certificate)
        raise CertificateError(
            f"no certificate with its key could be read from {files} ({error}); they must be PEM "
            f"and belong together, the key unencrypted"
        ) from error
