//! The two databases behind one small face: statements with `$1`, `$2` … and plain values. SQLite keeps one file beside
//! the work (WAL, every commit synced to disk); PostgreSQL is for several benches that share a history. Knows nothing of
//! verdicts.

use std::path::Path;
use std::time::{Duration, Instant};

use crate::{Error, Result};

/// How long to wait for another program that holds the database, and for a server to answer.
const PATIENCE: Duration = Duration::from_secs(15);

/// A value that goes in or comes out.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Value {
    Int(i64),
    Real(f64),
    Text(String),
    /// Only in columns of text.
    Null,
}

impl Value {
    pub fn text(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

/// One row of a result.
pub(super) type Row = Vec<Value>;

/// A connection.
pub(super) enum Database {
    Sqlite { connection: rusqlite::Connection, path: String },
    Postgres { client: Box<postgres::Client>, config: Box<postgres::Config>, name: String },
}

impl std::fmt::Debug for Database {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The address of a server may hold a password.
        f.write_str(self.name())
    }
}

impl Database {
    /// Is this the address of a server, and not a path?
    pub fn is_postgres(address: &str) -> bool {
        ["postgres://", "postgresql://"].iter().any(|scheme| address.starts_with(scheme))
    }

    pub fn open(address: &str) -> Result<Self> {
        if Self::is_postgres(address) { open_postgres(address) } else { open_sqlite(address) }
    }

    /// What messages call it; never with a password.
    fn name(&self) -> &str {
        match self {
            Self::Sqlite { path, .. } => path,
            Self::Postgres { name, .. } => name,
        }
    }

    /// Brings the schema up to date. Several programs may do so at once; one of them does the work.
    pub fn migrate(&mut self, migrations: &[&str]) -> Result<()> {
        const TABLE: &str = "CREATE TABLE IF NOT EXISTS schema_version (version BIGINT PRIMARY KEY)";
        const VERSION: &str = "SELECT COALESCE(MAX(version), 0) FROM schema_version";
        let newer = |version: i64, name: &str| {
            Error::input(format!(
                "The history has schema version {version}, this program knows up to {}. Update Hairline. [{name}]",
                migrations.len()
            ))
        };
        let steps = |version: i64| {
            let pending = migrations.iter().enumerate().skip(usize::try_from(version).unwrap_or(0));
            pending.map(|(at, sql)| format!("{sql}; INSERT INTO schema_version (version) VALUES ({});", at + 1))
        };
        match self {
            Self::Sqlite { connection, path } => {
                let fail = |e: rusqlite::Error| sqlite_error(&e, path);
                let transaction =
                    rusqlite::Transaction::new_unchecked(connection, rusqlite::TransactionBehavior::Immediate)
                        .map_err(fail)?;
                transaction.execute_batch(TABLE).map_err(fail)?;
                let version: i64 = transaction.query_row(VERSION, [], |row| row.get(0)).map_err(fail)?;
                if version > migrations.len() as i64 {
                    return Err(newer(version, path));
                }
                for step in steps(version) {
                    transaction.execute_batch(&step).map_err(fail)?;
                }
                transaction.commit().map_err(fail)
            }
            Self::Postgres { client, name, .. } => {
                let fail = |e: postgres::Error| postgres_error(&e, name);
                let mut transaction = client.transaction().map_err(fail)?;
                // Any number will do that no other program uses: "hairline" in ASCII, folded to 63 bits.
                transaction.batch_execute("SELECT pg_advisory_xact_lock(7521418430914555493)").map_err(fail)?;
                transaction.batch_execute(TABLE).map_err(fail)?;
                let version: i64 = transaction.query_one(VERSION, &[]).map_err(fail)?.get(0);
                if version > migrations.len() as i64 {
                    return Err(newer(version, name));
                }
                for step in steps(version) {
                    transaction.batch_execute(&step).map_err(fail)?;
                }
                transaction.commit().map_err(fail)
            }
        }
    }

