//! Every strategy, and every key that is a parameter: the tables that parser, lint and manual read.

use super::finding::Severity;
use super::matchers::Origin;
use super::{Reading, value};
use crate::domain::Sat;

/// One row of the table of strategies.
#[derive(Debug)]
pub struct Strategy {
    pub name: &'static str,
    pub origin: Origin,
    /// Keys that it reads itself.
    pub reads: &'static [&'static str],
    /// Those of them without which it decides nothing.
    pub(super) needs: &'static [&'static str],
    /// Does it heed what every strategy heeds that sets terms?
    pub sets_terms: bool,
    pub about: &'static str,
}

/// One row of the table of parameters.
#[derive(Debug)]
pub struct Parameter {
    pub key: &'static str,
    pub(super) kind: Kind,
    pub origin: Origin,
    pub for_whom: For,
    pub example: &'static str,
    pub about: &'static str,
}

/// Who heeds a parameter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum For {
    /// The strategies that name it.
    Readers,
    /// Every strategy that sets terms.
    Terms,
    /// The section, whatever its strategy.
    Section,
    /// Nobody on this node.
    Nobody,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Kind {
    Whole(i64, i64),
    Real(f64, f64),
    Switch,
    Text,
    Strategy,
}

use For::{Nobody, Readers, Section, Terms};
use Kind::{Real, Switch, Text, Whole};

const FEES: &[&str] = &[
    "base_fee_msat",
    "fee_ppm",
    "inbound_base_fee_msat",
    "inbound_fee_ppm",
    "inbound_level_ppm",
    "min_fee_ppm",
    "max_fee_ppm",
];

pub const STRATEGIES: &[Strategy] = &[
    charge_lnd("static", FEES, "The fees as they are written; what is not written stays."),
    Strategy {
        needs: &["min_fee_ppm", "max_fee_ppm"],
        ..charge_lnd(
            "proportional",
            &[
                "base_fee_msat",
                "min_fee_ppm",
                "max_fee_ppm",
                "sum_peer_chans",
                "inbound_base_fee_msat",
                "inbound_fee_ppm",
                "inbound_level_ppm",
            ],
            "From `min_fee_ppm` where all is ours to `max_fee_ppm` where nothing is, in proportion.",
        )
    },
    charge_lnd("match_peer", FEES, "What the peer asks on its side, where nothing else is written."),
    charge_lnd(
        "cost",
        &[
            "base_fee_msat",
            "cost_factor",
            "inbound_base_fee_msat",
            "inbound_fee_ppm",
            "inbound_level_ppm",
            "min_fee_ppm",
            "max_fee_ppm",
        ],
        "The rate at which one filling of the channel earns `cost_factor` times what its opening cost; 1 ppm if we did not pay for it.",
    ),
    charge_lnd(
        "onchain_fee",
        &[
            "base_fee_msat",
            "onchain_fee_btc",
            "onchain_fee_numblocks",
            "inbound_base_fee_msat",
            "inbound_fee_ppm",
            "inbound_level_ppm",
            "min_fee_ppm",
            "max_fee_ppm",
        ],
        "What it would cost to send `onchain_fee_btc` in a transaction of 223 vbytes.",
    ),
    Strategy { sets_terms: false, ..charge_lnd("ignore", &[], "The channel is never touched.") },
    charge_lnd("ignore_fees", &[], "Fees stay; everything else is set."),
    Strategy { sets_terms: false, ..charge_lnd("disable", &[], "The channel takes no forwards out.") },
    Strategy {
        needs: &["config_file"],
        ..charge_lnd("use_config", &["config_file"], "Whatever another rule file says.")
    },
    ours(
        "balance_based",
        FEES,
        "From `fee_ppm`: half of it above a share of 0.8 that is ours, twice below 0.2. Inbound -100 ppm above 0.8, -25 from 0.4 on, +25 below 0.2, or `inbound_fee_ppm`.",
    ),
    ours(
        "flow_based",
        FEES,
        "From `fee_ppm`: more where more than a tenth of the capacity moved in a week, 0.7 of it elsewhere. Inbound a premium where more comes in than leaves, a discount where less does.",
    ),
    ours("revenue_max", FEES, "The fee controller looks for the fee that earns most, starting from `fee_ppm`."),
    ours(
        "inbound_discount",
        FEES,
        "A discount for what comes in: all of `inbound_fee_ppm` (-50) above a share of 0.8 that is ours, less where less is ours.",
    ),
    ours(
        "inbound_premium",
        FEES,
        "A surcharge for what comes in: all of `inbound_fee_ppm` (50) below a share of 0.2 that is ours, less where more is ours.",
    ),
    ours(
        "cost_recovery",
        &[
            "base_fee_msat",
            "fee_ppm",
            "cost_factor",
            "recovery_days",
            "closing_cost_sat",
            "inbound_base_fee_msat",
            "inbound_fee_ppm",
            "inbound_level_ppm",
            "min_fee_ppm",
            "max_fee_ppm",
        ],
        "The rate that earns opening, closing and rebalancing costs within `recovery_days` at the last week's traffic, and `fee_ppm` besides.",
    ),
    ours("dynamic", FEES, "The fee controller, starting from `fee_ppm`."),
    Strategy { sets_terms: false, ..ours("passive", &[], "The channel is never touched.") },
    ours("hive", FEES, "A channel within one's own fleet: `fee_ppm` and `base_fee_msat`, 0 if they are not given."),
];

