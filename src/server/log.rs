//! The server's log: one JSON object a line on stderr, with the time, and the figures of a request as fields of their own.

use std::io::Write;

use env_logger::fmt::Formatter;
use log::Record;
use log::kv::{Error, Key, Value, VisitSource};
use serde_json::Map;

/// Writes a record as a line of JSON.
pub fn json_line(out: &mut Formatter, record: &Record<'_>) -> std::io::Result<()> {
    let mut line = Map::new();
    line.insert("time".into(), format!("{:.3}", jiff::Timestamp::now()).into());
    line.insert("level".into(), record.level().as_str().to_ascii_lowercase().into());
    line.insert("message".into(), record.args().to_string().into());
    // Nothing can fail here: the visitor takes every value.
    let _ = record.key_values().visit(&mut Fields(&mut line));
    writeln!(out, "{}", serde_json::Value::Object(line))
}

struct Fields<'a>(&'a mut Map<String, serde_json::Value>);

impl<'kvs> VisitSource<'kvs> for Fields<'_> {
    fn visit_pair(&mut self, key: Key<'kvs>, value: Value<'kvs>) -> Result<(), Error> {
        let plain = if let Some(number) = value.to_u64() {
            number.into()
        } else if let Some(number) = value.to_f64() {
            number.into()
        } else {
            value.to_string().into()
        };
        self.0.insert(key.as_str().to_owned(), plain);
        Ok(())
    }
}
