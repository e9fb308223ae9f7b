-- Types that SQLite and PostgreSQL both understand. Ids are UUIDs of version 7, so their order is the order of time;
-- times are UTC in RFC 3339 to the millisecond, which sort as text.
CREATE TABLE recipes (
    sha256 TEXT PRIMARY KEY,
    recipe TEXT NOT NULL
);
CREATE TABLE verdicts (
    id TEXT PRIMARY KEY,
    time TEXT NOT NULL,
    path TEXT NOT NULL,
    photo_sha256 TEXT NOT NULL,
    width BIGINT NOT NULL,
    height BIGINT NOT NULL,
    verdict TEXT NOT NULL CHECK (verdict IN ('ok', 'uncertain', 'ng')),
    normalised_score DOUBLE PRECISION NOT NULL,
    image_score DOUBLE PRECISION NOT NULL,
    image_threshold DOUBLE PRECISION NOT NULL,
    recipe_sha256 TEXT NOT NULL REFERENCES recipes (sha256),
    model_id TEXT NOT NULL,
    model_sha256 TEXT NOT NULL,
    device TEXT NOT NULL,
    program_version TEXT NOT NULL,
    result TEXT NOT NULL
);
CREATE INDEX verdicts_by_time ON verdicts (time);
CREATE INDEX verdicts_by_photo ON verdicts (photo_sha256);
CREATE TABLE revisions (
    id TEXT PRIMARY KEY,
    verdict_id TEXT NOT NULL REFERENCES verdicts (id),
    time TEXT NOT NULL,
    verdict TEXT NOT NULL CHECK (verdict IN ('ok', 'uncertain', 'ng')),
    author TEXT NOT NULL,
    note TEXT NOT NULL
);
CREATE INDEX revisions_by_verdict ON revisions (verdict_id, id);
