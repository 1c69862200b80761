//! The file itself: whose it is, and what is left of it.

use std::path::Path;

use tempfile::TempDir;

use super::*;

/// Everything in the folder: names and bytes.
fn contents(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let mut files: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .map(|path| (path.file_name().unwrap().to_string_lossy().into_owned(), std::fs::read(&path).unwrap()))
        .collect();
    files.sort();
    files
}

async fn make(path: &Path, sql: &'static str) {
    use sqlx::ConnectOptions as _;
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(path).create_if_missing(true);
    let mut conn = options.connect().await.unwrap();
    sqlx::raw_sql(sql).execute(&mut conn).await.unwrap();
    conn.close().await.unwrap();
}

#[tokio::test]
async fn what_is_not_ours_is_left_as_it_is() {
    let other = Identity { node: peer(9), ..owner() };
    let other_network = Identity { network: "bitcoin".into(), ..owner() };
    let cases: [(&str, Option<&'static str>, &Identity, &str); 7] = [
        ("text", None, &owner(), "not a SQLite file"),
        (
            "the earlier plugin's",
            Some("CREATE TABLE channel_states (a); CREATE TABLE peer_policies (a);"),
            &owner(),
            "another program",
        ),
        (
            "the same, with a log",
            Some("PRAGMA journal_mode = WAL; CREATE TABLE channel_states (a);"),
            &owner(),
            "another program",
        ),
        ("another application's", Some("PRAGMA application_id = 77; CREATE TABLE a (b);"), &owner(), "another program"),
        ("another node's", Some(""), &other, "belongs to node"),
        ("another network's", Some(""), &other_network, "on bitcoin"),
        (
            "a newer one",
            Some("UPDATE _sqlx_migrations SET version = 999 WHERE version = 1;"),
            &owner(),
            "newer version",
        ),
    ];
    for (case, sql, who, told) in cases {
        let folder = TempDir::new().unwrap();
        let path = folder.path().join("ledger.db");
        if told.contains("node") || told.contains("on bitcoin") || told.contains("newer") {
            Ledger::open(&path, &owner(), NOON).await.unwrap().close().await;
        }
        match sql {
            Some(sql) => make(&path, sql).await,
            None => std::fs::write(&path, "these are my notes, not a database".repeat(9)).unwrap(),
        }
        let before = contents(folder.path());
        let error = Ledger::open(&path, who, NOON).await.unwrap_err().to_string();
        assert!(error.contains(told) && error.contains("ledger.db"), "{case}: {error}");
        assert!(contents(folder.path()) == before, "{case}: something changed");
    }
}

#[tokio::test]
async fn a_foreign_log_that_waits_is_not_touched() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("ledger.db");
    use sqlx::ConnectOptions as _;
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(&path).create_if_missing(true);
    let mut conn = options.connect().await.unwrap();
    sqlx::raw_sql("PRAGMA journal_mode = WAL; CREATE TABLE a (b);").execute(&mut conn).await.unwrap();
    let before = contents(folder.path());
    assert!(matches!(Ledger::open(&path, &owner(), NOON).await, Err(OpenError::NotOurs { .. })));
    assert!(contents(folder.path()) == before);
}

#[tokio::test]
async fn a_new_file_is_private_and_outlives_us() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("deep/er/ledger.db");
    for round in 0..3 {
        let ledger = Ledger::open(&path, &owner(), NOON).await.unwrap();
        ledger.note_channels(NOON, &[channel(0), channel(1)]).await.unwrap();
        assert_eq!(record(&ledger, &[settled(round), settled(round + 1)]).await.0, if round == 0 { 2 } else { 1 });
        assert_eq!(ledger.totals().await.unwrap()[&cid(1)].out_count, round + 2);
        if round == 1 {
            // As after a crash: neither checkpoint nor goodbye.
            drop(ledger);
        } else {
            ledger.close().await;
            assert!(ledger.totals().await.is_err(), "closed is closed");
            assert_eq!(contents(path.parent().unwrap()).len(), 1, "no log is left beside the file");
        }
    }
    let mode = |path: &Path| path.metadata().unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&path), mode(path.parent().unwrap())), (0o600, 0o700));
    std::fs::write(folder.path().join("empty"), "").unwrap();
    Ledger::open(&folder.path().join("empty"), &owner(), NOON).await.unwrap().close().await;
}

#[test]
fn every_migration_is_compiled_in() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/ledger/migrations");
    let mut files: Vec<String> = contents(&folder).into_iter().map(|(name, _)| name).collect();
    files.sort();
    let known: Vec<String> = open::MIGRATIONS.iter().map(|(n, name, _)| format!("{n:04}_{name}.sql")).collect();
    assert_eq!(files, known);
}

/// A kill while the pages are copied from the log to the main file, which then makes no sense by itself.
#[tokio::test]
async fn a_ledger_whose_log_was_being_copied_is_opened() {
    let folder = tempfile::tempdir().unwrap();
    let (path, copy) = (folder.path().join("whole.db"), folder.path().join("cut.db"));
    let ledger = Ledger::open(&path, &owner(), NOON).await.unwrap();
    let first_page = std::fs::read(&path).unwrap()[..4096].to_vec();
    std::fs::write(&copy, first_page).unwrap();
    std::fs::copy(folder.path().join("whole.db-wal"), folder.path().join("cut.db-wal")).unwrap();
    ledger.close().await;

    let other = Identity { network: "signet".to_owned(), ..owner() };
    assert!(matches!(Ledger::open(&copy, &other, NOON).await, Err(OpenError::OtherNode { .. })));
    let ledger = Ledger::open(&copy, &owner(), NOON).await.unwrap();
    assert_eq!(ledger.check(NOON).await.unwrap().problems, Vec::<String>::new());
    ledger.close().await;
    // Without its log such a file is lost, and that is said.
    std::fs::write(&copy, &std::fs::read(&path).unwrap()[..4096]).unwrap();
    assert!(matches!(Ledger::open(&copy, &owner(), NOON).await, Err(OpenError::Damaged { .. })));
}
