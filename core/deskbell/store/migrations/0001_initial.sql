-- Times are seconds since 1970 (UTC). Nothing here is a secret: a webhook is known by its name.

CREATE TABLE event (
    seq INTEGER PRIMARY KEY,
    id TEXT NOT NULL,
    source TEXT NOT NULL,
    idempotency_key TEXT,
    body_sha256 BLOB,              -- kept beside a key: the same key with another body is an error
    raw BLOB NOT NULL,             -- the request's body as it came: the truth
    action TEXT NOT NULL,
    ticket TEXT NOT NULL,
    variables TEXT NOT NULL,       -- JSON; holds what earlier events of the ticket said, too
    received_at REAL NOT NULL,
    deliveries INTEGER NOT NULL
) STRICT;

CREATE UNIQUE INDEX event_by_key ON event (source, idempotency_key) WHERE idempotency_key IS NOT NULL;

CREATE TABLE delivery (
    id INTEGER PRIMARY KEY,        -- also the order: a lane takes the lowest first
    event INTEGER NOT NULL REFERENCES event (seq),
    webhook TEXT NOT NULL,
    transport TEXT NOT NULL,
    order_key TEXT NOT NULL,       -- source and ticket; unique where there is no ticket
    state TEXT NOT NULL CHECK (state IN ('ready', 'sending', 'delivered', 'dead', 'held')),
    due_from REAL NOT NULL,
    attempts INTEGER NOT NULL DEFAULT 0,
    setbacks INTEGER NOT NULL DEFAULT 0,
    reason TEXT NOT NULL DEFAULT '',
    receipt TEXT NOT NULL DEFAULT '',
    next_at REAL,
    maybe_duplicate INTEGER NOT NULL DEFAULT 0,
    replays INTEGER NOT NULL DEFAULT 0
) STRICT;

-- Partial indexes: finished rows, which are nearly all, cost them nothing.
CREATE INDEX delivery_ready ON delivery (webhook, id) WHERE state = 'ready';
CREATE INDEX delivery_sending ON delivery (id) WHERE state = 'sending';
CREATE INDEX delivery_held ON delivery (webhook) WHERE state = 'held';
CREATE INDEX delivery_dead ON delivery (id) WHERE state = 'dead';

CREATE TABLE attempt (
    id INTEGER PRIMARY KEY,
    delivery INTEGER NOT NULL REFERENCES delivery (id),
    number INTEGER NOT NULL,
    started_at REAL NOT NULL,
    seconds REAL NOT NULL,
    outcome TEXT NOT NULL,
    detail TEXT NOT NULL,
    payload TEXT NOT NULL
) STRICT;

CREATE INDEX attempt_by_delivery ON attempt (delivery);

CREATE TABLE destination (
    id TEXT PRIMARY KEY,           -- a hash of transport and URL
    until REAL,
    reason TEXT NOT NULL,
    paused INTEGER NOT NULL,
    failures INTEGER NOT NULL,
    refusals INTEGER NOT NULL,
    last_failed INTEGER
) STRICT;

CREATE TABLE ticket (
    source TEXT NOT NULL,
    ticket TEXT NOT NULL,
    facts TEXT NOT NULL,           -- JSON: what the events of the ticket last said
    PRIMARY KEY (source, ticket)
) STRICT, WITHOUT ROWID;
