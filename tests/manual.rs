//! The manual pages say what the tables say. `UPDATE_EXPECT=1 cargo test --test manual` rewrites them.

use cl_revenue_ops::{options, rpc};
use expect_test::expect_file;

#[test]
fn every_option_is_in_the_manual() {
    expect_file!["../docs/options.md"].assert_eq(&options::manual());
}

#[test]
fn every_command_is_in_the_manual() {
    expect_file!["../docs/commands.md"].assert_eq(&rpc::manual());
}
