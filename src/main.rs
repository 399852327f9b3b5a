use std::time::Duration;

use clap::Parser;
use zenlayer_port_operator::cli::{Cli, Command};

/// With many objects it needs less memory than the allocator of the C library. The chart sets how soon it gives memory back.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> anyhow::Result<()> {
    // Before anything makes a TLS connection: kube and reqwest then agree on the provider.
    rustls::crypto::aws_lc_rs::default_provider()
        .install_default()
        .map_err(|_| anyhow::anyhow!("a TLS provider is already installed"))?;
    let cli = Cli::parse();
    match cli.command.unwrap_or(Command::Run) {
        Command::Run => on_runtime(cli.run.run()),
        Command::Check => on_runtime(cli.run.check()),
        Command::CheckUninstall { repair_command } => {
            on_runtime(cli.run.check_uninstall(repair_command.as_deref()))
        }
        Command::Crd => {
            print!("{}", zenlayer_port_operator::manifest::custom_resource_definition()?);
            Ok(())
        }
    }
}

/// On one thread: the operator waits for networks nearly all the time, and to change threads costs more than it brings.
fn on_runtime(work: impl Future<Output = anyhow::Result<()>>) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let result = runtime.block_on(work);
    // A look-up of a name runs on a thread that nothing can stop. The process does not wait for its end.
    runtime.shutdown_timeout(Duration::from_secs(1));
    result
}
