// Holds a call by WebRTC in headless Chromium with the emulator, as the pages of applications hold it with
// OpenAI: a peer connection with the microphone and the channel `oai-events`, and an offer to `calls`.
//
//     node webrtc.mjs http://127.0.0.1:8765/ [--wav FILE] [--out FOLDER] [--modules FOLDER]
//
// The address is the emulator's own page. It must answer by the demo's script, in real time, and be built with
// the feature `webrtc`. What the microphone says is a WAV file.

import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { createRequire } from 'node:module';
import { parseArgs } from 'node:util';
import { withSilence } from './microphone.mjs';

const here = import.meta.dirname;
const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    wav: { type: 'string', default: path.join(here, '../../crates/realtime-cli/fixtures/demo.wav') },
    out: { type: 'string', default: path.join(here, '../../target/browser/webrtc') },
    modules: { type: 'string', default: path.join(here, '../../target/browser') },
  },
});
const address = positionals[0] ?? 'http://127.0.0.1:8765/';
const { chromium } = createRequire(path.join(path.resolve(values.modules), 'x'))('playwright-core');
/** The longest that anything may take (ms): the machine may be busy. */
const PATIENCE = 60_000;

fs.mkdirSync(values.out, { recursive: true });
const microphone = path.resolve(values.out, 'microphone.wav');
fs.writeFileSync(microphone, withSilence(fs.readFileSync(values.wav), 6, 60));

const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
  // The browser's own address instead of a name that only a network's mDNS knows.
  args: ['--no-sandbox', '--use-fake-ui-for-media-stream', '--use-fake-device-for-media-stream',
    '--disable-features=WebRtcHideLocalIpsWithMdns',
    `--use-file-for-fake-audio-capture=${microphone}%noloop`, '--autoplay-policy=no-user-gesture-required'],
});
let failed, page;
try {
  page = await (await browser.newContext({ permissions: ['microphone'] })).newPage();
  await page.goto(address);
  const location = await page.evaluate(connect);
  assert.match(location, /^\/v1\/realtime\/calls\/rtc_/);
  await seen('session.created');
  say('connected', location);

  await page.evaluate(() => channel.send(JSON.stringify({ type: 'response.create' })));
  const greeting = await seen('response.output_audio_transcript.done');
  await seen('output_audio_buffer.started');
  await loud();
  await seen('output_audio_buffer.stopped');
  say('greeted', greeting.transcript);

  const question = await seen('conversation.item.input_audio_transcription.completed');
  say('asked', question.transcript);
  const called = await seen('response.function_call_arguments.done');
  await seen('output_audio_buffer.started', 2);
  await loud();
  say('called', `${called.name}, and its answer is heard`);

  // The user speaks over the answer: the server drops what it has not played.
  await seen('output_audio_buffer.cleared');
  say('interrupted', 'the answer is cleared');
  await seen('output_audio_buffer.started', 3);
  const errors = await page.evaluate(() => events.filter(event => event.type === 'error'));
  assert.deepEqual(errors, []);

  const heard = await page.evaluate(statistics);
  assert.ok(heard.packetsReceived > 100, JSON.stringify(heard));
  say('audio', `${heard.packetsReceived} packets, ${heard.packetsLost} lost, ${heard.codec}`);
  assert.equal(heard.codec, 'audio/opus');
  say('chromium', browser.version());
} catch (error) {
  failed = error;
  process.stderr.write(`${error.stack}\n`);
  const story = await page?.evaluate(() => `${peer.connectionState} ${channel.readyState}\n${
    events.map(event => event.type).join('\n')}`).catch(() => '');
  process.stderr.write(`${story}\n`);
} finally {
  await browser.close();
}
process.exit(failed ? 1 : 0);

/** What an application's page does, by the API's guide. */
async function connect() {
  window.events = [];
  window.peer = new RTCPeerConnection();
  const meter = new AudioContext();
  peer.ontrack = ({ streams: [stream] }) => {
    // Without an element that plays it, Chromium decodes nothing.
    const audio = document.createElement('audio');
    audio.autoplay = true;
    audio.srcObject = stream;
    document.body.append(audio);
    window.analyser = meter.createAnalyser();
    meter.createMediaStreamSource(stream).connect(analyser);
  };
  const microphone = await navigator.mediaDevices.getUserMedia({ audio: true });
  peer.addTrack(microphone.getTracks()[0], microphone);
  window.channel = peer.createDataChannel('oai-events');
  channel.onmessage = ({ data }) => {
    const event = JSON.parse(data);
    events.push(event);
    const calls = event.type === 'response.done' && event.response.output.filter(({ type }) => type === 'function_call');
    for (const { call_id } of calls || []) {
      const item = { type: 'function_call_output', call_id, output: JSON.stringify({ sky: 'clear', celsius: 21 }) };
      channel.send(JSON.stringify({ type: 'conversation.item.create', item }));
      channel.send(JSON.stringify({ type: 'response.create' }));
    }
  };
  await peer.setLocalDescription(await peer.createOffer());
  const secret = await fetch('/v1/realtime/client_secrets', {
    method: 'POST', headers: { authorization: 'Bearer sk-test', 'content-type': 'application/json' },
    body: JSON.stringify({ session: { type: 'realtime', model: 'gpt-realtime', audio: {
      input: { transcription: { model: 'gpt-4o-mini-transcribe' } } } } }),
  });
  const { value } = await secret.json();
  const answer = await fetch('/v1/realtime/calls', {
    method: 'POST', body: peer.localDescription.sdp,
    headers: { authorization: `Bearer ${value}`, 'content-type': 'application/sdp' },
  });
  await peer.setRemoteDescription({ type: 'answer', sdp: await answer.text() });
  return answer.headers.get('location');
}

async function statistics() {
  const all = [...(await peer.getStats()).values()];
  const inbound = all.find(({ type, kind }) => type === 'inbound-rtp' && kind === 'audio');
  const codec = all.find(({ id }) => id === inbound.codecId)?.mimeType;
  return { packetsReceived: inbound.packetsReceived, packetsLost: inbound.packetsLost, codec };
}

/** Waits until the model's voice is heard. */
async function loud() {
  await page.waitForFunction(() => {
    const wave = new Float32Array(analyser.fftSize);
    analyser.getFloatTimeDomainData(wave);
    return wave.some(sample => Math.abs(sample) > 0.02);
  }, undefined, { timeout: PATIENCE, polling: 50 }).catch(() => { throw new Error('no voice was heard'); });
}

/** Waits for the n-th event of a type. */
async function seen(type, nth = 1) {
  const found = await page.waitForFunction(([type, nth]) => events.filter(event => event.type === type)[nth - 1],
    [type, nth], { timeout: PATIENCE }).catch(() => { throw new Error(`no ${type} came`); });
  return found.jsonValue();
}

function say(what, text) { process.stdout.write(`${what}: ${text}\n`); }
