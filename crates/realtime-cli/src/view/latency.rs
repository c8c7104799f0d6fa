//! How long the user waited for the agent's voice: from the end of a turn to the first sound of an answer.

use super::model::{Function, Latency, Part, Response, Turn};

/// What happens, in the order in which it counts when it happens at once.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
enum Moment {
    Stops,
    Sounds(usize),
    Starts,
}

/// All waits of a call.
pub(super) fn latencies(
    turns: &[Turn],
    parts: &[Part],
    responses: &[Response],
    functions: &[Function],
) -> Vec<Latency> {
    let mut moments = Vec::new();
    for turn in turns {
        moments.push((turn.start, Moment::Starts));
        moments.extend(turn.stop.map(|stop| (stop, Moment::Stops)));
    }
    for (number, part) in parts.iter().enumerate() {
        moments.extend(part.runs.first().map(|run| (run.0, Moment::Sounds(number))));
    }
    moments.sort_unstable();
    let mut found = Vec::new();
    let (mut since, mut silent) = (None, true);
    for (at, moment) in moments {
        match moment {
            Moment::Stops => since = Some(at),
            // What was written begins and ends at once.
            Moment::Starts if since == Some(at) => {}
            Moment::Starts => since = None,
            Moment::Sounds(part) => {
                // Before anyone has spoken, the wait begins with the request.
                let asked = || {
                    let response = responses.iter().find(|response| response.id == parts[part].response);
                    response.and_then(|response| response.requested).filter(|_| silent)
                };
                if let Some(from) = since.take().or_else(asked) {
                    let ran = functions.iter().filter(|f| f.start >= from && f.start <= at);
                    found.push(Latency { from, to: at, part, functions: ran.count() });
                }
                silent = false;
            }
        }
        silent &= moment != Moment::Stops;
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn turn(start: i64, stop: i64) -> Turn {
        Turn { start, stop: Some(stop), ..Turn::default() }
    }

    fn part(response: &str, at: i64) -> Part {
        Part { response: response.into(), runs: vec![(at, 0, 1)], ..Part::default() }
    }

    #[test]
    fn a_wait_lasts_from_the_end_of_a_turn_to_the_first_sound() {
        let turns = [turn(500, 700), turn(1200, 1400), turn(1420, 1600), turn(2000, 2000)];
        let parts = [part("a", 100), part("b", 900), part("b", 1000), part("c", 1650), part("d", 2300)];
        let responses = [Response { id: "a".into(), requested: Some(20), ..Response::default() }];
        let functions = [Function { start: 800, ..Function::default() }];
        let found = latencies(&turns, &parts, &responses, &functions);
        let found: Vec<_> = found.iter().map(|l| (l.from, l.to, l.part, l.functions)).collect();
        assert_eq!(found, [(20, 100, 0, 0), (700, 900, 1, 1), (1600, 1650, 3, 0), (2000, 2300, 4, 0)]);
    }

    #[test]
    fn an_answer_that_nobody_waited_for_has_no_latency() {
        assert_eq!(latencies(&[], &[part("a", 100)], &[], &[]), []);
        let found = latencies(&[turn(0, 50), turn(60, 200)], &[part("a", 100)], &[], &[]);
        assert_eq!(found, []);
    }
}
