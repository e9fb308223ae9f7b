-- A memory may compare the patches of a network of its own.
ALTER TABLE verdicts ADD COLUMN memory_model_id TEXT;
ALTER TABLE verdicts ADD COLUMN memory_model_sha256 TEXT;
