//! Many rows in one statement: `VALUES` on SQLite, `UNNEST` on PostgreSQL.

use crate::Result;
use crate::db::{Row, Tx, Val};
use sqlx::AssertSqlSafe;
use std::fmt::Write as _;

/// Rows a SQLite statement carries; further ones go into further statements.
const LITE_ROWS: usize = 128;

/// Rows to send, kept by column.
pub(crate) struct Bulk {
    columns: Vec<Column>,
    rows: usize,
}

enum Column {
    Int(Vec<Option<i64>>),
    Text(Vec<Option<String>>),
    Blob(Vec<Option<Vec<u8>>>),
}

impl Bulk {
    /// One letter a column: `i`nteger, `t`ext, `b`lob.
    pub(crate) fn new(types: &str) -> Self {
        Self {
            columns: types
                .chars()
                .map(|c| match c {
                    'i' => Column::Int(Vec::new()),
                    't' => Column::Text(Vec::new()),
                    _ => Column::Blob(Vec::new()),
                })
                .collect(),
            rows: 0,
        }
    }

    /// Adds a row. A value of another type than its column's becomes NULL (a bug that the
    /// column's NOT NULL reports).
    pub(crate) fn push(&mut self, row: Vec<Val>) {
        debug_assert_eq!(row.len(), self.columns.len());
        for (column, value) in self.columns.iter_mut().zip(row) {
            match (column, value) {
                (Column::Int(c), Val::Int(v)) => c.push(v),
                (Column::Text(c), Val::Text(v)) => c.push(v),
                (Column::Blob(c), Val::Blob(v)) => c.push(v),
                (Column::Int(c), _) => c.push(None),
                (Column::Text(c), _) => c.push(None),
                (Column::Blob(c), _) => c.push(None),
            }
        }
        self.rows += 1;
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.rows == 0
    }

    /// How many rows there are.
    pub(crate) fn len(&self) -> usize {
        self.rows
    }

    /// Runs `head` + the rows as a relation + `tail`, and returns what comes back.
    pub(crate) async fn run(self, tx: &mut Tx, head: &str, tail: &str) -> Result<Vec<Row>> {
        if self.is_empty() {
            return Ok(Vec::new());
        }
        match tx {
            Tx::Lite(conn) => {
                let mut out = Vec::new();
                let width = self.columns.len();
                let mut columns: Vec<_> = self
                    .columns
                    .into_iter()
                    .map(|column| -> Box<dyn Iterator<Item = Val> + Send> {
                        match column {
                            Column::Int(c) => Box::new(c.into_iter().map(Val::Int)),
                            Column::Text(c) => Box::new(c.into_iter().map(Val::Text)),
                            Column::Blob(c) => Box::new(c.into_iter().map(Val::Blob)),
                        }
                    })
                    .collect();
                let mut left = self.rows;
                let mut sql = String::new();
                let mut sql_rows = 0;
                while left > 0 {
                    let rows = left.min(LITE_ROWS);
                    left -= rows;
                    if rows != sql_rows {
                        sql = lite_sql(head, tail, rows, width);
                        sql_rows = rows;
                    }
                    let mut query =
                        sqlx::query(AssertSqlSafe(sql.clone())).persistent(rows == LITE_ROWS);
                    for _ in 0..rows {
                        for column in &mut columns {
                            query = match column.next() {
                                Some(Val::Int(v)) => query.bind(v),
                                Some(Val::Text(v)) => query.bind(v),
                                Some(Val::Blob(v)) => query.bind(v),
                                None => query.bind(None::<i64>),
                            };
                        }
                    }
                    out.extend(
                        query
                            .fetch_all(&mut **conn)
                            .await?
                            .into_iter()
                            .map(Row::Lite),
                    );
                }
                Ok(out)
            }
            Tx::Pg(conn) => {
                let mut sql = format!("{head} SELECT * FROM UNNEST(");
                for (i, column) in self.columns.iter().enumerate() {
                    let kind = match column {
                        Column::Int(_) => "bigint",
                        Column::Text(_) => "text",
                        Column::Blob(_) => "bytea",
                    };
                    let comma = if i == 0 { "" } else { ", " };
                    let _ = write!(sql, "{comma}${}::{kind}[]", i + 1);
                }
                sql.push_str(") ");
                sql.push_str(tail);
                let mut query = sqlx::query(AssertSqlSafe(sql));
                for column in self.columns {
                    query = match column {
                        Column::Int(c) => query.bind(c),
                        Column::Text(c) => query.bind(
                            c.into_iter()
                                .map(|v| v.map(|v| v.replace('\0', "\u{fffd}")))
                                .collect::<Vec<_>>(),
                        ),
                        Column::Blob(c) => query.bind(c),
                    };
                }
                Ok(query
                    .fetch_all(&mut **conn)
                    .await?
                    .into_iter()
                    .map(Row::Pg)
                    .collect())
            }
        }
    }
}

