//! One suite, run on SQLite and on PostgreSQL. The latter needs `BARTIZAN_TEST_POSTGRES`, the
//! address of a server that lets us create databases; without it, these tests say so and
//! do nothing.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    missing_docs
)]

mod actions;
mod components;
mod decisions;
mod figures;
mod import;
mod ledger;
mod lists;
mod people;
mod queue;
mod records;
mod systems;
mod vulnerabilities;
mod vulnerability_lists;
mod world;

/// Runs each of these functions on both back ends.
macro_rules! both {
    ($($name:ident),* $(,)?) => {
        mod sqlite {
            $(#[tokio::test]
            async fn $name() {
                super::$name(crate::world::World::sqlite().await).await;
            })*
        }
        mod postgres {
            $(#[tokio::test]
            async fn $name() {
                if let Some(world) = crate::world::World::postgres(concat!(module_path!(), "::", stringify!($name))).await {
                    let database = world.database.clone();
                    super::$name(world).await;
                    crate::world::drop_database(database).await;
                }
            })*
        }
    };
}
pub(crate) use both;
