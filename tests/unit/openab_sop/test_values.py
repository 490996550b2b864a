"""Values that come with a version: what they are, and what they must not be."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from openab_sop.errors import SettingsError
from openab_sop.redact import mask
from openab_sop.targets import values
from openab_sop.targets.values import TargetValues


def written(path: Path, content: Any, mode: int = 0o600) -> Path:
    path.write_text(content if isinstance(content, str) else yaml.safe_dump(content))
    path.chmod(mode)
    return path


def test_one_file_stays_as_it_is_written(tmp_path: Path) -> None:
    """Its comments too, and a number that is an id."""
    text = "# mine\nagents:\n  kiro:\n    channel: 1234567890123456789  # an id\n"
    read = TargetValues.read([written(tmp_path / "a", text)])
    assert (read.text, read.given) == (text, True)
    assert read.tree == {"agents": {"kiro": {"channel": 1234567890123456789}}}


def test_later_files_win_as_helm_has_it(tmp_path: Path) -> None:
    first = written(tmp_path / "a", {"agents": {"kiro": {"a": 1, "list": [1, 2], "gone": "x"}}, "top": 1})
    second = written(tmp_path / "b", {"agents": {"kiro": {"a": 2, "list": [3], "gone": None}, "claude": {}}})
    read = TargetValues.read([first, second])
    assert read.tree == {"agents": {"kiro": {"a": 2, "list": [3], "gone": None}, "claude": {}}, "top": 1}


def test_they_are_known_by_what_they_mean(tmp_path: Path) -> None:
    one = TargetValues.read([written(tmp_path / "a", "b: 1\na: {c: 2}\n")])
    same = TargetValues.read([written(tmp_path / "b", "# other words\na:\n  c: 2\nb: 1\n")])
    other = TargetValues.read([written(tmp_path / "c", "a: {c: 3}\nb: 1\n")])
    assert one.digest == same.digest != other.digest
    assert not TargetValues("a: 1").given


def test_they_are_kept_private_and_found_again(tmp_path: Path) -> None:
    read = TargetValues.read([written(tmp_path / "a", {"token": "kept-secret-token"})])
    path = read.store(tmp_path / "session")
    assert path.stat().st_mode & 0o777 == 0o600
    again = TargetValues.stored(tmp_path / "session", read.digest)
    assert again is not None
    assert (again.text, again.digest) == (read.text, read.digest)
    path.write_text("token: other\n")
    assert TargetValues.stored(tmp_path / "session", read.digest) is None
    values.forget(tmp_path / "session")
    assert not path.exists()


def test_what_is_secret_in_them_is_masked_from_then_on(tmp_path: Path) -> None:
    TargetValues.read([written(tmp_path / "a", {"discord": {"botToken": "hush-hush-token"}})])
    assert "hush-hush-token" not in mask("it says hush-hush-token")


@pytest.mark.parametrize(
    ("content", "mode", "told"),
    [
        ("- a\n- b\n", 0o600, "is not a mapping"),
        ("just words", 0o600, "is not a mapping"),
        ("a: [", 0o600, "is not valid YAML"),
        (b"\xff\xfe".decode("latin-1"), 0o600, "is not a mapping"),
        ({"discord": {"botToken": "world-readable"}}, 0o644, "holds secrets, and others may read it"),
    ],
)
def test_what_they_must_not_be(tmp_path: Path, content: Any, mode: int, told: str) -> None:
    with pytest.raises(SettingsError, match=told):
        TargetValues.read([written(tmp_path / "a", content, mode)])


def test_others_may_read_what_holds_no_secret(tmp_path: Path) -> None:
    assert TargetValues.read([written(tmp_path / "a", {"image": {"tag": "0.9.0"}}, 0o644)]).given


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="No such file"):
        TargetValues.read([tmp_path / "none"])


@pytest.mark.parametrize(
    ("first", "then"), [({"a": {"b": {"c": 1}}}, {"a": {"b": 2}}), ({"a": {"b": 2}}, {"a": {"b": {}}})]
)
def test_two_files_that_contradict(tmp_path: Path, first: Any, then: Any) -> None:
    files = [written(tmp_path / "a", first), written(tmp_path / "b", then)]
    with pytest.raises(SettingsError, match=r"a\.b is a mapping in one"):
        TargetValues.read(files)
