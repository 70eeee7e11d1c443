//! One durable number per name: the smallest actor there is.

use abide::prelude::*;

/// One durable number.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Counter {
    value: u64,
}

#[actor]
impl Counter {
    /// Adds `by` and returns the new value. When it would not fit 64 bits it stays as it was, and
    /// the answer is the error `counter-overflow`.
    #[call]
    fn increment(&mut self, by: u64) -> Result<u64, ActorError> {
        self.value = self.value.checked_add(by).ok_or_else(|| {
            let message = format!("{} and {by} more do not fit a counter", self.value);
            ActorError::new("counter-overflow", message).status(409)
        })?;
        Ok(self.value)
    }

    /// Takes `by` away and returns the new value; a counter stops at zero.
    #[call]
    fn decrement(&mut self, by: u64) -> u64 {
        self.value = self.value.saturating_sub(by);
        self.value
    }

    /// Gives `by` to another counter: it leaves this one when the call is answered, and arrives there
    /// exactly once, a moment later. When this counter has less, both stay as they are, and the
    /// answer is the error `counter-too-small`.
    #[call]
    fn give(&mut self, ctx: &mut Context<Self>, to: String, by: u64) -> Result<u64, ActorError> {
        self.value = self.value.checked_sub(by).ok_or_else(|| {
            let message = format!("the counter is at {}, it cannot give {by}", self.value);
            ActorError::new("counter-too-small", message).status(409)
        })?;
        let namespace = ctx.namespace().to_owned();
        ctx.send_in::<Self>(&namespace, &to).increment(by)?;
        Ok(self.value)
    }

    /// The current value.
    #[call]
    fn get(&self) -> u64 {
        self.value
    }

    /// Sets the counter to zero and returns what it was.
    #[call]
    fn reset(&mut self) -> u64 {
        std::mem::take(&mut self.value)
    }
}
