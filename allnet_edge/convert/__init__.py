"""One conversion a file, named ``<to>_from_<from>``; graph to graph wherever that is possible."""
