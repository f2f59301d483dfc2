//! Readers beside the writer.

use std::thread;

use crate::common::{TestHome, record};
use starling_core::storage::RecordStore as _;
use starling_store::Summary;

#[test]
fn a_reader_in_another_thread_sees_what_was_committed() {
    let (_home, mut database) = TestHome::new();
    let (held, encoded) = record(1, 5000);
    database.begin().unwrap();
    database.write_record(&held, &encoded).unwrap();

    let readers = database.readers().clone();
    let summary = move || {
        thread::spawn({
            let readers = readers.clone();
            move || readers.open().unwrap().summary().unwrap()
        })
    };
    assert_eq!(summary().join().unwrap(), Summary { records: 0, record_bytes: 0, peers: 0 });
    database.commit().unwrap();
    assert_eq!(summary().join().unwrap(), Summary { records: 1, record_bytes: 5000, peers: 0 });
}

#[test]
fn a_reader_does_not_hold_up_the_writer() {
    let (_home, mut database) = TestHome::new();
    let reader = database.readers().open().unwrap();
    for number in 0..20 {
        let (held, encoded) = record(number, 1000);
        database.begin().unwrap();
        database.write_record(&held, &encoded).unwrap();
        database.commit().unwrap();
        assert_eq!(reader.summary().unwrap().records, u64::from(number) + 1);
    }
    database.close().unwrap();
    assert_eq!(reader.summary().unwrap().records, 20);
}

#[test]
fn a_home_left_by_a_crash_can_be_read() {
    let (home, mut database) = TestHome::new();
    let (held, encoded) = record(1, 1000);
    database.begin().unwrap();
    database.write_record(&held, &encoded).unwrap();
    database.commit().unwrap();
    let copy = home.copy();
    let reader = copy.home().readers(&copy.key()).open().unwrap();
    assert_eq!(reader.summary().unwrap().records, 1);
}

#[test]
fn sizes_are_those_of_the_files() {
    let (home, mut database) = TestHome::new();
    let (held, encoded) = record(1, 20_000);
    database.begin().unwrap();
    database.write_record(&held, &encoded).unwrap();
    database.commit().unwrap();
    let size = database.size().unwrap();
    assert_eq!(size.database_bytes, home.file("starling.db").metadata().unwrap().len());
    assert!(size.log_bytes > 20_000);
    let readers = database.readers().clone();
    database.close().unwrap();
    assert_eq!(readers.size().unwrap().log_bytes, 0);
}
