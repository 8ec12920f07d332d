#!/usr/bin/env bash
# Send one video from a CI job: try again where that helps, clean up where something was left.
# Usage: ci.sh FILE    (prints the UID)
set -uo pipefail

file=$1
for try in 1 2 3; do
    cfupload send -q "$file"
    code=$?
    case $code in
        0) exit 0 ;;
        6) echo "try $try: trouble outlasted the retries, nothing is left; again" >&2 ;;
        7) echo "try $try: something was left; cleaning up" >&2
           cfupload cleanup --yes >&2 ;;
        *) exit "$code" ;; # 2, 3, 4, 5: trying again would not help
    esac
    sleep "${RETRY_SECONDS:-10}"
done
exit "$code"
