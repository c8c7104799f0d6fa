// Holds a call in headless Chromium, with a WAV file as the microphone, and checks what the page tells of it.
//
//     node page.mjs http://127.0.0.1:8080/ [--wav FILE] [--out FOLDER] [--modules FOLDER]
//
// The page must begin its `VoiceCall` with a button `#talk` or `#call`. The agent must be the demo's: it
// greets, is asked for the weather, is interrupted, and answers a second question, in the midst of which the
// connection breaks. Then something is typed. Screenshots go to FOLDER. `playwright-core` is looked for in the
// folder `--modules`, or beside this file.
//
// Everything goes through a proxy of this program's own: so it can break a connection, whatever the server.

import assert from 'node:assert/strict';
import fs from 'node:fs';
import net from 'node:net';
import path from 'node:path';
import { createRequire } from 'node:module';
import { parseArgs } from 'node:util';
import { withSilence } from '../microphone.mjs';

const here = import.meta.dirname;
const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    wav: { type: 'string', default: path.join(here, '../../../crates/realtime-cli/fixtures/demo.wav') },
    out: { type: 'string', default: path.join(here, '../../../target/browser') },
    modules: { type: 'string', default: here },
  },
});
const server = new URL(positionals[0] ?? 'http://127.0.0.1:8080/');
const { chromium } = createRequire(path.join(path.resolve(values.modules), 'x'))('playwright-core');
const EXECUTABLE = process.env.CHROMIUM ?? '/usr/bin/chromium';
/** The longest that anything may take (ms): the machine may be busy. */
const PATIENCE = 60_000;
/** The microphone is silent while the agent greets (s). */
const SILENCE = 7;

fs.mkdirSync(values.out, { recursive: true });
const microphone = path.resolve(values.out, 'microphone.wav');
fs.writeFileSync(microphone, withSilence(fs.readFileSync(values.wav), SILENCE, 60));

/** The connections of the browser. */
const connections = new Set();
const proxy = net.createServer(near => {
  const far = net.connect(Number(server.port || 80), server.hostname);
  const both = { near, far, upgraded: false };
  connections.add(both);
  near.on('data', data => { both.upgraded ||= /\r\nupgrade: websocket\r\n/i.test(data.toString('latin1')); });
  near.pipe(far).pipe(near);
  for (const end of [near, far]) {
    end.on('error', () => {});
    end.on('close', () => { near.destroy(); far.destroy(); connections.delete(both); });
  }
});
await new Promise(ready => proxy.listen(0, '127.0.0.1', ready));
const address = `http://127.0.0.1:${proxy.address().port}${server.pathname}`;

