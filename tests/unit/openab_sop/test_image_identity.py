"""Which image ids can be compared, what a difference means, and what a reference means on the nodes."""

from __future__ import annotations

import pytest

from openab_sop.upgrades.image_identity import MovedImage, NodeImages, holders, is_other, meaning

HEX, OTHER_HEX = "1" * 64, "2" * 64
ONE, OTHER = f"sha256:{HEX}", f"sha256:{OTHER_HEX}"
REPO = "registry.local:5000/team/openab"
OLD, NEW = f"{REPO}@{ONE}", f"{REPO}@{OTHER}"


@pytest.mark.parametrize(
    ("before", "now", "other"),
    [
        (OLD, NEW, True),
        (OLD, OLD, False),
        (ONE, OTHER, True),
        (ONE, ONE, False),
        (OLD, f"mirror/openab@{ONE}", False),  # a digest names its content, wherever it was pulled from
        (OLD, f"mirror/openab@{OTHER}", True),
        (f"docker-pullable://{OLD}", OLD, False),
        (f"docker-pullable://{OLD}", NEW, True),
        (f"docker://{ONE}", ONE, False),
        (f"docker://{ONE}", OTHER, True),
        (HEX, ONE, False),  # as CRI-O has it
        (HEX, OTHER_HEX, True),
        (OLD, OTHER, None),  # the id of a configuration and the digest of a manifest: it may be the same image
        (OTHER, OLD, None),
        (OLD, HEX + "0", None),
        ("", OLD, None),
        (OLD, "", None),
        (OLD, f"{REPO}@", None),
        (f"{REPO}:latest", f"{REPO}:0.8.1", None),
        ("garbage", "more garbage", None),
    ],
)
def test_only_ids_of_one_kind_are_compared(before: str, now: str, other: bool | None) -> None:
    assert is_other(before, now) is other


def test_two_digests_of_one_image_are_no_other_image() -> None:
    """A registry may have two indexes with one manifest: the node has one image, and lists it under both."""
    apart: NodeImages = {"a": [frozenset({OLD}), frozenset({NEW, f"{REPO}:latest"})]}
    assert is_other(OLD, NEW, apart) is True
    assert is_other(OLD, NEW, {**apart, "b": [frozenset({OLD, NEW, f"{REPO}:latest"})]}) is False


def node(*entries: set[str]) -> list[frozenset[str]]:
    return [frozenset(names) for names in entries]


TAGGED = f"{REPO}:latest"


@pytest.mark.parametrize(
    ("nodes", "at", "means"),
    [
        ({"a": node({TAGGED, OLD})}, "a", OLD),
        ({"a": node({TAGGED, OLD})}, None, OLD),
        ({"a": node({OLD}, {TAGGED, NEW})}, "a", NEW),
        ({"a": node({TAGGED, OLD}), "b": node({TAGGED, NEW})}, "a", OLD),  # the agent's own node decides
        ({"a": node({TAGGED, OLD}), "b": node({TAGGED, NEW})}, "b", NEW),
        ({"a": node({TAGGED, OLD}), "b": node({TAGGED, NEW})}, None, ""),
        ({"a": node({TAGGED, NEW}), "b": node({TAGGED, NEW})}, None, NEW),
        ({"a": node({f"{REPO}:0.8.1", OLD}), "b": node({TAGGED, NEW})}, None, NEW),
        ({"a": node({TAGGED}), "b": node({TAGGED, NEW})}, "a", ""),  # it has it, and no registry's digest of it
        ({"a": node({f"{REPO}:0.8.1", OLD})}, "a", ""),  # nodes list some of their images
        ({"a": node(set())}, "a", ""),
        ({}, "a", ""),
    ],
)
def test_what_a_reference_means_is_known_from_nodes_or_unknown(nodes: NodeImages, at: str | None, means: str) -> None:
    assert meaning(TAGGED, nodes, at) == means


@pytest.mark.parametrize(
    ("reference", "listed"),
    [
        ("openab", "docker.io/library/openab:latest"),
        ("team/openab:1", "docker.io/team/openab:1"),
        (REPO, f"{REPO}:latest"),
        ("localhost/openab:1", "localhost/openab:1"),
    ],
)
def test_short_names_are_found_under_their_full_ones(reference: str, listed: str) -> None:
    found = meaning(reference, {"a": node({listed, OLD})})
    assert found.endswith(f"@{ONE}")
    assert meaning(reference, {"a": node({f"{listed}0", OLD})}) == ""


def test_the_next_step_names_the_image_of_before_where_it_still_is() -> None:
    nodes: NodeImages = {"b": node({OLD}), "a": node({OLD, f"{REPO}:0.8.1"}), "c": node({TAGGED, NEW})}
    assert (holders(OLD, nodes), holders(ONE, nodes), holders("", nodes)) == (("a", "b"), (), ())
    there = MovedImage("rel-kiro", TAGGED, OLD, NEW, holders(OLD, nodes))
    step = there.before_stop.next_step
    assert f"ctr --namespace=k8s.io images tag --force {OLD} {TAGGED}" in step
    assert f"image: {OLD}" in step
    assert "--accept=image-moved:rel-kiro --reason=TEXT" in step
    away = MovedImage("rel-kiro", TAGGED, OLD, NEW)
    assert "ctr" not in away.remedy
    assert f"image: {OLD}" in away.remedy
    own = MovedImage("rel-kiro", TAGGED, ONE, OTHER)
    assert "image:" not in own.remedy  # no reference can name an image by the node's own id
    assert ONE in own.remedy


@pytest.mark.parametrize("before", [OLD, ONE])
def test_finding_and_warning_name_both_ids(before: str) -> None:
    moved = MovedImage("rel-kiro", TAGGED, before, NEW)
    for text in (str(moved.before_stop), str(moved.after_start("kubectl delete pods")), moved.warning):
        assert before in text
        assert NEW in text
    assert "kubectl delete pods" in moved.after_start("kubectl delete pods").next_step
    assert moved.warning.startswith("WARNING: ")
