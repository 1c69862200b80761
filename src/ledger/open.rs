//! Opening and closing the file. What is not ours is refused before anything is written: neither the file nor anything beside
//! it changes.

use std::borrow::Cow;
use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{ErrorKind, Read as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use sqlx::migrate::{Migration, MigrationType, Migrator};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _, SqlSafeStr as _, SqliteConnection, SqlitePool};
use tokio::sync::Mutex;

use super::{Inner, Ledger, Writer, peer_id};
use crate::domain::{Identity, Time};

/// Written into the header of our files ("clRO"): how we know them again.
const APPLICATION_ID: i32 = 0x636c_524f;

/// All migrations, in order. Released ones are never edited.
pub(super) const MIGRATIONS: &[(i64, &str, &str)] = &[
    (1, "ledger", include_str!("migrations/0001_ledger.sql")),
    (2, "rebalances", include_str!("migrations/0002_rebalances.sql")),
    (3, "books", include_str!("migrations/0003_books.sql")),
    (4, "trials", include_str!("migrations/0004_trials.sql")),
    (5, "journal", include_str!("migrations/0005_journal.sql")),
    (6, "moves", include_str!("migrations/0006_moves.sql")),
];

const MAGIC: &[u8] = b"SQLite format 3\0";

/// Why a ledger was not opened. The file is as it was.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error(
        "'{path}' is a SQLite file of another program (the older plugin of this name, in Python, keeps its database in \
         ~/.lightning/revenue_ops.db too); move it away, or give another path in 'revenue-ops-db-path'"
    )]
    NotOurs { path: String },
    #[error("'{path}' is not a SQLite file; give another path in 'revenue-ops-db-path'")]
    NotSqlite { path: String },
    #[error(
        "'{path}' belongs to node {theirs}, and this is {ours}; give each node its own path in 'revenue-ops-db-path'"
    )]
    OtherNode { path: String, theirs: String, ours: String },
    #[error(
        "'{path}' was written by a newer version (schema {theirs}; this version knows {ours}); update cl-revenue-ops"
    )]
    Newer { path: String, theirs: i64, ours: i64 },
    #[error(
        "'{path}' is damaged: SQLite cannot make sense of it ({why}); put back a copy of it, or move it away together with the \
         files of its name that end in -wal and -shm, and a new one is made from what the node still knows"
    )]
    Damaged { path: String, why: String },
    #[error(
        "'{path}' cannot be opened: {why}; 'revenue-ops-db-path' must be a file that lightningd may read and write"
    )]
    Broken { path: String, why: String },
}

impl OpenError {
    /// What SQLite says of a file that it cannot make sense of (SQLITE_CORRUPT) or that is none of its own (SQLITE_NOTADB). Asking again
    /// does not help, and neither do permissions.
    pub fn damage(path: &Path, error: &anyhow::Error) -> Option<OpenError> {
        let told = error.chain().find_map(|cause| match cause.downcast_ref() {
            Some(sqlx::Error::Database(told)) => Some(told),
            _ => None,
        })?;
        let path = path.display().to_string();
        // The lowest byte is the kind of trouble, the others tell more of it.
        match told.code()?.parse::<u32>().ok()? & 0xff {
            11 => Some(OpenError::Damaged { path, why: told.message().to_owned() }),
            26 => Some(OpenError::NotSqlite { path }),
            _ => None,
        }
    }

    fn of(path: &Path, error: &anyhow::Error) -> OpenError {
        let broken = || OpenError::Broken { path: path.display().to_string(), why: format!("{error:#}") };
        OpenError::damage(path, error).unwrap_or_else(broken)
    }
}

/// What is to be told apart before the file may be touched.
pub(super) enum Found {
    Nothing,
    /// By its header it is ours; what it says inside is yet to be read.
    Sqlite,
}

/// Refuses a file that is no ledger of ours, or a newer one, by its first bytes, and a path where none can be made or written: cheap
/// enough for the start of a plugin. Whose ledger it is, only [`Ledger::open`] can tell.
pub fn peek(path: &Path) -> Result<(), OpenError> {
    let name = path.display().to_string();
    let writable = match look_at(path, &name)? {
        Found::Nothing => create(path),
        Found::Sqlite => OpenOptions::new().write(true).open(path).map(drop),
    };
    writable.map_err(|error| OpenError::Broken { path: name, why: error.to_string() })
}

