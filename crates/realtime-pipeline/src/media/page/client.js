/**
 * A voice call in a page: the page's side of `docs/page-protocol.md`. One module, no dependencies, no build.
 *
 *     import { VoiceCall } from './client.js';
 *
 *     const call = new VoiceCall('wss://example.com/ws');
 *     call.addEventListener('transcript', ({ detail }) => show(detail.who, detail.text));
 *     button.onclick = () => call.start();      // in a gesture: browsers let nothing sound before one
 *
 * It needs a secure context (https, or localhost), and `blob:` for scripts in a content security policy.
 *
 * Events are `CustomEvent`s. Those named as messages of the protocol carry the message: `delta`,
 * `transcript`, `interrupted`, `speaking`, `muted`, `tool`, `message`, `keys`, `notice`, `error`, `item`,
 * `ended`. The others:
 *
 * | event | detail |
 * |---|---|
 * | `state` | the new {@link VoiceCall#state} |
 * | `latency` | `{name, ms}`: as the server measures, and `network`: there and back |
 * | `microphone` | `{on, reason?}`: whether there is one, or the name of the error |
 * | `devices` | the microphones there are now |
 * | `audio` | `running`, `suspended`: then call {@link VoiceCall#resume} in a gesture |
 * | `underrun` | how often playback ran dry so far |
 * | `restarted` | the call was gone: this is another one |
 *
 * @module
 */

/** Samples per second of playback, and of the microphone where the browser converts. */
const RATE = 24000;
const VERSION = 1;
/** The longest wait for the player's answer, in a context that may stand still (ms). */
const PLAYER_LIMIT = 150;
const PING_EVERY = 5000, SILENT_AFTER = 12000;
const FIRST_ATTEMPTS = 5;
const FORWARDED = new Set(['delta', 'transcript', 'interrupted', 'speaking', 'muted', 'tool', 'message',
  'keys', 'notice', 'error', 'latency', 'item']);

/**
 * @typedef {'idle'|'connecting'|'open'|'away'|'ended'} State `away`: the connection is lost, and made again
 * @typedef {{item: number, samples: number}} Place
 * @typedef {object} Options
 * @property {boolean} [microphone] Whether the user speaks. Default: true
 * @property {MediaTrackConstraints} [constraints] What is asked of the microphone besides
 * @property {number} [jitter] What is queued before playback starts (s). Default: 0.08
 * @property {string} [token] Of a call that this page held before it was loaded anew
 * @property {boolean} [keep] Whether the call waits for the page when it is left. Default: false
 */

/** A call with an agent, from `start` to `ended`. */
export class VoiceCall extends EventTarget {
  /** @type {State} */ #state = 'idle';
  /** @type {WebSocket|null} */ #socket = null;
  /** @type {AudioContext|null} */ #audio = null;
  /** @type {AudioContext|null} The microphone's own context, where the browser does not convert its rate */
  #ear = null;
  /** @type {AudioWorkletNode|null} */ #player = null;
  /** @type {AudioNode[]} */ #mic = [];
  /** @type {MediaStreamTrack|null} */ #track = null;
  /** @type {string|undefined} */ #token;
  /** @type {Place|null} */ #played = null;
  /** @type {((place: Place|null) => void)|null} */ #dropped = null;
  #url; #options;
  #rate = RATE; #muted = false; #attempt = 0; #wasOpen = false; #lastWord = 0;
  #awayUntil = Infinity; #resumeWithin = 0;
  /** @type {ReturnType<typeof setTimeout>|undefined} */ #timer;
  /** @type {ReturnType<typeof setInterval>|undefined} */ #ping;
  /** How loud both sides are now, 0 to 1. */
  levels = { input: 0, output: 0 };
  /** Counts, for tests and curious users. */
  stats = { sent: 0, dropped: 0, received: 0, underruns: 0, resumed: 0,
    /** @type {Place[]} Where playback was stopped lately */ cleared: [] };

