"""Sealed text: AES-256-GCM, each certificate under a key of its own, bound to its place.

A certificate's key is wrapped by a key-encryption key of the settings and kept in a key store, never in a record, so that
destroying one row of the store makes every copy of the certificate's text unreadable, on every topic and in every backup
of the topics. `keyring` seals and opens with the keys that it was handed, and knows no store; `vault` fetches them.
"""

from stream.sealing.keyring import Keyring

__all__ = ["Keyring"]
