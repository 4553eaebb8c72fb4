"""pull-watchdog: notices hung image pulls on this host, frees them, and says so.

The import package is called `watchdog`, a name that other projects use too; it
is installed to a private directory and never to site-packages.
"""

__version__ = "0.1.0"
