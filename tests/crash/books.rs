//! Ledgers as text that can be compared, and what a crash must not have broken in them. Never changes a ledger.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use cl_revenue_ops::domain::{Clock as _, Identity, SystemClock};
use cl_revenue_ops::fees;
use cl_revenue_ops::ledger::Ledger;
use serde_json::Value;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _, SqliteConnection};

use super::node::Listed;

/// What two ledgers of one node may differ in. `*` is every column, so the whole table.
const LEFT_OUT: &[(&str, &[&str], &str)] = &[
    ("_sqlx_migrations", &["installed_on", "execution_time"], "when the file was made, and how fast the machine was"),
    ("owner", &["made_at"], "when the file was made"),
    ("channels", &["id", "noted_at"], "row ids follow the order of arrival; when a channel was first seen"),
    ("accounts", &["id"], "row ids follow the order of arrival"),
    ("transfers", &["id"], "row ids follow the order of arrival"),
    ("scids", &["asked"], "a channel that was seen open needs no question to the node"),
    ("flows", &["*"], "an analysis is as of its moment; closed channels keep theirs"),
    (
        "lives",
        &["ask_at", "again_at", "archived_at", "evidence"],
        "when it was heard of, and by a notification or by the node's lists",
    ),
    ("rates", &["*"], "set at other times; compared with the node's own fees instead"),
    (
        "days",
        &["*"],
        "the balances of a day are as of when they were last seen on it, and a quick life may end on the next day",
    ),
    ("memories", &["memory", "at"], "what was learned depends on when somebody looked"),
    ("learned", &["learned", "at"], "what was learned depends on when somebody looked"),
    ("decisions", &["*"], "decided at other times; closed channels keep theirs"),
    ("changes", &["*"], "decided at other times; compared with the node's own fees instead"),
    ("reputation", &["at"], "when it was added up"),
    ("notes", &["text", "at"], "the price of block space as of the last step, and the plan as of its own"),
    ("feerates", &["*"], "one for each fee cycle"),
];

/// Rows that are compared, where not all are, and why.
const ONLY: &[(&str, &str, &str)] = &[
    (
        "scids",
        "scid IN (SELECT in_scid FROM forwards UNION SELECT out_scid FROM forwards)",
        "the node forgets the alias of a closed channel; who saw the channel open knows it",
    ),
    (
        "notes",
        "name NOT LIKE 'holdings/%'",
        "balances are noted once a day, by whoever lives in it: midnight may lie between two lives",
    ),
];

/// What tells how far one life of the plugin came.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct State {
    /// The file has more than its signed header.
    pub(crate) made: bool,
    pub(crate) created: i64,
    pub(crate) updated: i64,
    pub(crate) analysed_at: Option<i64>,
    pub(crate) decided_at: Option<i64>,
    pub(crate) changes: Vec<Change>,
}

/// An order for a fee, by the ledger.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Change {
    pub(crate) id: i64,
    pub(crate) channel: String,
    pub(crate) old: u32,
    pub(crate) new: u32,
    /// Did the node do it? `None`: that was not heard.
    pub(crate) made: Option<bool>,
}

impl State {
    pub(crate) fn has_read(&self, listed: Listed) -> bool {
        self.created >= listed.created && self.updated >= listed.updated
    }
}

/// Examines a copy of what a kill left on the disk: the next life must find the very same files, log and all.
pub(crate) async fn state_of(ledger: &Path, owner: &Identity) -> State {
    if !ledger.exists() {
        return State::default();
    }
    let (_folder, copy) = copy_of(ledger);
    examine(&copy, owner).await;
    let mut conn = open(&copy).await;
    let (created, updated) =
        sqlx::query_as("SELECT created, updated FROM progress").fetch_one(&mut conn).await.unwrap();
    let newest = |table: &str| AssertSqlSafe(format!("SELECT MAX(at) FROM {table}"));
    State {
        made: ledger.metadata().unwrap().len() > 4096,
        created,
        updated,
        analysed_at: sqlx::query_scalar(newest("flows")).fetch_one(&mut conn).await.unwrap(),
        decided_at: sqlx::query_scalar(newest("decisions")).fetch_one(&mut conn).await.unwrap(),
        changes: changes(&mut conn).await,
    }
}

/// Of the file and what lies beside it.
pub(crate) fn copy_of(ledger: &Path) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let copy = folder.path().join("copy.db");
    std::fs::copy(ledger, &copy).unwrap();
    // While the file is being made it has a rollback journal, later a write-ahead log.
    for suffix in ["journal", "wal"] {
        let log = ledger.with_extension(format!("db-{suffix}"));
        if log.exists() {
            std::fs::copy(log, folder.path().join(format!("copy.db-{suffix}"))).unwrap();
        }
    }
    (folder, copy)
}

async fn changes(conn: &mut SqliteConnection) -> Vec<Change> {
    let rows: Vec<(i64, String, u32, u32, i64)> = sqlx::query_as(
        "SELECT changes.id, lower(hex(channel_id)), old, new, outcome FROM changes JOIN channels ON channels.id = channel
         ORDER BY changes.id",
    )
    .fetch_all(conn)
    .await
    .unwrap();
    let made = |outcome: i64| match outcome {
        1 => Some(true),
        3 => Some(false),
        4 => None,
        other => panic!("no order of this test ends with outcome {other}"),
    };
    rows.into_iter()
        .map(|(id, channel, old, new, outcome)| Change { id, channel, old, new, made: made(outcome) })
        .collect()
}

