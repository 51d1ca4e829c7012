# SPDX-License-Identifier: MIT
"""A test lab for out-of-tree Linux kernel modules.

These names are what tests are written with; all else may move. Importing this package imports nothing more: a pytest
run that uses no guest must not pay for one. Each name is imported when it is first used.
"""

from typing import TYPE_CHECKING

__version__ = "0.1.0"

if TYPE_CHECKING:
    from vmlab.catalogue.target import Target as Target
    from vmlab.errors import AssetError as AssetError
    from vmlab.errors import BuildError as BuildError
    from vmlab.errors import CommandHung as CommandHung
    from vmlab.errors import GuestError as GuestError
    from vmlab.errors import HostError as HostError
    from vmlab.errors import KernelTrouble as KernelTrouble
    from vmlab.errors import MachineLost as MachineLost
    from vmlab.errors import ModuleError as ModuleError
    from vmlab.errors import UsageError as UsageError
    from vmlab.errors import VmlabError as VmlabError
    from vmlab.guest.guest import Guest as Guest
    from vmlab.guest.transport import Completed as Completed
    from vmlab.lab.testbed import Testbed as Testbed
    from vmlab.module.built import Built as Built
    from vmlab.module.built import BuiltTree as BuiltTree
    from vmlab.module.load import insert as insert
    from vmlab.module.load import is_loaded as is_loaded
    from vmlab.module.load import remove as remove
    from vmlab.module.load import remove_with_needs as remove_with_needs
    from vmlab.timing.operation import Command as Command
    from vmlab.timing.operation import Ioctl as Ioctl
    from vmlab.timing.operation import Loop as Loop
    from vmlab.timing.operation import Read as Read
    from vmlab.timing.operation import SeekRead as SeekRead
    from vmlab.timing.operation import SystemCall as SystemCall
    from vmlab.timing.operation import Write as Write
    from vmlab.timing.series import Series as Series
    from vmlab.timing.series import TimingSource as TimingSource
    from vmlab.timing.stopwatch import Measurement as Measurement
    from vmlab.timing.stopwatch import Stopwatch as Stopwatch

_HOMES = {
    "vmlab.catalogue.target": ("Target",),
    "vmlab.errors": (
        "AssetError",
        "BuildError",
        "CommandHung",
        "GuestError",
        "HostError",
        "KernelTrouble",
        "MachineLost",
        "ModuleError",
        "UsageError",
        "VmlabError",
    ),
    "vmlab.guest.guest": ("Guest",),
    "vmlab.guest.transport": ("Completed",),
    "vmlab.lab.testbed": ("Testbed",),
    "vmlab.module.built": ("Built", "BuiltTree"),
    "vmlab.module.load": ("insert", "is_loaded", "remove", "remove_with_needs"),
    "vmlab.timing.operation": ("Command", "Ioctl", "Loop", "Read", "SeekRead", "SystemCall", "Write"),
    "vmlab.timing.series": ("Series", "TimingSource"),
    "vmlab.timing.stopwatch": ("Measurement", "Stopwatch"),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}

__all__ = [*sorted(_HOME_OF), "__version__"]


if not TYPE_CHECKING:
    # Hidden from type checkers, which would take any name for one that is here.
    def __getattr__(name: str) -> object:
        home = _HOME_OF.get(name)
        if home is None:
            raise AttributeError(f"module 'vmlab' has no attribute {name!r}")
        from importlib import import_module

        value = globals()[name] = getattr(import_module(home), name)
        return value


def __dir__() -> list[str]:
    return [*globals(), *_HOME_OF]
