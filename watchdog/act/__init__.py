"""Act: the only code that changes the machine.

run.py is the one way to an effect, and says what makes it safe to be killed
anywhere on that way.  A remedy is one file; remedies.py lists them.  What they
share: identity.py and stage.py (which process), runtime.py (which daemon),
view.py (whose files), gate.py (who forbids), ledger.py and lock.py.
"""
