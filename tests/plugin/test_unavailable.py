# SPDX-License-Identifier: MIT
"""An unavailable image or an unsuitable host is never reported as a module error or a lost machine."""

from __future__ import annotations

from xml.etree import ElementTree

import pytest

from vmlab.report.model import LOST_STATUS, UNAVAILABLE_STATUS

from .inner import Inner

pytest_plugins = ["pytester"]

_FAULT = "{kind}('no package linux-image-6.1', hint='vmlab images refresh', detail='E: unable to locate package')"
_IN = {
    "setup": """
        import pytest
        from vmlab.errors import AssetError, HostError

        @pytest.fixture
        def lacking(guest):
            raise {fault}

        def test_lacking(lacking):
            pass
        """,
    "call": """
        from vmlab.errors import AssetError, HostError

        def test_lacking(guest):
            raise {fault}
        """,
    "teardown": """
        import pytest
        from vmlab.errors import AssetError, HostError

        @pytest.fixture
        def lacking(guest):
            yield
            raise {fault}

        def test_lacking(lacking):
            pass
        """,
}


@pytest.mark.parametrize("kind", ["AssetError", "HostError"])
@pytest.mark.parametrize("phase", list(_IN))
def test_what_cannot_be_had_is_an_outcome_of_its_own(inner: Inner, phase: str, kind: str) -> None:
    inner.tests(all=_IN[phase].format(fault=_FAULT.format(kind=kind)))

    result = inner.run()

    assert result.ret == UNAVAILABLE_STATUS
    assert inner.outcomes() == {"test_lacking": "unavailable"}
    assert "1 unavailable" in result.outlines[-1]
    assert "failed" not in result.outlines[-1]
    assert "error" not in result.outlines[-1]
    (row,) = inner.result()["targets"]
    (test,) = row["tests"].values()
    assert test["reason"].startswith("no package linux-image-6.1")


def _lacking(*names: str) -> str:
    tests = "\n".join(f"def {name}(lacking): pass" for name in names)
    return (
        "import pytest\nfrom vmlab.errors import AssetError\n"
        f"@pytest.fixture\ndef lacking(guest):\n    raise {_FAULT.format(kind='AssetError')}\n{tests}\n"
    )


def test_a_target_without_an_image_is_loud_and_its_evidence_is_shown_once(inner: Inner) -> None:
    inner.tests(all=_lacking("test_a", "test_b", "test_c"))

    result = inner.run()

    text = result.stdout.str()
    assert text.count("E: unable to locate package") == 1
    assert sum(line.startswith("UNAVAILABLE ") for line in result.outlines) == 3
    (line,) = [line for line in result.outlines if line.startswith("debian12-6.1: UNAVAILABLE: ")]
    assert line.startswith("debian12-6.1: UNAVAILABLE: no package linux-image-6.1")
    assert "and 2 more]" in line


def test_workers_tell_it_too(inner: Inner) -> None:
    inner.tests(all=_lacking("test_a", "test_b"))

    result = inner.run("-n", "2", "--dist", "load")

    assert result.ret == UNAVAILABLE_STATUS
    assert inner.outcomes() == {"test_a": "unavailable", "test_b": "unavailable"}


@pytest.mark.parametrize(
    ("beside", "status"),
    [
        ("def test_beside(guest): assert 1 == 2", pytest.ExitCode.TESTS_FAILED),
        ("def test_beside(guest): guest.succeed('die')", LOST_STATUS),
        ("def test_beside(guest): guest.succeed('true')", UNAVAILABLE_STATUS),
    ],
)
def test_other_trouble_beside_it_decides_the_status(inner: Inner, beside: str, status: int) -> None:
    inner.tests(all=_lacking("test_a"), beside=beside)
    assert inner.run().ret == status


def test_a_test_that_failed_before_its_teardown_lacked_something_is_a_failed_one(inner: Inner) -> None:
    inner.tests(all=_IN["teardown"].format(fault=_FAULT.format(kind="HostError")).replace("pass\n", "assert 1 == 2\n"))

    result = inner.run("--junitxml=junit.xml")

    assert result.ret == pytest.ExitCode.TESTS_FAILED
    assert inner.outcomes() == {"test_lacking": "failed"}
    suite = ElementTree.parse(inner.pytester.path / "junit.xml").getroot().find("testsuite")
    assert suite is not None
    counts = {item.get("name"): item.get("value") for item in suite.findall("properties/property")}
    assert counts["vmlab.unavailable"] == "0"


def test_a_kernels_report_outranks_what_the_host_cannot(inner: Inner) -> None:
    inner.tests(
        all="from vmlab.errors import HostError\n\ndef test_splat(guest):\n"
        "    guest.succeed('splat')\n    raise HostError('no memory')\n"
    )

    assert inner.run().ret == pytest.ExitCode.TESTS_FAILED
    assert inner.outcomes() == {"test_splat": "failed"}


def test_junit_tells_what_was_unavailable_apart(inner: Inner) -> None:
    inner.tests(all=_lacking("test_a", "test_b"))

    inner.run("--junitxml=junit.xml")

    suite = ElementTree.parse(inner.pytester.path / "junit.xml").getroot().find("testsuite")
    assert suite is not None
    counts = {item.get("name"): item.get("value") for item in suite.findall("properties/property")}
    assert counts == {"vmlab.failed": "0", "vmlab.lost": "0", "vmlab.not_run": "0", "vmlab.unavailable": "2"}
    assert [fault.get("type") for fault in suite.iter("error")] == ["vmlab.Unavailable"] * 2
