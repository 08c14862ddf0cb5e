"""The page beside the microscope, and the same over HTTP: REST, server-sent events, uploads.

Research use only; nothing here makes a diagnosis, and every page and export says so.
"""