    /// Runs the statements in one transaction, which is on disk when this returns. They must bear being run twice: after
    /// a lost connection nobody knows whether the server heard the first time.
    pub fn transact(&mut self, statements: &[(&str, Vec<Value>)]) -> Result<()> {
        match self {
            Self::Sqlite { connection, path } => {
                let fail = |e: rusqlite::Error| sqlite_error(&e, path);
                let transaction =
                    rusqlite::Transaction::new_unchecked(connection, rusqlite::TransactionBehavior::Immediate)
                        .map_err(fail)?;
                for (sql, values) in statements {
                    let mut statement = transaction.prepare(sql).map_err(fail)?;
                    statement.execute(rusqlite::params_from_iter(values.iter())).map_err(fail)?;
                }
                transaction.commit().map_err(fail)
            }
            Self::Postgres { .. } => self.with_client(|client| {
                let mut transaction = client.transaction()?;
                for (sql, values) in statements {
                    transaction.execute(*sql, &parameters(values))?;
                }
                transaction.commit()
            }),
        }
    }

    pub fn query(&mut self, sql: &str, values: &[Value]) -> Result<Vec<Row>> {
        match self {
            Self::Sqlite { connection, path } => {
                let fail = |e: rusqlite::Error| sqlite_error(&e, path);
                let mut statement = connection.prepare(sql).map_err(fail)?;
                let columns = statement.column_count();
                let rows = statement.query_map(rusqlite::params_from_iter(values.iter()), |row| {
                    (0..columns).map(|at| row.get_ref(at).map(Value::from)).collect()
                });
                rows.map_err(fail)?.collect::<std::result::Result<_, _>>().map_err(fail)
            }
            Self::Postgres { .. } => self.with_client(|client| {
                let rows = client.query(sql, &parameters(values))?;
                rows.iter().map(|row| (0..row.len()).map(|at| postgres_value(row, at)).collect()).collect()
            }),
        }
    }

