// The one clock: which part of it is seen, and where the playhead stands. Times are microseconds.

/** The shortest stretch that fills the view (us). */
const NARROWEST = 20_000;

const clock = {
  from: 0,
  to: 1e6,
  length: 1e6,
  head: 0,
  /** What is selected: a log and an item, or an event. */
  selected: null,
  watchers: [],
  pending: false,

  /** Says that something changed: all is drawn again with the next frame. */
  changed() {
    if (this.pending) return;
    this.pending = true;
    requestAnimationFrame(() => {
      this.pending = false;
      for (const watcher of this.watchers) watcher();
    });
  },

  measure() {
    this.length = Math.max(1e5, ...logs.map((log) => log.length + log.shift));
  },

  show(from, to) {
    const width = clamp(to - from, NARROWEST, this.length * 1.04);
    const middle = (from + to) / 2;
    const margin = Math.min(this.length * 0.02, width * 0.15);
    this.from = clamp(middle - width / 2, -margin, Math.max(this.length + margin - width, -margin));
    this.to = this.from + width;
    this.changed();
  },

  fit() {
    this.show(-this.length * 0.01, this.length * 1.01);
  },

  /** Zooms, so that `at` stays where it is. */
  zoom(factor, at = this.isSeen(this.head) ? this.head : (this.from + this.to) / 2) {
    const width = clamp((this.to - this.from) / factor, NARROWEST, this.length * 1.04);
    const share = (at - this.from) / (this.to - this.from);
    this.show(at - share * width, at + (1 - share) * width);
  },

  pan(by) {
    this.show(this.from + by, this.to + by);
  },

  isSeen(at) {
    return at >= this.from && at <= this.to;
  },

  /** Moves the playhead, and the view if it would leave it. */
  seek(at, { follow = true } = {}) {
    this.head = clamp(at, 0, this.length);
    if (follow && !this.isSeen(this.head)) {
      const width = this.to - this.from;
      this.show(this.head - width * 0.2, this.head + width * 0.8);
    }
    this.changed();
  },

  /** Shows a stretch with some room around it. */
  reveal(from, to) {
    const length = Math.max(to - from, 1e6);
    this.show(from - length * 0.4, to + length * 0.4);
  },

  select(selection, { seek = true } = {}) {
    this.selected = selection;
    if (seek && selection) this.seek(selection.at + selection.log.shift);
    this.changed();
  },
};
