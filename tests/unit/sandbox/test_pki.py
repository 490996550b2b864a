"""The certificates, judged by openssl."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from sandbox import pki
from sandbox.pki import Certificate, Pki

SERVER = Certificate("server", "kube-apiserver", addresses=("127.0.0.1", "198.18.1.1"))
ADMIN = Certificate("admin", "admin", "system:masters")


@pytest.fixture
def keys(tmp_path: Path) -> Pki:
    return pki.ensure(tmp_path / "pki", (SERVER, ADMIN))


def test_certificates_are_signed_by_the_authority(keys: Pki) -> None:
    for name in ("server", "admin"):
        _openssl("verify", "-CAfile", keys.authority, keys.certificate(name))


def test_they_speak_for_the_user_group_and_addresses_asked_for(keys: Pki) -> None:
    subject = _openssl("x509", "-in", keys.certificate("admin"), "-noout", "-subject")
    assert "O = system:masters" in subject
    assert "CN = admin" in subject
    names = _openssl("x509", "-in", keys.certificate("server"), "-noout", "-ext", "subjectAltName")
    assert "IP Address:127.0.0.1, IP Address:198.18.1.1" in names


def test_private_keys_are_private(keys: Pki) -> None:
    assert all(key.stat().st_mode & 0o077 == 0 for key in keys.root.glob("*.key"))


def test_what_is_there_is_kept(keys: Pki) -> None:
    before = keys.certificate("server").read_bytes()

    pki.ensure(keys.root, (SERVER, ADMIN))

    assert keys.certificate("server").read_bytes() == before


def test_another_address_gives_new_certificates_of_the_same_authority(keys: Pki) -> None:
    authority = keys.authority.read_bytes()

    pki.ensure(keys.root, (Certificate("server", "kube-apiserver", addresses=("198.18.2.1",)), ADMIN))

    assert keys.authority.read_bytes() == authority
    names = _openssl("x509", "-in", keys.certificate("server"), "-noout", "-ext", "subjectAltName")
    assert "198.18.2.1" in names


def _openssl(*arguments: str | Path) -> str:
    command = ["openssl", *(str(argument) for argument in arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout
