// Holds a call by pipecat's published client in headless Chromium, with a WAV file as the microphone, and checks
// what the client tells of it.
//
//     node rtvi.mjs ws://127.0.0.1:8080/rtvi [--wav FILE] [--out FOLDER] [--modules FOLDER]
//
// The server is the example `rtvi_server`, without a key. The agent greets, is asked for the weather by voice, is
// interrupted, answers, is asked for the title of the page by text, which a function in the page knows, and its
// application answers requests of the page's. The packages of `package.json` are looked for in the folder
// `--modules`, or beside this file. What the page saw goes to FOLDER. Exits with 0 if all is well.

import assert from 'node:assert/strict';
import fs from 'node:fs';
import http from 'node:http';
import path from 'node:path';
import { createRequire } from 'node:module';
import { parseArgs } from 'node:util';
import { withSilence } from '../microphone.mjs';

const here = import.meta.dirname;
const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    wav: { type: 'string', default: path.join(here, '../../../crates/realtime-cli/fixtures/demo.wav') },
    out: { type: 'string', default: path.join(here, '../../../target/browser-rtvi') },
    modules: { type: 'string', default: here },
  },
});
const url = positionals[0] ?? 'ws://127.0.0.1:8080/rtvi';
const modules = path.resolve(values.modules);
const require = createRequire(path.join(modules, 'x'));
const { chromium } = require('playwright-core');
const esbuild = require('esbuild');
const EXECUTABLE = process.env.CHROMIUM ?? '/usr/bin/chromium';
/** The longest that anything may take (ms): the machine may be busy. */
const PATIENCE = 60_000;
/** The microphone is silent while the agent greets (s). */
const SILENCE = 7;
const TITLE = 'A garden in spring';

fs.mkdirSync(values.out, { recursive: true });
const microphone = path.resolve(values.out, 'microphone.wav');
fs.writeFileSync(microphone, withSilence(fs.readFileSync(values.wav), SILENCE, 120));

const { outputFiles: [bundle] } = await esbuild.build({
  entryPoints: [path.join(here, 'page.js')],
  nodePaths: [path.join(modules, 'node_modules')],
  define: { 'process.env.NODE_ENV': '"production"', global: 'globalThis' },
  bundle: true,
  format: 'iife',
  logLevel: 'error',
  write: false,
});
const html = `<!doctype html><meta charset="utf-8"><title>${TITLE}</title><link rel="icon" href="data:,">`
  + '<script src="page.js"></script>';
const pages = http.createServer((request, response) => {
  const [type, body] = request.url === '/page.js' ? ['text/javascript', bundle.text] : ['text/html', html];
  response.setHeader('content-type', `${type}; charset=utf-8`);
  response.end(body);
});
await new Promise(ready => pages.listen(0, '127.0.0.1', ready));

