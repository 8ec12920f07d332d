#!/usr/bin/env bash
# Two shells on one machine, in one script: a scheduler, workers, and the command that sends.
# The workers share this user's state directory, and with it the journal. For a quick start without
# any of this: cfupload send --cluster local:4 -r recordings
#
#   ./one-machine.sh recordings
#
# What Dask says of itself goes to dask.log (LOG). Change: WORKERS, and what follows "cfupload send".
set -euo pipefail

port=${PORT:-8786}
address=tcp://127.0.0.1:$port
log=${LOG:-dask.log}
: >"$log"

# The first shell.
dask scheduler --host 127.0.0.1 --port "$port" --dashboard-address 127.0.0.1:0 --no-dashboard >>"$log" 2>&1 &
scheduler=$!
dask worker "$address" --host 127.0.0.1 --nworkers "${WORKERS:-2}" --nthreads 1 \
    --dashboard-address 127.0.0.1:0 --no-dashboard >>"$log" 2>&1 &
workers=$!
end() {
    kill "$workers" && wait "$workers"
    kill "$scheduler" && wait "$scheduler"
}
trap 'end 2>/dev/null || true' EXIT

# The second. It waits for the workers by itself.
cfupload send --cluster "$address" --connect-timeout 30s -r --manifest sent.csv "$@" || {
    code=$?
    echo "It ended with $code. What the scheduler and the workers say: $log" >&2
    exit "$code"
}
