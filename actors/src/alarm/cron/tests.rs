use abide_storage::Timestamp;

use super::{Cron, EXPRESSION_SIZE_MAX_BYTES};

/// The moment of an RFC 3339 text.
fn at(text: &str) -> Timestamp {
    let moment: jiff::Timestamp = text.parse().unwrap();
    Timestamp(moment.as_millisecond().try_into().unwrap())
}

/// The next times after `after`, as the clocks of the zone show them.
fn next(expression: &str, zone: &str, after: &str, count: usize) -> Vec<String> {
    let cron = Cron::new(expression, zone).unwrap();
    let mut last = at(after);
    let mut found = Vec::new();
    for _ in 0..count {
        last = cron.next_after(last).unwrap();
        let moment = jiff::Timestamp::from_millisecond(last.0.try_into().unwrap()).unwrap();
        let zoned = moment.in_tz(zone).unwrap();
        found.push(zoned.strftime("%m-%d %H:%M:%S %:z").to_string());
    }
    found
}

#[test]
fn it_occurs_by_the_clocks_of_its_zone() {
    assert_eq!(
        next(
            "0 9 * * MON-FRI",
            "Europe/Berlin",
            "2026-01-02T07:59:59.999Z",
            3
        ),
        [
            "01-02 09:00:00 +01:00",
            "01-05 09:00:00 +01:00",
            "01-06 09:00:00 +01:00"
        ]
    );
    assert_eq!(
        next("0 9 * * *", "Asia/Tokyo", "2026-01-02T00:00:00Z", 1),
        ["01-03 09:00:00 +09:00"],
        "nine in Tokyo is midnight here, and midnight is not after midnight"
    );
    assert_eq!(
        next("*/20 * * * * *", "UTC", "2026-01-01T00:00:05.5Z", 3),
        [
            "01-01 00:00:20 +00:00",
            "01-01 00:00:40 +00:00",
            "01-01 00:01:00 +00:00"
        ]
    );
    assert_eq!(
        next("0 0 L * *", "UTC", "2028-02-01T00:00:00Z", 2),
        ["02-29 00:00:00 +00:00", "03-31 00:00:00 +00:00"]
    );
    assert_eq!(
        next("@daily", "UTC", "2026-12-30T12:00:00Z", 2),
        ["12-31 00:00:00 +00:00", "01-01 00:00:00 +00:00"]
    );
}

/// In Berlin 02:00 to 03:00 does not exist on 2026-03-29.
#[test]
fn a_daily_time_that_does_not_exist_is_taken_at_the_end_of_the_gap() {
    assert_eq!(
        next("30 2 * * *", "Europe/Berlin", "2026-03-28T00:00:00Z", 3),
        [
            "03-28 02:30:00 +01:00",
            "03-29 03:00:00 +02:00",
            "03-30 02:30:00 +02:00"
        ]
    );
    assert_eq!(
        next("0 2 * * *", "Europe/Berlin", "2026-03-28T12:00:00Z", 2),
        ["03-29 03:00:00 +02:00", "03-30 02:00:00 +02:00"]
    );
}

/// In Berlin 02:00 to 03:00 comes twice on 2026-10-25.
#[test]
fn a_daily_time_that_exists_twice_is_taken_the_first_time() {
    assert_eq!(
        next("30 2 * * *", "Europe/Berlin", "2026-10-24T12:00:00Z", 2),
        ["10-25 02:30:00 +02:00", "10-26 02:30:00 +01:00"]
    );
    assert_eq!(
        next("30 2 * * *", "Europe/Berlin", "2026-10-25T00:45:00Z", 1),
        ["10-26 02:30:00 +01:00"],
        "asked between the two, it has been"
    );
}

#[test]
fn an_interval_stays_one_where_clocks_change() {
    assert_eq!(
        next("*/30 * * * *", "Europe/Berlin", "2026-03-29T00:15:00Z", 3),
        [
            "03-29 01:30:00 +01:00",
            "03-29 03:00:00 +02:00",
            "03-29 03:30:00 +02:00"
        ]
    );
    assert_eq!(
        next("*/30 * * * *", "Europe/Berlin", "2026-10-25T00:15:00Z", 5),
        [
            "10-25 02:30:00 +02:00",
            "10-25 02:00:00 +01:00",
            "10-25 02:30:00 +01:00",
            "10-25 03:00:00 +01:00",
            "10-25 03:30:00 +01:00"
        ]
    );
    assert_eq!(
        next("30 2,14 * * *", "Europe/Berlin", "2026-03-28T14:00:00Z", 2),
        ["03-29 14:30:00 +02:00", "03-30 02:30:00 +02:00"],
        "several hours are no daily time: none in the gap"
    );
}

/// Clocks that change by half an hour, and south of the equator.
#[test]
fn gaps_of_half_an_hour_are_gaps() {
    assert_eq!(
        next(
            "15 2 * * *",
            "Australia/Lord_Howe",
            "2026-10-03T00:00:00Z",
            2
        ),
        ["10-04 02:30:00 +11:00", "10-05 02:15:00 +11:00"]
    );
}

#[test]
fn what_cannot_be_used_is_refused_with_a_reason() {
    for (expression, zone, reason) in [
        ("", "UTC", "empty"),
        ("every day", "UTC", "fields"),
        ("61 * * * *", "UTC", "out of bounds"),
        ("* * * * * * 2030", "UTC", "years"),
        ("0 0 30 2 *", "UTC", "it never occurs"),
        (
            "0 9 * * *",
            "Europe/Atlantis",
            "no time zone 'Europe/Atlantis' is known",
        ),
        ("0 9 * * *", "", "no time zone '' is known"),
    ] {
        let error = Cron::new(expression, zone).unwrap_err().to_string();
        assert!(error.contains(reason), "{expression:?} {zone:?}: {error}");
    }
    let long = "0,".repeat(EXPRESSION_SIZE_MAX_BYTES);
    assert!(Cron::new(&long, "UTC").is_err());
}

#[test]
fn the_end_of_the_calendar_is_an_end() {
    let cron = Cron::new("* * * * *", "UTC").unwrap();
    assert_eq!(cron.next_after(Timestamp(u64::MAX)), None);
}
