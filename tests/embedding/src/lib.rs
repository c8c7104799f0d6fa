//! The machine of a session as a few functions that C can call, and so anything that calls C; built for
//! wasm32, a page can. `machine.h` is their header, `call.c` and `call.mjs` are programs that use them.
//!
//! The caller keeps its sockets, threads and clocks. Commands, media and events are JSON, as in a session
//! log; audio is bytes. Take this file for a start, and change it to what your engine needs.

#[cfg(target_family = "wasm")]
pub mod room;

use std::ffi::{CStr, CString, c_char};
use std::ptr;
use std::slice;

use realtime_protocol::call::{Command, CommandId, DisconnectReason, Event, Media};
use realtime_protocol::event::Dialect;
use realtime_protocol::session::{Output, Session, SessionOptions};
use realtime_protocol::time::{Timestamp, UnixTime};

/// A session, and what it put out last.
#[derive(Debug)]
pub struct Machine {
    session: Session,
    text: CString,
    audio: Vec<u8>,
}

/// What was asked for was done.
const TAKEN: i32 = 0;
/// The text is not what the function takes.
const UNREADABLE: i32 = 1;
/// It can't be right now, and had no effect.
const REFUSED: i32 = 2;

/// A machine whose connection is open. `now_us` is a clock that never goes back, `wall_s` is UNIX time.
#[unsafe(no_mangle)]
pub extern "C" fn machine_new(now_us: u64, wall_s: u64) -> *mut Machine {
    let mut session = Session::new(SessionOptions::default());
    session.handle_connected(Timestamp::from_micros(now_us), UnixTime::from_secs(wall_s));
    Box::into_raw(Box::new(Machine { session, text: CString::default(), audio: Vec::new() }))
}

/// The server sent this text.
///
/// # Safety
/// `text` ends in a zero byte.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn machine_text(machine: &mut Machine, now_us: u64, text: *const c_char) {
    // SAFETY: the caller's promise.
    let text = unsafe { CStr::from_ptr(text) }.to_string_lossy();
    machine.session.handle_text(Timestamp::from_micros(now_us), &text);
}

/// The connection is over: why, such as `{"lost":{"reason":"reset"}}`.
///
/// # Safety
/// `json` ends in a zero byte.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn machine_disconnected(
    machine: &mut Machine,
    now_us: u64,
    json: *const c_char,
) -> i32 {
    // SAFETY: the caller's promise.
    let json = unsafe { CStr::from_ptr(json) }.to_string_lossy();
    let Ok(reason) = serde_json::from_str::<DisconnectReason>(&json) else { return UNREADABLE };
    machine.session.handle_disconnected(Timestamp::from_micros(now_us), reason);
    TAKEN
}

/// The application wants something, such as `{"create_response":{}}`. `id` comes back when that is settled.
///
/// # Safety
/// `json` ends in a zero byte.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn machine_command(
    machine: &mut Machine,
    now_us: u64,
    id: u64,
    json: *const c_char,
) -> i32 {
    // SAFETY: the caller's promise.
    let json = unsafe { CStr::from_ptr(json) }.to_string_lossy();
    let Ok(command) = serde_json::from_str::<Command>(&json) else { return UNREADABLE };
    let taken = machine.session.handle_command(Timestamp::from_micros(now_us), CommandId(id), command);
    if taken.is_ok() { TAKEN } else { REFUSED }
}

/// The user's audio: whole samples in the session's input format.
///
/// # Safety
/// `audio` has so many bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn machine_append(
    machine: &mut Machine,
    now_us: u64,
    audio: *const u8,
    bytes: usize,
) -> i32 {
    // SAFETY: the caller's promise.
    let audio = unsafe { slice::from_raw_parts(audio, bytes) }.to_vec();
    media(machine, now_us, Media::Append(audio.into()))
}

/// A report of what was played, or the beginning of a turn: `{"begin_turn":{}}`.
///
/// # Safety
/// `json` ends in a zero byte.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn machine_media(machine: &mut Machine, now_us: u64, json: *const c_char) -> i32 {
    // SAFETY: the caller's promise.
    let json = unsafe { CStr::from_ptr(json) }.to_string_lossy();
    let Ok(value) = serde_json::from_str::<Media>(&json) else { return UNREADABLE };
    media(machine, now_us, value)
}

fn media(machine: &mut Machine, now_us: u64, media: Media) -> i32 {
    let taken = machine.session.handle_media(Timestamp::from_micros(now_us), media);
    if taken.is_ok() { TAKEN } else { REFUSED }
}

/// 0: nothing. 1: send `*text`. 2: `*text` is an event for the application. 3: close the socket. 4: as 2,
/// with audio, which `machine_audio` gives. The text lasts until the next call.
#[unsafe(no_mangle)]
pub extern "C" fn machine_poll(machine: &mut Machine, text: &mut *const c_char) -> i32 {
    machine.audio.clear();
    let (kind, out) = match machine.session.poll_output() {
        None => return 0,
        Some(Output::Send(event)) => (1, event.encode(Dialect::Ga)),
        Some(Output::Close) => (3, String::new()),
        Some(Output::Event(event)) => {
            let json = serde_json::to_string(&event).unwrap_or_default();
            match &event {
                Event::Audio(chunk) => {
                    machine.audio.extend_from_slice(&chunk.audio);
                    (4, json)
                }
                _ => (2, json),
            }
        }
    };
    // JSON has no zero byte.
    machine.text = CString::new(out).unwrap_or_default();
    *text = machine.text.as_ptr();
    kind
}

/// The audio that `machine_poll` has just told, and how many bytes it has. It lasts until the next call.
#[unsafe(no_mangle)]
pub extern "C" fn machine_audio(machine: &Machine, audio: &mut *const u8) -> usize {
    *audio = if machine.audio.is_empty() { ptr::null() } else { machine.audio.as_ptr() };
    machine.audio.len()
}

/// Hands in the time, and returns when to call again (microseconds). `UINT64_MAX`: nothing is due.
#[unsafe(no_mangle)]
pub extern "C" fn machine_timeout(machine: &mut Machine, now_us: u64) -> u64 {
    machine.session.handle_timeout(Timestamp::from_micros(now_us));
    machine.session.poll_timeout().map_or(u64::MAX, Timestamp::as_micros)
}

/// Ends the machine.
///
/// # Safety
/// It came from `machine_new`, and is not used any more.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn machine_free(machine: *mut Machine) {
    // SAFETY: the caller's promise.
    drop(unsafe { Box::from_raw(machine) });
}
