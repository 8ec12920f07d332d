"""Every guard of SECURITY.md that a test was seen to fail without."""

from __future__ import annotations

from guards.inputs import INPUTS
from guards.places import PLACES
from guards.supply import SUPPLY

GUARDS = (*PLACES, *INPUTS, *SUPPLY)
