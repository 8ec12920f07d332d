#!/usr/bin/env bash
# Machines that you reach by SSH, with the videos on a file system that all of them mount.
#
#   HOSTS="render1 render2" ./ssh.sh /mnt/videos
#
# Each machine needs the same Python, `pip install 'cfstream-upload[fleet]'`, and a file ~/fleet.env
# (mode 0600) that exports CLOUDFLARE_API_TOKEN, CLOUDFLARE_ACCOUNT_ID and CFUPLOAD_JOURNAL: the
# token never passes SSH's command line or Dask. Source it here too.
# Change: HOSTS, and THREADS, the files at once on each of them.
set -euo pipefail

port=${PORT:-8786}
here=${SCHEDULER_HOST:-$(hostname -f)}
address=tcp://$here:$port

dask scheduler --port "$port" &
running=($!)
# A worker leaves when its connection does: an SSH that ends takes it along.
trap 'kill "${running[@]}" 2>/dev/null; wait' EXIT
for host in ${HOSTS:?the names of the machines}; do
    # What is for the other shell stands in single quotes; the rest is filled in here.
    ssh -tt "$host" '. ~/fleet.env && exec dask worker' \
        "$address --name $host --nworkers 1 --nthreads ${THREADS:-2}" </dev/null &
    running+=($!)
done

cfupload send --cluster "$address" --connect-timeout 30s -r --manifest sent.csv "$@"
