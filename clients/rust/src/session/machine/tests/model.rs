//! The machine against a model of the server, over a network that loses connections at any moment
//! with everything on its way: the promises of the protocol must hold whatever the order of events.

use std::collections::{HashMap, VecDeque};

use super::*;
use crate::session::control::{FromServer, Received};
use crate::session::{Assurance, Unsettled};

/// What one run met, so that a run that meets nothing is noticed.
#[derive(Debug, Default)]
struct Met {
    resumes: u32,
    resets: u32,
    resent: u32,
}

/// The server's end of one session.
#[derive(Default)]
struct Session {
    received: u64,
    /// All it has sent, from number one on.
    sent: Vec<String>,
}

struct World {
    random: fastrand::Rng,
    now: Time,
    machine: Machine,
    // The network: what is on its way on the connection there is.
    up: VecDeque<Wire>,
    down: VecDeque<Frame>,
    connected: Option<String>,
    // The server.
    sessions: HashMap<String, Session>,
    tokens: u32,
    /// What has taken effect, in order.
    effects: Vec<String>,
    // The application.
    sent: u32,
    receipts: Vec<(String, oneshot::Receiver<Result<Assurance, Unsettled>>)>,
    /// What came in the session there is.
    got: Vec<String>,
    handed_back: Vec<String>,
    met: Met,
}

impl World {
    fn new(seed: u64) -> Self {
        Self {
            random: fastrand::Rng::with_seed(seed),
            now: Time::ZERO,
            machine: Machine::new(settings(), fastrand::Rng::with_seed(seed)),
            up: VecDeque::new(),
            down: VecDeque::new(),
            connected: None,
            sessions: HashMap::new(),
            tokens: 0,
            effects: Vec::new(),
            sent: 0,
            receipts: Vec::new(),
            got: Vec::new(),
            handed_back: Vec::new(),
            met: Met::default(),
        }
    }

    fn step(&mut self) {
        self.now += Time::from_millis(self.random.u64(0..200));
        match self.random.u32(0..100) {
            0..20 => self.application_sends(),
            20..40 => self.server_sends(),
            40..60 => self.deliver_up(),
            60..85 => self.deliver_down(),
            85..92 => self.server_acknowledges(),
            92..96 => self.cut(),
            96 if self.random.u32(0..6) == 0 => self.sessions.clear(),
            _ => {}
        }
        self.drive();
    }

    /// What the driver would do by now.
    fn drive(&mut self) {
        while self
            .machine
            .deadline(self.now)
            .is_some_and(|at| at <= self.now)
        {
            self.machine.timer(self.now);
        }
        while let Some(command) = self.machine.command() {
            match command {
                Command::Connect(offered) => self.connect(&offered),
                Command::Drop | Command::Close(_) => self.disconnect(),
            }
        }
        // Sometimes the socket takes nothing.
        if self.connected.is_some() && self.random.bool() {
            while let Some(wire) = self.machine.next_write(self.now) {
                self.up.push_back(wire);
            }
        }
        while let Some(event) = self.machine.event() {
            match event {
                Event::Message(frame) => self.got.push(frame.as_text().unwrap().to_owned()),
                Event::Reset(reset) => {
                    self.met.resets += 1;
                    self.got.clear();
                    let back = reset.unacknowledged.iter();
                    self.handed_back
                        .extend(back.map(|frame| frame.as_text().unwrap().to_owned()));
                }
                Event::State(State::Closed(ended)) => panic!("closed: {ended:?}"),
                Event::State(_) | Event::Saved { .. } | Event::Presence(_) => {}
            }
        }
    }