const browser = await chromium.launch({
  executablePath: EXECUTABLE,
  args: ['--no-sandbox', '--use-fake-ui-for-media-stream', '--use-fake-device-for-media-stream',
    `--use-file-for-fake-audio-capture=${microphone}%noloop`, '--autoplay-policy=no-user-gesture-required'],
});
let failed, page;
try {
  page = await (await browser.newContext({ permissions: ['microphone'] })).newPage();
  const oddities = [];
  page.on('pageerror', error => oddities.push(error.message));
  page.on('console', message => { if (message.type() === 'error') oddities.push(message.text()); });
  await page.goto(`http://127.0.0.1:${pages.address().port}/`);

  const ready = await within(page.evaluate(url => window.connect(url), url), 'bot-ready');
  assert.equal(ready.version, '2.2.0');
  assert.equal(ready.about.library, 'realtime-pipeline');
  say('ready', `${ready.about.library} ${ready.about.library_version}`);

  const greeting = await seen('botOutput', { spoken_status: 'completed' });
  await seen('botStartedSpeaking');
  say('greeted', greeting.text);

  const question = await seen('userTranscript', { final: true });
  say('asked', question.text);
  await seen('userStartedSpeaking');
  await seen('userStoppedSpeaking');
  assert.deepEqual(await seen('llmFunctionCallStarted'), { function_name: 'get_weather' });
  const weather = await seen('llmFunctionCallInProgress');
  assert.deepEqual(Object.keys(weather).sort(), ['function_name', 'tool_call_id'], 'arguments are not told');
  assert.equal((await seen('llmFunctionCallStopped')).cancelled, false);
  const latency = await seen('metrics', {}, 2);
  say('measured', JSON.stringify(latency));
  await seen('botStartedSpeaking', {}, 2);
  const heard = await seen('botOutput', { spoken_status: 'in-progress' });
  assert.ok(heard.spoken_progress.accumulated_text.length > 0);

  // The user speaks over the answer, which is longer than the microphone's pause.
  await seen('userStartedSpeaking', {}, 2);
  await seen('botStoppedSpeaking', {}, 2);
  const late = await page.evaluate(() => {
    const began = window.seen.filter(one => one.type === 'userStartedSpeaking')[1].at;
    const next = window.seen.filter(one => one.type === 'botStartedSpeaking')[2]?.at ?? Infinity;
    return window.played.filter(({ at }) => at > began && at < next).reduce((sum, { ms }) => sum + ms, 0);
  });
  say('interrupted', `${late} ms of audio came after it`);
  assert.ok(late <= 200, 'the client can not drop audio, so none follows');

  await seen('botStoppedSpeaking', {}, 3);
  const answer = await page.evaluate(() => window.client.sendClientRequest('echo', { a: 1 }, 5000));
  assert.deepEqual(answer, { echo: { a: 1 } });
  const refused = await page.evaluate(() => window.client.sendClientRequest('sing', {}, 5000).catch(error => error.data));
  assert.deepEqual(refused, { error: 'expected echo' });
  say('requested', `${JSON.stringify(answer)}, and ${JSON.stringify(refused)}`);

  await page.evaluate(() => window.client.sendText('What is the title of my page?'));
  const asked = await seen('llmFunctionCallInProgress', { function_name: 'page_title' });
  assert.deepEqual(asked.arguments, {});
  const known = await seen('botOutput', { spoken_status: 'completed', text: `The title of your page is: ${TITLE}.` });
  say('typed', known.text);

  await page.evaluate(() => window.client.sendText('Only in writing', { audio_response: false }));
  const written = await seen('botOutput', { will_be_spoken: false });
  say('written', written.text);

  const words = await page.evaluate(() => window.seen.filter(one => one.type === 'botTtsText').length);
  const { played, starts } = await page.evaluate(() => ({ played: window.played, starts: window.starts }));
  fs.writeFileSync(path.join(values.out, 'played.json'), JSON.stringify({ played, starts }));
  const peak = Math.max(...played.map(one => one.peak));
  const seconds = played.reduce((sum, { ms }) => sum + ms, 0) / 1000;
  assert.ok(peak > 1000 && words > 20);
  say('playback', `${seconds} s, begun ${starts.length} times, peak ${peak}, ${words} pieces of words`);

  await page.evaluate(() => window.client.disconnect());
  await seen('disconnected');
  assert.equal(await page.evaluate(() => window.client.state), 'disconnected');
  const fatal = await page.evaluate(() => window.seen.filter(one => one.type === 'error').map(one => one.detail));
  assert.deepEqual(fatal, []);
  assert.deepEqual(oddities, []);
  say('chromium', browser.version());
} catch (error) {
  failed = error;
  process.stderr.write(`${error.stack}\n`);
} finally {
  const story = await page?.evaluate(() => window.seen.map(({ at, type, detail }) =>
    `${Math.round(at)} ${type} ${JSON.stringify(detail)}`).join('\n')).catch(() => '');
  fs.writeFileSync(path.join(values.out, 'seen.txt'), `${story}\n`);
  if (failed) process.stderr.write(`${story}\n`);
  await browser.close();
  pages.close();
}
process.exit(failed ? 1 : 0);

function say(what, text) { process.stdout.write(`${what}: ${text}\n`); }

function within(promise, what) {
  const late = new Promise((_, no) => setTimeout(() => no(new Error(`no ${what} came`)), PATIENCE));
  return Promise.race([promise, late]);
}

/** Waits for the n-th event of a type whose detail has these members, and returns the detail. */
async function seen(type, members = {}, nth = 1) {
  const found = await page.waitForFunction(([type, members, nth]) => {
    const fits = detail => Object.entries(members).every(([name, value]) => detail?.[name] === value);
    return window.seen.filter(one => one.type === type && fits(one.detail))[nth - 1];
  }, [type, members, nth], { timeout: PATIENCE }).catch(() => {
    throw new Error(`no ${type} ${JSON.stringify(members)} came`);
  });
  return (await found.jsonValue()).detail;
}
