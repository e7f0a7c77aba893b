/**
 * The schema, as the steps that lead to it. A step that was released is never edited: append one. The version of a
 * database is the number of steps that were applied.
 */

export const migrations: readonly string[] = [
  `
  CREATE TABLE token (
    id TEXT PRIMARY KEY,
    name TEXT NOT NULL,
    hash BLOB NOT NULL,
    scopes TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    expires_at INTEGER,
    revoked_at INTEGER,
    last_used_at INTEGER
  ) STRICT;
  CREATE INDEX token_by_name ON token (name);

  CREATE TABLE claim (
    kind TEXT NOT NULL,
    name TEXT NOT NULL,
    owner_id TEXT NOT NULL,
    claimed_at INTEGER NOT NULL,
    PRIMARY KEY (kind, name)
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX claim_by_owner ON claim (owner_id);

  CREATE TABLE remembered (
    kind TEXT NOT NULL,
    owner_id TEXT NOT NULL,
    seed TEXT NOT NULL,
    value TEXT NOT NULL,
    -- Counts up with each write, so that the oldest of an owner can be forgotten.
    turn INTEGER NOT NULL,
    PRIMARY KEY (owner_id, kind, seed)
  ) STRICT, WITHOUT ROWID;

  CREATE TABLE audit (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    at INTEGER NOT NULL,
    event TEXT NOT NULL,
    fields TEXT NOT NULL
  ) STRICT;
  `,
  `
  CREATE TABLE publication (
    swarm TEXT PRIMARY KEY,
    owner TEXT NOT NULL,
    access BLOB NOT NULL,
    publisher BLOB NOT NULL,
    created_at INTEGER NOT NULL,
    expires_at INTEGER,
    once INTEGER NOT NULL,
    max_peers INTEGER,
    cache INTEGER NOT NULL,
    closed INTEGER NOT NULL,
    version INTEGER NOT NULL,
    table_bytes INTEGER NOT NULL,
    mac TEXT NOT NULL,
    -- Last, so that a list of all does not read it.
    chunks BLOB NOT NULL
  ) STRICT;
  `,
  `
  CREATE TABLE finished_receiver (
    swarm TEXT NOT NULL,
    member TEXT NOT NULL,
    PRIMARY KEY (swarm, member)
  ) STRICT, WITHOUT ROWID;
  `,
  `
  ALTER TABLE claim ADD COLUMN guest TEXT;
  ALTER TABLE claim ADD COLUMN epoch INTEGER;
  CREATE INDEX claim_by_guest ON claim (guest) WHERE guest IS NOT NULL;
  `,
]
