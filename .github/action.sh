#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# What action.yml does, stage by stage, in the environment of a GitHub Actions runner: its files and directories come
# from RUNNER_TEMP, GITHUB_WORKSPACE, GITHUB_OUTPUT and GITHUB_STEP_SUMMARY, the action's inputs from INPUT_*, and what
# one stage leaves for the next from STATE_*. Nothing is put into shell text: inputs are words, and checked.
set -euo pipefail

readonly source="${GITHUB_ACTION_PATH:?}"
readonly kvm="${KVM_DEVICE:-/dev/kvm}"

fail() {
	# One line, whatever an input holds: the runner takes commands from the beginnings of lines.
	printf '::error title=vmlab::%s\n' "$(printf '%s' "$1" | tr -d '\r' | tr '\n' ' ')"
	exit 2
}

output() {
	printf '%s=%s\n' "$1" "$2" >>"$GITHUB_OUTPUT"
}

require_minutes() {
	case "$INPUT_TIMEOUT_MINUTES" in
	'' | *[!0-9]* | 0*) fail 'timeout-minutes: a whole number of minutes is meant, like 60' ;;
	esac
}

# COMMAND…: it, for as long as is allowed. A guest's words are in what it prints, and the runner takes commands from
# there: none until the token comes again.
limited() {
	local token status=0
	token=$(cat /proc/sys/kernel/random/uuid)
	printf '::stop-commands::%s\n' "$token"
	timeout --signal=INT --kill-after=60 "${INPUT_TIMEOUT_MINUTES}m" "$@" || status=$?
	printf '\n::%s::\n' "$token"
	if [ "$status" = 124 ] || [ "$status" = 137 ]; then
		printf '::error title=vmlab::ended after %s minutes, which is what timeout-minutes allows\n' "$INPUT_TIMEOUT_MINUTES"
	fi
	return "$status"
}

# An interpreter that has vmlab: the one that was named, or one of a fresh environment.
prepare_python() {
	local python="${INPUT_PYTHON:-}"
	if [ -n "$python" ]; then
		"$python" -c 'import vmlab' 2>/dev/null || fail 'python: this interpreter has no vmlab; leave the input out'
	else
		python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))' ||
			fail 'Python 3.11 or newer is needed: set one up before this step'
		python3 -m venv "$1"
		python="$1/bin/python"
		"$python" -m pip install --quiet --disable-pip-version-check "$source"
		if [ -n "${INPUT_REQUIREMENTS:-}" ]; then
			"$python" -m pip install --quiet --disable-pip-version-check --requirement "$INPUT_REQUIREMENTS"
		fi
	fi
	output python "$python"
	STATE_PYTHON="$python"
}

# A runner may have the device and not the permission: it is looked at, and nothing depends on which runner it is. The
# rule, not a chmod: udev may set it again at any time.
open_kvm() {
	if [ "$INPUT_ACCEL" = tcg ] || [ ! -e "$kvm" ] || { [ -r "$kvm" ] && [ -w "$kvm" ]; }; then
		return
	fi
	sudo -n true 2>/dev/null || return 0 # vmlab says what is missing
	printf '%s\n' 'KERNEL=="kvm", GROUP="kvm", MODE="0666", OPTIONS+="static_node=kvm"' |
		sudo tee /etc/udev/rules.d/99-vmlab-kvm.rules >/dev/null
	sudo udevadm control --reload-rules
	sudo udevadm trigger --name-match=kvm
	sudo udevadm settle --timeout=10
}

# Whether KVM runs a kernel is proved with the first image. Without the device there is nothing to prove, and images
# would be made for minutes before that is said.
require_kvm() {
	if [ "$INPUT_ACCEL" = kvm ] && ! { [ -r "$kvm" ] && [ -w "$kvm" ]; }; then
		fail "accel: kvm is demanded, and this runner has no $kvm that may be opened"
	fi
}

# Ubuntu 24.04 lets no program without a profile of its own have a user namespace, which images are made in
# (kernel.apparmor_restrict_unprivileged_userns). A hosted runner is thrown away after the job; another's owner decides.
open_user_namespaces() {
	local restricted=/proc/sys/kernel/apparmor_restrict_unprivileged_userns
	if [ "${RUNNER_ENVIRONMENT:-}" = github-hosted ] && [ "$(cat "$restricted" 2>/dev/null)" = 1 ]; then
		sudo -n sysctl --quiet --write kernel.apparmor_restrict_unprivileged_userns=0
	fi
}

# The images of a job: what they are made from (rows, recipes, and the lock with the publishers' digests, the user's own
# among them), on which architecture.
cache_prefix() {
	local made_from
	made_from=$("$STATE_PYTHON" -m vmlab images key --vmlab-target="$INPUT_TARGETS")
	printf 'vmlab-%s-%s-' "${RUNNER_ARCH:-$(uname -m)}" "$made_from"
}

