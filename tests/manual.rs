//! The manual pages say what the tables say. `UPDATE_EXPECT=1 cargo test --test manual` rewrites them.

use cl_revenue_ops::policy::{self, Capabilities, Reading, RuleFile};
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

#[test]
fn every_word_of_rule_files_is_in_the_manual() {
    expect_file!["../docs/policy-files.md"].assert_eq(&policy::manual());
}

#[test]
fn the_recipes_are_without_fault() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/contrib/rules");
    let mut recipes = 0;
    for recipe in std::fs::read_dir(folder).unwrap() {
        let path = recipe.unwrap().path();
        let (name, text) = (path.display().to_string(), std::fs::read_to_string(&path).unwrap());
        let nowhere = |_: &str| Err(std::io::ErrorKind::NotFound.into());
        let (rules, mut findings) = RuleFile::parse(&text, &name, Reading::Ours, &nowhere);
        let can = if path.file_name().unwrap().to_str().unwrap().starts_with("lnd") {
            Capabilities::LND
        } else {
            Capabilities::CORE_LIGHTNING
        };
        findings.extend(rules.unwrap().unsupported(can));
        assert_eq!(findings, [], "{name}");
        recipes += 1;
    }
    assert_eq!(recipes, 5);
}
