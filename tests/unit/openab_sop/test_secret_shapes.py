"""Every shape of a credential is masked, found in a home, and replaced in a configuration (issue 16 4)."""

from __future__ import annotations

import pytest

from openab_sop import redact
from openab_sop.rehearsals.placeholders import neutral
from openab_sop.rehearsals.secret_scanner import SecretScanner
from openab_sop.secret_shapes import SHAPES

JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.abc_def"
SAMPLES = {
    "Discord bot": [
        "MTIzNDU2Nzg5MDEyMzQ1Njc4.GabcDE." + "Ab1-" * 7,
        "MTIzNDU2Nzg5MDEyMzQ1Njc4OQ.G1abcd." + "aB3_" * 9 + "aB",
    ],
    "Discord webhook": ["https://discord.com/api/webhooks/123456789/" + "Ab1-" * 10],
    "Slack": ["xoxb-1234567890-Abcdefgh", "xoxe-1-" + "Ab1" * 9],
    "Slack app": ["xapp-1-A0B-1234567890-abc"],
    "Slack webhook": ["https://hooks.slack.com/services/T0AB/B0CD/Abcdefghijklmno"],
    "Telegram bot": ["123456789:AA" + "Ab1-c" * 6 + "Ab1"],
    "GitHub": [f"gh{kind}_" + "aB1" * 12 for kind in "oprsu"],
    "GitHub, fine-grained": ["github_pat_" + "A1b2" * 10],
    "GitLab": ["glpat-" + "Ab1_" * 5],
    "Anthropic and OpenAI": ["sk-ant-api03-" + "Ab1_" * 10, "sk-proj-" + "Ab1" * 12, "sk-" + "aB1c" * 12],
    "xAI": ["xai-" + "Ab1c" * 20],
    "Groq": ["gsk_" + "Ab1c" * 13],
    "Google API key": ["AIza" + "Ab1-c" * 7],
    "Google access token": ["ya29." + "Ab1-c" * 7],
    "AWS access key": ["AKIA" + "ABCD1234" * 2, "ASIA" + "ABCD1234" * 2],
    "npm": ["npm_" + "aB1c" * 9],
    "age": ["AGE-SECRET-KEY-1" + "QPZ3" * 14],
    "JSON web token": [JWT],
    "JSON web token, behind a word": [f"{word}{JWT}" for word in ("session", "v1_", "id123", "%3D")],
}
CASES = [(kind, sample) for kind, samples in SAMPLES.items() for sample in samples]


def secret_part(sample: str) -> str:
    """What must stand nowhere: the last characters, behind all that tells the kind."""
    return sample[-12:] if "eyJ" not in sample else "eyJzdWIiOiIxMjM0In0"


def test_every_shape_has_a_sample() -> None:
    assert set(SAMPLES) == {shape.kind for shape in SHAPES}


@pytest.mark.parametrize(("kind", "sample"), CASES)
@pytest.mark.parametrize("before", ["failed: ", "\n", '{"why":"', "läuft ab: ", "line\\n"])
def test_it_is_masked_wherever_it_stands(kind: str, sample: str, before: str) -> None:
    shown = redact.mask(f'{before}{sample}" was refused')
    assert secret_part(sample) not in shown, kind
    assert redact.MASK in shown
    assert shown.endswith('" was refused')


@pytest.mark.parametrize(("kind", "sample"), CASES)
def test_it_is_found_in_a_home(kind: str, sample: str) -> None:
    scanner, data = SecretScanner(), f'x = "{sample}"\n'.encode()
    assert scanner.found(data), kind
    assert secret_part(sample).encode() not in scanner.cleaned(data)


@pytest.mark.parametrize(("kind", "sample"), CASES)
def test_it_is_replaced_in_a_configuration(kind: str, sample: str) -> None:
    assert secret_part(sample) not in neutral(f'some_setting = "{sample}"\n'), kind


@pytest.mark.parametrize(
    "text",
    [
        "openab-kiro-6dd545d58d-pmrp8 is Ready",
        "sha256:5d41402abc4b2a76b9719d911017c592 of home.tar",
        "image ghcr.io/openabdev/openab:0.9.0-claude@sha256:" + "ab" * 32,
        "sk-estimator-doc-link-fitted-and-more",
        "release record sh.helm.release.v1.openab.v12",
        "t-60ca51d3 at 2026-11-28T10:01:44.759+00:00, 123456789 bytes",
        "configmap-openab-kiro.yaml, persistentvolumeclaim-openab-kiro.yaml, backup.json",
        "openab-backup-20261128-100146/openab-kiro/pvc-data/home.tar",
    ],
)
def test_what_only_resembles_one_stays(text: str) -> None:
    assert redact.mask(text) == text
    assert not SecretScanner().found(text.encode())
