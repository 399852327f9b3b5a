//! Waiting for a state. There is a deadline, and the error says what was there instead.

use std::fmt::Display;
use std::time::Duration;

use anyhow::{Result, bail};
use tokio::time::{Instant, sleep};

/// Between two looks.
const POLL: Duration = Duration::from_millis(50);

/// What a look has found.
#[derive(Debug)]
pub enum Look<T> {
    Wanted(T),
    /// Something else, which the error tells.
    Instead(String),
}

/// Looks until there is something, and returns it. An error of `look` is the end; so is `within`, which is no measure of speed:
/// the machine may be busy.
pub async fn until<T>(
    within: Duration,
    what: impl Display,
    mut look: impl AsyncFnMut() -> Result<Option<T>>,
) -> Result<T> {
    let wanted = async || Ok(look().await?.map_or_else(|| Look::Instead(String::new()), Look::Wanted));
    until_wanted(within, what, wanted).await
}

/// As [`until`], with an error that tells the last look.
pub async fn until_wanted<T>(
    within: Duration,
    what: impl Display,
    mut look: impl AsyncFnMut() -> Result<Look<T>>,
) -> Result<T> {
    let deadline = Instant::now() + within;
    loop {
        match look().await? {
            Look::Wanted(found) => return Ok(found),
            Look::Instead(found) if Instant::now() > deadline => {
                let found = if found.is_empty() { found } else { format!(", but: {found}") };
                bail!("waited {} s in vain until {what}{found}", within.as_secs())
            }
            Look::Instead(_) => sleep(POLL).await,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_comes_is_returned_and_what_does_not_come_is_an_error_that_tells_the_last_look() {
        let mut looks = 0;
        let found = until(Duration::from_mins(1), "the third look", async || {
            looks += 1;
            Ok((looks == 3).then_some(looks))
        });
        assert_eq!(found.await.expect("it comes"), 3);
        let never =
            until_wanted::<()>(Duration::ZERO, "it rains", async || Ok(Look::Instead("sunshine".to_owned())));
        let error = never.await.expect_err("it never comes").to_string();
        assert_eq!(error, "waited 0 s in vain until it rains, but: sunshine");
    }
}
