"""TLS: served, refused below 1.2, and clear errors for wrong files."""

import asyncio
import contextlib
import ssl

import pytest
import trustme
from tests.transport.serving import request, run, serving

from inferd.core.errors import ConfigError
from inferd.transport.tls import server_context


@pytest.fixture(scope="module")
def authority():
    return trustme.CA()


@pytest.fixture(scope="module")
def files(authority, tmp_path_factory):
    folder = tmp_path_factory.mktemp("tls")
    issued = authority.issue_cert("localhost", "127.0.0.1")
    issued.private_key_pem.write_to_path(folder / "key.pem")
    for blob in issued.cert_chain_pems:
        blob.write_to_path(folder / "cert.pem", append=True)
    issued.private_key_and_cert_chain_pem.write_to_path(folder / "both.pem")
    authority.issue_cert("other").private_key_pem.write_to_path(folder / "other.pem")
    authority.cert_pem.write_to_path(folder / "ca.pem")
    (folder / "text.pem").write_text("hello")
    (folder / "sealed.pem").write_bytes(_sealed(issued))
    return folder


def _sealed(issued):
    from cryptography.hazmat.primitives import serialization as form

    key = form.load_pem_private_key(issued.private_key_pem.bytes(), None)
    return key.private_bytes(
        form.Encoding.PEM, form.PrivateFormat.PKCS8, form.BestAvailableEncryption(b"x")
    )


def trusting(authority):
    context = ssl.create_default_context()
    authority.configure_trust(context)
    return context


def test_serves_over_tls(authority, files):
    async def main():
        context = server_context(files / "cert.pem", files / "key.pem")
        async with serving(context=context) as server:
            client = await server.connect(ssl=trusting(authority))
            assert (await client.ask("/", b"x" * 100_000)).body == b"x" * 100_000
            assert await client.is_open()
            assert server.app.started[0].tls
            assert (await client.ask("/stream")).body == b"000001111122222"
            client.send(request("/refuse", b"x" * 500_000))
            assert (await client.answer()).status == 403
            tls = client.writer.get_extra_info("ssl_object")
            assert tls.version() in ("TLSv1.2", "TLSv1.3")
            assert tls.selected_alpn_protocol() is None

    run(main())


def test_one_file_may_hold_both(files):
    assert server_context(files / "both.pem").minimum_version == ssl.TLSVersion.TLSv1_2


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_refuses_old_versions(authority, files):
    async def main():
        context = server_context(files / "cert.pem", files / "key.pem")
        async with serving(context=context) as server:
            old = trusting(authority)
            old.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
            old.maximum_version = ssl.TLSVersion.TLSv1_1
            old.set_ciphers("ALL:@SECLEVEL=0")
            with pytest.raises((ssl.SSLError, ConnectionError)):
                await server.connect(ssl=old)
            assert await (await server.connect(ssl=trusting(authority))).is_open()

    run(main())


def test_plain_http_on_a_tls_port_does_not_disturb(authority, files):
    async def main():
        context = server_context(files / "cert.pem", files / "key.pem")
        async with serving(context=context) as server:
            plain = await server.connect()
            plain.send(request("/"))
            with contextlib.suppress(ConnectionError):
                assert b"200" not in await plain.closed()
            assert await (await server.connect(ssl=trusting(authority))).is_open()

    run(main())


def test_a_handshake_that_never_ends_is_cut(files):
    async def main():
        context = server_context(files / "cert.pem", files / "key.pem")
        async with serving(context=context, handshake_time=0.1) as server:
            silent = await server.connect()
            with contextlib.suppress(ConnectionError):
                assert await silent.closed() == b""

    run(main())


def test_a_graceful_stop_closes_tls_connections(authority, files):
    async def main():
        context = server_context(files / "cert.pem", files / "key.pem")
        async with serving(context=context) as server:
            idle, busy = [await server.connect(ssl=trusting(authority)) for _ in range(2)]
            await idle.ask("/")
            busy.send(request("/slow"))
            await server.until(lambda: len(server.app.started) == 2)
            stop = asyncio.create_task(server.listener.stop(0, 5))
            assert await idle.closed() == b""
            server.app.release.set()
            assert (await busy.answer()).headers["connection"] == "close"
            await stop

    run(main())


def test_client_certificates_can_be_required(authority, files):
    async def main():
        context = server_context(files / "cert.pem", files / "key.pem", client_ca=files / "ca.pem")
        async with serving(context=context) as server:
            bare = trusting(authority)
            with pytest.raises((OSError, EOFError)):
                client = await server.connect(ssl=bare)
                await client.ask("/")
            known = trusting(authority)
            authority.issue_cert("client").configure_cert(known)
            assert await (await server.connect(ssl=known)).is_open()

    run(main())


@pytest.mark.parametrize(
    ("certificate", "key", "message"),
    [
        pytest.param("none.pem", "key.pem", "none.pem: the TLS certificate cannot", id="no-cert"),
        pytest.param("cert.pem", "none.pem", "none.pem: the TLS key cannot be read", id="no-key"),
        pytest.param("text.pem", "key.pem", "text.pem: holds no certificate in PEM", id="no-pem"),
        pytest.param("cert.pem", "text.pem", "text.pem: holds no private key in PEM", id="not-key"),
        pytest.param("cert.pem", None, "cert.pem: holds no private key", id="key-missing"),
        pytest.param("cert.pem", "other.pem", "other.pem: the private key does not belong", id="mismatch"),
        pytest.param("cert.pem", "sealed.pem", "sealed.pem: the private key is encrypted", id="sealed"),
        pytest.param("key.pem", "key.pem", "key.pem: holds no certificate", id="swapped"),
    ],
)  # fmt: skip
def test_wrong_files_are_named(files, certificate, key, message):
    with pytest.raises(ConfigError) as caught:
        server_context(files / certificate, files / key if key else None)
    assert message in str(caught.value)


def test_wrong_client_authority_is_named(files):
    with pytest.raises(ConfigError, match=r"text\.pem: holds no certificate"):
        server_context(files / "both.pem", client_ca=files / "text.pem")
