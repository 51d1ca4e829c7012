# SPDX-License-Identifier: MIT
"""What the lab knows of a test besides pytest's own report, on its way from the worker that ran it."""

from __future__ import annotations

import json
from dataclasses import dataclass, fields, replace

import pytest

from vmlab.decode import structure, unstructure
from vmlab.report.model import Outcome, SplatResult

_ACCOUNT = pytest.StashKey["Account"]()
_ATTRIBUTE = "vmlab_account"
"""On a report; pytest-xdist sends whatever JSON can hold of a report's attributes (TestReport._to_json)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """What is known of a test; an empty field is not known."""

    target: str = ""
    kernel: str = ""
    accelerator: str = ""
    compiler: str = ""
    console: str = ""
    """The path of its guest's console."""
    outcome: Outcome | None = None
    """An outcome that pytest does not have: lost, not run, unavailable."""
    is_rerun: bool = False
    """True for an attempt that the emulator broke, and that is not counted."""
    reason: str = ""
    kind: str = ""
    """The kind of the first unexpected report, or `hang`."""
    splat: str = ""
    """The title of the first unexpected report."""
    blamed: str = ""
    """The module that the first unexpected report blames."""
    fingerprint: str = ""
    source: str = ""
    splats: tuple[SplatResult, ...] = ()

    @property
    def properties(self) -> dict[str, str]:
        """What is known, as properties in JUnit XML; the reports of the kernel are JSON there."""
        texts = {field.name: getattr(self, field.name) for field in fields(self)}
        told = {name: str(text) for name, text in texts.items() if isinstance(text, str) and text}
        if self.is_rerun:
            told["outcome"] = "rerun"
        if self.splats:
            told["splats"] = json.dumps([unstructure(splat) for splat in self.splats])
        return {f"vmlab.{name}": text for name, text in told.items()}


def account_of(item: pytest.Item) -> Account:
    """The account of a test that runs in this process."""
    return item.stash.get(_ACCOUNT, Account())


def note(item: pytest.Item, **facts: object) -> None:
    """Add facts to a test's account. What is known already stays: the first fault is the test's; reports add up."""
    known = account_of(item)
    splats = facts.pop("splats", ())
    new = {name: value for name, value in facts.items() if value and not getattr(known, name)}
    item.stash[_ACCOUNT] = replace(known, **new, splats=(*known.splats, *splats))  # type: ignore[arg-type, misc]


def forget_account(item: pytest.Item) -> None:
    """Begin a test's account anew."""
    item.stash[_ACCOUNT] = Account()


def attach(account: Account, report: pytest.TestReport) -> None:
    """Put an account on a report, and its properties where JUnit XML takes them from."""
    setattr(report, _ATTRIBUTE, unstructure(account))
    known = {name for name, _ in report.user_properties}
    report.user_properties += [pair for pair in account.properties.items() if pair[0] not in known]


def account_on(report: pytest.TestReport) -> Account:
    """The account on a report, also on one that came from a worker; an empty one where a worker crashed."""
    return structure(getattr(report, _ATTRIBUTE, {}), Account, where=report.nodeid)
