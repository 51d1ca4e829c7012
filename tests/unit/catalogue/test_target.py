# SPDX-License-Identifier: MIT
"""Reading the catalogue, and one-line errors for each mistake in it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from vmlab.catalogue.matrix import Matrix, load_matrix
from vmlab.catalogue.target import Architecture, Boot, Flavour, Target, architectures_of
from vmlab.errors import UsageError

SUITE = """
[[suite]]
id = "debian12"
distribution = "debian"
codename = "bookworm"
pockets = ["bookworm"]
"""


@pytest.fixture(scope="module")
def matrix() -> Matrix:
    return load_matrix()


def _only(matrix: Matrix, name: str) -> Target:
    (target,) = matrix.select(name)
    return target


def _line(target: Target) -> tuple[int, ...]:
    return tuple(map(int, target.line.split(".")))


def test_the_default_matrix_is_5_10_6_1_6_12_and_the_newest_line(matrix: Matrix) -> None:
    newest = max(matrix.select("packages"), key=_line)
    assert [target.line for target in matrix.select("")] == ["5.10", "6.1", "6.12", newest.line]
    assert {target.flavour for target in matrix.select("")} == {Flavour.CLOUD}


def test_a_generic_row_stands_beside_each_default_line(matrix: Matrix) -> None:
    for target in matrix.select(""):
        generic = _only(matrix, f"{target.id}-generic")
        assert generic.flavour is Flavour.GENERIC
        assert (generic.suite, generic.line, generic.pockets) == (target.suite, target.line, target.pockets)


def test_6_1_and_6_12_have_a_real_time_row(matrix: Matrix) -> None:
    assert {target.line for target in matrix.targets if target.flavour is Flavour.RT} == {"6.1", "6.12"}


def test_words_of_the_catalogue_are_members_of_their_enums(matrix: Matrix) -> None:
    assert {type(target.flavour) for target in matrix.targets} == {Flavour}


def test_no_arm64_target_is_in_the_default_matrix(matrix: Matrix) -> None:
    assert architectures_of(matrix.select("")) == (Architecture.AMD64,)
    assert architectures_of(matrix.select("*-arm64")) == (Architecture.ARM64,)
    assert architectures_of(reversed(matrix.select("all,*-arm64"))) == (Architecture.AMD64, Architecture.ARM64)


def test_arm64_kernels_are_not_told_to_panic_over_an_interrupt_that_is_not_there(matrix: Matrix) -> None:
    assert _only(matrix, "debian12-6.1").kernel_parameters == ("unknown_nmi_panic",)
    assert _only(matrix, "debian12-6.1-arm64").kernel_parameters == ()


def test_a_glob_is_exact_and_keeps_the_order_of_the_files(matrix: Matrix) -> None:
    assert [target.id for target in matrix.select("debian12-6.1")] == ["debian12-6.1"]
    assert [target.id for target in matrix.select("debian13-6.12,debian11-5.10")] == ["debian11-5.10", "debian13-6.12"]
    assert {target.id for target in matrix.select("debian11-*")} == {
        target.id for target in matrix.targets if target.suite.id == "debian11"
    }
    assert matrix.select("debian12-6.1,debian12-6.1") == matrix.select("debian12-6.1")


def test_all_is_every_target_that_names_no_architecture(matrix: Matrix) -> None:
    assert matrix.select("all,*-arm64,*-cloudimg-*-arm64") == matrix.targets


def test_an_unknown_target_is_refused_with_the_nearest_also_beside_a_known_one(matrix: Matrix) -> None:
    with pytest.raises(UsageError, match=r"unknown target 'debian12-6.2'") as caught:
        matrix.select("debian11-5.10, debian12-6.2")
    assert "did you mean 'debian12-6.1" in caught.value.hint


@pytest.mark.parametrize(
    ("target", "release", "level"),
    [
        ("debian11-5.10", "5.10.0-46-cloud-amd64", "46"),
        ("debian11-5.10-generic", "5.10.0-46-amd64", "46"),
        ("debian11-6.1", "6.1.0-0.deb11.52-cloud-amd64", "52"),
        ("debian12-6.1", "6.1.0-56-cloud-amd64", "56"),
        ("debian12-6.1-rt", "6.1.0-56-rt-amd64", "56"),
        ("debian13-6.12", "6.12.117+deb13-cloud-amd64", "117"),
        ("debian13-6.12-generic", "6.12.117+deb13-amd64", "117"),
        ("debian13-6.12-rt", "6.12.117+deb13-rt-amd64", "117"),
        ("debian12-6.12", "6.12.57+deb12-cloud-amd64", "57"),
        ("debian13-7.3", "7.3.4+deb13-cloud-amd64", "4"),
        ("debian12-6.1-arm64", "6.1.0-56-cloud-arm64", "56"),
        ("debian13-6.12-arm64", "6.12.117+deb13-cloud-arm64", "117"),
    ],
)
def test_a_line_matches_its_own_releases(matrix: Matrix, target: str, release: str, level: str) -> None:
    match = _only(matrix, target).release_pattern.match(release)
    assert match is not None
    assert level in match[1]


@pytest.mark.parametrize(
    ("target", "release"),
    [
        ("debian12-6.1", "6.12.117+deb13-cloud-amd64"),
        ("debian12-6.1", "6.1.0-56-amd64"),
        ("debian12-6.1", "6.1.0-56-rt-amd64"),
        ("debian12-6.1", "6.1.0-56-cloud-arm64"),
        ("debian12-6.1", "6.1.0-56-cloud-amd64-unsigned"),
        ("debian12-6.1", "16.1.0-56-cloud-amd64"),
        ("debian12-6.1", "6x1.0-56-cloud-amd64"),
        ("debian12-6.1-generic", "6.1.0-56-cloud-amd64"),
        ("debian12-6.1-generic", "6.1.0-56-rt-amd64"),
        ("debian12-6.1-rt", "6.1.0-56-amd64"),
        ("debian13-6.12-rt", "6.12.117+deb13-cloud-amd64"),
        ("debian13-6.12-generic", "6.12.117+deb13-rt-amd64"),
        ("debian13-6.12", "6.1.0-56-cloud-amd64"),
        ("debian12-6.1-arm64", "6.1.0-56-cloud-amd64"),
        ("debian12-6.1-arm64", "6.1.0-56-arm64"),
    ],
)
def test_a_line_does_not_match_another_line_or_flavour(matrix: Matrix, target: str, release: str) -> None:
    assert _only(matrix, target).release_pattern.match(release) is None


Write = Callable[[str], Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def write(text: str) -> Path:
        (tmp_path / "targets").mkdir(exist_ok=True)
        (tmp_path / "targets" / "test.toml").write_text(text)
        return tmp_path

    return write


def _row(**changes: str) -> str:
    row = {"id": '"debian12-6.1"', "suite": '"debian12"', "line": '"6.1"'} | changes
    return "[[target]]\n" + "".join(f"{key} = {value}\n" for key, value in row.items())


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        ({"line": "6.1"}, "line: expected str, got 6.1"),
        ({"line": '"6"'}, "line must be a kernel line such as '6.12', got '6'"),
        ({"line": '"6.1.2"'}, "line must be a kernel line such as '6.12', got '6.1.2'"),
        ({"suite": '"debain12"'}, "unknown suite 'debain12' (did you mean 'debian12'?)"),
        ({"flavour": '"cluod"'}, "flavour: unknown word 'cluod' (did you mean 'cloud'?)"),
        ({"flavor": '"rt"'}, "flavor: unknown key (did you mean 'flavour'?)"),
        ({"flavour": '"rt"'}, "id does not match its row (rename it to 'debian12-6.1-rt')"),
        ({"architecture": '"arm64"'}, "id does not match its row (rename it to 'debian12-6.1-arm64')"),
        (
            {"flavour": '"rt"', "architecture": '"arm64"'},
            "id does not match its row (rename it to 'debian12-6.1-rt-arm64')",
        ),
        ({"architecture": '"aarch64"'}, "architecture: unknown word 'aarch64'"),
        ({"id": '"bookworm"'}, "id does not match its row (rename it to 'debian12-6.1')"),
        ({"default": '"yes"'}, "default: expected bool, got 'yes'"),
        ({"line": "= 3"}, "not valid TOML"),
    ],
)
def test_a_mistake_names_the_file_and_what_is_wrong(write: Write, row: dict[str, str], expected: str) -> None:
    with pytest.raises(UsageError) as caught:
        load_matrix(write(SUITE + _row(**row)))
    assert expected in caught.value.one_line
    assert "test.toml" in caught.value.one_line


def test_a_row_without_its_line_is_refused(write: Write) -> None:
    with pytest.raises(UsageError, match="this key is missing"):
        load_matrix(write(SUITE + '[[target]]\nid = "debian12-6.1"\nsuite = "debian12"\n'))


def test_the_same_id_twice_is_refused(write: Write) -> None:
    with pytest.raises(UsageError, match=r"'debian12-6.1' is duplicated"):
        load_matrix(write(SUITE + _row() + _row()))


def test_no_target_files_is_an_error_and_not_an_empty_matrix(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no target files"):
        load_matrix(tmp_path)


def test_a_users_own_rows_stand_beside_vmlabs(write: Write) -> None:
    own = write(SUITE.replace('"debian12"', '"mine12"') + _row(id='"mine12-6.1"', suite='"mine12"'))
    matrix = load_matrix(own=own)
    assert matrix.targets[:-1] == load_matrix().targets
    assert matrix.targets[-1].id == "mine12-6.1"


def test_a_users_row_may_not_take_the_place_of_vmlabs(write: Write) -> None:
    with pytest.raises(UsageError, match=r"'debian12-6.1' is duplicated"):
        load_matrix(own=write(SUITE + _row()))


def test_a_catalogue_without_targets_is_told(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no target files in"):
        load_matrix(own=tmp_path)


def test_a_target_of_its_own_pockets_keeps_those_of_its_suite(write: Write) -> None:
    matrix = load_matrix(write(SUITE + _row(pockets='["bookworm-backports"]')))
    assert matrix.targets[0].pockets == ("bookworm", "bookworm-backports")
    assert not matrix.targets[0].is_default


def test_a_target_can_be_started_stricter_than_it_ships() -> None:
    (target,) = load_matrix().select("debian12-6.1+strict")
    assert target.id == "debian12-6.1+strict"
    assert target.boot is Boot.STRICT
    assert target.stock == load_matrix().select("debian12-6.1")[0]
    assert target.stock.started(Boot.STRICT) == target
    assert target.started(Boot.STRICT) == target
    assert target.started(Boot.ICOUNT).id == "debian12-6.1+icount"
    assert load_matrix().select("debian12-6.1+icount") == (target.started(Boot.ICOUNT),)


def test_globs_and_names_of_many_take_the_suffix_too() -> None:
    matrix = load_matrix()
    assert matrix.select("default") == matrix.select("")
    both = matrix.select("default,default+strict")
    assert [target.boot for target in both] == [Boot.STOCK, Boot.STRICT] * len(matrix.select(""))
    assert {target.stock.suite.id for target in matrix.select("debian13-*+strict")} == {"debian13"}
    assert all(target.boot is Boot.STOCK for target in matrix.select("all"))


def test_another_suffix_is_refused_with_the_one_there_is() -> None:
    with pytest.raises(UsageError, match=r"unknown boot mode .*did you mean 'strict'"):
        load_matrix().select("debian12-6.1+strickt")
    with pytest.raises(UsageError, match="unknown target"):
        load_matrix().select("debian12-6.2+strict")


def test_globs_reach_another_architecture_only_by_its_name() -> None:
    matrix = load_matrix()
    for globs in ("all", "*", "debian1*", "debian13-*,debian12-6.1"):
        assert {target.architecture for target in matrix.select(globs)} == {Architecture.AMD64}, globs
    for globs in ("*-arm64", "debian12-6.1-arm64", "debian1?-*arm64"):
        assert {target.architecture for target in matrix.select(globs)} == {Architecture.ARM64}, globs
    assert len({target.id for target in matrix.select("all,*-arm64,*-cloudimg-*-arm64")}) == len(matrix.targets)