/// Opens as the plugin does, which must always be possible; then the file is whole and the books agree.
pub(crate) async fn examine(path: &Path, owner: &Identity) {
    let now = SystemClock.now();
    let ledger = Ledger::open(path, owner, now).await.unwrap();
    let check = ledger.check(now).await.unwrap();
    assert_eq!((check.problems, check.sum_of_accounts_msat), (Vec::new(), 0));
    for row in ledger.memories().await.unwrap() {
        fees::recalled(&row.memory, row.learned.as_deref()).unwrap();
    }
    for row in ledger.last_decisions().await.unwrap().values() {
        serde_json::from_str::<Value>(&row.why).unwrap();
    }
    ledger.close().await;
    let mut conn = open(path).await;
    let whole: Vec<String> = sqlx::query_scalar("PRAGMA integrity_check").fetch_all(&mut conn).await.unwrap();
    assert_eq!(whole, ["ok"]);
    let dangling = sqlx::query("PRAGMA foreign_key_check").fetch_all(&mut conn).await.unwrap();
    assert!(dangling.is_empty(), "{} rows point to nothing", dangling.len());
    conn.close().await.unwrap();
}

/// Rows, settled rows, and the fees of these, counted from single forwards.
pub(crate) async fn forwards(path: &Path) -> (i64, i64, i64) {
    let mut conn = open(path).await;
    sqlx::query_as(
        "SELECT COUNT(DISTINCT created), COALESCE(SUM(status = 1), 0),
             COALESCE(SUM(CASE WHEN status = 1 THEN fee_msat END), 0) FROM forwards",
    )
    .fetch_one(&mut conn)
    .await
    .unwrap()
}

/// Every table, by name, as a set of lines. A table or column that comes later is compared too, unless it is left out above.
pub(crate) async fn dump(path: &Path) -> BTreeMap<String, BTreeSet<String>> {
    let mut conn = open(path).await;
    let tables: Vec<String> =
        sqlx::query_scalar("SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite%'")
            .fetch_all(&mut conn)
            .await
            .unwrap();
    let mut books = BTreeMap::new();
    for table in tables {
        let columns: Vec<String> = sqlx::query_scalar("SELECT name FROM pragma_table_info(?)")
            .bind(table.clone())
            .fetch_all(&mut conn)
            .await
            .unwrap();
        let left_out = LEFT_OUT.iter().find(|(name, ..)| *name == table).map_or(&[] as &[&str], |(_, which, _)| which);
        let kept: Vec<String> = columns
            .iter()
            .filter(|column| !left_out.contains(&"*") && !left_out.contains(&column.as_str()))
            .map(|column| format!("'{column} ' || quote({})", value_of(column)))
            .collect();
        if kept.is_empty() {
            continue;
        }
        let which = ONLY.iter().find(|(name, ..)| *name == table).map_or("true", |(_, which, _)| which);
        let sql = format!("SELECT {} FROM {table} AS t WHERE {which}", kept.join(" || ', ' || "));
        let lines: Vec<String> = sqlx::query_scalar(AssertSqlSafe(sql)).fetch_all(&mut conn).await.unwrap();
        let count = lines.len();
        let lines: BTreeSet<String> = lines.into_iter().collect();
        assert_eq!(lines.len(), count, "{table} says something twice");
        books.insert(table, lines);
    }
    books
}

/// What a row id stands for, where a column holds one.
fn value_of(column: &str) -> String {
    match column {
        "channel" => "(SELECT channel_id FROM channels WHERE channels.id = t.channel)".to_owned(),
        "from_account" | "to_account" => format!("(SELECT name FROM accounts WHERE accounts.id = t.{column})"),
        _ => format!("t.{column}"),
    }
}

/// In sentences; empty: the books say the same.
pub(crate) fn differences(disturbed: &Books, undisturbed: &Books) -> Vec<String> {
    let mut told = Vec::new();
    for table in disturbed.keys().chain(undisturbed.keys()).collect::<BTreeSet<_>>() {
        let nothing = BTreeSet::new();
        let (a, b) = (disturbed.get(table).unwrap_or(&nothing), undisturbed.get(table).unwrap_or(&nothing));
        let say = |who: &str, lines: Vec<&String>| {
            let first = lines.iter().take(3).map(|line| format!("\n    {line}")).collect::<String>();
            (!lines.is_empty()).then(|| format!("{table}: {} lines are only in the {who} ledger:{first}", lines.len()))
        };
        told.extend(say("disturbed", a.difference(b).collect()));
        told.extend(say("undisturbed", b.difference(a).collect()));
    }
    told
}

pub(crate) type Books = BTreeMap<String, BTreeSet<String>>;

async fn open(path: &Path) -> SqliteConnection {
    SqliteConnectOptions::new().filename(path).connect().await.unwrap()
}
