# SPDX-License-Identifier: MIT
"""Settings: default < `[tool.vmlab]` in pyproject.toml, or vmlab.toml < environment < option.

A setting is declared once, in `table.py`. Its option (`--vmlab-accel`), its environment variable (`VMLAB_ACCEL`), its
key (`accel`), its help and its check all come from the declaration, and every value remembers where it came from.
A project cannot give those that are personal: a repository that one only enters must not choose the store, the archives
or the lock.
"""

from vmlab.settings.load import Settings as Settings
from vmlab.settings.load import check_environment as check_environment
from vmlab.settings.load import load_settings as load_settings
from vmlab.settings.load import split_module as split_module
from vmlab.settings.module import MODULE_KEYS as MODULE_KEYS
from vmlab.settings.module import NOTHING_STATED as NOTHING_STATED
from vmlab.settings.module import ModuleSettings as ModuleSettings
from vmlab.settings.parse import MOST_SHARDS as MOST_SHARDS
from vmlab.settings.parse import without_password as without_password
from vmlab.settings.table import SETTINGS as SETTINGS
from vmlab.settings.table import Setting as Setting
from vmlab.settings.words import AcceleratorChoice as AcceleratorChoice
from vmlab.settings.words import BuildPlace as BuildPlace
from vmlab.settings.words import CompilerPolicy as CompilerPolicy
from vmlab.settings.words import Shard as Shard
from vmlab.settings.words import StaleIndex as StaleIndex
from vmlab.settings.words import TimingChoice as TimingChoice
