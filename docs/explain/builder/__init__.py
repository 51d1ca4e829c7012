# SPDX-License-Identifier: MIT
"""Builds the pages in docs/explain/ from what the experiments in tests/kernel showed.

    findings.json, results.json ─ recording ─▶ data/*.json ─┐
                                     *.toml ─ question ─────┼─ check ─▶ page ─▶ en.html, zh-Hant-TW.html
                                                            │
                                           claim, source ───┘

A statement stands on the page because of a finding that still shows it, or a link to its source. Nothing here boots.
"""
