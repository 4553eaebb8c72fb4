"""The pure core: observations in, ticks out.

Law: no clock, no I/O, no log, no thread, no randomness.  Everything that it
knows came in as an observation, so a recording replays to the same ticks.
"""
