//! A token bucket per name: the name is whatever is to be limited, a user or an address.

use abide::prelude::*;

/// Thousandths of a token. At `n` tokens a second a bucket gains exactly `n` of them each
/// millisecond, so nothing is ever rounded.
type Millitokens = u64;

const MILLITOKENS_PER_TOKEN: Millitokens = 1_000;

/// Tokens that refill with time, and are taken by whoever wants to do something.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct RateLimiter {
    /// Most tokens it holds.
    burst: u32,
    /// Tokens it gains each second.
    per_second: u32,
    level: Millitokens,
    /// When `level` was true; `None` until somebody takes from the bucket.
    measured: Option<Timestamp>,
}

impl Default for RateLimiter {
    /// Ten at once, five a second, full.
    fn default() -> Self {
        let burst = 10;
        Self {
            burst,
            per_second: 5,
            level: Millitokens::from(burst) * MILLITOKENS_PER_TOKEN,
            measured: None,
        }
    }
}

/// The answer to one who wants tokens.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub(crate) struct Decision {
    /// Whether the tokens were taken.
    pub(crate) allowed: bool,
    /// Whole tokens left.
    pub(crate) remaining: u64,
    /// Milliseconds until there will be enough; 0 when allowed.
    pub(crate) retry_after_ms: u64,
}

#[actor]
impl RateLimiter {
    /// Takes `cost` tokens (1 when absent) if there are enough. A refusal takes nothing, changes
    /// nothing, and so costs no commit. More than the bucket can ever hold is the error
    /// `cost-too-high`.
    #[call]
    fn take(&mut self, ctx: &mut Context<Self>, cost: Option<u32>) -> Result<Decision, ActorError> {
        let cost = cost.unwrap_or(1);
        if cost > self.burst {
            let message = format!("{cost} tokens never fit a bucket of {}", self.burst);
            return Err(ActorError::new("cost-too-high", message));
        }
        let now = ctx.now();
        let level = self.level_at(now);
        let price = Millitokens::from(cost) * MILLITOKENS_PER_TOKEN;
        if level < price {
            let wait_ms = (price - level).div_ceil(u64::from(self.per_second));
            return Ok(Decision {
                allowed: false,
                remaining: level / MILLITOKENS_PER_TOKEN,
                retry_after_ms: wait_ms,
            });
        }
        self.level = level - price;
        self.measured = Some(now);
        let remaining = self.level / MILLITOKENS_PER_TOKEN;
        Ok(Decision {
            allowed: true,
            remaining,
            retry_after_ms: 0,
        })
    }

    /// Chooses how many tokens the bucket holds and gains each second, both at least 1, and
    /// keeps what is in it as far as it fits.
    #[call]
    fn configure(
        &mut self,
        ctx: &mut Context<Self>,
        burst: u32,
        per_second: u32,
    ) -> Result<(), ActorError> {
        if burst == 0 || per_second == 0 {
            let message = "burst and per_second are at least 1";
            return Err(ActorError::new("invalid-rate", message));
        }
        let now = ctx.now();
        self.level = self
            .level_at(now)
            .min(Millitokens::from(burst) * MILLITOKENS_PER_TOKEN);
        self.measured = Some(now);
        self.burst = burst;
        self.per_second = per_second;
        Ok(())
    }

    /// The level after refilling since it was measured. A clock that was set back gains nothing.
    fn level_at(&self, now: Timestamp) -> Millitokens {
        let elapsed_ms = self.measured.map_or(0, |then| now.0.saturating_sub(then.0));
        let gained = elapsed_ms.saturating_mul(u64::from(self.per_second));
        let full = Millitokens::from(self.burst) * MILLITOKENS_PER_TOKEN;
        self.level.saturating_add(gained).min(full)
    }
}
