"""The lab: a private dockerd, a private registry and real faults, for tests that need the real thing.

`with Lab() as lab:` gives a running dockerd and registry in a folder of their
own; when the block ends nothing of it is left, also after a crash of the test.
"""
