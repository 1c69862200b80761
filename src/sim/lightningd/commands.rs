//! The commands of lightningd that are played, and the way to those of plugins.

use std::sync::Arc;

use serde_json::{Value, json};

use super::channels::{self, FEATURES};
use super::forwards::{self, Counter};
use super::host::{Caller, VERSION};
use super::wire::{Answer, Params, Request, RpcError, UNKNOWN_METHOD};
use super::{Lightningd, setchannel};
use crate::sim::channel::Stage;

/// Names and usages.
pub(super) const BUILTIN: &[(&str, &str)] = &[
    ("askrene-create-layer", "layer [persistent]"),
    ("askrene-disable-node", "layer node"),
    ("askrene-remove-layer", "layer"),
    ("batching", "enable"),
    ("bkpr-listaccountevents", "[account] [payment_id]"),
    ("bkpr-listincome", "[consolidate_fees] [start_time] [end_time]"),
    ("check", "command_to_check"),
    ("connect", "id [host] [port]"),
    ("deprecations", "enable"),
    ("disconnect", "id [force]"),
    ("feerates", "style"),
    ("getinfo", ""),
    ("getroutes", "source destination amount_msat layers maxfee_msat final_cltv [maxdelay] [maxparts]"),
    ("help", "[command]"),
    ("listchainmoves", "[index] [start] [limit]"),
    ("listchannelmoves", "[index] [start] [limit]"),
    ("listchannels", "[short_channel_id] [source] [destination]"),
    ("listclosedchannels", "[id]"),
    ("listconfigs", "[config]"),
    ("listforwards", "[status] [in_channel] [out_channel] [index] [start] [limit]"),
    ("listfunds", "[spent]"),
    ("listnodes", "[id]"),
    ("listpeerchannels", "[id] [short_channel_id]"),
    ("listpeers", "[id] [level]"),
    ("notifications", "enable"),
    ("ping", "id [len] [pongbytes]"),
    ("plugin", "subcommand [plugin] [options] ..."),
    ("setchannel", "id [feebase] [feeppm] [htlcmin] [htlcmax] [enforcedelay] [ignorefeelimits]"),
    ("setconfig", "config [val] [transient]"),
    ("stop", ""),
    ("wait", "subsystem indexname nextvalue"),
    ("sim-advance", "seconds"),
    ("sim-close", "channel"),
    ("sim-fault", "method kind [for] [seconds]"),
    ("sim-feerate", "[perkb]"),
    ("sim-neighbours", "[clboss] [hive] [sling] [route] [lie] [cost]"),
    ("sim-splice", "channel [sat]"),
];

/// Subsystems of `wait` that never move here.
const STILL: &[&str] = &["invoices", "sendpays", "htlcs", "chainmoves", "channelmoves", "networkevents"];

