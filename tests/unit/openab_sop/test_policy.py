"""A page's policy names what is ours, by its hash, and nothing else."""

from __future__ import annotations

import subprocess

from openab_sop import policy


def test_nothing_is_allowed_on_a_page_without_anything() -> None:
    assert "content=\"default-src 'none'; base-uri 'none'; form-action 'none'\"" in policy.meta()


def test_each_element_is_named_by_the_hash_of_what_it_holds() -> None:
    digest = subprocess.run(
        ["openssl", "dgst", "-sha256", "-binary"], input="a {}\n\u00e9".encode(), capture_output=True, check=True
    ).stdout
    coded = subprocess.run(["base64"], input=digest, capture_output=True, check=True).stdout.decode().strip()
    told = policy.meta(styles=["a {}\r\n\u00e9"], scripts=["x()"], handlers=["y()"])
    assert f"style-src 'sha256-{coded}';" in told
    assert "script-src 'sha256-" in told
    assert told.count("'unsafe-hashes' 'sha256-") == 1
    assert "unsafe-inline" not in told
    assert told.count('"') == 8, "no value ends its attribute"
