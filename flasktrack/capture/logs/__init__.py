"""Audit logs of other systems, as they export them: each module says how one's entries become records.

`documents` cuts a file into entries, `entry` is what an entry's fields are taken from, and `formats` lists the logs.
docs/importing.md has a table for each.
"""