  /** @param {string|URL} url The server's WebSocket @param {Options} [options] */
  constructor(url, options = {}) {
    super();
    this.#url = url;
    this.#options = { microphone: true, jitter: 0.08, keep: false, ...options };
    this.#token = options.token;
  }

  get state() { return this.#state; }
  /** By this another page can take the call over: keep it secret. */
  get token() { return this.#token; }
  /** What was heard last, as it was reported. */
  get played() { return this.#played; }
  get muted() { return this.#muted; }
  set muted(on) {
    this.#muted = Boolean(on);
    if (this.#track) this.#track.enabled = !this.#muted;
    this.#say({ type: 'mute', on: this.#muted });
  }

  /** Begins the call. Call it in a gesture. */
  async start() {
    if (this.#state !== 'idle') throw new Error(`expected a call that is new, and it is ${this.#state}`);
    if (!isSecureContext) throw new Error('expected https or localhost: browsers give no audio elsewhere');
    this.#enter('connecting');
    try {
      await this.#openAudio();
      if (this.#options.microphone) await this.useMicrophone();
    } catch (error) {
      this.#end({ code: 'no_audio', text: 'This browser can play no audio.' });
      throw error;
    }
    // Somebody may have hung up while the browser asked for the microphone.
    if (this.state === 'ended') return;
    addEventListener('pagehide', this.#leave);
    addEventListener('online', this.#retry);
    document.addEventListener('visibilitychange', this.#wake);
    navigator.mediaDevices?.addEventListener('devicechange', this.#devices);
    this.#ping = setInterval(() => this.#checkLine(), PING_EVERY);
    this.#connect();
  }

  /** Hangs up. */
  stop() {
    this.#say({ type: 'bye' });
    this.#end({ code: 'stopped', text: 'The call is over.' });
  }

  /** The user types. @param {string} text @param {boolean|'written'} [respond] */
  sendText(text, respond = true) { return this.#say({ type: 'text', text, respond }); }
  /** The agent stops. */
  interrupt() { return this.#say({ type: 'stop' }); }
  /** @param {string} keys As on a phone */
  sendKeys(keys) { return this.#say({ type: 'keys', keys }); }
  /** For the application. @param {unknown} body Anything that JSON can say */
  send(body) { return this.#say({ type: 'message', body }); }
  /** Lets audio sound again after the browser has stopped it. Call it in a gesture. */
  async resume() { await Promise.all([this.#audio?.resume(), this.#ear?.resume()]); }

  /**
   * Listens to another microphone, or to the usual one. A microphone that can't be had is told, and the call
   * goes on without.
   * @param {string} [deviceId]
   */
  async useMicrophone(deviceId) {
    try {
      if (!navigator.mediaDevices) throw new DOMException('no devices', 'NotSupportedError');
      const audio = { channelCount: 1, echoCancellation: true, noiseSuppression: true, autoGainControl: true,
        ...this.#options.constraints, ...(deviceId ? { deviceId: { exact: deviceId } } : {}) };
      const stream = await navigator.mediaDevices.getUserMedia({ audio });
      if (this.#state === 'ended') return stream.getTracks().forEach(track => track.stop());
      await this.#listen(stream);
      this.#tell('microphone', { on: true });
    } catch (error) {
      this.#tell('microphone', { on: false, reason: /** @type {Error} */ (error).name });
    }
  }

  // Audio

  async #openAudio() {
    this.#audio = new AudioContext({ sampleRate: RATE, latencyHint: 'interactive' });
    await this.#audio.audioWorklet.addModule(workletUrl());
    this.#audio.onstatechange = () => {
      if (this.#state === 'ended') return;
      const running = this.#audio?.state === 'running';
      this.#tell('audio', running ? 'running' : 'suspended');
      if (!running) this.#wake();
    };
    if (this.#audio.state !== 'running') this.#audio.resume().catch(() => {});
    const processorOptions = { jitter: Math.round(this.#options.jitter * RATE) };
    this.#player = new AudioWorkletNode(this.#audio, 'voice-player',
      { numberOfInputs: 0, outputChannelCount: [1], processorOptions });
    this.#player.port.onmessage = ({ data }) => this.#onPlayer(data);
    this.#player.connect(this.#audio.destination);
  }

  /** @param {MediaStream} stream */
  async #listen(stream) {
    this.#mic.forEach(node => node.disconnect());
    this.#track?.stop();
    const track = stream.getAudioTracks()[0];
    this.#track = track;
    track.enabled = !this.#muted;
    // The system took it away, as when a headset is unplugged or a phone rings.
    track.onended = () => { if (this.#track === track && this.#state !== 'ended') this.useMicrophone(); };
    let context = /** @type {AudioContext} */ (this.#audio), source;
    try {
      source = context.createMediaStreamSource(stream);
    } catch {
      // Firefox converts no microphone to a context's rate: it has its own, and the server converts.
      await this.#ear?.close();
      this.#ear = context = new AudioContext({ latencyHint: 'interactive' });
      await context.audioWorklet.addModule(workletUrl());
      source = context.createMediaStreamSource(stream);
    }
    const thin = Math.ceil(context.sampleRate / 48000), rate = Math.round(context.sampleRate / thin);
    const ear = new AudioWorkletNode(context, 'voice-ear',
      { numberOfOutputs: 0, processorOptions: { frame: Math.round(rate / 50), thin } });
    ear.port.onmessage = ({ data }) => this.#onHeard(data);
    source.connect(ear);
    this.#mic = [source, ear];
    if (rate !== this.#rate) {
      this.#rate = rate;
      // The rate is told in `hello`.
      this.#socket?.close();
    }
  }

  /** @param {{bytes: ArrayBuffer, level: number}} heard */
  #onHeard({ bytes, level }) {
    this.levels.input = level;
    const socket = this.#socket;
    if (this.#state !== 'open' || !socket) return;
    // A network that stalls must not fill the memory, nor play old speech later.
    if (socket.bufferedAmount > 4 * this.#rate) { this.stats.dropped += 1; return; }
    socket.send(bytes);
    this.stats.sent += bytes.byteLength / 2;
  }

  /** @param {any} told */
  #onPlayer(told) {
    if (told.level !== undefined) this.levels.output = told.level;
    if (told.underruns) this.#tell('underrun', this.stats.underruns = told.underruns);
    if (told.played) {
      this.#played = told.played;
      this.#say({ type: 'played', ...told.played });
    }
    if (told.stopped) {
      const { id, at } = told.stopped;
      if (at) this.#played = at;
      if (id === undefined) this.#dropped?.(at);
      else {
        if (at) this.stats.cleared = [...this.stats.cleared.slice(-9), at];
        this.#say({ type: 'stopped', id, ...at });
      }
    }
  }

  /** Tells the player how long its samples are on their way to the ear. */
  #tellLatency() {
    const { baseLatency = 0, outputLatency = 0 } = this.#audio ?? {};
    this.#player?.port.postMessage({ latency: Math.round((baseLatency + outputLatency) * RATE) });
  }

  // The line

  #connect() {
    clearTimeout(this.#timer);
    this.#lastWord = performance.now();
    const socket = new WebSocket(this.#url);
    socket.binaryType = 'arraybuffer';
    this.#socket = socket;
    socket.onopen = () => this.#hello(socket);
    socket.onmessage = ({ data }) => { if (socket === this.#socket) this.#onMessage(data); };
    socket.onclose = () => this.#onLost(socket);
  }

  /** @param {WebSocket} socket */
  async #hello(socket) {
    const hello = { type: 'hello', version: VERSION, rate: this.#rate, muted: this.#muted };
    if (this.#token) Object.assign(hello, { token: this.#token });
    if (this.#wasOpen) {
      // Nothing of what was on its way is known to have come: it is sent again from here.
      const played = await this.#drop();
      if (played) Object.assign(hello, { played });
    }
    if (socket.readyState === WebSocket.OPEN) socket.send(JSON.stringify(hello));
  }

  /** Empties the player. @returns {Promise<Place|null>} what was heard last */
  #drop() {
    return new Promise(resolve => {
      const timer = setTimeout(() => this.#dropped?.(this.#played), PLAYER_LIMIT);
      this.#dropped = place => {
        clearTimeout(timer);
        this.#dropped = null;
        resolve(place);
      };
      this.#player?.port.postMessage({ drop: true });
    });
  }

  /** @param {string|ArrayBuffer} data */
  #onMessage(data) {
    this.#lastWord = performance.now();
    if (typeof data !== 'string') {
      const header = new DataView(data);
      if (this.#state !== 'open' || data.byteLength < 8) return;
      const samples = new Int16Array(data, 8, (data.byteLength - 8) >> 1);
      this.stats.received += samples.length;
      const audio = { number: header.getUint32(0, true), offset: header.getUint32(4, true), samples };
      return this.#player?.port.postMessage({ audio }, [data]);
    }
    let message;
    try { message = JSON.parse(data); } catch { return; }
    switch (message.type) {
      case 'ready': return this.#onReady(message);
      case 'clear': return this.#player?.port.postMessage({ clear: message.id });
      case 'done': return this.#player?.port.postMessage({ done: message.number });
      case 'pong':
        return this.#tell('latency', { name: 'network', ms: Math.round(performance.now() - message.at) });
      case 'ended': return this.#end(message);
      default: if (FORWARDED.has(message.type)) this.#tell(message.type, message);
    }
  }

  /** @param {{token?: string, resumed: boolean, resume_within_ms?: number}} ready */
  #onReady(ready) {
    const hadCall = this.#wasOpen;
    this.#token = ready.token;
    this.#resumeWithin = ready.resume_within_ms ?? 0;
    this.#attempt = 0;
    this.#awayUntil = Infinity;
    this.#wasOpen = true;
    if (ready.resumed) this.stats.resumed += 1;
    else {
      this.#played = null;
      this.#player?.port.postMessage({ fresh: true });
    }
    this.#tellLatency();
    this.#enter('open');
    if (hadCall && !ready.resumed) this.#tell('restarted', null);
  }

  /** @param {WebSocket} socket */
  #onLost(socket) {
    if (socket !== this.#socket || this.#state === 'ended') return;
    this.#socket = null;
    if (this.#state === 'open') {
      this.#enter('away');
      this.#awayUntil = performance.now() + this.#resumeWithin;
    }
    const gone = this.#wasOpen ? performance.now() >= this.#awayUntil : this.#attempt >= FIRST_ATTEMPTS;
    if (gone) return this.#end({ code: 'unreachable', text: 'The server can not be reached.' });
    const wait = Math.min(8000, 500 * 2 ** this.#attempt) * (0.75 + Math.random() / 2);
    this.#attempt += 1;
    this.#timer = setTimeout(() => this.#connect(), wait);
  }

  /** A connection may break, or not be made, without a word. */
  #checkLine() {
    this.#tellLatency();
    const socket = this.#socket;
    if (socket && performance.now() - this.#lastWord > SILENT_AFTER) {
      socket.close();
      this.#onLost(socket);
    } else this.#say({ type: 'ping', at: performance.now() });
  }

  /** @param {object} message @returns {boolean} whether it was sent */
  #say(message) {
    if (this.#state !== 'open' || this.#socket?.readyState !== WebSocket.OPEN) return false;
    this.#socket.send(JSON.stringify(message));
    return true;
  }

  /** @param {State} state */
  #enter(state) {
    if (this.#state === state) return;
    this.#state = state;
    this.#tell('state', state);
  }

  /** @param {{code: string, text: string}} why */
  #end(why) {
    if (this.#state === 'ended') return;
    this.#enter('ended');
    clearTimeout(this.#timer);
    clearInterval(this.#ping);
    removeEventListener('pagehide', this.#leave);
    removeEventListener('online', this.#retry);
    document.removeEventListener('visibilitychange', this.#wake);
    navigator.mediaDevices?.removeEventListener('devicechange', this.#devices);
    this.#socket?.close();
    this.#track?.stop();
    this.#audio?.close().catch(() => {});
    this.#ear?.close().catch(() => {});
    this.levels = { input: 0, output: 0 };
    this.#tell('ended', why);
  }

  /** @param {string} type @param {unknown} detail */
  #tell(type, detail) { this.dispatchEvent(new CustomEvent(type, { detail })); }

  #leave = (/** @type {PageTransitionEvent} */ event) => {
    if (!event.persisted && !this.#options.keep) this.stop();
  };
  #retry = () => {
    if (this.#socket || this.#state === 'ended') return;
    this.#attempt = 0;
    this.#connect();
  };
  #wake = () => { if (document.visibilityState === 'visible') this.resume().catch(() => {}); };
  #devices = async () => {
    const all = await navigator.mediaDevices.enumerateDevices();
    this.#tell('devices', all.filter(device => device.kind === 'audioinput'));
    // After a call without a microphone one may have been plugged in.
    if (this.#options.microphone && this.#track?.readyState !== 'live') this.useMicrophone();
  };
}

/** Both worklets, as they are loaded into an audio context. */
function workletUrl() {
  const source = `${ear}\n${player}\n(${ear.name})();(${player.name})();`;
  return workletUrl.url ??= URL.createObjectURL(new Blob([source], { type: 'text/javascript' }));
}
/** @type {string|undefined} */ workletUrl.url = undefined;

/* In the rest, `AudioWorkletProcessor`, `registerProcessor`, `currentFrame` are those of a worklet. */
/* global AudioWorkletProcessor, registerProcessor, currentFrame, sampleRate */

/** Gathers the microphone's samples to frames of 20 ms, 16 bits each. */
function ear() {
  registerProcessor('voice-ear', class extends AudioWorkletProcessor {
    constructor({ processorOptions: { frame, thin } }) {
      super();
      Object.assign(this, { frame, thin, samples: new Int16Array(frame) });
      this.filled = this.sum = this.parts = this.energy = 0;
    }
    process([[input]]) {
      for (const sample of input ?? []) {
        this.sum += sample;
        if (++this.parts < this.thin) continue;      // a device of more than 48 kHz
        const mean = Math.max(-1, Math.min(1, this.sum / this.thin));
        this.sum = this.parts = 0;
        this.energy += mean * mean;
        this.samples[this.filled++] = Math.round(mean * 32767);
        if (this.filled === this.frame) this.post();
      }
      return true;
    }
    post() {
      const bytes = this.samples.slice().buffer;
      this.port.postMessage({ bytes, level: Math.sqrt(this.energy / this.frame) }, [bytes]);
      this.filled = this.energy = 0;
    }
  });
}

/**
 * Plays items in the order in which they come, and knows at each moment what is heard.
 * What it hands out sounds `latency` samples later, so reports look back by that. What it has handed out when
 * it is stopped will still be heard: that place is exact.
 */
function player() {
  const EVERY = sampleRate / 10, FADE = 120, MOST = 60 * sampleRate;
  registerProcessor('voice-player', class extends AudioWorkletProcessor {
    constructor({ processorOptions: { jitter } }) {
      super();
      this.jitter = jitter;
      this.latency = 0;
      this.queue = [];          // {number, offset, samples}, the first from `head` on
      this.head = this.queued = this.since = 0;
      this.running = false;
      this.done = 0;            // nothing more comes of items up to this number
      this.spans = [];          // what was handed out lately: {number, offset, length, frame}
      this.told = null;         // the last report, and its frame
      this.toldAt = this.leveled = this.energy = this.underruns = 0;
      this.dry = 0;             // the item within which nothing was left
      this.tail = null;         // the end of what was stopped, falling to silence
      this.port.onmessage = ({ data }) => this.on(data);
    }
    on({ audio, clear, done, drop, fresh, latency }) {
      if (latency !== undefined) this.latency = latency;
      if (done !== undefined) this.done = Math.max(this.done, done);
      if (clear !== undefined) this.port.postMessage({ stopped: { id: clear, at: this.stop() } });
      if (fresh) Object.assign(this, { done: 0, told: null });      // another call counts anew
      if (drop) this.port.postMessage({ stopped: { at: this.stop() } });
      if (audio && this.queued + audio.samples.length <= MOST) {
        if (!this.queue.length) this.since = currentFrame;
        if (audio.number === this.dry) this.port.postMessage({ underruns: ++this.underruns });
        this.dry = 0;
        this.queue.push(audio);
        this.queued += audio.samples.length;
      }
    }
    /** Empties the queue within the next quantum. Returns what will have been heard then. */
    stop() {
      if (this.running && this.queue.length) {
        const tail = new Float32Array(FADE), length = this.take(tail, 0, currentFrame);
        this.tail = tail.map((sample, at) => at < length ? sample * (1 - at / length) : 0);
      }
      this.queue = [];
      this.head = this.queued = this.dry = 0;
      this.running = false;
      const last = this.spans.at(-1);
      this.spans = [];
      this.told = last ? { item: last.number, samples: last.offset + last.length } : this.told;
      return this.told;
    }
    /** Takes samples out of the queue. Returns where it ended. */
    take(out, at, frame) {
      while (at < out.length && this.queue.length) {
        const { number, offset, samples } = this.queue[0];
        const length = Math.min(out.length - at, samples.length - this.head);
        for (let i = 0; i < length; i++) out[at + i] = samples[this.head + i] / 32768;
        this.note(number, offset + this.head, length, frame + at);
        at += length;
        this.head += length;
        this.queued -= length;
        if (this.head === samples.length) { this.queue.shift(); this.head = 0; }
      }
      return at;
    }
    note(number, offset, length, frame) {
      const last = this.spans.at(-1);
      const goesOn = last?.number === number && last.offset + last.length === offset
        && last.frame + last.length === frame;
      if (goesOn) last.length += length;
      else this.spans.push({ number, offset, length, frame });
    }
    process(_, [[out]]) {
      const isWhole = () => this.queue.length && this.queue.at(-1).number <= this.done;
      if (!this.running && this.queue.length) {
        this.running = this.queued >= this.jitter || isWhole() || currentFrame - this.since >= this.jitter;
      }
      if (this.tail) {
        out.set(this.tail.subarray(0, out.length));
        this.tail = null;
      } else if (this.running) {
        const last = this.queue.at(-1)?.number ?? 0;
        this.take(out, 0, currentFrame);
        if (!this.queue.length) {
          this.running = false;
          this.dry = last;
        }
      }
      this.report(currentFrame + out.length - this.latency);
      this.level(out);
      return true;
    }
    /** Tells what is heard by now: when an item begins, each 100 ms, and when all has been heard. */
    report(now) {
      while (this.spans.length > 1 && this.spans[1].frame <= now) this.spans.shift();
      const span = this.spans[0];
      if (!span || span.frame >= now) return;
      const place = { item: span.number, samples: span.offset + Math.min(span.length, now - span.frame) };
      const isNew = this.told?.item !== place.item;
      const isAll = this.spans.length === 1 && !this.queue.length && now >= span.frame + span.length;
      if (isNew || isAll || (now - this.toldAt >= EVERY && this.told.samples !== place.samples)) {
        if (!isNew && this.told.samples === place.samples) return;
        this.told = place;
        this.toldAt = now;
        this.port.postMessage({ played: place });
      }
    }
    level(out) {
      for (const sample of out) this.energy += sample * sample;
      this.leveled += out.length;
      if (this.leveled < EVERY / 2) return;
      const level = Math.sqrt(this.energy / this.leveled);
      if (level > 0 || this.loud) this.port.postMessage({ level });
      this.loud = level > 0;
      this.leveled = this.energy = 0;
    }
  });
}
