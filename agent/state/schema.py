"""The tables of state.db. A change here is a new ``VERSION``, and a step from the last one."""

from __future__ import annotations

VERSION = 1

TABLES = """
CREATE TABLE meta (
    key TEXT PRIMARY KEY,
    value TEXT NOT NULL
) WITHOUT ROWID;

-- One generation of one file. Paths are the file system's bytes, which need not be text.
CREATE TABLE streams (
    id TEXT PRIMARY KEY,
    source TEXT NOT NULL,
    family BLOB NOT NULL,
    head BLOB NOT NULL,
    head_bytes INTEGER NOT NULL,
    generation INTEGER NOT NULL,
    path BLOB NOT NULL,
    device INTEGER NOT NULL,
    inode INTEGER NOT NULL,
    size INTEGER NOT NULL,
    seen_at REAL NOT NULL,
    UNIQUE (source, family, head, generation)
) WITHOUT ROWID;

-- Files known to hold a copy of a stream (copytruncate's copy, a .gz), so that they are not examined at every start.
CREATE TABLE copies (
    source TEXT NOT NULL,
    path BLOB NOT NULL,
    device INTEGER NOT NULL,
    inode INTEGER NOT NULL,
    size INTEGER NOT NULL,
    mtime_ns INTEGER NOT NULL,
    stream TEXT NOT NULL,
    length INTEGER NOT NULL,
    mark BLOB NOT NULL,
    PRIMARY KEY (source, path)
) WITHOUT ROWID;

-- How far a lane has settled a stream; the mark is the hash of the up to 1 KiB before mark_at (at most position).
CREATE TABLE cursors (
    lane TEXT NOT NULL,
    stream TEXT NOT NULL,
    position INTEGER NOT NULL,
    mark_at INTEGER NOT NULL,
    mark BLOB NOT NULL,
    PRIMARY KEY (lane, stream)
) WITHOUT ROWID;

-- Lanes that have started on a source before: start_at: end is only for the very first start.
CREATE TABLE started (
    lane TEXT NOT NULL,
    source TEXT NOT NULL,
    PRIMARY KEY (lane, source)
) WITHOUT ROWID;
"""