    /// Runs `work`; if the connection was lost, once more on a new one.
    fn with_client<T>(&mut self, work: impl Fn(&mut postgres::Client) -> PostgresResult<T>) -> Result<T> {
        let Self::Postgres { client, config, name } = self else {
            return Err(Error::bug("an SQLite history was asked for its server."));
        };
        let outcome = match work(client) {
            Err(_) if client.is_closed() => {
                **client = connect(config, name)?;
                work(client)
            }
            outcome => outcome,
        };
        outcome.map_err(|e| postgres_error(&e, name))
    }
}

type PostgresResult<T> = std::result::Result<T, postgres::Error>;

fn open_sqlite(path: &str) -> Result<Database> {
    let fail = |e: rusqlite::Error| sqlite_error(&e, path);
    if Path::new(path).is_dir() {
        return Err(Error::input("The history is a file, but a folder has that name. Give a file name.").at(path));
    }
    let connection = rusqlite::Connection::open(path).map_err(fail)?;
    connection.busy_timeout(PATIENCE).map_err(fail)?;
    // WAL lets others read while one writes; FULL syncs every commit, so that a power cut loses none. SQLite does not wait
    // by itself for another program that is switching to WAL at the same moment.
    let begun = Instant::now();
    while let Err(e) = connection.pragma_update_and_check(None, "journal_mode", "WAL", |_| Ok(())) {
        if e.sqlite_error_code() != Some(rusqlite::ErrorCode::DatabaseBusy) || begun.elapsed() > PATIENCE {
            return Err(fail(e));
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    connection.pragma_update(None, "synchronous", "FULL").map_err(fail)?;
    connection.pragma_update(None, "foreign_keys", "ON").map_err(fail)?;
    Ok(Database::Sqlite { connection, path: path.to_owned() })
}

fn open_postgres(address: &str) -> Result<Database> {
    let mut config: postgres::Config = address.parse().map_err(|e: postgres::Error| {
        Error::input(format!(
            "The address of the PostgreSQL server cannot be read ({e}). It looks like postgres://user@host:5432/database."
        ))
    })?;
    config.connect_timeout(PATIENCE).application_name("hairline");
    // As libpq does, so that the password need not stand on the command line.
    if config.get_password().is_none()
        && let Some(password) = std::env::var_os("PGPASSWORD")
    {
        config.password(password.as_encoded_bytes());
    }
    let hosts = config.get_hosts().iter().map(|host| match host {
        postgres::config::Host::Tcp(host) => host.clone(),
        #[cfg(unix)]
        postgres::config::Host::Unix(folder) => folder.display().to_string(),
    });
    let hosts = hosts.collect::<Vec<_>>().join(",");
    let name = format!("PostgreSQL {hosts}/{}", config.get_dbname().or(config.get_user()).unwrap_or_default());
    let client = Box::new(connect(&config, &name)?);
    Ok(Database::Postgres { client, config: Box::new(config), name })
}

fn connect(config: &postgres::Config, name: &str) -> Result<postgres::Client> {
    let mut client = config.connect(postgres::NoTls).map_err(|e| {
        let mut reason = deepest(&e);
        if reason.ends_with('.') {
            reason.pop();
        }
        Error::Io {
            message: format!(
                "The history cannot be reached: {reason}. Check address, user and password (PGPASSWORD), and that the server \
                 runs. [{name}]"
            ),
            path: None,
        }
    })?;
    client
        .batch_execute("SET synchronous_commit = on; SET statement_timeout = '30s'; SET client_min_messages = warning")
        .map_err(|e| postgres_error(&e, name))?;
    Ok(client)
}

fn parameters(values: &[Value]) -> Vec<&(dyn postgres::types::ToSql + Sync)> {
    fn parameter(value: &Value) -> &(dyn postgres::types::ToSql + Sync) {
        match value {
            Value::Int(value) => value,
            Value::Real(value) => value,
            Value::Text(value) => value,
            Value::Null => &None::<String>,
        }
    }
    values.iter().map(parameter).collect()
}

fn postgres_value(row: &postgres::Row, at: usize) -> PostgresResult<Value> {
    use postgres::types::Type;
    let column = row.columns()[at].type_();
    Ok(if *column == Type::INT8 {
        row.try_get::<_, Option<i64>>(at)?.map_or(Value::Null, Value::Int)
    } else if *column == Type::FLOAT8 {
        row.try_get::<_, Option<f64>>(at)?.map_or(Value::Null, Value::Real)
    } else {
        row.try_get::<_, Option<String>>(at)?.map_or(Value::Null, Value::Text)
    })
}

impl rusqlite::ToSql for Value {
    fn to_sql(&self) -> rusqlite::Result<rusqlite::types::ToSqlOutput<'_>> {
        use rusqlite::types::ValueRef;
        Ok(rusqlite::types::ToSqlOutput::Borrowed(match self {
            Self::Int(value) => ValueRef::Integer(*value),
            Self::Real(value) => ValueRef::Real(*value),
            Self::Text(value) => ValueRef::Text(value.as_bytes()),
            Self::Null => ValueRef::Null,
        }))
    }
}

impl From<rusqlite::types::ValueRef<'_>> for Value {
    fn from(value: rusqlite::types::ValueRef<'_>) -> Self {
        use rusqlite::types::ValueRef;
        match value {
            ValueRef::Integer(value) => Self::Int(value),
            ValueRef::Real(value) => Self::Real(value),
            ValueRef::Text(text) => Self::Text(String::from_utf8_lossy(text).into_owned()),
            ValueRef::Null | ValueRef::Blob(_) => Self::Null,
        }
    }
}

fn sqlite_error(error: &rusqlite::Error, path: &str) -> Error {
    use rusqlite::ErrorCode;
    let remedy = match error.sqlite_error_code() {
        Some(ErrorCode::NotADatabase) => {
            return Error::input("The file is no history: it is no SQLite database. Choose another name.").at(path);
        }
        Some(ErrorCode::CannotOpen) => "Check that the folder exists and may be written to.",
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
            "Another program holds it; close that and try again."
        }
        Some(ErrorCode::DiskFull) => "Free some space.",
        Some(ErrorCode::ReadOnly | ErrorCode::PermissionDenied) => "Check the permissions of the file and its folder.",
        Some(ErrorCode::DatabaseCorrupt) => "It is damaged; restore it from a backup.",
        _ => "Check the file, or choose another.",
    };
    Error::Io { message: format!("The history cannot be used: {error}. {remedy}"), path: Some(path.into()) }
}

fn postgres_error(error: &postgres::Error, name: &str) -> Error {
    Error::Io { message: format!("The history cannot be used: {}. [{name}]", deepest(error)), path: None }
}

/// The innermost reason; the outer ones only say "db error".
fn deepest(error: &postgres::Error) -> String {
    let mut reason: &dyn std::error::Error = error;
    while let Some(source) = reason.source() {
        reason = source;
    }
    reason.to_string()
}
