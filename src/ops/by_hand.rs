//! What an operator orders: a fee for one channel, a wake-up for all.

use crate::domain::{ChannelId, Ppm, Scid};

use super::Ops;

/// What `revenue-set-fee` did.
#[derive(Clone, Debug, PartialEq)]
pub struct SetFeeAnswer {
    pub channel: ChannelId,
    pub scid: Option<Scid>,
    pub old: Ppm,
    pub new: Ppm,
    /// Nothing was sent, because of `dry-run`.
    pub dry: bool,
    /// Other channels with the same peer that got the same fee.
    pub together_with: Vec<Scid>,
}

/// Why an order was not carried out; the text says what to do instead.
#[derive(Debug, thiserror::Error)]
pub enum OrderError {
    /// The caller erred.
    #[error("{0}")]
    Caller(String),
    /// Something broke underneath.
    #[error("{0:#}")]
    Broken(#[from] anyhow::Error),
}

impl Ops {
    /// Sets the fee of a channel, named by scid (old ones too), channel id, or the node id of its peer. Outside the
    /// limits only with `force`. The learner goes on from there.
    pub async fn set_fee(&self, _channel: &str, _ppm: Ppm, _force: bool) -> Result<SetFeeAnswer, OrderError> {
        todo!()
    }

    /// Makes every channel act at its next decision, whatever it was waiting for, and decides at once. Returns how many
    /// channels were woken.
    pub async fn wake_all(&self) -> anyhow::Result<usize> {
        todo!()
    }
}
