"""The trusted zone: a process of its own. Of this package the station imports `client` and nothing else."""
