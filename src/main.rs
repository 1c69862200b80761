//! Plugin or command line? Then hand over.

use std::process::ExitCode;

use cl_revenue_ops::{cli, plugin};

fn main() -> ExitCode {
    let runtime = match tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("cl-revenue-ops: cannot start: {error}");
            return ExitCode::FAILURE;
        }
    };
    let code = match std::env::var_os("LIGHTNINGD_PLUGIN") {
        Some(_) => runtime.block_on(plugin::run()),
        None => runtime.block_on(cli::run()),
    };
    // The thread that waits for stdin would hold the runtime for ever.
    runtime.shutdown_background();
    code
}
