//! The end of a run: what the objects have written down against what the clients sent and saw.

use std::collections::HashMap;
use std::net::SocketAddr;

use abide_client::Client;
use serde::Deserialize;

use crate::client::{Account, Common, object_name};
use crate::options::Options;
use crate::witness::Fault;

/// The accounts of one object, as `server/ledger.rs` gives them.
#[derive(Debug, Deserialize)]
struct Totals {
    lines: u64,
    doubled: u64,
    unordered: u64,
    heard: Vec<(u32, u64, usize)>,
}

/// Asks every object, and notes what does not fit.
///
/// # Errors
/// When an object does not answer.
pub(crate) async fn compare(
    server: SocketAddr,
    options: &Options,
    accounts: &[Account],
    common: &Common,
) -> anyhow::Result<()> {
    let client = Client::new(&format!("http://{server}"))?;
    for object in 0..options.objects {
        let name = object_name(object);
        let totals: Totals = client.object("ledger", &name).read("totals").send().await?;
        let of_this: Vec<_> = accounts
            .iter()
            .filter(|account| account.object == object)
            .collect();
        let mut report = common.report.lock();
        report.sent += of_this.iter().map(|account| account.sent).sum::<u64>();
        for said in differences(&totals, &of_this) {
            report.fault(&name, &Fault::Totals(said));
        }
    }
    Ok(())
}

fn differences(totals: &Totals, accounts: &[&Account]) -> Vec<String> {
    let mut said = Vec::new();
    if totals.doubled > 0 {
        said.push(format!("{} messages came again", totals.doubled));
    }
    let resets: u64 = accounts.iter().map(|account| account.resets).sum();
    if totals.unordered > 0 && resets == 0 {
        said.push(format!(
            "{} messages came out of turn, and no session was reset",
            totals.unordered
        ));
    }
    let heard: HashMap<_, _> = totals
        .heard
        .iter()
        .map(|(client, upto, beyond)| (*client, (*upto, *beyond)))
        .collect();
    for account in accounts {
        let (upto, beyond) = heard.get(&account.number).copied().unwrap_or_default();
        if (upto, beyond) != (account.sent, 0) {
            let (number, sent) = (account.number, account.sent);
            said.push(format!(
                "client {number} sent {sent}, heard were {upto} in a row and {beyond} behind"
            ));
        }
        if account.last_line != totals.lines {
            let (number, last) = (account.number, account.last_line);
            said.push(format!(
                "client {number} saw lines up to {last} of {}",
                totals.lines
            ));
        }
    }
    said
}

#[cfg(test)]
mod tests {
    use super::*;

    fn differs(totals: Totals, sent: u64, last_line: u64) -> usize {
        let account = Account {
            number: 1,
            object: 0,
            sent,
            last_line,
            resets: 0,
        };
        differences(&totals, &[&account]).len()
    }

    fn totals() -> Totals {
        Totals {
            lines: 3,
            doubled: 0,
            unordered: 0,
            heard: vec![(1, 3, 0)],
        }
    }

    #[test]
    fn what_fits_fits() {
        assert_eq!(differs(totals(), 3, 3), 0);
    }

    #[test]
    fn every_difference_is_one() {
        assert_eq!(differs(totals(), 4, 3), 1, "a message is lost");
        assert_eq!(differs(totals(), 3, 2), 1, "a line did not come");
        assert_eq!(
            differs(
                Totals {
                    doubled: 1,
                    ..totals()
                },
                3,
                3
            ),
            1
        );
        assert_eq!(
            differs(
                Totals {
                    unordered: 1,
                    ..totals()
                },
                3,
                3
            ),
            1
        );
        let beyond = Totals {
            heard: vec![(1, 1, 2)],
            ..totals()
        };
        assert_eq!(differs(beyond, 3, 3), 1);
    }
}
