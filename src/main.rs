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
    let runtime = || tokio::runtime::Builder::new_multi_thread().enable_all().build();
    match cli.command.unwrap_or(Command::Run) {
        Command::Run => runtime()?.block_on(cli.run.run()),
        Command::Check => runtime()?.block_on(cli.run.check()),
        Command::CheckUninstall { repair_command } => {
            runtime()?.block_on(cli.run.check_uninstall(repair_command.as_deref()))
        }
        Command::Crd => {
            print!("{}", zenlayer_port_operator::manifest::custom_resource_definition()?);
            Ok(())
        }
    }
}
