use super::*;
use crate::line::Body;
use crate::samples::{at, claim, entry, id, owner, placed};

#[test]
fn lines_go_one_at_a_time_each_behind_the_one_before() {
    let mut writer = writer_of_a();
    writer.push(claim("1"));
    writer.push(claim("2"));
    assert_eq!(sent(&mut writer), Some((2, claim("1"))));
    assert_eq!(sent(&mut writer), None);
    assert_eq!(writer.handle_appended(Sequence(7)), Some(Written::Line(claim("1"))));
    assert_eq!(sent(&mut writer), Some((7, claim("2"))));
}

#[test]
fn a_lost_answer_is_found_in_the_journal() {
    let mut writer = writer_of_a();
    writer.push(claim("1"));
    sent(&mut writer);
    writer.handle_unclear(at(1));
    assert_eq!(writer.poll(at(1)), Some(Ok(Step::Read)));
    let mut journal = journal();
    journal.push((Sequence(3), entry("a", 0, claim("1"))));
    assert_eq!(writer.handle_read(at(2), &journal), Some(Written::Line(claim("1"))));
    assert!(writer.is_idle());
}

#[test]
fn a_line_that_did_not_arrive_is_sent_again_and_a_late_copy_does_no_harm() {
    let mut writer = writer_of_a();
    writer.push(claim("1"));
    sent(&mut writer);
    writer.handle_unclear(at(1));
    writer.poll(at(1));
    assert_eq!(writer.handle_read(at(2), &journal()), None);
    assert_eq!(sent(&mut writer), Some((2, claim("1"))), "behind the same line: one of both is taken");
}

#[test]
fn a_line_of_another_owner_fences_it_off() {
    let mut writer = writer_of_a();
    writer.push(claim("1"));
    writer.push(claim("2"));
    sent(&mut writer);
    writer.handle_unclear(at(1)); // refused, in this case
    writer.poll(at(1));
    let mut journal = journal();
    journal.push((Sequence(3), entry("b", 0, owner("b", 2))));
    assert_eq!(writer.handle_read(at(2), &journal), Some(Written::Fenced));
    assert!(!writer.push(claim("3")) && writer.poll(at(9)).is_none() && writer.is_idle());
}

#[test]
fn it_is_fenced_off_also_where_its_line_had_arrived_before_the_other_one() {
    let mut writer = writer_of_a();
    writer.push(claim("1"));
    sent(&mut writer);
    writer.handle_unclear(at(1));
    writer.poll(at(1));
    let mut journal = journal();
    journal.push((Sequence(3), entry("a", 0, claim("1"))));
    journal.push((Sequence(4), entry("b", 0, owner("b", 2))));
    assert_eq!(writer.handle_read(at(2), &journal), Some(Written::Fenced));
}

#[test]
fn an_adopter_that_read_an_older_journal_does_not_adopt() {
    let mut writer = Writer::new(id("c"), CallRecord::fold(&journal()));
    writer.push(owner("c", 0));
    assert_eq!(sent(&mut writer), Some((2, owner("c", 2))), "the epoch is the next one");
    writer.handle_unclear(at(1));
    writer.poll(at(1));
    let mut journal = journal();
    journal.push((Sequence(3), entry("a", 0, claim("1"))));
    assert_eq!(writer.handle_read(at(2), &journal), Some(Written::Fenced), "its owner lives");
}

#[test]
fn an_owner_with_a_new_name_takes_its_call_back_before_it_writes_anything_else() {
    let mut writer = writer_of_a();
    writer.push(claim("1"));
    writer.rename(id("a2"), owner("a2", 0));
    assert_eq!(sent(&mut writer), Some((2, owner("a2", 2))));
    writer.handle_appended(Sequence(3));
    assert_eq!(sent(&mut writer), Some((3, claim("1"))));
}

#[test]
fn a_first_owner_with_a_new_name_is_the_first_one_by_it() {
    let mut writer = Writer::new(id("a"), CallRecord::new());
    writer.push(placed("a"));
    writer.rename(id("a2"), owner("a2", 0));
    assert_eq!(sent(&mut writer), Some((0, placed("a2"))));
    writer.handle_appended(Sequence(3));
    assert_eq!((sent(&mut writer), writer.record().owner()), (None, Some(&id("a2"))));
}

#[test]
fn of_snapshots_that_wait_the_newest_is_written() {
    let mut writer = writer_of_a();
    writer.push(claim("1"));
    sent(&mut writer);
    for v in [1, 2] {
        writer.push(Line::Snap { v, body: Body::of(&()).unwrap(), claims: Vec::new() });
    }
    writer.handle_appended(Sequence(3));
    let Some((3, Line::Snap { v, claims, .. })) = sent(&mut writer) else { panic!() };
    assert_eq!((v, claims.len()), (2, 1), "with the functions until then");
}

fn writer_of_a() -> Writer {
    Writer::new(id("a"), CallRecord::fold(&journal()))
}

fn journal() -> Vec<(Sequence, Entry)> {
    vec![(Sequence(2), entry("a", 9, placed("a")))]
}

fn sent(writer: &mut Writer) -> Option<(u64, Line)> {
    match writer.poll(at(0)) {
        Some(Ok(Step::Append(after, entry))) => Some((after.0, entry.line)),
        Some(other) => panic!("{other:?}"),
        None => None,
    }
}