impl Ledger {
    pub async fn open(path: &Path, owner: &Identity, now: Time) -> Result<Ledger, OpenError> {
        let name = path.display().to_string();
        let broken = |error: anyhow::Error| OpenError::of(path, &error);
        match look_at(path, &name)? {
            Found::Nothing => create(path).map_err(|error| broken(error.into()))?,
            Found::Sqlite => read_first(path, owner).await?,
        }
        claim(path).await.map_err(|error| broken(error.into()))?;
        let mut conn = file(path)
            // Room for the pages that one batch of catching up changes: what does not fit is written twice.
            .pragma("cache_size", "-12000")
            .journal_mode(SqliteJournalMode::Wal)
            // Catching up changes the same pages again and again: collect 64 MB before they are copied to the main file. What is
            // more than 16 MB is given back then.
            .pragma("wal_autocheckpoint", "16000")
            .pragma("journal_size_limit", "16777216")
            .connect()
            .await
            .map_err(|error| broken(error.into()))?;
        prepare(&mut conn, owner, now).await.map_err(broken)?;
        is_owner(&mut conn, path, owner).await?;
        let readers = readers(path).await.map_err(|error| broken(error.into()))?;
        Ok(Ledger::of(conn, Some(readers)))
    }

    /// A ledger that is gone when it is dropped: simulations and tests.
    pub async fn in_memory(owner: &Identity, now: Time) -> anyhow::Result<Ledger> {
        let mut conn = SqliteConnectOptions::new()
            .in_memory(true)
            .foreign_keys(true)
            .pragma("synchronous", "OFF")
            .connect()
            .await?;
        prepare(&mut conn, owner, now).await?;
        Ok(Ledger::of(conn, None))
    }

    /// Writes everything to the main file and closes it.
    pub async fn close(&self) {
        if let Some(readers) = &self.inner.readers {
            readers.close().await;
        }
        let Some(mut writer) = self.inner.writer.lock().await.take() else { return };
        if let Err(error) = sqlx::query("PRAGMA wal_checkpoint(TRUNCATE)").execute(&mut writer.conn).await {
            tracing::warn!("closing the ledger: {error}; the next start writes the rest to the main file");
        }
        if let Err(error) = writer.conn.close().await {
            tracing::warn!("closing the ledger: {error}");
        }
    }

    fn of(conn: SqliteConnection, readers: Option<SqlitePool>) -> Ledger {
        let writer = Mutex::new(Some(Writer { conn, memo: None }));
        Ledger { inner: Arc::new(Inner { writer, readers }) }
    }
}

/// The header as plain bytes, or what there is of it.
fn header(path: &Path) -> std::io::Result<Vec<u8>> {
    let mut header = Vec::with_capacity(100);
    File::open(path)?.take(100).read_to_end(&mut header)?;
    Ok(header)
}

fn is_signed(header: &[u8]) -> bool {
    header.get(68..72) == Some(&APPLICATION_ID.to_be_bytes())
}

/// Whose the file is by its header alone: SQLite itself may leave files beside the one it looks at.
pub(super) fn look_at(path: &Path, name: &str) -> Result<Found, OpenError> {
    let broken = |error: std::io::Error| OpenError::Broken { path: name.to_owned(), why: error.to_string() };
    let header = match header(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Found::Nothing),
        read => read.map_err(broken)?,
    };
    if header.is_empty() {
        return Ok(Found::Nothing);
    }
    if header.len() < 100 || !header.starts_with(MAGIC) {
        return Err(OpenError::NotSqlite { path: name.to_owned() });
    }
    if is_signed(&header) {
        let theirs = i64::from(u32::from_be_bytes([header[60], header[61], header[62], header[63]]));
        if theirs > newest() {
            return Err(OpenError::Newer { path: name.to_owned(), theirs, ours: newest() });
        }
        return Ok(Found::Sqlite);
    }
    // A file of no program, without a table, is free to take. A table needs a second page; and what waits in a write-ahead
    // log cannot be seen from here.
    let has_tables = &header[28..32] > [0, 0, 0, 1].as_slice();
    if header[68..72] != [0; 4] || has_tables || has_content(&beside(path, "-wal")) {
        return Err(OpenError::NotOurs { path: name.to_owned() });
    }
    Ok(Found::Sqlite)
}

/// Version of the schema that this program makes.
pub(super) fn newest() -> i64 {
    MIGRATIONS.last().map_or(0, |(version, ..)| *version)
}

pub(super) fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

/// Only the node's own user may read where its money goes.
fn create(path: &Path) -> std::io::Result<()> {
    if let Some(folder) = path.parent().filter(|p| !p.as_os_str().is_empty() && !p.exists()) {
        DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(|error| {
            let text = format!("its folder '{}' cannot be made: {error}", folder.display());
            std::io::Error::new(error.kind(), text)
        })?;
    }
    OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(path).map(|_| ())
}

/// Looks inside as at an immutable file: no lock, no log, no shared memory. A kill while pages are copied from the log leaves a file
/// that makes no sense without it; then SQLite has to finish that first, if the header says that the file is ours.
async fn read_first(path: &Path, owner: &Identity) -> Result<(), OpenError> {
    let untouched = SqliteConnectOptions::new().filename(path).read_only(true).immutable(true);
    match look_inside(path, owner, untouched).await {
        Err(OpenError::Damaged { .. }) if is_unfinished(path) => look_inside(path, owner, file(path)).await,
        looked => looked,
    }
}

