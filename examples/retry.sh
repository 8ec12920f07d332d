#!/usr/bin/env bash
# Sends one video, and tries again where that helps: the exit code says whether it does.
#
#   retry.sh FILE [OPTION...]      options are those of `cfupload send`; prints the UID
#
# To change: TRIES and RETRY_SECONDS, here or in the environment. The state directory
# (CFUPLOAD_STATE_DIR) must outlive the tries; on one machine it does.
set -uo pipefail

tries=${TRIES:-5}
pause=${RETRY_SECONDS:-30}
code=0

for ((try = 1; try <= tries; try++)); do
    ((try == 1)) || sleep "$pause"
    cfupload send --quiet "$@"
    code=$?
    case $code in
        0) exit 0 ;;
        6) why="trouble outlasted the retries, nothing is left" ;;
        7)
            why="something was left; cleaned up"
            cfupload cleanup --yes >&2 || why="something was left, and still is"
            ;;
        8) # Whole on Stream as far as known: sending again would help nothing.
            echo "not confirmed yet: the same command later asks, and sends nothing twice" >&2
            exit 8
            ;;
        9) why="another process is sending this file" ;;
        *) exit "$code" ;; # wrong command, settings or file, refused, interrupted: not by trying
    esac
    echo "try $try of $tries: $why" >&2
done
exit "$code"
