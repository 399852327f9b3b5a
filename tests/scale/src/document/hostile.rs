//! The section about hostile objects.

use super::table::Table;
use super::{memory, seconds, thousands};
use crate::hostile::{Filling, Hostile};

pub fn section(hostile: &[Hostile]) -> String {
    if hostile.is_empty() {
        return String::new();
    }
    let mut table = Table::new(&[
        "objects",
        "filled with",
        "made and up to date in",
        "memory: end / peak",
        "restart: up to date in",
        "restart, memory: end / peak",
    ]);
    for one in hostile {
        table.row([
            thousands(one.layout.ports),
            match one.filling {
                Filling::Annotations => "256 KiB of annotations each",
                Filling::Labels => "16,000 labels each, 1.4 MiB",
            }
            .to_owned(),
            seconds(one.filled),
            memory(one.fill_memory),
            seconds(one.restarted),
            memory(one.restart_memory),
        ]);
    }
    format!(
        "\n## Hostile objects\n\n\
        Objects that users have filled with as much as the API server takes. The chart limits the operator's memory to 256 MiB.\n\n\
        {table}"
    )
}
