"""A Slurm cluster: workers are jobs, and `cfupload send` runs here, on the login node.

    pip install dask-jobqueue 'cfstream-upload[fleet]'
    python slurm.py -r /scratch/videos

Each job sources ~/fleet.env (mode 0600), which exports CLOUDFLARE_API_TOKEN,
CLOUDFLARE_ACCOUNT_ID and CFUPLOAD_JOURNAL; source it here too. A job that is preempted leaves its
uploads to be resumed by the others. Change: the queue, the walltime, and how many jobs.
"""

from __future__ import annotations

import subprocess
import sys

from dask_jobqueue import SLURMCluster


def main() -> int:
    """Send what the arguments name; the exit code of ``cfupload send``."""
    with SLURMCluster(
        queue="main",
        cores=2,  # files at once in each job: one thread sends one file
        processes=1,
        memory="2GB",
        walltime="04:00:00",
        job_script_prologue=[". ~/fleet.env"],
        # The nanny ends a little before Slurm does, and its worker leaves in order.
        worker_extra_args=["--lifetime", "230m", "--lifetime-stagger", "5m"],
    ) as cluster:
        cluster.scale(jobs=8)
        print(f"Dask's dashboard: {cluster.dashboard_link}", file=sys.stderr)
        command = ["cfupload", "send", "--cluster", cluster.scheduler_address]
        ended = subprocess.run([*command, "--manifest", "sent.csv", *sys.argv[1:]], check=False)
        return ended.returncode


if __name__ == "__main__":
    sys.exit(main())
