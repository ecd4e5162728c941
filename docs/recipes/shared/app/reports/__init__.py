"""Reports: a job that one of many workers does, once a day."""
