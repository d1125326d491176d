"""How good a motion is: the field's measures, and their use on clips whose true motion is known."""