const browser = await chromium.launch({
  executablePath: EXECUTABLE,
  args: ['--no-sandbox', '--use-fake-ui-for-media-stream', '--use-fake-device-for-media-stream',
    `--use-file-for-fake-audio-capture=${microphone}%noloop`, '--autoplay-policy=no-user-gesture-required'],
});
let failed;
try {
  const viewport = { width: 900, height: 760 };
  const context = await browser.newContext({ permissions: ['microphone'], viewport });
  const page = await context.newPage();
  const oddities = [];
  page.on('pageerror', error => oddities.push(error.message));
  page.on('console', message => { if (message.type() === 'error') oddities.push(message.text()); });
  await page.addInitScript(watch);
  await page.goto(address);
  await page.click('#talk, #call');
  const greeting = await seen(page, 'transcript', { who: 'agent' });
  say('greeted', greeting.text);
  const question = await seen(page, 'transcript', { who: 'user' });
  say('asked', question.text);
  const called = await seen(page, 'tool', { state: 'called' });
  const ended = await seen(page, 'tool', { state: 'ended' });
  assert.equal(called.arguments, undefined, 'arguments are not for the eyes of a user');
  assert.ok(ended.ok);
  const latency = await seen(page, 'latency', { name: 'voice_to_voice' });
  say('answered', `${called.name}, ${latency.ms} ms after the question`);
  await page.waitForTimeout(1500);
  // Not at each moment: there are pauses between words.
  await page.waitForFunction(() => voice.levels.output > 0.02, undefined, { timeout: PATIENCE });
  await page.screenshot({ path: path.join(values.out, 'talking.png') });

  const interrupted = await seen(page, 'interrupted', {});
  const cleared = await page.evaluate(() => voice.stats.cleared.at(-1));
  const cut = Math.round(cleared.samples / 24);
  say('interrupted', `at ${interrupted.ms} ms, the page says ${cut} ms: ${interrupted.text}`);
  assert.ok(Math.abs(interrupted.ms - cut) <= 50, 'both sides say where it was cut');
  assert.equal(interrupted.estimated, false);
  assert.ok(interrupted.ms > 1000);

  await seen(page, 'speaking', { who: 'agent', on: true }, 3);
  await page.waitForTimeout(1200);
  const before = await page.evaluate(() => ({ ...voice.played, received: voice.stats.received }));
  for (const { near, upgraded } of connections) if (upgraded) near.destroy();
  await seen(page, 'state', 'away');
  await seen(page, 'state', 'open', 2);
  await page.waitForFunction(item => voice.played.item > item, before.item, { timeout: PATIENCE });
  const { hello, again } = await page.evaluate(() => ({ hello: window.hello, again: window.again }));
  const { item, samples } = hello.played;
  say('came back', `item ${item} was heard up to ${samples}, and goes on at ${again}`);
  assert.equal(again, samples, 'the rest is heard, and nothing twice');
  assert.ok(item === before.item && samples >= before.samples);
  const last = await seen(page, 'speaking', { who: 'agent', on: false }, 3);
  assert.ok(last);
  assert.equal(await page.evaluate(() => voice.stats.resumed), 1);
  await page.screenshot({ path: path.join(values.out, 'resumed.png') });

  await page.evaluate(() => { voice.muted = true; });
  await seen(page, 'muted', { on: true });
  const said = await page.evaluate(() => window.seen.filter(one => one.detail?.who === 'agent'
    && one.type === 'transcript').length);
  await page.evaluate(() => voice.sendText('And the day after tomorrow?'));
  const written = await seen(page, 'transcript', { who: 'agent' }, said + 1);
  say('typed', `the answer is: ${written.text}`);

  await page.evaluate(() => voice.stop());
  await seen(page, 'ended', { code: 'stopped' });
  await page.screenshot({ path: path.join(values.out, 'ended.png') });
  // What a page shows in `#lines`: the words of both, and crossed out what was not heard.
  if (await page.$('#lines')) {
    const shown = await page.evaluate(() => ({ all: document.querySelector('#lines').textContent,
      unheard: document.querySelector('#lines .unheard')?.textContent }));
    for (const text of [greeting.text, question.text, interrupted.text, called.name, written.text]) {
      assert.ok(shown.all.includes(text), `the page shows: ${text}`);
    }
    assert.ok(shown.unheard?.trim(), 'the page shows what was not heard');
    say('crossed out', shown.unheard.trim());
  }
  const stats = await page.evaluate(() => voice.stats);
  say('chromium', browser.version());
  say('microphone', `${stats.sent / 24000} s sent, ${stats.dropped} frames dropped`);
  say('playback', `${stats.received / 24000} s received, ran dry ${stats.underruns} times`);
  assert.ok(stats.sent > 24000 * 15 && stats.dropped === 0);
  assert.deepEqual(oddities.filter(text => !/WebSocket connection|favicon|404/.test(text)), []);
} catch (error) {
  failed = error;
  const page = browser.contexts()[0]?.pages()[0];
  const story = await page?.evaluate(() => window.seen?.filter(({ type }) => type !== 'delta')
    .map(({ type, detail, at }) => JSON.stringify([Math.round(at), type, detail])).join('\n'))
    .catch(() => undefined);
  await page?.screenshot({ path: path.join(values.out, 'failed.png') }).catch(() => {});
  process.stderr.write(`${error.stack}\n${story ?? ''}\n`);
} finally {
  await browser.close();
  for (const { near } of connections) near.destroy();
  proxy.close();
}
process.exit(failed ? 1 : 0);

function say(what, text) { process.stdout.write(`${what}: ${text}\n`); }

/**
 * In the page: keeps the call, all its events with their times, the last `hello`, and where audio begins after
 * it. Whatever the page does with its call, its events pass here.
 */
function watch() {
  window.seen = [];
  const dispatch = EventTarget.prototype.dispatchEvent;
  EventTarget.prototype.dispatchEvent = function (event) {
    if (this.levels && this.stats) {
      window.voice = this;
      window.seen.push({ type: event.type, detail: event.detail, at: performance.now() });
    }
    return dispatch.call(this, event);
  };
  const send = WebSocket.prototype.send, post = MessagePort.prototype.postMessage;
  WebSocket.prototype.send = function (data) {
    if (typeof data === 'string' && data.includes('"hello"')) {
      window.hello = JSON.parse(data);
      window.again = undefined;
    }
    return send.call(this, data);
  };
  MessagePort.prototype.postMessage = function (message, ...rest) {
    if (message?.audio) window.again ??= message.audio.offset;
    return post.call(this, message, ...rest);
  };
}

/** Waits for the n-th event of a type whose detail has these members. */
async function seen(page, type, members, nth = 1) {
  const find = ([type, members, nth]) => {
    const fits = detail => typeof members === 'string' ? detail === members
      : Object.entries(members).every(([name, value]) => detail?.[name] === value);
    return window.seen.filter(one => one.type === type && fits(one.detail))[nth - 1];
  };
  try {
    const found = await page.waitForFunction(find, [type, members, nth], { timeout: PATIENCE });
    return (await found.jsonValue()).detail;
  } catch (error) {
    throw new Error(`${nth} x ${type} ${JSON.stringify(members)} did not come`, { cause: error });
  }
}
