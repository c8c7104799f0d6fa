// The timeline: the overview, the lanes of all logs, the playhead, and what hands do with them.

const stage = {
  sketch: null,
  overview: null,
  hover: null,
  drag: null,
  /** Places that the search found, on the clock. */
  found: [],

  build() {
    this.sketch = new Sketch(byId("canvas"));
    this.overview = new Sketch(byId("overview"));
    const labels = byId("labels");
    for (const log of logs) {
      if (logs.length > 1) labels.append(make("b", { class: "of-log" }, log.label));
      for (const lane of LANES) {
        const label = make("span", { class: `label lane-${lane[0]}` }, lane[1]);
        label.style.height = `${laneHeight(lane)}px`;
        labels.append(label);
      }
    }
    this.height = HEAD + logs.length * (logHeight() + (logs.length > 1 ? HEAD : 0));
    for (const id of ["canvas", "labels"]) byId(id).style.height = `${this.height}px`;
    this.listen(byId("lanes"), byId("overview"));
    new ResizeObserver(() => clock.changed()).observe(byId("lanes"));
    clock.watchers.push(() => this.draw());
  },

  /** Where a log's lanes begin. */
  top(log) {
    return HEAD + log.number * (logHeight() + HEAD) + (logs.length > 1 ? HEAD : 0);
  },

  draw() {
    this.sketch.begin(byId("lanes").clientWidth, this.height);
    const { sketch } = this;
    sketch.look(clock.from, clock.to, 0);
    this.drawAxis(sketch);
    for (const log of logs) {
      sketch.look(clock.from, clock.to, log.shift);
      let y = this.top(log);
      if (log.number > 0) sketch.rect(0, y - HEAD, sketch.width, 1, colours.line, 0);
      for (const lane of LANES) {
        drawLane[lane[0]](sketch, log, y, laneHeight(lane));
        y += laneHeight(lane) + GAP;
      }
    }
    sketch.look(clock.from, clock.to, 0);
    this.drawSelection(sketch);
    this.drawHeads(sketch);
    this.drawOverview();
    byId("time").textContent = `${clockText(clock.head)} / ${clockText(clock.length, 1e6)}`;
    byId("canvas").setAttribute("aria-label",
      `From ${clockText(clock.from)} to ${clockText(clock.to)}, playhead at ${clockText(clock.head)}`);
    const play = byId("play");
    const label = sound.playing ? "Pause" : "Play";
    if (play.textContent !== label) play.textContent = label;
  },

  drawAxis(sketch) {
    const { pen } = sketch;
    const seconds = 90 / (sketch.scale * 1e6);
    const steps = [0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 1200,
      1800, 3600, 7200];
    const step = (steps.find((step) => step >= seconds) ?? Math.ceil(seconds / 14400) * 14400) * 1e6;
    pen.font = SMALL;
    for (let at = Math.max(0, Math.ceil(clock.from / step) * step); at <= Math.min(clock.to, clock.length); at += step) {
      const x = Math.round(sketch.x(at));
      sketch.rect(x, HEAD, 1, this.height - HEAD, colours.line, 0);
      pen.fillStyle = colours.soft;
      pen.fillText(clockText(at, step), x + 6, HEAD / 2);
    }
  },

  drawSelection(sketch) {
    const { selected } = clock;
    if (!selected || !logs.includes(selected.log)) return;
    const y = this.top(selected.log);
    const left = sketch.x(selected.at + selected.log.shift);
    const width = Math.max(sketch.x(Math.max(selected.end, selected.at) + selected.log.shift) - left, 2);
    sketch.pen.globalAlpha = 0.13;
    sketch.rect(left - 2, y - 2, width + 4, logHeight() - 4, colours.select, 4);
    sketch.pen.globalAlpha = 1;
  },

  drawHeads(sketch) {
    for (const at of this.found) {
      if (clock.isSeen(at)) sketch.rect(sketch.x(at) - 1, HEAD - 5, 3, 5, colours.found, 1);
    }
    if (this.hover !== null && !this.drag) {
      sketch.rect(this.hover, HEAD, 1, this.height - HEAD, colours.faint, 0);
    }
    const x = sketch.x(clock.head);
    sketch.rect(x - 0.75, 4, 1.5, this.height, colours.select, 0);
    sketch.rect(x - 5, 2, 10, 8, colours.select, 3);
  },

  drawOverview() {
    const { overview } = this;
    const canvas = byId("overview");
    overview.begin(canvas.clientWidth, canvas.clientHeight);
    const each = overview.height / logs.length;
    for (const log of logs) {
      overview.look(0, clock.length, log.shift);
      const y = log.number * each;
      for (const span of log.input.spans) {
        if (span.peaks === null) continue;
        drawWave(overview, log.outlines.input, span.peaks, span.step, span.rate, span.at, 0, span.samples, y,
          each / 2, colours.user);
      }
      if (log.input.spans.some((span) => span.peaks === null)) {
        for (const turn of log.turns) {
          const x = overview.x(turn.from);
          overview.rect(x, y + each / 4 - 3, overview.x(turn.to ?? turn.ends) - x, 6, colours.user, 2);
        }
      }
      for (const run of log.runs) {
        const { part } = run;
        if (part.peaks === null) {
          const x = overview.x(run.at);
          overview.rect(x, y + each * 0.75 - 3, overview.x(run.end) - x, 6, colours.agent, 2);
        } else {
          drawWave(overview, log.outlines.output, part.peaks, part.step, part.rate, run.at, run.from, run.to,
            y + each / 2, each / 2, colours.agent);
        }
      }
      const high = log.interruptions.length > overview.width / 12 ? 4 : each;
      for (const interruption of log.interruptions) {
        overview.rect(overview.x(interruption.start), y, 1, high, colours.bad, 0);
      }
    }
    overview.look(0, clock.length, 0);
    for (const at of this.found) overview.rect(overview.x(at) - 1, 0, 2, 5, colours.found, 0);
    const [left, right] = [overview.x(clock.from), overview.x(clock.to)];
    const { pen } = overview;
    pen.fillStyle = colours.paper;
    pen.globalAlpha = 0.6;
    pen.fillRect(0, 0, left, overview.height);
    pen.fillRect(right, 0, overview.width - right, overview.height);
    pen.globalAlpha = 1;
    pen.strokeStyle = colours.select;
    pen.strokeRect(left + 0.5, 0.5, Math.max(right - left - 1, 1), overview.height - 1);
    overview.rect(overview.x(clock.head), 0, 1.5, overview.height, colours.select, 0);
  },

  listen(lanes, overview) {
    const x = (event) => event.clientX - lanes.getBoundingClientRect().left;
    const y = (event) => event.clientY - lanes.getBoundingClientRect().top;
    const at = (px) => clock.from + (px / Math.max(lanes.clientWidth, 1)) * (clock.to - clock.from);
    lanes.addEventListener("wheel", (event) => {
      event.preventDefault();
      const across = Math.abs(event.deltaX) > Math.abs(event.deltaY);
      const by = event.deltaMode === 1 ? 20 : 1;
      if (across || event.shiftKey) {
        clock.pan(((event.deltaX || event.deltaY) * by / lanes.clientWidth) * (clock.to - clock.from));
      } else clock.zoom(Math.exp(-event.deltaY * by * 0.0022), at(x(event)));
    }, { passive: false });
    lanes.addEventListener("pointerdown", (event) => {
      if (event.button !== 0) return;
      this.drag = { x: x(event), from: clock.from, to: clock.to, moved: false };
      lanes.setPointerCapture(event.pointerId);
    });
    lanes.addEventListener("pointermove", (event) => {
      this.hover = x(event);
      if (this.drag) {
        const by = this.drag.x - x(event);
        this.drag.moved ||= Math.abs(by) > 4;
        if (this.drag.moved) {
          const width = this.drag.to - this.drag.from;
          const shift = (by / lanes.clientWidth) * width;
          clock.show(this.drag.from + shift, this.drag.to + shift);
        }
        lanes.classList.toggle("dragged", this.drag.moved);
      }
      this.showTip(x(event), y(event));
      clock.changed();
    });
    lanes.addEventListener("pointerup", (event) => {
      const { drag } = this;
      this.drag = null;
      lanes.classList.remove("dragged");
      if (!drag || drag.moved) return;
      const box = this.sketch.hit(x(event), y(event));
      clock.seek(at(x(event)));
      sound.moved();
      if (box) detail.show(box.selection, { seek: false });
    });
    lanes.addEventListener("pointerleave", () => {
      this.hover = null;
      byId("tip").hidden = true;
      clock.changed();
    });
    lanes.addEventListener("dblclick", (event) => {
      const box = this.sketch.hit(x(event), y(event));
      if (box) clock.reveal(box.selection.at + box.selection.log.shift, box.selection.end + box.selection.log.shift);
    });
    const move = (event) => {
      if (!(event.buttons & 1)) return;
      const box = overview.getBoundingClientRect();
      const middle = ((event.clientX - box.left) / box.width) * clock.length;
      const width = clock.to - clock.from;
      clock.show(middle - width / 2, middle + width / 2);
    };
    overview.addEventListener("pointerdown", (event) => {
      overview.setPointerCapture(event.pointerId);
      move(event);
    });
    overview.addEventListener("pointermove", move);
  },

  showTip(x, y) {
    const tip = byId("tip");
    const box = this.drag ? null : this.sketch.hit(x, y);
    tip.hidden = !box;
    if (!box) return;
    const [title, ...lines] = summary(box.selection);
    clear(tip).append(make("b", {}, title), ...lines.map((line) => make("span", {}, line)));
    const room = byId("lanes").clientWidth - tip.offsetWidth - 8;
    tip.style.transform = `translate(${Math.min(x + 14, Math.max(room, 0))}px, ${y + 18}px)`;
  },
};
