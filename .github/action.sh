#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# The stages of action.yml, run in the environment of a GitHub Actions runner. Files and directories come from
# RUNNER_TEMP, GITHUB_WORKSPACE, GITHUB_OUTPUT and GITHUB_STEP_SUMMARY, the action's inputs from INPUT_*, and state from
# earlier stages from STATE_*. Inputs are validated and passed as words, never as shell text.
#
# The steps start in the checkout, which a pull request may have changed. Every interpreter is isolated (-I): it does
# not import from the current directory, and reads no PYTHON* variable. Only the input `tests` runs the checkout's code
# outside of a guest or a confined build.
set -euo pipefail

readonly source="${GITHUB_ACTION_PATH:?}"
readonly kvm="${KVM_DEVICE:-/dev/kvm}"

fail() {
	# Print one line, whatever the input: the runner reads commands at the beginning of lines.
	printf '::error title=vmlab::%s\n' "$(printf '%s' "$1" | tr -d '\r' | tr '\n' ' ')"
	exit 2
}

output() {
	printf '%s=%s\n' "$1" "$2" >>"$GITHUB_OUTPUT"
}

require_minutes() {
	case "$INPUT_TIMEOUT_MINUTES" in
	'' | *[!0-9]* | 0*) fail 'timeout-minutes must be a whole number of minutes, e.g. 60' ;;
	esac
}

# Usage: limited COMMAND…. Run it with the timeout. Its output contains text from a guest: until the token is printed
# again, the runner accepts no commands from it.
limited() {
	local token status=0
	token=$(cat /proc/sys/kernel/random/uuid)
	printf '::stop-commands::%s\n' "$token"
	timeout --signal=INT --kill-after=60 "${INPUT_TIMEOUT_MINUTES}m" "$@" || status=$?
	printf '\n::%s::\n' "$token"
	if [ "$status" = 124 ] || [ "$status" = 137 ]; then
		printf '::error title=vmlab::stopped after %s minutes (timeout-minutes)\n' "$INPUT_TIMEOUT_MINUTES"
	fi
	return "$status"
}

# Usage: isolate. Interpreters that vmlab and pytest start, such as pytest-xdist's workers, are not started with -I.
isolate() {
	local name
	for name in "${!PYTHON@}"; do unset "$name"; done
	export PYTHONSAFEPATH=1 PYTHONNOUSERSITE=1
}

# Usage: leave_checkout. vmlab reads the pyproject.toml of the directory that it starts in. Paths stay those of the
# checkout.
leave_checkout() {
	local name
	for name in INPUT_{MODULE,CATALOGUE,LOCK,KNOWN_SPLATS,DURATIONS,STORE} STATE_{STORE,PYTHON}; do
		case "$name=${!name:-}" in
		*= | *=/* | *='~'*) ;;
		STATE_PYTHON=*/* | INPUT_* | STATE_STORE=*) printf -v "$name" '%s/%s' "${GITHUB_WORKSPACE:?}" "${!name}" ;;
		esac
	done
	trusted=()
	if [ -n "${INPUT_CATALOGUE:-}" ]; then trusted+=(--vmlab-catalogue="$INPUT_CATALOGUE"); fi
	if [ -n "${INPUT_LOCK:-}" ]; then trusted+=(--vmlab-lock="$INPUT_LOCK"); fi
	cd "${RUNNER_TEMP:?}"
}

