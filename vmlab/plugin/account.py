# SPDX-License-Identifier: MIT
"""The lab's facts about a test, sent with pytest's report from the worker that ran it."""

from __future__ import annotations

import json
from dataclasses import dataclass, fields, replace

import pytest

from vmlab.decode import structure, unstructure
from vmlab.report.model import Outcome, SplatResult

_ACCOUNT = pytest.StashKey["Account"]()
ATTRIBUTE = "vmlab_account"
"""Attribute of a report; pytest-xdist sends attributes that JSON can hold (TestReport._to_json)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """Facts about one test; an empty field is unknown."""

    target: str = ""
    kernel: str = ""
    accelerator: str = ""
    compiler: str = ""
    console: str = ""
    """Path of the guest's console log."""
    outcome: Outcome | None = None
    """One of the outcomes that pytest does not have: lost, not run, unavailable."""
    is_rerun: bool = False
    """True for an attempt that failed by an emulator fault, and that is not counted."""
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
        """The known facts as properties for JUnit XML; kernel reports are encoded as JSON."""
        texts = {field.name: getattr(self, field.name) for field in fields(self)}
        told = {name: str(text) for name, text in texts.items() if isinstance(text, str) and text}
        if self.is_rerun:
            told["outcome"] = "rerun"
        if self.splats:
            told["splats"] = json.dumps([unstructure(splat) for splat in self.splats])
        return {f"vmlab.{name}": text for name, text in told.items()}


def account_of(item: pytest.Item) -> Account:
    """Return the account of a test that runs in this process."""
    return item.stash.get(_ACCOUNT, Account())


def note(item: pytest.Item, **facts: object) -> None:
    """Add facts to a test's account. The first value of a fact stays; kernel reports are appended."""
    known = account_of(item)
    splats = facts.pop("splats", ())
    new = {name: value for name, value in facts.items() if value and not getattr(known, name)}
    item.stash[_ACCOUNT] = replace(known, **new, splats=(*known.splats, *splats))  # type: ignore[arg-type, misc]


def forget_account(item: pytest.Item) -> None:
    """Reset a test's account."""
    item.stash[_ACCOUNT] = Account()


def attach(account: Account, report: pytest.TestReport) -> None:
    """Attach an account to a report, and add its properties to `user_properties` for JUnit XML."""
    setattr(report, ATTRIBUTE, unstructure(account))
    known = {name for name, _ in report.user_properties}
    report.user_properties += [pair for pair in account.properties.items() if pair[0] not in known]


def account_on(report: pytest.TestReport) -> Account:
    """Return the account on a report, also from a worker; an empty one if the worker crashed."""
    return structure(getattr(report, ATTRIBUTE, {}), Account, where=report.nodeid)