/// The names in a usage, in their order.
fn names(usage: &'static str) -> Vec<&'static str> {
    usage.split(' ').map(|name| name.trim_matches(['[', ']'])).filter(|name| !name.is_empty()).collect()
}

impl Lightningd {
    pub(super) async fn call(self: &Arc<Self>, request: &Request, caller: Option<Caller>) -> Answer {
        self.act_up(&request.method).await?;
        let builtin = BUILTIN.iter().find(|(name, _)| *name == request.method);
        match (builtin, self.neighbour(request)) {
            (_, Some(answer)) => answer,
            (Some((_, usage)), None) => self.built_in(request, &names(usage)).await,
            (None, None) => self.pass_on(request, caller).await,
        }
    }

    async fn pass_on(&self, request: &Request, caller: Option<Caller>) -> Answer {
        let Some(plugin) = self.plugin_for(&request.method) else {
            return Err(RpcError::new(UNKNOWN_METHOD, format!("Unknown command '{}'", request.method)));
        };
        let id = self.plugin_id(&request.id, &request.method);
        plugin.call(id, &request.method, &request.params, caller).await
    }

    async fn built_in(self: &Arc<Self>, request: &Request, names: &[&str]) -> Answer {
        if request.method == "plugin" {
            return self.manage(&request.params).await;
        }
        let params = Params::read(&request.params, names)?;
        self.catch_up();
        match request.method.as_str() {
            "setconfig" => self.setconfig(&params, &request.id).await,
            "wait" => self.wait(&params).await,
            "stop" => Ok(json!("Shutdown complete")),
            "batching" | "deprecations" | "notifications" => params.required("enable").map(|_| json!({})),
            "check" => Ok(json!({"command_to_check": params.required_text("command_to_check")?})),
            "help" => self.help(&params),
            "listconfigs" => self.configs().list(params.text("config").as_deref()),
            "feerates" => self.feerates(&params),
            "getinfo" => Ok(self.getinfo()),
            "getroutes" | "askrene-create-layer" | "askrene-disable-node" | "askrene-remove-layer" => {
                self.search(&request.method, &params).await
            }
            "listchainmoves" | "listchannelmoves" | "bkpr-listaccountevents" | "bkpr-listincome" => {
                self.coins(&request.method, &params)
            }
            name if name.starts_with("sim-") => self.trick(name, &params),
            name => self.ask_market(name, &params),
        }
    }

    fn ask_market(&self, name: &str, params: &Params) -> Answer {
        let mut market = self.node.market();
        match name {
            "listpeerchannels" => channels::listpeerchannels(&market, params),
            "listclosedchannels" => channels::listclosedchannels(&market, params),
            "listpeers" => channels::listpeers(&market, params),
            "listnodes" => channels::listnodes(&market, params),
            "listchannels" => channels::listchannels(&market, params),
            "listfunds" => Ok(channels::listfunds(&market)),
            "listforwards" => {
                let book = market.book().ok_or_else(|| RpcError::new(-1, "no list of forwards is kept"))?;
                forwards::listforwards(book, params)
            }
            "setchannel" => setchannel::setchannel(&mut market, params),
            "connect" | "disconnect" | "ping" => {
                let id = params.required_text("id")?;
                let place = market.peers.iter().position(|peer| peer.id.to_string() == id);
                let Some(place) = place.and_then(|place| u32::try_from(place).ok()) else {
                    return Err(RpcError::new(-1, "Peer not connected"));
                };
                if name == "ping" {
                    return Ok(json!({"totlen": 132}));
                }
                market.set_online(place, name == "connect");
                let address = json!({"type": "ipv4", "address": "127.0.0.1", "port": 19735});
                let connected = json!({"id": id, "features": FEATURES, "direction": "out", "address": address});
                Ok(if name == "connect" { connected } else { json!({}) })
            }
            _ => Err(RpcError::new(UNKNOWN_METHOD, format!("Unknown command '{name}'"))),
        }
    }

    fn getinfo(&self) -> Value {
        let market = self.node.market();
        let us = market.network().us;
        let id = us.to_string();
        let open = || market.channels.iter().filter(|c| c.stage != Stage::Closed);
        let active = open().filter(|c| c.routes() && market.is_online(c)).count();
        let fees: u64 = market.channels.iter().map(|c| c.earned).sum();
        json!({
            "id": id,
            "alias": channels::alias(&us),
            "color": &id[..6],
            "num_peers": market.peers.len(),
            "num_pending_channels": 0,
            "num_active_channels": active,
            "num_inactive_channels": open().count() - active,
            "address": [],
            "binding": [{"type": "ipv4", "address": "127.0.0.1", "port": 19701}],
            "version": VERSION,
            "blockheight": market.height(),
            "network": super::NETWORK,
            "fees_collected_msat": fees,
            "lightning-dir": self.socket_dir(),
            "our_features": {"init": FEATURES, "node": "808898880a8a59a1", "channel": "", "invoice": "02000002024100"},
        })
    }

    fn feerates(&self, params: &Params) -> Answer {
        let style = params.required_text("style")?;
        let per_kvb = self.node.feerate_now().sat_per_kvb;
        let unit = match style.as_str() {
            "perkb" => per_kvb,
            "perkw" => per_kvb / 4,
            _ => return Err(RpcError::token("style", "should be 'perkb' or 'perkw'")),
        };
        let per_kw = per_kvb / 4;
        let estimate = |blocks: u32| json!({"blockcount": blocks, "feerate": unit, "smoothed_feerate": unit});
        let estimates = [2, 6, 12, 100].map(estimate);
        let cost = |weight: u64| weight * per_kw / 1000;
        let floor = if style == "perkb" { 1012 } else { 253 };
        Ok(json!({
            style: {
                "opening": unit,
                "mutual_close": unit,
                "unilateral_close": unit,
                "unilateral_anchor_close": unit,
                "penalty": unit,
                "splice": unit * 51 / 50,
                "min_acceptable": unit / 2,
                "max_acceptable": unit * 10,
                "floor": floor,
                "estimates": estimates,
            },
            "onchain_fee_estimates": {
                "opening_channel_satoshis": cost(702),
                "mutual_close_satoshis": cost(673),
                "unilateral_close_satoshis": cost(1112),
                "unilateral_close_nonanchor_satoshis": cost(598),
                "htlc_timeout_satoshis": cost(663),
                "htlc_success_satoshis": cost(703),
            },
        }))
    }

    fn help(&self, params: &Params) -> Answer {
        let plugins = self.plugins().clone();
        let theirs = plugins.iter().filter(|p| p.is_active()).flat_map(|p| p.manifest().methods.iter());
        let theirs = theirs.map(|(name, usage)| (name.as_str(), usage.as_str()));
        let wanted = params.text("command");
        let shown =
            BUILTIN.iter().copied().chain(theirs).filter(|(name, _)| wanted.as_deref().is_none_or(|w| w == *name));
        let lines: Vec<Value> =
            shown.map(|(name, usage)| json!({"command": format!("{name} {usage}").trim_end()})).collect();
        match wanted {
            Some(name) if lines.is_empty() => Err(RpcError::new(UNKNOWN_METHOD, format!("Unknown command {name}"))),
            _ => Ok(json!({"help": lines, "format-hint": "simple"})),
        }
    }

    /// At once if the counter is there already; otherwise when it is.
    async fn wait(&self, params: &Params) -> Answer {
        let subsystem = params.required_text("subsystem")?;
        let counter = Counter::read(&params.required_text("indexname")?)?;
        let next = params.number("nextvalue")?;
        let next = next.ok_or_else(|| RpcError::params("missing required parameter: nextvalue"))?;
        if STILL.contains(&subsystem.as_str()) {
            if next > 0 {
                std::future::pending::<()>().await;
            }
            return Ok(json!({"subsystem": subsystem, counter.name(): 0}));
        }
        if subsystem != "forwards" {
            return Err(RpcError::token("subsystem", "unknown subsystem"));
        }
        let mut ticks = self.ticks.subscribe();
        let mut waited = false;
        loop {
            let answer = self.node.market().book().and_then(|book| forwards::reached(book, counter, next, waited));
            if let Some(answer) = answer {
                return Ok(answer);
            }
            waited = true;
            if ticks.changed().await.is_err() {
                return Err(RpcError::new(-1, "shutting down"));
            }
        }
    }
}
