//! Plugin or command line? Then hand over.

use std::os::unix::process::CommandExt as _;
use std::process::{Command, ExitCode};

use cl_revenue_ops::{cli, plugin};

/// glibc's: how many heaps there are.
const HEAPS: &str = "MALLOC_ARENA_MAX";

fn main() -> ExitCode {
    let beside_a_node = std::env::var_os("LIGHTNINGD_PLUGIN").is_some();
    if beside_a_node && std::env::var_os(HEAPS).is_none() {
        begin_again_with_one_heap();
    }
    let runtime = match tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("cl-revenue-ops: cannot start: {error}");
            return ExitCode::FAILURE;
        }
    };
    let code = match beside_a_node {
        true => runtime.block_on(plugin::run()),
        false => runtime.block_on(cli::run()),
    };
    // The thread that waits for stdin would hold the runtime for ever.
    runtime.shutdown_background();
    code
}

/// Each of our threads would get a heap of its own, and each heap keeps what its greatest step ever needed: with one for all the
/// plugin stays at half the memory. glibc reads this only when a program begins, so the same process begins once more. Where that is
/// impossible it goes on as it is.
fn begin_again_with_one_heap() {
    let Ok(program) = std::env::current_exe() else { return };
    let mut given = std::env::args_os();
    let name = given.next().unwrap_or_else(|| program.clone().into_os_string());
    let error = Command::new(&program).arg0(name).args(given).env(HEAPS, "1").exec();
    eprintln!("cl-revenue-ops: goes on with several heaps: {error}");
}
