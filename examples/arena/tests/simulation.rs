//! Ships, inputs and hits, without a server.

use std::io::Write as _;
use std::process::{Command, Stdio};

use crate::world::body::{Body, Keys};
use crate::world::helm::Helm;
use crate::world::rules::{DOWN_TICKS, HULL_MAX, SAFE_TICKS, SIZE};
use crate::world::ship::{Pilot, Ship};
use crate::world::things::Gift;
use crate::world::{Event, World};

/// A world with nothing in it but two ships: one that shoots, and one 200 units before it.
fn duel() -> (World, u32, u32) {
    let mut world = World::new(7, 0);
    world.rocks.clear();
    let one = world.launch(Pilot::Player(Helm::default())).unwrap();
    let two = world.launch(Pilot::Away).unwrap();
    place(&mut world, one, 1_000.0, 1_000.0);
    place(&mut world, two, 1_200.0, 1_000.0);
    (world, one, two)
}

fn place(world: &mut World, ship: u32, x: f64, y: f64) {
    ship_of(world, ship).body = Body::resting(x, y, 0.0);
}

fn ship_of(world: &mut World, ship: u32) -> &mut Ship {
    world.ships.get_mut(&ship).unwrap()
}

fn press(world: &mut World, ship: u32, number: u32, keys: u8) {
    let Pilot::Player(helm) = &mut ship_of(world, ship).pilot else {
        panic!("ship {ship} has no player");
    };
    helm.take(number, Keys(keys));
}

/// The page predicts its ship with a function of its own, which must be this one. Skipped where
/// there is no node.
#[test]
fn the_page_moves_ships_as_the_server_does() {
    let script = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/examples/arena/world/golden.mjs"
    );
    let started = Command::new("node")
        .arg(script)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn();
    let Ok(mut node) = started else {
        return;
    };
    let mut random = fastrand::Rng::with_seed(20);
    let mut keys = 0;
    let keys: Vec<u8> = (0..2_000)
        .map(|tick| {
            if tick % 7 == 0 {
                keys = random.u8(..32);
            }
            keys
        })
        .collect();
    let mut input = node.stdin.take().unwrap();
    for keys in &keys {
        writeln!(input, "{keys}").unwrap();
    }
    drop(input);
    let output = node.wait_with_output().unwrap();
    let lines = String::from_utf8(output.stdout).unwrap();
    assert_eq!(lines.lines().count(), keys.len(), "node failed");

    let mut body = Body::resting(3_000.0, 3_000.0, 1.0);
    let mut walls = 0;
    for (at, (line, keys)) in lines.lines().zip(keys).enumerate() {
        body = body.step(Keys(keys));
        let theirs: serde_json::Value = serde_json::from_str(line).unwrap();
        for (field, ours) in [
            ("x", body.x),
            ("y", body.y),
            ("vx", body.vx),
            ("vy", body.vy),
            ("angle", body.angle),
            ("energy", body.energy.into()),
        ] {
            let off = (theirs[field].as_f64().unwrap() - ours).abs();
            assert!(off < 1e-3, "step {at}: {field} is off by {off}");
        }
        walls += u32::from(body.x <= 20.0 || body.x >= SIZE - 20.0);
    }
    assert!(walls > 0, "the way should touch a wall");
}

#[test]
fn each_input_has_one_step_whenever_it_comes() {
    // Six inputs, of which the network keeps some back: whatever it does, a ship that is told
    // of all of them has taken as many steps as ticks have passed, and answers for each.
    for late in 0..6_u32 {
        let mut helm = Helm::default();
        let mut pressed = Vec::new();
        let mut waiting = Vec::new();
        for number in 1..=6 {
            waiting.push(number);
            if number > late {
                for number in waiting.drain(..) {
                    helm.take(number, Keys(u8::try_from(number).unwrap()));
                }
            }
            pressed.push(helm.next().0);
        }
        assert_eq!(pressed.len(), 6);
        assert_eq!(
            (helm.done(), pressed[5]),
            (6, 6),
            "{late} late: {pressed:?}"
        );
    }
}

#[test]
fn who_sends_faster_does_not_fly_faster() {
    let mut world = World::new(7, 0);
    world.rocks.clear();
    let honest = world.launch(Pilot::Player(Helm::default())).unwrap();
    let hasty = world.launch(Pilot::Player(Helm::default())).unwrap();
    place(&mut world, honest, 500.0, 1_000.0);
    place(&mut world, hasty, 500.0, 3_000.0);
    for tick in 0..40 {
        press(&mut world, honest, tick + 1, Keys::THRUST);
        for more in 1..=5 {
            press(&mut world, hasty, tick * 5 + more, Keys::THRUST);
        }
        world.step();
    }
    let (one, two) = (&world.ships[&honest].body, &world.ships[&hasty].body);
    assert!(one.x > 900.0, "{one:?}");
    assert!((one.x - two.x).abs() < 1e-9, "{} and {}", one.x, two.x);
}

#[test]
fn who_is_silent_for_a_second_has_let_go_of_the_keys() {
    let mut helm = Helm::default();
    helm.take(1, Keys(Keys::THRUST));
    let held = (0..30)
        .take_while(|_| helm.next().has(Keys::THRUST))
        .count();
    assert_eq!(held, 20, "ticks under the keys of the last input");
    helm.take(2, Keys(Keys::FIRE));
    assert_eq!(
        helm.next(),
        Keys(Keys::FIRE),
        "and is back with the next one"
    );
}

