"""What a Harbor says of itself: which of its ways to fail a push it is, and the call of its version."""

from __future__ import annotations

from typing import Tuple

import pytest

from tests.core.pushing import SECOND_NS, Pushing
from watchdog.core.advice.registry import QUOTA_LOCK
from watchdog.core.causes.finding import Finding
from watchdog.core.causes.harbor import with_health
from watchdog.core.evidence import Kind
from watchdog.core.harbor import for_version, host_of
from watchdog.core.observation import Frame, HarborSeen

URL = "http://localhost:5000"
DATABASE = "database: failed to run SQL"
REGISTRY = "registry: received unexpected status code: 503"


def failed(status: str = "500 Internal Server Error") -> Pushing:
    pushing = Pushing()
    pushing.client()
    pushing.tick(3)
    for _ in range(3):
        pushing.says(f"Upload failed, retrying: received unexpected HTTP status: {status}")
        pushing.tick(5)
    return pushing


def unanswered() -> Pushing:
    pushing = Pushing()
    pushing.client()
    pushing.upload()
    pushing.request()
    pushing.tick(300)
    return pushing


def seen(pushing: Pushing, health: HarborSeen, age_s: int = 0) -> Finding:
    """The finding, after Harbor was asked."""
    (finding,) = pushing.confirmed
    pushing.world.apply(Frame(pushing.now_ns, (health,)))
    pushing.world.now_ns += age_s * SECOND_NS
    return with_health(finding, pushing.world)


def reason(finding: Finding) -> str:
    return finding.target.reason if finding.target else ""


@pytest.mark.parametrize(
    ("sick", "status", "wanted"),
    [
        ((DATABASE,), 200, "database"),
        (("redis: failed to ping",), 200, "database"),
        ((REGISTRY,), 200, "registry_down"),
        ((DATABASE, REGISTRY), 200, "database"),  # the registry's login needs the database
        ((), 404, "ingress_404"),
        ((), 200, "storage"),
        (("trivy: failed",), 200, "storage"),  # no push goes through the scanner
    ],
)
def test_its_health_tells_why_it_answers_500(sick: Tuple[str, ...], status: int, wanted: str) -> None:
    finding = seen(failed(), HarborSeen(URL, status, sick))
    assert reason(finding) == wanted
    assert URL in finding.evidence[-1].text and finding.evidence[-1].kind is Kind.SOCKET
    assert finding.advice


def test_a_gateway_that_waited_in_vain_for_a_healthy_harbor_waited_for_the_quotas_lock() -> None:
    assert reason(seen(failed("504 Gateway Time-out"), HarborSeen(URL, 200))) == "quota_lock"


def test_a_push_that_is_not_answered_by_a_healthy_harbor_waits_for_the_quotas_lock() -> None:
    finding = seen(unanswered(), HarborSeen(URL, 200, version="2.1.3"))
    assert reason(finding) == "quota_lock"
    assert "ss -tK" in finding.advice[0]
    told = " ".join(finding.advice)
    assert "switchquota" in told and 'quota_per_project_enable":false' not in told


def test_what_another_registry_says_is_nothing_to_it() -> None:
    finding = seen(failed(), HarborSeen("http://localhost:5001", 200, (DATABASE,)))
    assert reason(finding) == "500"


def test_an_old_word_counts_no_more() -> None:
    assert reason(seen(failed(), HarborSeen(URL, 200, (DATABASE,)), age_s=200)) == "500"


@pytest.mark.parametrize(
    ("version", "calls"),
    [
        ("1", ("switchquota",)),
        ("2.3.5-abc", ("switchquota",)),
        ("2.4.0", ("configurations",)),
        ("2.11.0", ("configurations",)),
        ("", ("switchquota", "configurations")),
        ("dev", ("switchquota", "configurations")),
    ],
)
def test_the_call_is_the_one_that_its_version_knows(version: str, calls: Tuple[str, ...]) -> None:
    told = " ".join(each.what for each in for_version(QUOTA_LOCK, version).elsewhere)
    assert tuple(one for one in ("switchquota", "configurations") if f"/{one} " in told) == calls


def test_the_registry_of_an_address() -> None:
    assert host_of("https://harbor.example:443") == "harbor.example"
    assert host_of("http://10.0.0.9:8080") == "10.0.0.9:8080"
