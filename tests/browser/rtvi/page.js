// The page: pipecat's published client as it is, with what a test wants to know of it.

import { PipecatClient, RTVIEvent } from '@pipecat-ai/client-js';
import { WavMediaManager, WebSocketTransport } from '@pipecat-ai/websocket-transport';

/** What the client told, with its times (ms). */
const seen = window.seen = [];
/** What was handed to its player: when (ms), how long (ms), how loud. */
const played = window.played = [];
/** When its player began, or began anew because it had run out of audio (ms). */
const starts = window.starts = [];

// The client's player puts itself there.
const Player = globalThis.WavStreamPlayer;
const [add, start] = [Player.prototype.add16BitPCM, Player.prototype._start];
Player.prototype.add16BitPCM = function (audio, ...rest) {
  const samples = audio instanceof Int16Array ? audio : new Int16Array(audio);
  const peak = samples.reduce((most, sample) => Math.max(most, Math.abs(sample)), 0);
  played.push({ at: performance.now(), ms: samples.length / 24, peak });
  return add.call(this, audio, ...rest);
};
Player.prototype._start = function () {
  starts.push(performance.now());
  return start.call(this);
};

window.connect = async wsUrl => {
  const client = window.client = new PipecatClient({
    // The default media manager loads code from the internet.
    transport: new WebSocketTransport({ mediaManager: new WavMediaManager(512, 16000), playerSampleRate: 24000 }),
    enableMic: true,
    enableCam: false,
  });
  for (const type of Object.values(RTVIEvent)) {
    if (/AudioLevel/.test(type)) continue;
    client.on(type, detail => seen.push({ type, at: performance.now(), detail: plain(detail) }));
  }
  client.registerFunctionCallHandler('page_title', async () => ({ title: document.title }));
  return plain(await client.connect({ wsUrl }));
};

/** What can leave the page. */
function plain(value) {
  return value === undefined ? null : JSON.parse(JSON.stringify(value) ?? 'null');
}
