// The sound thread: the microphone as PCM of 24 kHz, and a player that knows what was heard.

const RATE = 24000;
/** Samples in one message: 20 ms. */
const CHUNK = 480;
/** Samples that wait before playing begins: 80 ms. */
const AHEAD = 1920;

/** Posts `{pcm, level}`: 20 ms of 16-bit samples, and their peak from 0 to 1. */
class Microphone extends AudioWorkletProcessor {
  constructor() {
    super();
    this.sum = 0;
    this.count = 0;
    this.due = 0;
    this.begin();
  }

  begin() {
    this.chunk = new Int16Array(CHUNK);
    this.filled = 0;
    this.peak = 0;
  }

  process([[samples]]) {
    for (const sample of samples ?? []) {
      this.sum += sample;
      this.count += 1;
      this.due += RATE / sampleRate;
      if (this.due > 0.999999) {
        // The mean of what a slower rate has no place for. A slower microphone repeats itself.
        const mean = this.sum / this.count;
        this.sum = this.count = 0;
        for (; this.due > 0.999999; this.due -= 1) this.put(mean);
      }
    }
    return true;
  }

  put(sample) {
    const clipped = Math.max(-1, Math.min(1, sample));
    this.peak = Math.max(this.peak, Math.abs(clipped));
    this.chunk[this.filled++] = clipped * 32767;
    if (this.filled === CHUNK) {
      this.port.postMessage({ pcm: this.chunk.buffer, level: this.peak }, [this.chunk.buffer]);
      this.begin();
    }
  }
}

/**
 * Takes `{do: "play", item, samples}`, `{do: "end"}` when an answer has no more sound, and `{do: "stop"}`, which
 * it answers with `{stopped: item, heard}`: the item that was playing or `null`, and its samples that were heard.
 * Also posts `{playing}` when that changes.
 */
class Player extends AudioWorkletProcessor {
  constructor() {
    super();
    this.port.onmessage = ({ data }) => this[data.do](data);
    this.clear();
  }

  clear() {
    this.queue = [];
    this.waiting = 0;
    this.at = 0;
    this.item = null;
    this.heard = 0;
    this.isPlaying = false;
    this.isWhole = false;
  }

  play({ item, samples }) {
    this.queue.push({ item, samples });
    this.waiting += samples.length;
    this.isWhole = false;
  }

  end() {
    this.isWhole = true;
  }

  stop() {
    const wasPlaying = this.isPlaying;
    this.port.postMessage({ stopped: this.item, heard: Math.floor(this.heard) });
    this.clear();
    if (wasPlaying) this.port.postMessage({ playing: false });
  }

  process(_, [[output]]) {
    const begins = this.waiting >= AHEAD || (this.isWhole && this.queue.length > 0);
    if (!this.isPlaying && begins) this.tell(true);
    for (let index = 0; index < output.length && this.isPlaying; index++) {
      output[index] = this.next();
      if (this.queue.length === 0) {
        this.tell(false);
        this.waiting = this.at = 0;
        if (this.isWhole) this.item = null;
      }
    }
    return true;
  }

  tell(isPlaying) {
    this.isPlaying = isPlaying;
    this.port.postMessage({ playing: isPlaying });
  }

  /** The next sample, on a straight line between two of the queue. */
  next() {
    const [{ item, samples }, second] = this.queue;
    if (item !== this.item) {
      this.item = item;
      this.heard = 0;
    }
    const index = Math.floor(this.at);
    const before = samples[index];
    const after = samples[index + 1] ?? second?.samples[0] ?? before;
    const value = before + (after - before) * (this.at - index);
    const step = RATE / sampleRate;
    this.at += step;
    this.heard += step;
    this.waiting -= step;
    while (this.queue.length > 0 && this.at >= this.queue[0].samples.length) {
      this.at -= this.queue.shift().samples.length;
    }
    return value / 32768;
  }
}

registerProcessor("microphone", Microphone);
registerProcessor("player", Player);