# Usage: is_inside PATH.
is_inside() {
	[[ "$1/" == "$GITHUB_WORKSPACE"/* || "$1/" == "$(realpath -m -- "$GITHUB_WORKSPACE")"/* ]]
}

# Usage: is_of COMMIT PATH. True if the repository that contains a path of the checkout has this commit checked out.
is_of() {
	local place="$2"
	while [ ! -e "$place/.git" ] && is_inside "${place%/*}"; do place="${place%/*}"; done
	[ "$(git -c safe.directory='*' -C "$place" rev-parse HEAD 2>/dev/null)" = "$1" ]
}

# What decides which images and which kernel reports are trusted must not be the pull request's own. Only the commit
# that it is to be merged into is certain: a pull request may choose the commit of a submodule.
require_trusted_files() {
	case "${GITHUB_EVENT_NAME:-}" in
	pull_request | pull_request_target) ;;
	*) return 0 ;;
	esac
	local input name path base
	base=$("$STATE_PYTHON" -I -c 'import json, sys; print(json.load(open(sys.argv[1]))["pull_request"]["base"]["sha"])' \
		"${GITHUB_EVENT_PATH:?}")
	for input in catalogue lock known-splats; do
		name="${input//-/_}" name="INPUT_${name^^}"
		if [ -z "${!name:-}" ]; then continue; fi
		for path in "$(realpath -ms -- "${!name}")" "$(realpath -m -- "${!name}")"; do
			if is_inside "$path" && ! is_of "$base" "$path"; then
				# shellcheck disable=SC2016 # an expression of the workflow
				fail "$input: in a pull request, the pull request could change this file. Add a second actions/checkout with "'ref: ${{ github.event.pull_request.base.sha }} and path: base, and name the file in base/'
			fi
		done
	done
}

# Select an interpreter that has vmlab: the input `python`, or that of a new environment.
prepare_python() {
	local python="${INPUT_PYTHON:-}"
	if [ -n "$python" ]; then
		"$python" -I -c 'import vmlab' 2>/dev/null || fail 'python: vmlab is not installed for this interpreter; omit the input to install it'
	else
		python3 -I -c 'import sys; sys.exit(sys.version_info < (3, 11))' ||
			fail 'Python 3.11 or newer is required: add actions/setup-python before this step'
		python3 -I -m venv "$1"
		python="$1/bin/python"
		"$python" -I -m pip install --quiet --disable-pip-version-check "$source"
		if [ -n "${INPUT_REQUIREMENTS:-}" ]; then
			"$python" -I -m pip install --quiet --disable-pip-version-check --requirement "$INPUT_REQUIREMENTS"
		fi
	fi
	output python "$python"
	STATE_PYTHON="$python"
}

# Give access to /dev/kvm if the device exists but may not be opened, on any kind of runner. A udev rule, not chmod:
# udev may reset the mode at any time.
open_kvm() {
	if [ "$INPUT_ACCEL" = tcg ] || [ ! -e "$kvm" ] || { [ -r "$kvm" ] && [ -w "$kvm" ]; }; then
		return
	fi
	sudo -n true 2>/dev/null || return 0 # vmlab reports what is missing
	printf '%s\n' 'KERNEL=="kvm", GROUP="kvm", MODE="0666", OPTIONS+="static_node=kvm"' |
		sudo tee /etc/udev/rules.d/99-vmlab-kvm.rules >/dev/null
	sudo udevadm control --reload-rules
	sudo udevadm trigger --name-match=kvm
	sudo udevadm settle --timeout=10
}

# Fail early if KVM is required and there is no device: vmlab proves KVM with the first image, after minutes of
# building.
require_kvm() {
	if [ "$INPUT_ACCEL" = kvm ] && ! { [ -r "$kvm" ] && [ -w "$kvm" ]; }; then
		fail "accel: kvm is required, but this runner has no $kvm that can be opened"
	fi
}

# Building images needs user namespaces. Ubuntu 24.04 denies them to programs without an AppArmor profile
# (kernel.apparmor_restrict_unprivileged_userns). Lift that only on a hosted runner, which is discarded after the job.
open_user_namespaces() {
	local restricted=/proc/sys/kernel/apparmor_restrict_unprivileged_userns
	if [ "${RUNNER_ENVIRONMENT:-}" = github-hosted ] && [ "$(cat "$restricted" 2>/dev/null)" = 1 ]; then
		sudo -n sysctl --quiet --write kernel.apparmor_restrict_unprivileged_userns=0
	fi
}

# The cache key of a job's images: the architecture, and a digest of their targets, recipes and locked files, including
# those of the user's catalogue.
cache_prefix() {
	local made_from
	made_from=$("$STATE_PYTHON" -I -m vmlab images key --vmlab-target="$INPUT_TARGETS" "${trusted[@]}")
	printf 'vmlab-%s-%s-' "${RUNNER_ARCH:-$(uname -m)}" "$made_from"
}

# The name of the artifact, which must differ between jobs.
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
	output artifact "$(run_name)"
	leave_checkout
	require_trusted_files
	"$STATE_PYTHON" -I -m vmlab setup --vmlab-target="$INPUT_TARGETS" "${trusted[@]}"
	prefix=$(cache_prefix)
	output report "$place/report"
	# A fixed path: the cache restores files to the path that they were saved from.
	output store "${INPUT_STORE:-$RUNNER_TEMP/vmlab-store}"
	output cache-prefix "$prefix"
	# The week is part of the key, so that the package index is read once a week.
	output cache-key "$prefix$(date -u +%G-%V)"
}

images() {
	require_minutes
	leave_checkout
	local status=0
	local -a chosen=(--vmlab-target="$INPUT_TARGETS" --vmlab-store="$STATE_STORE" "${trusted[@]}")
	# The cache held an earlier week's images. Without a refresh, this week's cache would start with old images, and
	# every later run would build new ones.
	if [ "${STATE_CACHE_HIT:-}" = false ]; then
		limited "$STATE_PYTHON" -I -m vmlab images refresh "${chosen[@]}" ||
			printf '::warning title=vmlab::the package indexes could not be read: this run uses the images of an earlier week\n'
	fi
	limited "$STATE_PYTHON" -I -m vmlab images build "${chosen[@]}" --vmlab-accel="$INPUT_ACCEL" || status=$?
	# A kernel that a distribution has withdrawn must not hide the results of the others. The run retries its image, and
	# its row is red with the reason. An incomplete set of images is not cached.
	case "$status" in
	0) output whole true ;;
	1) printf '::warning title=vmlab::some images could not be built: see the log of this step\n' ;;
	*) exit "$status" ;;
	esac
	# Do not cache superseded images every week. A store from the input `store` is pruned by its owner.
	if [ "${STATE_CACHE_HIT:-}" = false ] && [ -z "${INPUT_STORE:-}" ]; then
		"$STATE_PYTHON" -I -m vmlab images prune --vmlab-store="$STATE_STORE"
	fi
}

run() {
	require_minutes
	# The workflow decides these, not the checkout's pyproject.toml: what a guest reaches, and whether it outlives the job.
	export VMLAB_NETWORK="${VMLAB_NETWORK:-no}" VMLAB_KEEP="${VMLAB_KEEP:-no}"
	local status=0
	leave_checkout
	if is_inside "$INPUT_MODULE" && ! is_inside "$(realpath -m -- "$INPUT_MODULE")"; then
		fail "module: a link leads out of the checkout: $INPUT_MODULE"
	fi
	if [ -n "${INPUT_KNOWN_SPLATS:-}" ]; then trusted+=(--vmlab-known-splats="$INPUT_KNOWN_SPLATS"); fi
	# The lab's own tests: no conftest.py, no pytest configuration and no [tool.vmlab] of the checkout.
	local root="${STATE_REPORT%/*}"
	local -a python=("$STATE_PYTHON" -I) tests=(--noconftest -c /dev/null --pyargs -- vmlab.plugin.smoke)
	if [ -n "${INPUT_TESTS:-}" ]; then
		cd "$GITHUB_WORKSPACE"
		root="$GITHUB_WORKSPACE"
		# pytest with workers would not report a missing path: each worker would collect nothing.
		[ -e "$GITHUB_WORKSPACE/${INPUT_TESTS%%::*}" ] || [ -e "${INPUT_TESTS%%::*}" ] ||
			fail "tests: no such file or directory: $INPUT_TESTS"
		python=("$STATE_PYTHON") tests=(-- "$INPUT_TESTS")
	else
		isolate
	fi
	limited "${python[@]}" -m pytest -n auto -p no:cacheprovider --rootdir="$root" \
		--junitxml="$STATE_REPORT/junit.xml" --vmlab-report="$STATE_REPORT" --vmlab-store="$STATE_STORE" \
		--vmlab-module="$INPUT_MODULE" --vmlab-target="$INPUT_TARGETS" --vmlab-accel="$INPUT_ACCEL" \
		--vmlab-shard="${INPUT_SHARD:-}" --vmlab-durations="${INPUT_DURATIONS:-}" "${trusted[@]}" \
		"${tests[@]}" || status=$?
	output status "$status"
	exit "$status"
}

report() {
	leave_checkout
	if [ ! -f "$STATE_REPORT/results.json" ]; then
		fail 'the run wrote no results: see the log of the step before'
	fi
	output results "$STATE_REPORT/results.json"
	output junit "$STATE_REPORT/junit.xml"
	"$STATE_PYTHON" -I -m vmlab report outputs "$STATE_REPORT" >>"$GITHUB_OUTPUT"
	"$STATE_PYTHON" -I -m vmlab report summary "$STATE_REPORT" >>"$GITHUB_STEP_SUMMARY"
	"$STATE_PYTHON" -I -m vmlab report annotate --vmlab-module="$INPUT_MODULE" "$STATE_REPORT"
}

# Children of pip and vmlab inherit this.
if [ "${1:-}" != run ]; then isolate; fi
case "${1:-}" in
prepare | images | run | report) "$1" ;;
*) fail 'action.sh expects a stage: prepare, images, run or report' ;;
esac
