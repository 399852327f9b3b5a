//! The operator's log goes into the journal of the run.

use std::io::{self, Write};

use tracing::level_filters::LevelFilter;
use tracing::subscriber::DefaultGuard;
use tracing_subscriber::fmt::MakeWriter;

use super::World;
use crate::oracle::Violation;

/// Until the guard is dropped, on this thread.
pub(super) fn into(world: &World) -> DefaultGuard {
    let log = tracing_subscriber::fmt()
        .with_max_level(LevelFilter::INFO)
        .without_time()
        .with_ansi(false)
        .with_writer(Log(world.clone()))
        .finish();
    tracing::subscriber::set_default(log)
}

struct Log(World);

/// One line.
struct Line(World);

impl<'a> MakeWriter<'a> for Log {
    type Writer = Line;

    fn make_writer(&'a self) -> Line {
        Line(self.0.clone())
    }
}

impl Write for Line {
    fn write(&mut self, text: &[u8]) -> io::Result<usize> {
        let line = String::from_utf8_lossy(text);
        // Never by one that holds the state already: the operator's code runs, not the world's.
        if let Ok(mut state) = self.0.state.try_lock() {
            state.tell(&format!("log: {}", line.trim()));
            let found = if line.contains("panicked") {
                vec![Violation::new("no panic", line.trim().to_owned())]
            } else {
                vec![]
            };
            state.violate(found);
            state.count_row(&line);
            let found = state.oracle.reads_log(&line);
            state.violate(found);
        }
        Ok(text.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
