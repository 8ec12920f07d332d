"""Many machines: the files of a run as tasks of Dask.distributed.

Dask is the launcher and no more: a task is the ordinary send of one file, in a worker's process and
under that worker's own settings. What must survive is in the journal, which all of them share.
"""
