# SPDX-License-Identifier: MIT
"""Builds the pages in docs/explain/ from the findings of the experiments in tests/kernel.

    findings.json, results.json ─ recording ─▶ data/*.json ─┐
                                     *.toml ─ question ─────┼─ check ─▶ page ─▶ en.html, zh-Hant-TW.html
                                                            │
                                           claim, source ───┘

Each statement on a page needs a finding that still shows it, or a link to its source. Nothing here boots.
"""