#[test]
fn old_and_doubled_inputs_are_dropped() {
    let mut helm = Helm::default();
    helm.take(3, Keys(1));
    helm.take(2, Keys(2));
    helm.take(3, Keys(4));
    assert_eq!((helm.next(), helm.done()), (Keys(1), 3));
    assert_eq!(
        (helm.next(), helm.done()),
        (Keys(1), 3),
        "it goes on under the same keys"
    );
    helm.take(4, Keys(8));
    assert_eq!(helm.done(), 4, "its step was taken without it");
    assert_eq!(helm.next(), Keys(8));
}

#[test]
fn five_hits_bring_a_ship_down_and_it_comes_back() {
    let (mut world, one, two) = duel();
    let mut events = Vec::new();
    for tick in 0..SAFE_TICKS + 60 {
        press(&mut world, one, tick + 1, Keys::FIRE);
        events.extend(world.step());
        // Bumps and drifting aside, they stay where they are.
        if world.ships[&two].is_flying() {
            place(&mut world, two, 1_200.0, 1_000.0);
        } else {
            break;
        }
    }
    let down = Event::Down {
        ship: two,
        by: Some(one),
        streak: 0,
    };
    assert_eq!(
        events,
        [
            down,
            Event::Points {
                ship: one,
                points: 100
            }
        ]
    );
    assert_eq!(
        (world.ships[&one].score, world.ships[&one].streak),
        (100, 1)
    );
    assert_eq!(world.powers.len(), 1, "it leaves something behind");
    for _ in 0..DOWN_TICKS {
        world.step();
    }
    let ship = &world.ships[&two];
    assert!(ship.is_flying() && ship.hull == HULL_MAX && ship.is_safe(world.tick));
}

#[test]
fn a_fast_shot_does_not_fly_through_a_ship() {
    let (mut world, one, two) = duel();
    // From every distance in range: 65 units per tick against a ship that is 40 wide.
    for away in 40..=600 {
        world.shots.clear();
        world.rocks.clear();
        let tick = world.tick;
        let ship = Ship::new(Body::resting(1_000.0, 1_000.0, 0.0), Pilot::Away, tick);
        *ship_of(&mut world, two) = ship;
        place(&mut world, two, 1_000.0 + f64::from(away), 1_000.0);
        let mut gunner = Ship::new(Body::resting(1_000.0, 1_000.0, 0.0), Pilot::Away, tick);
        gunner.keys = Keys(Keys::FIRE);
        gunner.body.vx = 420.0;
        let shot = gunner.fire(one, tick).remove(0);
        world.shots.insert(5_000, shot);
        // Nobody shoots back, and nobody is safe: the target gives that up with a shot of its own.
        ship_of(&mut world, two).keys = Keys(Keys::FIRE);
        drop(ship_of(&mut world, two).fire(two, tick));
        place(&mut world, one, 4_000.0, 4_000.0);
        for _ in 0..17 {
            world.step();
        }
        assert_eq!(world.ships[&two].hull, HULL_MAX - 1, "{away} units away");
    }
}

#[test]
fn gifts_do_what_they_say() {
    let (mut world, one, two) = duel();
    let tick = world.tick;
    let ship = ship_of(&mut world, two);
    ship.keys = Keys(Keys::FIRE);
    assert_eq!(ship.fire(two, tick).len(), 1);
    ship.receive(Gift::Shield, tick);
    for _ in 0..3 {
        assert!(!ship.hit(tick));
    }
    assert_eq!((ship.shield, ship.hull), (0, HULL_MAX));
    assert!(!ship.hit(tick));
    assert_eq!(ship.hull, HULL_MAX - 1);
    ship.receive(Gift::Repair, tick);
    assert_eq!(ship.hull, HULL_MAX);
    ship.receive(Gift::Triple, tick);
    assert_eq!(ship.fire(two, tick + 5).len(), 3);
    assert_eq!(world.ships[&one].shield, 0);
}

#[test]
fn two_hundred_ships_stay_in_the_world_and_leave_no_ids_behind() {
    let mut world = World::new(11, 0);
    for _ in 0..200 {
        world.launch(Pilot::Drone { whim: 0.5 }).unwrap();
    }
    let prey = world.launch(Pilot::Player(Helm::default())).unwrap();
    let mut downs = 0;
    for tick in 0..600_u32 {
        press(&mut world, prey, tick + 1, Keys::THRUST | Keys::LEFT);
        let events = world.step();
        downs += events
            .iter()
            .filter(|event| matches!(event, Event::Down { .. }))
            .count();
        for ship in world.ships.values() {
            let inside = 0.0..=SIZE;
            assert!(inside.contains(&ship.body.x) && inside.contains(&ship.body.y));
            assert!(ship.is_flying() == (ship.hull > 0));
        }
    }
    assert!(downs > 0, "nobody was shot down in half a minute");
    assert_eq!(world.ships.len(), 201);
    assert!(world.rocks.len() < 300 && world.shots.len() < 2_000);
}

#[test]
fn the_same_seed_and_inputs_make_the_same_world() {
    let run = || {
        let mut world = World::new(3, 0);
        for _ in 0..20 {
            world.launch(Pilot::Drone { whim: 0.5 }).unwrap();
        }
        let ship = world.launch(Pilot::Player(Helm::default())).unwrap();
        for tick in 0..300 {
            press(
                &mut world,
                ship,
                tick + 1,
                u8::try_from(tick / 9 % 32).unwrap(),
            );
            world.step();
        }
        let ships = world
            .ships
            .values()
            .map(|ship| (ship.body, ship.hull, ship.score));
        ships.collect::<Vec<_>>()
    };
    assert_eq!(run(), run());
}
