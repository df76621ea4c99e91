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
