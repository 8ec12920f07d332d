"""Every guard of SECURITY.md that a test was seen to fail without."""

from __future__ import annotations

from guards.fleet import FLEET
from guards.inputs import INPUTS
from guards.places import PLACES
from guards.supply import SUPPLY

GUARDS = (*PLACES, *INPUTS, *SUPPLY)

ALL = (*GUARDS, *FLEET)
"""And those of docs/fleet.md, F1 to F8."""