fn is_unfinished(path: &Path) -> bool {
    let ours = header(path).is_ok_and(|header| is_signed(&header));
    ours && ["-wal", "-journal"].iter().any(|log| has_content(&beside(path, log)))
}

fn has_content(path: &Path) -> bool {
    path.metadata().is_ok_and(|file| file.len() > 0)
}

async fn look_inside(path: &Path, owner: &Identity, options: SqliteConnectOptions) -> Result<(), OpenError> {
    let refused = |error: sqlx::Error| OpenError::of(path, &error.into());
    let name = || path.display().to_string();
    let mut conn = options.connect().await.map_err(refused)?;
    let application: i32 = sqlx::query_scalar("PRAGMA application_id").fetch_one(&mut conn).await.map_err(refused)?;
    let tables: Vec<String> =
        sqlx::query_scalar("SELECT name FROM sqlite_schema").fetch_all(&mut conn).await.map_err(refused)?;
    let has = |table: &str| tables.iter().any(|t| t == table);
    if application != APPLICATION_ID {
        return if tables.is_empty() { Ok(()) } else { Err(OpenError::NotOurs { path: name() }) };
    }
    if has("_sqlx_migrations") {
        let theirs: i64 = sqlx::query_scalar("SELECT COALESCE(MAX(version), 0) FROM _sqlx_migrations")
            .fetch_one(&mut conn)
            .await
            .map_err(refused)?;
        let ours = newest();
        if theirs > ours {
            return Err(OpenError::Newer { path: name(), theirs, ours });
        }
    }
    if has("owner") {
        is_owner(&mut conn, path, owner).await?;
    }
    conn.close().await.map_err(refused)
}

/// Signs the header, before there is a write-ahead log: the main file itself must say whose it is.
async fn claim(path: &Path) -> sqlx::Result<()> {
    let mut conn = file(path).connect().await?;
    let signed: i32 = sqlx::query_scalar("PRAGMA application_id").fetch_one(&mut conn).await?;
    if signed != APPLICATION_ID {
        let sign = format!("PRAGMA application_id = {APPLICATION_ID}");
        sqlx::query(AssertSqlSafe(sign)).execute(&mut conn).await?;
    }
    conn.close().await
}

async fn is_owner(conn: &mut SqliteConnection, path: &Path, owner: &Identity) -> Result<(), OpenError> {
    let broken = |error: anyhow::Error| OpenError::of(path, &error);
    let row: Option<(Vec<u8>, String)> = sqlx::query_as("SELECT node, network FROM owner")
        .fetch_optional(conn)
        .await
        .map_err(|error| broken(error.into()))?;
    let Some((node, network)) = row else { return Ok(()) };
    let theirs = Identity { node: peer_id(node).map_err(broken)?, network };
    if theirs == *owner {
        return Ok(());
    }
    let say = |who: &Identity| format!("{} on {}", who.node, who.network);
    let path = path.display().to_string();
    Err(OpenError::OtherNode { path, theirs: say(&theirs), ours: say(owner) })
}

fn file(path: &Path) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(path)
        .synchronous(SqliteSynchronous::Normal)
        .foreign_keys(true)
        .busy_timeout(Duration::from_secs(5))
}

/// Small caches: a thousand channels must fit into the memory of a single-board computer.
async fn readers(path: &Path) -> sqlx::Result<SqlitePool> {
    let options = SqliteConnectOptions::new()
        .filename(path)
        .read_only(true)
        .busy_timeout(Duration::from_secs(5))
        // A thread hands over one row after the other; the more may wait, the less often it sleeps.
        .row_buffer_size(1000)
        .pragma("cache_size", "-4000");
    SqlitePoolOptions::new()
        .max_connections(2)
        .min_connections(1)
        .test_before_acquire(false)
        .idle_timeout(None)
        .max_lifetime(None)
        .connect_with(options)
        .await
}

async fn prepare(conn: &mut SqliteConnection, owner: &Identity, now: Time) -> anyhow::Result<()> {
    let migrations = MIGRATIONS.iter().map(|&(version, name, sql)| {
        Migration::new(version, Cow::Borrowed(name), MigrationType::Simple, sql.into_sql_str(), false)
    });
    Migrator::with_migrations(migrations.collect()).run(&mut *conn).await?;
    sqlx::query("INSERT INTO owner (id, node, network, made_at) VALUES (1, ?, ?, ?) ON CONFLICT DO NOTHING")
        .bind(owner.node.0.to_vec())
        .bind(owner.network.clone())
        .bind(now.0)
        .execute(&mut *conn)
        .await?;
    // In the header as well, where a start can read it without opening anything.
    let version = AssertSqlSafe(format!("PRAGMA user_version = {}", newest()));
    sqlx::query(version.into_sql_str()).execute(&mut *conn).await?;
    // The next start reads version and owner from the main file alone.
    sqlx::query("PRAGMA wal_checkpoint(PASSIVE)").execute(conn).await?;
    Ok(())
}
