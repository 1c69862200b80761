//! The program as a person at a terminal has it.

use std::process::{Command, Stdio};

#[test]
fn a_reader_who_has_left_is_no_failure() {
    let day = ["demo", "--days", "1", "--channels", "2"];
    let run = ["simulate", "run", "--scenario", "S1", "--seeds", "1", "--days", "7", "--policy", "ours", "--json", "-"];
    for order in [&["simulate", "list"][..], &day, &run] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let mut program = Command::new(env!("CARGO_BIN_EXE_cl-revenue-ops"));
        program.args(order).env_remove("LIGHTNINGD_PLUGIN").stdout(writer).stderr(Stdio::piped());
        let ended = program.spawn().unwrap().wait_with_output().unwrap();
        let said = String::from_utf8_lossy(&ended.stderr);
        assert!(ended.status.success() && !said.contains("panicked"), "{order:?}: {said}");
    }
}
