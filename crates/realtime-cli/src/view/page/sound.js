// Plays what is in the page: both sides of each log, on the one clock. Without sound the clock runs in silence.

/** How much is made ready at once, and how far ahead (s). */
const PIECE = 1;
const AHEAD = 1.2;

/** Mu-law as samples between -1 and 1. */
const MU_LAW = Float32Array.from({ length: 256 }, (_, byte) => {
  const bits = ~byte & 255;
  const size = (((bits & 15) << 3) + 132) << ((bits >> 4) & 7);
  return (bits & 128 ? 132 - size : size - 132) / 32768;
});

const sound = {
  context: null,
  playing: false,
  /** Gains by log and side: those at 0 are not heard. */
  sides: new Map(),
  nodes: new Set(),
  timer: 0,
  /** Where the playhead was, and when that was. */
  origin: { head: 0, time: 0 },
  /** Up to where the sound is made ready (us on the clock). */
  ready: 0,
  /** Stops at this time, if not at the end (us). */
  until: null,

  toggle() {
    if (this.playing) this.pause();
    else this.play();
  },

  play(until = null) {
    if (this.playing) this.pause();
    if (clock.head >= clock.length - 1000) clock.seek(0);
    this.open();
    this.playing = true;
    this.until = until;
    this.origin = { head: clock.head, time: this.now() + (this.context ? 0.06 : 0) };
    this.ready = clock.head;
    this.timer = setInterval(() => this.work(), 100);
    this.work();
    this.follow();
  },

  pause() {
    this.playing = false;
    clearInterval(this.timer);
    this.silence();
    clock.changed();
  },

  /** Plays a part as it was made, with what was never heard. */
  preview(log, part) {
    if (this.playing) this.pause();
    this.open();
    if (!this.context || !part.audio) return;
    this.silence();
    const [base, rate] = part.audio;
    const samples = Math.floor((part.total * rate) / part.rate);
    this.schedule(log, "output", base, rate, 0, samples, this.context.currentTime + 0.05);
  },

  open() {
    if (!this.context && logs.some((log) => log.hasSound())) {
      try {
        this.context = new AudioContext();
      } catch {
        this.context = null;
      }
    }
    this.context?.resume?.().catch(() => {});
  },

  silence() {
    for (const node of this.nodes) node.stop();
    this.nodes.clear();
  },

  /** Seconds on whichever clock drives the playhead. */
  now() {
    return this.context && this.context.state === "running" ? this.context.currentTime : performance.now() / 1000;
  },

  /** Follows the sound with the playhead. */
  follow() {
    if (!this.playing) return;
    const now = this.now();
    if (this.clockOf !== this.sourceOf()) {
      // The sound has begun or stopped to run: go on from where the playhead is.
      this.clockOf = this.sourceOf();
      this.origin = { head: clock.head, time: now };
      this.silence();
      this.ready = clock.head;
    }
    clock.seek(this.origin.head + Math.max(now - this.origin.time, 0) * 1e6);
    if (clock.head >= (this.until ?? clock.length)) {
      this.pause();
      return;
    }
    requestAnimationFrame(() => this.follow());
  },

  sourceOf() {
    return this.context && this.context.state === "running" ? "sound" : "time";
  },

  /** The playhead was moved while it plays. */
  moved() {
    if (this.playing) this.play();
  },

  work() {
    if (!this.context || this.context.state !== "running") return;
    const horizon = clock.head + AHEAD * 1e6;
    while (this.ready < horizon) {
      const [from, to] = [this.ready, this.ready + PIECE * 1e6];
      for (const log of logs) this.prepare(log, from - log.shift, to - log.shift);
      this.ready = to;
    }
  },

  /** Makes a stretch of a log's clock ready. */
  prepare(log, from, to) {
    for (const span of log.input.spans) {
      if (!span.audio || span.end <= from || span.at >= to) continue;
      const [base, rate, first] = span.audio;
      this.part(log, "input", base, rate, first, span.at, span.end, from, to);
    }
    for (const run of log.within("runs", from, to)) {
      const { audio, rate: own } = run.part;
      if (!audio) continue;
      const [base, rate, first] = audio;
      this.part(log, "output", base, rate, first + (run.from * rate) / own, run.at, run.end, from, to);
    }
  },

  part(log, side, base, rate, first, at, end, from, to) {
    const start = Math.max(at, from);
    const stop = Math.min(end, to);
    const skip = Math.round(first + ((start - at) * rate) / 1e6);
    const count = Math.round(first + ((stop - at) * rate) / 1e6) - skip;
    const when = this.origin.time + (start + log.shift - this.origin.head) / 1e6;
    if (count > 0) this.schedule(log, side, base, rate, skip, count, when);
  },

  schedule(log, side, base, rate, first, count, when) {
    const samples = this.samples(log, side, base, first, count);
    if (samples.length === 0) return;
    const buffer = this.context.createBuffer(1, samples.length, rate);
    buffer.copyToChannel(samples, 0);
    const node = this.context.createBufferSource();
    node.buffer = buffer;
    node.connect(this.gain(log, side));
    node.onended = () => this.nodes.delete(node);
    this.nodes.add(node);
    node.start(Math.max(when, this.context.currentTime));
  },

  /** Samples of a lane's tape. */
  samples(log, side, base, first, count) {
    const wide = log.quality === "pcm16" ? 2 : 1;
    const tape = log.tapes[side];
    const start = base + first * wide;
    const text = tape.slice(Math.floor(start / 3) * 4, Math.ceil((start + count * wide) / 3) * 4);
    const bytes = bytesOf(text).subarray(start % 3, (start % 3) + count * wide);
    if (wide === 1) return Float32Array.from(bytes, (byte) => MU_LAW[byte]);
    const words = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    return Float32Array.from({ length: bytes.length >> 1 }, (_, at) => words.getInt16(at * 2, true) / 32768);
  },

  gain(log, side) {
    const key = `${side}-${log.number}`;
    let gain = this.sides.get(key);
    if (!gain || !gain.node) {
      const node = this.context.createGain();
      node.connect(this.context.destination);
      gain = { node, on: gain ? gain.on : true };
      node.gain.value = gain.on ? 1 : 0;
      this.sides.set(key, gain);
    }
    return gain.node;
  },

  isOn(log, side) {
    return this.sides.get(`${side}-${log.number}`)?.on ?? true;
  },

  setOn(log, side, on) {
    const key = `${side}-${log.number}`;
    const gain = this.sides.get(key) ?? { node: null };
    gain.on = on;
    if (gain.node) gain.node.gain.value = on ? 1 : 0;
    this.sides.set(key, gain);
  },
};
