//! How far a long command is: a bar on a terminal, plain lines elsewhere, on standard error.

use std::io::{self, IsTerminal, Write};

use indicatif::{ProgressBar, ProgressStyle};

/// Between two plain lines, parts of a thousand.
const LINE_EVERY_PERMILLE: u16 = 250;

/// Shows the steps of one command.
#[derive(Debug)]
pub(super) struct Meter {
    /// `None`: nobody looks at a terminal.
    bar: Option<ProgressBar>,
    /// What the last line said.
    told: Option<(String, u16)>,
}

impl Meter {
    pub(super) fn new() -> Self {
        let bar = io::stderr().is_terminal().then(|| {
            let style =
                ProgressStyle::with_template("{msg:>12} [{bar:40}] {percent:>3} % {elapsed}");
            ProgressBar::new(1_000).with_style(style.expect("the template is one"))
        });
        Self { bar, told: None }
    }

    /// The step is this far.
    pub(super) fn at(&mut self, step: &str, permille: u16) {
        if let Some(bar) = &self.bar {
            bar.set_message(step.to_owned());
            bar.set_position(permille.into());
            return;
        }
        let is_news = match &self.told {
            Some((told, at)) => told != step || permille >= at + LINE_EVERY_PERMILLE,
            None => true,
        };
        if is_news {
            self.told = Some((step.to_owned(), permille));
            // Whoever has closed standard error wants no progress.
            drop(writeln!(io::stderr(), "{step}: {} %", permille / 10));
        }
    }
}

impl Drop for Meter {
    /// The result stands where the bar was.
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
