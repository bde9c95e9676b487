"""How the journal lies in its SQLite file."""

import sqlite3
from pathlib import Path

SCHEMA = """
PRAGMA journal_mode = WAL;
CREATE TABLE IF NOT EXISTS runs (
  number INTEGER PRIMARY KEY,
  name TEXT NOT NULL UNIQUE,
  acknowledged INTEGER NOT NULL DEFAULT -1
);
CREATE TABLE IF NOT EXISTS records (
  run INTEGER NOT NULL REFERENCES runs (number),
  seq INTEGER NOT NULL,
  content BLOB NOT NULL,
  link BLOB NOT NULL,
  PRIMARY KEY (run, seq)
);
CREATE TABLE IF NOT EXISTS triggers (
  run INTEGER NOT NULL REFERENCES runs (number),
  name TEXT NOT NULL,
  place INTEGER NOT NULL,
  command BLOB NOT NULL,
  ended INTEGER NOT NULL DEFAULT 0,
  PRIMARY KEY (run, name)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS open_triggers ON triggers (run, place) WHERE ended = 0;
"""


def connect(path: Path) -> sqlite3.Connection:
    """A connection that any one thread at a time may use."""
    return sqlite3.connect(path, check_same_thread=False, timeout=10.0)
