"""Real servers on loopback that a backup root can be on: S3 (moto's) and SFTP (asyncssh's)."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Thread
from typing import Any

import asyncssh
import boto3
from moto.server import ThreadedMotoServer

BUCKET = "backups"
_boto: Any = boto3  # they ship no types, or half of them
_ssh: Any = asyncssh


@dataclass(frozen=True)
class S3:
    """An S3 server with one bucket.

    Attributes:
        env: what whoever uses it has in the environment.
    """

    env: Mapping[str, str]

    @property
    def client(self) -> Any:
        """A client that shares nothing with the code under test."""
        return _boto.client(
            "s3",
            endpoint_url=self.env["AWS_ENDPOINT_URL"],
            aws_access_key_id=self.env["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=self.env["AWS_SECRET_ACCESS_KEY"],
            region_name=self.env["AWS_DEFAULT_REGION"],
        )

    def objects(self, below: str) -> dict[str, int]:
        """By key: the size of each object below a prefix."""
        pages = self.client.get_paginator("list_objects_v2").paginate(Bucket=BUCKET, Prefix=below)
        return {found["Key"]: found["Size"] for page in pages for found in page.get("Contents", [])}

    def get(self, key: str) -> bytes:
        """An object's content."""
        return self.client.get_object(Bucket=BUCKET, Key=key)["Body"].read()

    def put(self, key: str, content: bytes) -> None:
        """Write an object."""
        self.client.put_object(Bucket=BUCKET, Key=key, Body=content)

    def flip(self, key: str, offset: int) -> None:
        """Turn one bit of an object over."""
        raw = bytearray(self.get(key))
        raw[offset] ^= 1
        self.put(key, bytes(raw))


@contextmanager
def s3_server() -> Generator[S3]:
    """Run one; its bucket is empty."""
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        env = {
            "AWS_ENDPOINT_URL": f"http://{host}:{port}",
            "AWS_ACCESS_KEY_ID": "key-of-the-tests",
            "AWS_SECRET_ACCESS_KEY": "secret-of-the-tests-91c7",
            "AWS_DEFAULT_REGION": "us-east-1",
            "NO_PROXY": host,
        }
        s3 = S3(env)
        s3.client.create_bucket(Bucket=BUCKET)
        yield s3
    finally:
        server.stop()


@dataclass(frozen=True)
class Sftp:
    """An SFTP server that serves the host's files.

    Attributes:
        url: without a path.
        env: the home of a user who has a key for it, and knows its own.
    """

    url: str
    env: Mapping[str, str]


@contextmanager
def sftp_server(home: Path) -> Generator[Sftp]:
    """Run one for the user whose home is ``home``: a new directory, where keys and known hosts are put."""
    keys = {name: _ssh.generate_private_key("ssh-ed25519") for name in ("host", "user")}
    ssh = home / ".ssh"
    ssh.mkdir(mode=0o700, parents=True)
    keys["user"].write_private_key(ssh / "id_ed25519")
    keys["user"].write_public_key(ssh / "authorized")
    loop = asyncio.new_event_loop()
    thread = Thread(target=loop.run_forever)
    thread.start()

    async def listen() -> asyncssh.SSHAcceptor:
        return await asyncssh.listen(
            "127.0.0.1",
            0,
            server_host_keys=[keys["host"]],
            authorized_client_keys=str(ssh / "authorized"),
            sftp_factory=True,
        )

    server = asyncio.run_coroutine_threadsafe(listen(), loop).result(30)
    try:
        port = server.get_port()
        public = keys["host"].export_public_key().decode()
        (ssh / "known_hosts").write_text(f"[127.0.0.1]:{port} {public}")
        yield Sftp(f"sftp://backup@127.0.0.1:{port}", {"HOME": str(home), "SSH_AUTH_SOCK": ""})
    finally:
        loop.call_soon_threadsafe(server.close)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(30)
        loop.close()
