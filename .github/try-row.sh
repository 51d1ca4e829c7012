#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Tries one row of the catalogue against its publisher, as untried.yml does: TARGET is the row, PYTHON has vmlab. Leaves
# the lock and the trial in tried/, and tells the outcome in the step's summary and as a notice or an error.
set -euo pipefail

mkdir -p tried
export VMLAB_LOCK="$PWD/tried/lock.toml"
status=0
# A guest's words are in what is told of it, and the runner takes commands from there: none until the token comes again.
token=$(cat /proc/sys/kernel/random/uuid)
printf '::stop-commands::%s\n' "$token"
{
	"$PYTHON" -m vmlab images lock "$TARGET" && "$PYTHON" -m vmlab images try "$TARGET"
} 2>tried/errors.txt | tee tried/trial.txt || status=$?
cat tried/errors.txt
printf '\n::%s::\n' "$token"
{
	printf '### %s: %s\n\n```text\n' "$TARGET" "$([ "$status" = 0 ] && echo works || echo 'does not work')"
	cat tried/trial.txt tried/errors.txt | tr '`' '.'
	printf '```\n'
} >>"$GITHUB_STEP_SUMMARY"
if [ "$status" = 0 ]; then
	printf '::notice title=vmlab::%s works from its publisher: is_tried = true may stand in its row\n' "$TARGET"
else
	printf '::error title=vmlab::%s does not work from its publisher: see the summary\n' "$TARGET"
fi
exit "$status"
