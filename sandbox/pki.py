"""The certificates of the node: a certificate authority of its own, and what each part shows to the others."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from sandbox.command import run

DAYS = "3650"
NEW_KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")


@dataclass(frozen=True)
class Certificate:
    """Who a certificate speaks for: a user and group in Kubernetes' sense, and addresses if it serves."""

    name: str
    user: str
    group: str = ""
    addresses: tuple[str, ...] = ()

    @property
    def subject(self) -> str:
        """The subject as openssl writes it."""
        return f"/O={self.group}/CN={self.user}" if self.group else f"/CN={self.user}"


@dataclass(frozen=True)
class Pki:
    """The directory `root` with ca.crt, a key pair for service accounts, and NAME.crt and NAME.key."""

    root: Path

    @property
    def authority(self) -> Path:
        """The CA certificate that everything trusts."""
        return self.root / "ca.crt"

    def certificate(self, name: str) -> Path:
        """The certificate called `name`."""
        return self.root / f"{name}.crt"

    def key(self, name: str) -> Path:
        """The private key called `name`."""
        return self.root / f"{name}.key"


def node_certificates(node: str, address: str) -> tuple[Certificate, ...]:
    """Everything that a node called `node` at `address` needs; names and groups are those of upstream's RBAC."""
    local = ("127.0.0.1", address)
    masters = "system:masters"
    return (
        Certificate("admin", "admin", masters),
        Certificate("apiserver", "kube-apiserver", addresses=(*local, "10.96.0.1")),
        Certificate("apiserver-kubelet", "kube-apiserver-kubelet-client", masters),
        Certificate("controller-manager", "system:kube-controller-manager"),
        Certificate("etcd", "etcd", addresses=local),
        Certificate("kubelet", f"system:node:{node}", "system:nodes"),
        Certificate("kubelet-server", f"system:node:{node}", "system:nodes", addresses=local),
        Certificate("scheduler", "system:kube-scheduler"),
    )


def ensure(root: Path, certificates: tuple[Certificate, ...]) -> Pki:
    """The key material in `root`, made if it is not there for exactly these certificates.

    Raises SandboxError if openssl fails.
    """
    pki = Pki(root)
    made_for = root / "made-for"
    wanted = repr(certificates)
    if made_for.exists() and made_for.read_text() == wanted:
        return pki
    root.mkdir(parents=True, exist_ok=True, mode=0o700)
    if not pki.authority.exists():
        _make_roots(pki)
    for certificate in certificates:
        _sign(pki, certificate)
    made_for.write_text(wanted)
    return pki


def _make_roots(pki: Pki) -> None:
    service_accounts = pki.key("service-accounts")
    run(["openssl", "ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", service_accounts])
    run(["openssl", "ec", "-in", service_accounts, "-pubout", "-out", pki.root / "service-accounts.pub"])
    _request(pki, Certificate("ca", "openab-sop-sandbox"), "-addext", "keyUsage=critical,keyCertSign,cRLSign")


def _sign(pki: Pki, certificate: Certificate) -> None:
    extensions = [
        "-addext", "basicConstraints=critical,CA:FALSE",
        "-addext", "keyUsage=critical,digitalSignature",
        "-addext", "extendedKeyUsage=clientAuth,serverAuth",
    ]  # fmt: skip
    if certificate.addresses:
        names = ",".join(f"IP:{address}" for address in certificate.addresses)
        extensions += ["-addext", f"subjectAltName={names}"]
    _request(pki, certificate, "-CA", str(pki.authority), "-CAkey", str(pki.key("ca")), *extensions)


def _request(pki: Pki, certificate: Certificate, *options: str) -> None:
    key = pki.key(certificate.name)
    key.touch(mode=0o600)
    run(
        ["openssl", "req", "-x509", *NEW_KEY, "-days", DAYS, "-subj", certificate.subject, "-keyout", key,
         "-out", pki.certificate(certificate.name), *options]
    )  # fmt: skip
