# SPDX-License-Identifier: MIT
"""The Chinese text on the pages is Taiwanese usage: characters, vocabulary, punctuation."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from vmlab.decode import read_toml

from .words import faults

_EXPLAIN = Path(__file__).parents[3] / "docs" / "explain"
_FILES = sorted([*_EXPLAIN.glob("*.toml"), _EXPLAIN / "builder" / "labels.toml"])


def _chinese(data: Any) -> Iterator[str]:
    if isinstance(data, dict):
        for key, value in data.items():
            if key == "zh":
                yield value
            else:
                yield from _chinese(value)
    elif isinstance(data, list):
        for value in data:
            yield from _chinese(value)


@pytest.mark.parametrize("path", _FILES, ids=lambda path: path.stem)
def test_what_is_written_for_the_pages_is_taiwans_chinese(path: Path) -> None:
    texts = list(_chinese(read_toml(path)))
    assert texts
    assert [(text, found) for text in texts if (found := faults(text))] == []


@pytest.mark.parametrize(
    "text",
    [
        "卸載核心模組之後，程式就收不到資訊了。",
        "編譯器最佳化時把函式併入呼叫者，行程與執行緒都看不到。",
        "預設值存在檔案裡，`內核` 這種寫法只出現在程式碼中。",
        "一般使用者沒有權限讀取核心訊息緩衝區（需要 `CAP_SYSLOG`）。",
        "`insmod` 呼叫 `finit_module`，接著是 `load_module`。",
        "虛擬機裡沒有效能計數器，只能數 5 次。",
    ],
)
def test_taiwans_chinese_is_let_through(text: str) -> None:
    assert faults(text) == []


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("加載內核模塊", "內核"),
        ("加載內核模塊", "加載"),
        ("默認的內存", "內存"),
        ("這個进程", "进"),
        ("内核", "内"),
        ("线", "线"),
        ("之后", "后"),
        ("這個文件不支持", "文件"),
        ("這個文件不支持", "支持"),
        ("好的,謝謝", ","),
        ("好的.", "."),
        ("使用Linux核心", "用L"),
        ("呼叫(函式)", "("),
    ],
)
def test_what_is_not_taiwans_is_found(text: str, word: str) -> None:
    assert [found for found in faults(text) if found.partition(":")[0].startswith(word)]
