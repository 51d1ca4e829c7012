#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Try one target against its publisher, for untried.yml. TARGET is its id, PYTHON an interpreter that has vmlab. Leave
# the lock and the log in tried/, and report the outcome in the step's summary and as a notice or an error.
set -euo pipefail

mkdir -p tried
export VMLAB_LOCK="$PWD/tried/lock.toml"
status=0
# The output contains text from a guest. Until the token is printed again, the runner accepts no commands from it.
token=$(cat /proc/sys/kernel/random/uuid)
printf '::stop-commands::%s\n' "$token"
{
	"$PYTHON" -m vmlab images lock --unchecked "$TARGET" && "$PYTHON" -m vmlab images try "$TARGET"
} 2>tried/errors.txt | tee tried/trial.txt || status=$?
cat tried/errors.txt
printf '\n::%s::\n' "$token"
{
	printf '### %s: %s\n\n```text\n' "$TARGET" "$([ "$status" = 0 ] && echo works || echo 'does not work')"
	cat tried/trial.txt tried/errors.txt | tr '`' '.'
	printf '```\n'
} >>"$GITHUB_STEP_SUMMARY"
if [ "$status" = 0 ]; then
	printf '::notice title=vmlab::%s works from its publisher: set is_tried = true in its row\n' "$TARGET"
else
	printf '::error title=vmlab::%s does not work from its publisher: see the summary\n' "$TARGET"
fi
exit "$status"
