//! Many rows in few statements. A statement with one row costs a trip to the connection's thread; that trip, not SQLite, is what
//! makes small statements slow. Never splits a batch over transactions: that is the caller's.

use sqlx::sqlite::SqliteArguments;
use sqlx::{Arguments as _, AssertSqlSafe, Encode, Sqlite, SqliteConnection, Type};

/// Rows of one statement at most.
pub(super) const MOST: usize = 128;

/// Rows per statement: powers of two, so that any number of rows needs few statements and few prepared forms.
const SIZES: [usize; 8] = [MOST, 64, 32, 16, 8, 4, 2, 1];

/// One value of a row.
#[derive(Clone, Copy, Debug)]
pub(super) enum Cell<'a> {
    Int(i64),
    Maybe(Option<i64>),
    Real(f64),
    Text(&'a str),
    Blob(&'a [u8]),
}

/// An insertion that takes any number of rows: `head`, then the rows, then `tail`. Both are constants of this room.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bulk {
    pub(super) head: &'static str,
    pub(super) tail: &'static str,
}

impl Bulk {
    pub(super) async fn write<const N: usize>(
        self,
        conn: &mut SqliteConnection,
        mut rows: &[[Cell<'_>; N]],
    ) -> anyhow::Result<()> {
        for size in SIZES {
            while rows.len() >= size {
                let (now, later) = rows.split_at(size);
                let sql = self.statement(size, N);
                sqlx::query_with(AssertSqlSafe(sql), arguments(now.iter().flatten())?).execute(&mut *conn).await?;
                rows = later;
            }
        }
        Ok(())
    }

    fn statement(self, rows: usize, columns: usize) -> String {
        let row = format!("({}?)", "?,".repeat(columns.saturating_sub(1)));
        let mut sql = String::with_capacity(self.head.len() + self.tail.len() + 16 + rows * (row.len() + 1));
        sql.push_str(self.head);
        sql.push_str(" VALUES ");
        for n in 0..rows {
            if n > 0 {
                sql.push(',');
            }
            sql.push_str(&row);
        }
        sql.push(' ');
        sql.push_str(self.tail);
        sql
    }
}

/// The values of a statement.
pub(super) fn arguments<'a>(cells: impl Iterator<Item = &'a Cell<'a>>) -> anyhow::Result<SqliteArguments> {
    let mut arguments = SqliteArguments::default();
    arguments.reserve(cells.size_hint().0, 0);
    for cell in cells {
        match *cell {
            Cell::Int(value) => put(&mut arguments, value)?,
            Cell::Maybe(value) => put(&mut arguments, value)?,
            Cell::Real(value) => put(&mut arguments, value)?,
            Cell::Text(value) => put(&mut arguments, value)?,
            Cell::Blob(value) => put(&mut arguments, value)?,
        }
    }
    Ok(arguments)
}

fn put<'t, T: Encode<'t, Sqlite> + Type<Sqlite>>(arguments: &mut SqliteArguments, value: T) -> anyhow::Result<()> {
    arguments.add(value).map_err(|error| anyhow::anyhow!("binding a value: {error}"))
}
