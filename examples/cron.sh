#!/usr/bin/env bash
# Sends the new recordings of a folder; for cron, which mails whatever is printed: here nothing,
# unless something failed. A crontab with it:
#
#   MAILTO=you@example.com
#   PATH=/usr/local/bin:/usr/bin:/bin
#   */15 * * * *  /usr/local/lib/cfupload/cron.sh /srv/recordings
#
# To change: the patterns, and SETTLED_MINUTES, for how long a recording must not have been written
# to. Cron's environment is bare: keep token and account with `cfupload config set`.
#
# The manifest spares what was sent. It is also the lock: while one run writes it, the next ends
# with exit code 9 at once, and the files of that run are taken by the one after.
set -uo pipefail

folder=${1:?"usage: cron.sh FOLDER"}
manifest=$folder/.cfupload.csv

mapfile -d '' -t recordings < <(
    find "$folder" -type f \( -iname '*.mp4' -o -iname '*.mov' -o -iname '*.mkv' \) \
        -mmin +"${SETTLED_MINUTES:-5}" -print0 | sort -z
)
((${#recordings[@]})) || exit 0

said=$(printf '%s\0' "${recordings[@]}" |
    cfupload send --quiet -0 --files-from - --manifest "$manifest" 2>&1)
code=$?
case $code in
    0 | 9) exit 0 ;;
    *)
        echo "cfupload ended with exit code $code in $folder; the next run goes on."
        echo "$said"
        exit "$code"
        ;;
esac
