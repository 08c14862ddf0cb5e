"""Each importer knows one folder layout: what its files are called and what the names tell.

A module here offers ``recognises(root) -> bool`` and ``read(root) -> Listing``; both look at names
and label files only, never into an image.
"""
