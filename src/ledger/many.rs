//! Many rows read as one. A row costs a trip from the connection's thread; that trip, not SQLite, is what makes small rows slow. For
//! integers and ids only: a number with a fraction would lose digits on the way.

use serde::de::DeserializeOwned;
use sqlx::{AssertSqlSafe, SqliteConnection};

use super::bulk::{Cell, arguments};

/// The rows of a query whose one column is `json_array(…) AS line`, in no order that may be relied upon. A line
/// that is NULL would be left out without a word.
pub(super) async fn many<T: DeserializeOwned>(
    conn: &mut SqliteConnection,
    lines: &str,
    values: &[Cell<'_>],
) -> anyhow::Result<Vec<T>> {
    let sql = format!("SELECT '[' || COALESCE(group_concat(line, ','), '') || ']' FROM ({lines})");
    let text: String = sqlx::query_scalar_with(AssertSqlSafe(sql), arguments(values.iter())?).fetch_one(conn).await?;
    Ok(serde_json::from_str(&text)?)
}
