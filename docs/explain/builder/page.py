# SPDX-License-Identifier: MIT
"""Renders a page: checked questions and stored kernels to one HTML file, without scripts or external references."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from builder.assemble import assemble, names_of
from builder.check import require_shown
from builder.kernels import Kernel
from builder.labels import read_labels, with_code
from builder.question import Language, Question
from vmlab.errors import UsageError

_HERE = Path(__file__).parent
LARGEST_BYTES = 1_000_000
"""Size limit of each page: a phone on a slow connection loads that in a few seconds."""
_JOINT = {Language.EN: " ", Language.ZH: ""}


def file_name(language: Language) -> str:
    """File name of a page, such as `en.html`."""
    return f"{language}.html"


def pages(questions: Sequence[Question], kernels: Sequence[Kernel]) -> dict[str, str]:
    """Text of each page by file name. `UsageError` when a statement does not hold or a page is too large.

    Reproducible: the same questions and data give the same bytes.
    """
    require_shown(questions, kernels)
    made = {file_name(language): _page(language, questions, kernels) for language in Language}
    for name, text in made.items():
        size = len(text.encode())
        if size > LARGEST_BYTES:
            raise UsageError(f"{name} would have {size:,} bytes, more than {LARGEST_BYTES:,}", hint="shorten an output")
    return made


def _page(language: Language, questions: Sequence[Question], kernels: Sequence[Kernel]) -> str:
    label = read_labels(language)
    names = names_of(kernels)
    machines = ", ".join(sorted({kernel.machine for kernel in kernels if kernel.machine}))
    environment = Environment(
        loader=FileSystemLoader(_HERE), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters["code"] = with_code
    (other,) = (each for each in Language if each is not language)
    return environment.get_template("page.html.j2").render(
        language=language,
        other={"language": other, "file": file_name(other)},
        label={**label, "footer": label["footer"].format(machines=machines)},
        joint=_JOINT[language],
        style=Markup((_HERE / "style.css").read_text(encoding="utf-8").strip()),
        kernels=[
            {
                "name": names[kernel.target],
                "release": f"{kernel.release} ({kernel.package})" if kernel.release else "",
                "compiler": kernel.compiler,
            }
            for kernel in kernels
        ],
        questions=assemble(language, label, questions, kernels),
    )
