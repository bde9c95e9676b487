"""Signatures (ed25519) of bundles, profiles and engines: who makes them, and which ones an edge accepts."""

from edge.signing.signers import Judgement, Signers, signers_in

__all__ = ["Judgement", "Signers", "signers_in"]