const fn charge_lnd(name: &'static str, reads: &'static [&'static str], about: &'static str) -> Strategy {
    Strategy { name, origin: Origin::ChargeLnd, reads, needs: &[], sets_terms: true, about }
}

const fn ours(name: &'static str, reads: &'static [&'static str], about: &'static str) -> Strategy {
    Strategy { name, origin: Origin::Ours, reads, needs: &[], sets_terms: true, about }
}

const MOST: i64 = u32::MAX as i64;
const MOST_MSAT: i64 = i64::MAX;
const LEAST_INBOUND: i64 = i32::MIN as i64;
const MOST_INBOUND: i64 = i32::MAX as i64;

pub const PARAMETERS: &[Parameter] = &[
    row(
        "strategy",
        Kind::Strategy,
        Section,
        "static",
        "How the fee is found. A section that has one decides; one without gives defaults to those that follow",
    ),
    row("base_fee_msat", Whole(0, MOST), Readers, "1_000", "Base fee in msat"),
    row(
        "fee_ppm",
        Whole(0, MOST),
        Readers,
        "200",
        "Fee rate in ppm; where the fee controller decides, what it begins with",
    ),
    row(
        "inbound_base_fee_msat",
        Whole(LEAST_INBOUND, MOST_INBOUND),
        Readers,
        "-500",
        "Inbound base fee in msat; negative is a discount. LND only",
    ),
    row(
        "inbound_fee_ppm",
        Whole(LEAST_INBOUND, MOST_INBOUND),
        Readers,
        "-100",
        "Inbound fee rate in ppm; negative is a discount. LND only",
    ),
    row(
        "inbound_level_ppm",
        Whole(0, MOST),
        Readers,
        "40",
        "Inbound fee rate such that it and the outbound one make this much, but never a surcharge; wins over `inbound_fee_ppm`. LND only",
    ),
    row(
        "min_fee_ppm",
        Whole(0, MOST),
        Readers,
        "10",
        "`proportional`: the rate where all is ours. Elsewhere the least that is asked",
    ),
    row(
        "max_fee_ppm",
        Whole(0, MOST),
        Readers,
        "1_000",
        "`proportional`: the rate where nothing is ours, and may be the smaller one. Elsewhere the most that is asked",
    ),
    row(
        "sum_peer_chans",
        Switch,
        Readers,
        "true",
        "Take all active channels with the peer together (the inactive ones if none is active)",
    ),
    row("cost_factor", Real(0.0, f64::MAX), Readers, "1.5", "What the costs are multiplied with; 1 if not given"),
    row(
        "onchain_fee_btc",
        Real(f64::MIN_POSITIVE, f64::MAX),
        Readers,
        "0.1",
        "The payment that a transaction is compared with, in BTC; 0.1 if not given",
    ),
    row(
        "onchain_fee_numblocks",
        Whole(1, MOST),
        Readers,
        "6",
        "Blocks that the estimate is for, at least 2; 6 if not given",
    ),
    row("config_file", Text, Readers, "hubs.conf", "The other rule file, from where this one is read"),
    row("min_htlc_msat", Whole(0, MOST_MSAT), Terms, "1_000", "The smallest forward out, in msat"),
    row("max_htlc_msat", Whole(0, MOST_MSAT), Terms, "1_000_000_000", "The largest forward out, in msat"),
    row(
        "max_htlc_msat_ratio",
        Real(0.0, 1.0),
        Terms,
        "0.5",
        "The largest forward out as a share of what the channel can carry; 0 is as if it were not there. The smaller of both counts",
    ),
    row(
        "time_lock_delta",
        Whole(0, 65_535),
        Terms,
        "80",
        "Blocks between the expiries of what comes in and what leaves. LND only",
    ),
    row(
        "min_fee_ppm_delta",
        Whole(0, MOST),
        Terms,
        "10",
        "Smaller changes of the fee rate alone are not made; 10 with `proportional` and `onchain_fee` if not given",
    ),
    row(
        "min_inbound_fee_ppm_delta",
        Whole(0, MOST),
        Terms,
        "10",
        "Smaller changes of the inbound fee rate alone are not made, except to 0; `min_fee_ppm_delta` if not given",
    ),
    row("cb_max_hourly_rate", Whole(0, MOST), Nobody, "0", "Of circuitbreaker: read, and without effect"),
    row("cb_max_pending", Whole(0, MOST), Nobody, "5", "Of circuitbreaker: read, and without effect"),
    row("cb_mode", Whole(0, 3), Nobody, "0", "Of circuitbreaker: read, and without effect"),
    row("cb_clear_limit", Switch, Nobody, "true", "Of circuitbreaker: read, and without effect"),
    own(
        "min_inbound_fee_ppm",
        Whole(LEAST_INBOUND, MOST_INBOUND),
        Terms,
        "-150",
        "The lowest inbound fee rate, whatever the strategy says",
    ),
    own(
        "max_inbound_fee_ppm",
        Whole(LEAST_INBOUND, MOST_INBOUND),
        Terms,
        "50",
        "The highest inbound fee rate, whatever the strategy says",
    ),
    own("max_step_ppm", Whole(1, MOST), Terms, "100", "The largest change of the fee rate at once"),
    own("recovery_days", Whole(1, 3_650), Readers, "180", "Days within which costs are earned back; 180 if not given"),
    own(
        "closing_cost_sat",
        Whole(0, Sat::ALL.0.cast_signed()),
        Readers,
        "2_000",
        "What closing will cost, where it is not known; if not given, a transaction of 180 vbytes at today's estimate if we opened the channel",
    ),
    own(
        "learning_enabled",
        Switch,
        Readers,
        "true",
        "`false`: `revenue_max` and `dynamic` keep to `fee_ppm`, and leave the fee rate alone without one",
    ),
    own(
        "enable_auto_rollback",
        Switch,
        Section,
        "true",
        "Whether a change of the fee rate that costs revenue is taken back; no if not given",
    ),
    own(
        "rollback_threshold",
        Real(0.0, 1.0),
        Section,
        "0.3",
        "The share of revenue that must be lost for that; 0.3 if not given",
    ),
    own(
        "priority",
        Whole(i64::MIN, i64::MAX),
        Section,
        "50",
        "Sections are walked by rising priority, and in the order of the file where it is the same; 100 if not given",
    ),
    own("enabled", Switch, Section, "false", "`false`: the section is as if it were not there"),
    own(
        "final",
        Switch,
        Section,
        "false",
        "`false`: a section with a strategy gives defaults too, its strategy among them; `true`: the walk ends here",
    ),
];

const fn row(key: &'static str, kind: Kind, for_whom: For, example: &'static str, about: &'static str) -> Parameter {
    Parameter { key, kind, origin: Origin::ChargeLnd, for_whom, example, about }
}

const fn own(key: &'static str, kind: Kind, for_whom: For, example: &'static str, about: &'static str) -> Parameter {
    Parameter { key, kind, origin: Origin::Ours, for_whom, example, about }
}

impl Strategy {
    pub fn find(name: &str) -> Option<&'static Strategy> {
        STRATEGIES.iter().find(|strategy| strategy.name == name)
    }

    /// Has the parameter any effect with this strategy?
    pub(super) fn heeds(&self, parameter: &Parameter) -> bool {
        let learns = ["revenue_max", "dynamic"].contains(&self.name) && parameter.key == "learning_enabled";
        match parameter.for_whom {
            Readers => learns || self.reads.contains(&parameter.key),
            Terms => self.sets_terms,
            // Whoever sets no rate, or leaves it to the controller, which goes back by itself, has nothing to take back.
            Section if parameter.key.contains("rollback") => {
                self.sets_terms && !["revenue_max", "dynamic"].contains(&self.name)
            }
            Section => true,
            Nobody => false,
        }
    }
}

impl Parameter {
    pub fn find(key: &str) -> Option<&'static Parameter> {
        PARAMETERS.iter().find(|parameter| parameter.key == key)
    }
}

