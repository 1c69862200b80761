//! A tape as a file: one line for our channels, then one line of JSON for each payment. Reads what it wrote, to the last msat.

use std::io::{BufRead, Write};

use anyhow::{Context, ensure};
use serde::{Deserialize, Serialize};

use super::{Drawn, Ground};
use crate::domain::Time;
use crate::sim::tape::{Exit, Payment, Tape};

const FORMAT: &str = "cl-revenue-ops tape 1";

#[derive(Serialize, Deserialize)]
struct Head {
    format: String,
    ground: Ground,
}

/// One payment, by short names: there are many of them.
#[derive(Serialize, Deserialize)]
struct Line {
    at: i64,
    msat: u64,
    from: u32,
    /// (channel, thousandths of a ppm), the best first.
    exits: Vec<(u32, u32)>,
    doomed: bool,
    stubborn: bool,
    hold: u32,
    gossip: u32,
}

pub fn write(drawn: &Drawn, mut to: impl Write) -> anyhow::Result<()> {
    let head = Head { format: FORMAT.to_owned(), ground: drawn.ground.clone() };
    writeln!(to, "{}", serde_json::to_string(&head)?)?;
    for payment in &drawn.payments {
        writeln!(to, "{}", serde_json::to_string(&Line::of(payment))?)?;
    }
    Ok(to.flush()?)
}

pub fn read(from: impl BufRead) -> anyhow::Result<Tape> {
    let mut lines = from.lines();
    let head: Head = serde_json::from_str(&lines.next().context("the tape is empty")??).context("no tape")?;
    ensure!(head.format == FORMAT, "'{}' is not '{FORMAT}'", head.format);
    let channels = head.ground.channels.len();
    let mut payments = Vec::new();
    for (number, line) in (2..).zip(lines) {
        let line: Line = serde_json::from_str(&line?).with_context(|| format!("line {number}"))?;
        payments.push(line.payment(channels).with_context(|| format!("line {number}"))?);
    }
    payments.sort_by_key(|payment| payment.at);
    Ok(head.ground.tape(&payments))
}

impl Line {
    fn of(payment: &Payment) -> Line {
        let exits = payment.exits[..usize::from(payment.choices)].iter();
        Line {
            at: payment.at.0,
            msat: payment.amount,
            from: payment.from,
            exits: exits.map(|exit| (exit.channel, exit.reservation)).collect(),
            doomed: payment.doomed,
            stubborn: payment.stubborn,
            hold: payment.hold_ms,
            gossip: payment.gossip_ms,
        }
    }

    fn payment(&self, channels: usize) -> anyhow::Result<Payment> {
        let named = self.exits.iter().map(|(channel, _)| *channel).chain([self.from]);
        ensure!(named.max().is_some_and(|last| (last as usize) < channels), "a channel that we do not have");
        ensure!((1..=3).contains(&self.exits.len()), "{} ways out; 1 to 3 are possible", self.exits.len());
        let mut exits = [self.exits[0]; 3];
        exits.iter_mut().zip(&self.exits).for_each(|(exit, own)| *exit = *own);
        Ok(Payment {
            at: Time(self.at),
            amount: self.msat,
            from: self.from,
            exits: exits.map(|(channel, reservation)| Exit { channel, reservation }),
            choices: u8::try_from(self.exits.len())?,
            doomed: self.doomed,
            stubborn: self.stubborn,
            hold_ms: self.hold,
            gossip_ms: self.gossip,
        })
    }
}