    fn connect(&mut self, offered: &[String]) {
        if self.random.u32(0..4) == 0 {
            return self
                .machine
                .lost(Failure::Io("refused".to_owned()), self.now);
        }
        self.machine.connected(Some(PROTOCOL), self.now);
        let resume = offered
            .iter()
            .find_map(|offered| offered.strip_prefix("abide.resume."));
        let known = resume.and_then(|resume| {
            let (token, taken) = resume.split_once('.').unwrap();
            let session = self.sessions.get(token)?;
            Some((token.to_owned(), taken.parse::<usize>().unwrap(), session))
        });
        let (token, said) = match known {
            Some((token, taken, session)) => {
                self.met.resumes += 1;
                self.met.resent += u32::from(session.sent.len() > taken);
                self.down.extend(
                    session.sent[taken..]
                        .iter()
                        .map(|text| Frame::from(&**text)),
                );
                let said = format!(r#""resumed":true,"received":{}"#, session.received);
                (token, said)
            }
            None => {
                self.tokens += 1;
                let token = format!("T{}", self.tokens);
                self.sessions.insert(token.clone(), Session::default());
                let reset = if resume.is_some() {
                    r#","reset":"expired""#
                } else {
                    ""
                };
                (token, format!(r#""resumed":false,"received":0{reset}"#))
            }
        };
        self.down.push_front(welcome(&token, &said));
        self.connected = Some(token);
    }

    fn cut(&mut self) {
        if self.connected.is_some() {
            self.disconnect();
            self.machine.lost(Failure::Io("cut".to_owned()), self.now);
        }
    }

    fn disconnect(&mut self) {
        self.connected = None;
        self.up.clear();
        self.down.clear();
    }

    fn application_sends(&mut self) {
        self.sent += 1;
        // Some need the escape.
        let mark = if self.random.bool() { "\u{10}" } else { "" };
        let text = format!("{mark}{}", self.sent);
        let receipt = send(&mut self.machine, &text);
        self.receipts.push((text, receipt));
    }

    fn session(&mut self) -> Option<&mut Session> {
        self.sessions.get_mut(self.connected.as_ref()?)
    }

    fn server_sends(&mut self) {
        let Some(session) = self.session() else {
            return;
        };
        let text = session.sent.len().to_string();
        session.sent.push(text.clone());
        self.down.push_back(Frame::Text(text));
    }

    fn deliver_up(&mut self) {
        let Some(wire) = self.up.pop_front() else {
            return;
        };
        let Wire::Text(text) = wire else {
            panic!("{wire:?}")
        };
        match control::read(Frame::Text(text)) {
            Received::Data(frame) => {
                // A session that was forgotten takes nothing more.
                if let Some(session) = self.session() {
                    session.received += 1;
                    self.effects.push(frame.as_text().unwrap().to_owned());
                }
            }
            Received::Control(FromServer::Ack { n }) => {
                let Some(session) = self.session() else {
                    return;
                };
                assert!(n <= session.sent.len() as u64, "from the future");
            }
            other => assert!(
                matches!(other, Received::Control(FromServer::Unknown)),
                "{other:?}"
            ),
        }
    }

    fn deliver_down(&mut self) {
        if let Some(frame) = self.down.pop_front() {
            self.machine.received(frame, self.now);
        }
    }

    fn server_acknowledges(&mut self) {
        let Some(session) = self.session() else {
            return;
        };
        let ack = control(&format!(r#"{{"type":"ack","n":{}}}"#, session.received));
        self.down.push_back(ack);
    }

    /// No more faults, until everything has arrived.
    fn settle(&mut self) {
        for _ in 0..10_000 {
            self.now += Time::from_millis(100);
            self.drive();
            if self.connected.is_some()
                && !self.sessions.contains_key(self.connected.as_ref().unwrap())
            {
                self.cut();
            }
            while !self.up.is_empty() {
                self.deliver_up();
            }
            self.server_acknowledges();
            while !self.down.is_empty() {
                self.deliver_down();
            }
            self.drive();
            if self.machine.pending() == 0 && self.session().is_some() {
                return;
            }
        }
        panic!("it never settles");
    }

    fn check(&mut self) {
        let session = self.session().unwrap().sent.clone();
        assert_eq!(
            self.got, session,
            "what the server sent in the session there is"
        );
        let mut effects = self.effects.iter();
        for (text, receipt) in &mut self.receipts {
            let back = self.handed_back.contains(text);
            match receipt.try_recv().unwrap() {
                Ok(Assurance::Durable) => {
                    assert!(!back, "{text} was acknowledged and handed back");
                    assert!(
                        effects.any(|effect| effect == text),
                        "{text} was acknowledged and is lost, or late"
                    );
                }
                Err(Unsettled::Reset) => {
                    assert!(back, "{text} is neither acknowledged nor handed back")
                }
                other => panic!("{text}: {other:?}"),
            }
        }
        let mut once = self.effects.clone();
        once.sort();
        once.dedup();
        assert_eq!(
            once.len(),
            self.effects.len(),
            "something took effect twice"
        );
    }
}

#[test]
fn whatever_is_lost_on_the_way_nothing_is_lost_or_doubled() {
    let mut met = Met::default();
    for seed in 0..400 {
        let mut world = World::new(seed);
        for _ in 0..300 {
            world.step();
        }
        world.settle();
        println!("seed {seed}: {:?}", world.met);
        world.check();
        met.resumes += world.met.resumes;
        met.resets += world.met.resets;
        met.resent += world.met.resent;
    }
    assert!(
        met.resumes > 1_000 && met.resets > 100 && met.resent > 300,
        "{met:?}"
    );
}