impl Kind {
    /// What is wrong with a value, if anything.
    pub(super) fn fault(self, text: &str, reading: Reading) -> Option<(Severity, String)> {
        let strict = if reading == Reading::Ours { Severity::Error } else { Severity::Warning };
        let error = |what: String| Some((Severity::Error, what));
        match self {
            Whole(least, most) => match value::int(text) {
                Err(what) => error(what),
                Ok(number) if number < least => Some((strict, format!("is {text}; the least is {least}"))),
                Ok(number) if number > most => Some((strict, format!("is {text}; the most is {most}"))),
                Ok(_) => None,
            },
            Real(least, most) => match value::float(text) {
                Err(what) => error(what),
                Ok(number) if (least..=most).contains(&number) => None,
                // Nobody divides by it.
                Ok(0.0) => error(format!("is {text}; it must be more than 0")),
                Ok(number) if !number.is_finite() => error(format!("is {text}, with which nothing is computed")),
                Ok(_) if least == f64::MIN_POSITIVE => Some((strict, format!("is {text}; it must be more than 0"))),
                Ok(_) if most == f64::MAX => Some((strict, format!("is {text}; the least is {least}"))),
                Ok(_) => Some((strict, format!("is {text}; it must be between {least} and {most}"))),
            },
            Switch if reading == Reading::ChargeLnd => {
                let odd = !text.is_empty() && value::switch(text) != Ok(true);
                odd.then(|| (strict, format!("is '{text}', and charge-lnd takes any word for yes")))
            }
            Switch => value::switch(text).err().and_then(error),
            Text => text.is_empty().then(|| "is empty".to_owned()).and_then(error),
            Kind::Strategy => None,
        }
    }
}
