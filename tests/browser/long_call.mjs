// Writes the session log of a long phone call: a turn every six seconds, for hours.

import { closeSync, openSync, writeSync } from "node:fs";

/** Samples of 100 ms of G.711. */
const TENTH = 800;

/** Tenths of a second of noise that rises and falls, as mu-law in base64. */
function tenths(loudness, count) {
  let state = loudness * 7919 + 1;
  return Array.from({ length: count }, (_, tenth) => {
    const bytes = Buffer.alloc(TENTH);
    for (let at = 0; at < TENTH; at++) {
      state = (state * 1103515245 + 12345) & 0x7fffffff;
      const level = loudness * Math.abs(Math.sin((tenth * TENTH + at) / 1300));
      // The upper codes are quiet, the lower ones loud.
      bytes[at] = 255 - Math.min(127, Math.floor(level * (state / 0x7fffffff) * 127)) - (state & 128);
    }
    return bytes.toString("base64");
  });
}

/** Writes it, and returns how many turns there are. */
export function writeLongCall(path, { hours = 4 } = {}) {
  const file = openSync(path, "w");
  let waiting = [];
  let size = 0;
  const flush = () => {
    writeSync(file, waiting.join(""));
    waiting = [];
    size = 0;
  };
  const line = (ms, members) => {
    const text = `${JSON.stringify({ at_us: ms * 1000, ...members })}\n`;
    waiting.push(text);
    size += text.length;
    if (size > 1 << 22) flush();
  };
  const server = (ms, event) => line(ms, { conn: 0, from: "server", event });
  const client = (ms, event) => line(ms, { conn: 0, from: "client", event });
  const session = (ms, event) => line(ms, { from: "session", event });
  const app = (ms, media) => line(ms, { from: "app", media });

  const format = { type: "audio/pcmu" };
  const config = { type: "realtime", audio: { input: { format }, output: { format, voice: "marin" } } };
  waiting.push(`${JSON.stringify({
    format: "realtime-session-log", version: 3, model: "gpt-realtime", started_us: 1790000000000000,
    options: { dialect: "ga", config, playback: "reported" }, content: "full", redacted: ["keys"],
  })}\n`);
  line(0, { conn: 0, from: "client", connect: true });
  line(80, { conn: 0, from: "server", connected: { wall_us: 1790000000080000 } });
  session(120, { ready: { config } });

  const quiet = tenths(0.02, 8);
  const user = tenths(0.5, 16);
  const agent = tenths(0.7, 16);
  const said = "Could you please tell me once more how that works and what it would cost me".split(" ");
  const turns = Math.floor((hours * 3600) / 6);
  for (let turn = 0; turn < turns; turn++) {
    const start = 200 + turn * 6000;
    const item = `item_u${turn}`;
    const reply = `item_a${turn}`;
    const response = `resp_${turn}`;
    const cut = turn % 7 === 3;
    let heard = 0;
    for (let tenth = 0; tenth < 60; tenth++) {
      const at = start + tenth * 100;
      const speaks = tenth < 20 || (cut && tenth >= 45);
      const audio = speaks ? user[tenth % 16] : quiet[tenth % 8];
      app(at, { append: { audio } });
      client(at, { type: "input_audio_buffer.append", audio });
      if (tenth === 3) {
        server(at, { type: "input_audio_buffer.speech_started", event_id: `e_${turn}_1`, audio_start_ms: start - 200, item_id: item });
        session(at, { speech_started: { item_id: item, at: (start - 200) * 1000 } });
      }
      if (tenth === 20) {
        server(at, { type: "input_audio_buffer.speech_stopped", event_id: `e_${turn}_2`, audio_end_ms: at - 200, item_id: item });
        session(at, { speech_stopped: { item_id: item, at: (at - 200) * 1000 } });
        session(at, { committed: { item_id: item } });
        session(at, { response_started: { response_id: response, origin: "server", out_of_band: false, metadata: {} } });
      }
      if (tenth === 22) {
        const transcript = `${turn}: ${said.slice(turn % 5).join(" ")}?`;
        server(at, { type: "conversation.item.input_audio_transcription.completed", event_id: `e_${turn}_3`, item_id: item, content_index: 0, transcript });
        session(at, { user_transcript: { item_id: item, content_index: 0, transcript } });
      }
      if (tenth >= 25 && tenth < 40) {
        for (let half = 0; half < 2; half++) {
          const number = (tenth - 25) * 2 + half;
          const delta = ` ${said[number % said.length]}`;
          server(at, { type: "response.output_audio_transcript.delta", event_id: `e_${turn}_t${number}`, response_id: response, item_id: reply, output_index: 0, content_index: 0, delta });
          session(at, { text: { response_id: response, item_id: reply, content_index: 0, delta, spoken: true } });
          server(at, { type: "response.output_audio.delta", event_id: `e_${turn}_a${number}`, response_id: response, item_id: reply, output_index: 0, content_index: 0, delta: agent[number % 16] });
          session(at, { audio: { response_id: response, item_id: reply, content_index: 0, out_of_band: false, start: number * TENTH, mark: turn * 40 + number + 1, format: "pcmu 8000 Hz", audio: "800 bytes 0000000000000000" } });
        }
      }
      if (tenth > 25 && heard < 30 * TENTH && !(cut && tenth > 45)) {
        heard += TENTH;
        app(at, { report: { played: { item_id: reply, content_index: 0, played: heard } } });
      }
      if (cut && tenth === 45) {
        session(at, { stop_playback: { id: turn } });
        app(at, { report: { stopped: { id: turn, at: { item_id: reply, content_index: 0, played: heard } } } });
        session(at, { interrupted: { response_id: null, parts: [{ item_id: reply, content_index: 0, format: "pcmu 8000 Hz", heard, received: 30 * TENTH, heard_text: " Could you please", estimated: false, cut: { truncated: { audio_end_ms: heard / 8 } } }] } });
      }
      if (tenth === 41) {
        if (turn % 10 === 5) {
          const call = { call_id: `call_${turn}`, item_id: null, name: "look_up", arguments: `{"number":${turn}}`, key: "0" };
          session(at, { function_calls: { response_id: response, out_of_band: false, calls: [call] } });
          session(at + 60, { function_ended: { call, end: { result: { price: turn } } } });
        }
        session(at + 60, { audio_done: { response_id: response, item_id: reply, content_index: 0, total: 30 * TENTH } });
        session(at + 60, { response_finished: {
          response_id: response, end: "completed",
          usage: { total_tokens: 300, input_tokens: 200, output_tokens: 100 },
          timeline: { requested: null, speech_stopped: (start + 2000) * 1000, created: (start + 2000) * 1000, first_audio: (start + 2500) * 1000, done: (at + 60) * 1000 },
          dropped_bytes: 0 } });
      }
    }
  }
  session(200 + turns * 6000, { closed: { reason: "requested" } });
  flush();
  closeSync(file);
  return turns;
}