# What stands for a run in the name of an artifact, of which each job needs another.
run_name() {
	local module="${INPUT_MODULE:-.}" of="${INPUT_TARGETS:-default}${INPUT_SHARD:+-$INPUT_SHARD}"
	module="${module#./}"
	if [ "$module" = . ]; then module=''; fi
	printf '%s' "${INPUT_ARTIFACT:-vmlab-${module:+$module-}$of}" |
		LC_ALL=C tr -c 'A-Za-z0-9._+-' '-' | cut -c1-120
}

prepare() {
	require_minutes
	local place prefix
	place=$(mktemp -d "${RUNNER_TEMP:?}/vmlab.XXXXXX")
	prepare_python "$place/venv"
	open_kvm
	require_kvm
	open_user_namespaces
	"$STATE_PYTHON" -m vmlab setup --vmlab-target="$INPUT_TARGETS"
	prefix=$(cache_prefix)
	output report "$place/report"
	# A fixed place: what is cached comes back to where it was.
	output store "${INPUT_STORE:-$RUNNER_TEMP/vmlab-store}"
	output cache-prefix "$prefix"
	# And the week: what lines of packages are at is asked once in it.
	output cache-key "$prefix$(date -u +%G-%V)"
	output artifact "$(run_name)"
}

images() {
	require_minutes
	local status=0
	local -a chosen=(--vmlab-target="$INPUT_TARGETS" --vmlab-store="$STATE_STORE")
	# An earlier week's came out of the cache. Not to ask now would leave this week's with what is old on its first day,
	# and each later run would make anew what is a week old by then.
	if [ "${STATE_CACHE_HIT:-}" = false ]; then
		limited "$STATE_PYTHON" -m vmlab images refresh "${chosen[@]}" ||
			printf '::warning title=vmlab::what is newest was not asked: going on with the images of an earlier week\n'
	fi
	limited "$STATE_PYTHON" -m vmlab images build "${chosen[@]}" --vmlab-accel="$INPUT_ACCEL" || status=$?
	# One kernel that a distribution has withdrawn is no reason to say nothing of the others: the run tries it once
	# more, and its row is red with the reason. What is not whole is no week's cache.
	case "$status" in
	0) output whole true ;;
	1) printf '::warning title=vmlab::not every image could be made: the log of this step tells which and why\n' ;;
	*) exit "$status" ;;
	esac
	# What was superseded is not to be cached week after week. A store that was named is its owner's to clean.
	if [ "${STATE_CACHE_HIT:-}" = false ] && [ -z "${INPUT_STORE:-}" ]; then
		"$STATE_PYTHON" -m vmlab images prune --vmlab-store="$STATE_STORE"
	fi
}

run() {
	require_minutes
	local status=0
	local -a tests=(--pyargs -- vmlab.plugin.smoke)
	if [ -n "${INPUT_TESTS:-}" ]; then
		# pytest with workers would not say so: they collect nothing, each for itself.
		[ -e "$GITHUB_WORKSPACE/${INPUT_TESTS%%::*}" ] || [ -e "${INPUT_TESTS%%::*}" ] ||
			fail "tests: there is no such file or directory: $INPUT_TESTS"
		tests=(-- "$INPUT_TESTS")
	fi
	cd "${GITHUB_WORKSPACE:?}"
	limited "$STATE_PYTHON" -m pytest -n auto -p no:cacheprovider --rootdir="$GITHUB_WORKSPACE" \
		--junitxml="$STATE_REPORT/junit.xml" --vmlab-report="$STATE_REPORT" --vmlab-store="$STATE_STORE" \
		--vmlab-module="$INPUT_MODULE" --vmlab-target="$INPUT_TARGETS" --vmlab-accel="$INPUT_ACCEL" \
		--vmlab-shard="${INPUT_SHARD:-}" --vmlab-durations="${INPUT_DURATIONS:-}" "${tests[@]}" || status=$?
	output status "$status"
	exit "$status"
}

report() {
	cd "${GITHUB_WORKSPACE:?}"
	if [ ! -f "$STATE_REPORT/results.json" ]; then
		fail 'the run left no results: its log tells why'
	fi
	output results "$STATE_REPORT/results.json"
	output junit "$STATE_REPORT/junit.xml"
	"$STATE_PYTHON" -m vmlab report outputs "$STATE_REPORT" >>"$GITHUB_OUTPUT"
	"$STATE_PYTHON" -m vmlab report summary "$STATE_REPORT" >>"$GITHUB_STEP_SUMMARY"
	"$STATE_PYTHON" -m vmlab report annotate --vmlab-module="$INPUT_MODULE" "$STATE_REPORT"
}

case "${1:-}" in
prepare | images | run | report) "$1" ;;
*) fail 'action.sh takes one stage: prepare, images, run or report' ;;
esac
