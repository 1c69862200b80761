//! What holds for every text and every channel.

use proptest::prelude::*;

use super::*;
use crate::policy::{Capabilities, MATCHERS, PARAMETERS, STRATEGIES, changes};

/// Texts that look like rules, with the words that rules have.
fn texts() -> impl Strategy<Value = String> {
    let words: Vec<&str> = MATCHERS
        .iter()
        .flat_map(|matcher| [matcher.key, matcher.example])
        .chain(PARAMETERS.iter().flat_map(|parameter| [parameter.key, parameter.example]))
        .chain(STRATEGIES.iter().map(|strategy| strategy.name))
        .chain([
            "[a]",
            "[b]",
            "[default]",
            "[DEFAULT]",
            "=",
            ":",
            "\n",
            "\n",
            "\n  ",
            ",",
            "#",
            ";",
            "${fee_ppm}",
            "$",
            "-1",
            "1e9",
            "nan",
            "file://x",
        ])
        .collect();
    prop::collection::vec(prop::sample::select(words), 0..60).prop_map(|words| words.join(" "))
}

/// One section with sensible numbers.
fn sections() -> impl Strategy<Value = String> {
    let strategies: Vec<&str> =
        STRATEGIES.iter().map(|strategy| strategy.name).filter(|name| *name != "use_config").collect();
    let numbers = (0..3000_i64, 0..3000_i64, -2000..200_i64, 0..50_i64, -3000..100_i64);
    (prop::sample::select(strategies), numbers, any::<[bool; 5]>()).prop_map(
        |(strategy, (a, b, inbound, delta, base), on)| {
            let keys = [
                format!("fee_ppm = {a}"),
                format!("inbound_fee_ppm = {inbound}"),
                format!("inbound_base_fee_msat = {base}"),
                format!("min_fee_ppm_delta = {delta}"),
                "max_htlc_msat_ratio = 0.5".to_owned(),
            ];
            let given: Vec<String> = keys.into_iter().zip(on).filter(|(_, on)| *on).map(|(key, _)| key).collect();
            let (least, most) = (a.min(b), a.max(b));
            format!("[a]\nstrategy = {strategy}\nmin_fee_ppm = {least}\nmax_fee_ppm = {most}\n{}", given.join("\n"))
        },
    )
}

fn channels() -> impl Strategy<Value = Facts> {
    (0..=1_000_000_u64, 0..3000_u32, 0..3000_u64, any::<bool>()).prop_map(|(local, ppm, base, active)| {
        let ours = OurTerms { ppm: Ppm(ppm), base: Msat(base), ..quiet().ours };
        Facts { local: Sat(local), remote: Sat(1_000_000 - local), ours, active, ..quiet() }
    })
}

proptest! {
    #[test]
    fn no_text_makes_the_parser_panic(text in "\\PC*|(.|\n)*", ours: bool) {
        let reading = if ours { Reading::Ours } else { Reading::ChargeLnd };
        if let (Some(rules), _) = RuleFile::parse(&text, "r", reading, &nowhere) {
            rules.explain(&quiet(), &node());
        }
    }

    #[test]
    fn an_error_changes_nothing(text in texts()) {
        let (rules, findings) = RuleFile::parse(&text, "r", Reading::Ours, &nowhere);
        let Some(rules) = rules else { return Ok(()) };
        let resolution = rules.explain(&quiet(), &node());
        prop_assert_eq!(&resolution.outcome, &rules.resolve(&quiet(), &node()).outcome);
        if let Outcome::Skipped(_) = resolution.outcome {
            let policy = resolution.policy();
            prop_assert!(policy.is_some_and(|policy| policy.terms == Default::default()));
        }
        // Whatever is skipped here for the text's sake was said before.
        let broken = matches!(resolution.outcome, Outcome::Skipped(ref why) if why.starts_with("line "));
        prop_assert!(!broken || crate::policy::has_errors(&findings));
    }

    #[test]
    fn what_was_applied_changes_nothing_the_second_time(text in sections(), facts in channels()) {
        let rules = rules(&text);
        let mut facts = facts;
        let Outcome::Wanted(wanted) = rules.resolve(&facts, &node()).outcome else { return Ok(()) };
        let update = changes(&facts.ours, facts.active, &wanted, Capabilities::LND_WITH_SURCHARGES);
        let Some(terms) = update.terms else { return Ok(()) };
        let terms = terms.terms().map_err(TestCaseError::fail)?;
        facts.ours.ppm = terms.ppm.unwrap_or(facts.ours.ppm);
        facts.ours.base = terms.base.unwrap_or(facts.ours.base);
        facts.ours.inbound_ppm = terms.inbound_ppm.unwrap_or(facts.ours.inbound_ppm);
        facts.ours.inbound_base_msat = terms.inbound_base_msat.unwrap_or(facts.ours.inbound_base_msat);
        facts.ours.htlc_max = terms.htlc_max.or(facts.ours.htlc_max);
        let Outcome::Wanted(again) = rules.resolve(&facts, &node()).outcome else { return Ok(()) };
        let update = changes(&facts.ours, facts.active, &again, Capabilities::LND_WITH_SURCHARGES);
        prop_assert_eq!(update.terms, None);
    }

    #[test]
    fn rates_stay_within_bounds_and_discounts_below_fees(text in sections(), facts in channels()) {
        let Outcome::Wanted(wanted) = resolve(&text, &facts).outcome else { return Ok(()) };
        let out = wanted.ppm.unwrap_or(i64::from(facts.ours.ppm.0));
        prop_assert!(out >= 0);
        prop_assert!(wanted.inbound_ppm.unwrap_or(0) + out >= 0);
        let base = wanted.base_msat.unwrap_or(i64::try_from(facts.ours.base.0).unwrap());
        prop_assert!(wanted.inbound_base_msat.unwrap_or(0) + base >= 0);
    }
}
