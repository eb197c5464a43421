ALTER TABLE delivery ADD COLUMN ended_at REAL;                     -- delivered or dead since then
ALTER TABLE delivery ADD COLUMN gap INTEGER NOT NULL DEFAULT 0;    -- when claimed, an earlier one of its ticket was dead
UPDATE delivery SET ended_at = due_from WHERE state IN ('delivered', 'dead');

CREATE INDEX delivery_by_event ON delivery (event);                -- an event goes when its last delivery went
CREATE INDEX delivery_dead_of_ticket ON delivery (webhook, order_key) WHERE state = 'dead';

ALTER TABLE ticket ADD COLUMN told_at REAL NOT NULL DEFAULT 0;     -- when its events last said something new
UPDATE ticket SET told_at = CAST(strftime('%s', 'now') AS REAL);

-- Where each webhook went when deskbell last ran: one that goes elsewhere since has its waiting rows' age start anew.
CREATE TABLE webhook (
    name TEXT PRIMARY KEY,
    destination TEXT NOT NULL
) STRICT, WITHOUT ROWID;
