"""An app that signs in by itself, against the sandbox's own verification of its signature."""

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

import outreach_frames as of
from outreach_frames.errors import AuthError


def pem_pair():
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    return private, key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


@pytest.fixture(scope="module")
def org():
    with of.sandbox(prospects=20) as client:
        yield client


def test_an_installed_app_fetches_without_a_user(org, tmp_path):
    private, public = pem_pair()
    guid = org.sandbox.installs.register_key(public)
    installation = org.sandbox.installs.install(guid)

    with of.connect_server(guid, private, installation, base_url=org.base_url, cache_dir=tmp_path) as server:
        prospects = of.fetch(server, "prospects")

    assert len(prospects) == 20
    assert not any(private[40:80].encode() in file.read_bytes() for file in tmp_path.rglob("*") if file.is_file())


def test_another_key_is_refused(org, tmp_path):
    private, public = pem_pair()
    guid = org.sandbox.installs.register_key(public)
    other, _ = pem_pair()

    with pytest.raises(AuthError) as caught:
        of.connect_server(guid, other, org.sandbox.installs.install(guid), base_url=org.base_url, cache_dir=tmp_path)

    assert private not in str(caught.value)
    with pytest.raises(AuthError, match="private key"):
        of.connect_server(guid, "no key", "x", base_url=org.base_url, cache_dir=tmp_path)