fn lite_sql(head: &str, tail: &str, rows: usize, width: usize) -> String {
    let mut sql = String::with_capacity(head.len() + tail.len() + rows * width * 2 + 16);
    sql.push_str(head);
    sql.push_str(" VALUES ");
    for row in 0..rows {
        sql.push_str(if row == 0 { "(" } else { ",(" });
        for column in 0..width {
            sql.push_str(if column == 0 { "?" } else { ",?" });
        }
        sql.push(')');
    }
    sql.push(' ');
    sql.push_str(tail);
    sql
}

/// PostgreSQL's binary COPY: eleven bytes of signature, no flags, no extension.
const COPY_HEAD: &[u8] = b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0";
/// Bytes that are sent at once.
const COPY_CHUNK: usize = 1 << 20;

impl Bulk {
    /// Adds new rows to `table (columns)`: COPY on PostgreSQL, INSERT on SQLite.
    pub(crate) async fn load(self, tx: &mut Tx, table: &'static str) -> Result<()> {
        if self.is_empty() {
            return Ok(());
        }
        let Tx::Pg(conn) = tx else {
            let head = format!("INSERT INTO {table}");
            return self.run(tx, &head, "").await.map(|_| ());
        };
        let mut copy = conn
            .copy_in_raw(&format!("COPY {table} FROM STDIN (FORMAT binary)"))
            .await?;
        let mut buffer = COPY_HEAD.to_vec();
        for row in 0..self.rows {
            buffer.extend_from_slice(&(self.columns.len() as i16).to_be_bytes());
            for column in &self.columns {
                match column {
                    Column::Int(c) => {
                        let value = c.get(row).copied().flatten().map(i64::to_be_bytes);
                        field(&mut buffer, value.as_ref().map(|v| &v[..]));
                    }
                    Column::Text(c) => match c.get(row).and_then(Option::as_deref) {
                        Some(text) if text.contains('\0') => {
                            field(&mut buffer, Some(text.replace('\0', "\u{fffd}").as_bytes()));
                        }
                        text => field(&mut buffer, text.map(str::as_bytes)),
                    },
                    Column::Blob(c) => {
                        field(&mut buffer, c.get(row).and_then(Option::as_deref));
                    }
                }
            }
            if buffer.len() >= COPY_CHUNK {
                copy.send(std::mem::take(&mut buffer)).await?;
            }
        }
        buffer.extend_from_slice(&(-1_i16).to_be_bytes());
        copy.send(buffer).await?;
        copy.finish().await?;
        Ok(())
    }
}

/// A field of COPY: its length, -1 for NULL, and its bytes.
fn field(buffer: &mut Vec<u8>, value: Option<&[u8]>) {
    match value {
        Some(bytes) => {
            let length = i32::try_from(bytes.len()).unwrap_or(i32::MAX);
            buffer.extend_from_slice(&length.to_be_bytes());
            buffer.extend_from_slice(bytes);
        }
        None => buffer.extend_from_slice(&(-1_i32).to_be_bytes()),
    }
}
