"""The other side of the wire, played: a scanner that announces, pulses, stalls, vanishes and comes back."""
