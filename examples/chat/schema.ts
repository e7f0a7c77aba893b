/** The tables of the chat. */

export const schema = `
CREATE TABLE IF NOT EXISTS profile (
  one INTEGER PRIMARY KEY CHECK (one = 1),
  nick TEXT NOT NULL,
  about TEXT NOT NULL DEFAULT ''
);
-- home_name: the server that numbers the messages; NULL: this one.
CREATE TABLE IF NOT EXISTS rooms (
  id INTEGER PRIMARY KEY,
  home_key TEXT NOT NULL,
  home_name TEXT,
  slug TEXT NOT NULL,
  title TEXT NOT NULL,
  topic TEXT NOT NULL DEFAULT '',
  is_open INTEGER NOT NULL,
  -- Of the messages up to this number none is wanted: they were written long before we joined.
  since INTEGER NOT NULL DEFAULT 0,
  -- As far as we know.
  last INTEGER NOT NULL DEFAULT 0,
  seen INTEGER NOT NULL DEFAULT 0,
  UNIQUE (home_key, slug)
);
CREATE TABLE IF NOT EXISTS members (
  room INTEGER NOT NULL REFERENCES rooms (id) ON DELETE CASCADE,
  key TEXT NOT NULL,
  name TEXT NOT NULL,
  nick TEXT NOT NULL,
  PRIMARY KEY (room, key)
) WITHOUT ROWID;
-- Who may join a room that is not open.
CREATE TABLE IF NOT EXISTS guests (
  room INTEGER NOT NULL REFERENCES rooms (id) ON DELETE CASCADE,
  name TEXT NOT NULL,
  PRIMARY KEY (room, name)
) WITHOUT ROWID;
-- Rooms of others where we may join.
CREATE TABLE IF NOT EXISTS invitations (
  home_name TEXT NOT NULL,
  slug TEXT NOT NULL,
  title TEXT NOT NULL,
  PRIMARY KEY (home_name, slug)
) WITHOUT ROWID;
-- number NULL: its home has not got it yet, or does not want it (trouble).
CREATE TABLE IF NOT EXISTS messages (
  position INTEGER PRIMARY KEY,
  room INTEGER NOT NULL REFERENCES rooms (id) ON DELETE CASCADE,
  number INTEGER,
  id TEXT NOT NULL,
  author TEXT NOT NULL,
  name TEXT NOT NULL,
  nick TEXT NOT NULL,
  text TEXT NOT NULL,
  file TEXT,
  sent INTEGER NOT NULL,
  signature TEXT NOT NULL,
  trouble TEXT,
  UNIQUE (room, id),
  UNIQUE (room, number)
);
-- Whose name is whose key, from the first time on.
CREATE TABLE IF NOT EXISTS pins (
  name TEXT PRIMARY KEY,
  key TEXT NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS outbox (
  id INTEGER PRIMARY KEY,
  peer TEXT NOT NULL,
  lane TEXT NOT NULL,
  path TEXT NOT NULL,
  body TEXT NOT NULL,
  key TEXT NOT NULL UNIQUE,
  tries INTEGER NOT NULL DEFAULT 0,
  due INTEGER NOT NULL,
  made INTEGER NOT NULL,
  trouble TEXT
);
CREATE INDEX IF NOT EXISTS outbox_lanes ON outbox (peer, lane, id);
`
