//! What is committed is what the code makes.

#[tokio::test]
async fn the_generated_files_are_up_to_date() {
    let files = xtask::generated().await.expect("the files can be made");
    let stale = xtask::stale(&files);
    assert!(stale.is_empty(), "{} differ from the code: run cargo xtask generate", stale.join(", "));
}
