//! What the rules of a file look at, so that nobody reads the graph for rules that do not ask for it.

use super::rules::RuleFile;

/// What must be known besides channels, forwards and the chain.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Needs {
    /// The peers' names, channels and capacities.
    pub graph: bool,
    /// What channels have cost.
    pub costs: bool,
}

impl Needs {
    pub const GRAPH: &str = "the peer's place in the public graph";
    pub const COSTS: &str = "what opening the channel has cost";

    /// What is needed, in words.
    pub fn in_words(self) -> String {
        let all = [(self.graph, Needs::GRAPH), (self.costs, Needs::COSTS)];
        all.into_iter().filter_map(|(is_needed, what)| is_needed.then_some(what)).collect::<Vec<_>>().join(" or ")
    }
}

/// Keys that are answered from the graph; those of a namespace end in a point. `node.id` and what we share with a peer are not.
const FROM_GRAPH: [&str; 7] = [
    "node.alias",
    "node.min_channels",
    "node.max_channels",
    "node.min_capacity",
    "node.max_capacity",
    "network.min_alternatives",
    "chan.disabled",
];

const BY_COST: [&str; 2] = ["cost", "cost_recovery"];

impl RuleFile {
    pub fn needs(&self) -> Needs {
        let inner = self.inner.values().flatten().map(RuleFile::needs);
        let own = self.rules.iter().map(|rule| Needs {
            graph: rule.reads.iter().any(|read| FROM_GRAPH.contains(&read.key.as_str())),
            costs: rule.strategy.as_deref().is_some_and(|name| BY_COST.contains(&name)),
        });
        let all = |a: Needs, b: Needs| Needs { graph: a.graph || b.graph, costs: a.costs || b.costs };
        own.chain(inner).fold(Needs::default(), all)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_graph_is_read_only_for_rules_that_ask_for_it() {
        let needs = |text: &str| {
            let none = |_: &str| Err(std::io::ErrorKind::NotFound.into());
            RuleFile::load(text, "rules", &none).unwrap().0.needs()
        };
        let plain = needs("[a]\nchan.min_ratio = 0.5\nstrategy = static\nfee_ppm = 5\n");
        assert_eq!(plain, Needs::default());
        let named = needs("[a]\nnode.alias = LNBIG*\nstrategy = static\nfee_ppm = 5\n[default]\nstrategy = cost\n");
        assert_eq!(named, Needs { graph: true, costs: true });
    }
}
