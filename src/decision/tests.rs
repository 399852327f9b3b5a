//! The decision: row by row, and as properties over all inputs.

mod absence;
mod claims;
mod conditions;
mod facts;
mod gates;
mod oracle;
mod properties;
mod record;
mod rows;
pub(crate) mod scenario;
mod strategy;
mod table;
mod upkeep;
