// Opens pages that `cargo xtask view` writes, in Chromium, and does with them what people do.
//
//     node tests/browser/view.mjs [part of a check's name]
//
// Needs the system's Chromium, and playwright-core in target/browser:
//
//     npm install --no-save --prefix target/browser playwright-core@1.65.1
//
// It says by name what it skips. Pages and screenshots are left in target/browser/view.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";

import { writeLongCall } from "./long_call.mjs";

const root = join(dirname(fileURLToPath(import.meta.url)), "../..");
const folder = join(root, "target/browser/view");
const only = process.argv[2] ?? "";

const chromium = [process.env.CHROMIUM, "/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"]
  .find((path) => path && existsSync(path));
const playwright = ["target/browser", "tests/browser"].map((place) => join(root, place, "node_modules/playwright-core"))
  .find((path) => existsSync(path));
if (!chromium || !playwright) {
  console.log(`skipped  view: ${chromium ? "playwright-core is not in target/browser" : "there is no Chromium"}`);
  process.exit(0);
}
const { chromium: driver } = createRequire(import.meta.url)(playwright);

/** Runs a command of `realtime`: the built program, if the environment names one, else by cargo. */
function realtime(...args) {
  const [program, before] = process.env.REALTIME ? [process.env.REALTIME, []] : ["cargo", ["run", "--quiet", "-p", "xtask", "--"]];
  return execFileSync(program, [...before, ...args], { cwd: root, encoding: "utf8" });
}

mkdirSync(folder, { recursive: true });
const path = (name) => join(folder, name);
const log = (name) => path(`${name}.jsonl`);
const lines = (name) => readFileSync(log(name), "utf8").trimEnd().split("\n");

/** Writes the page of some logs. */
function view(name, logs, ...more) {
  realtime("view", ...logs.map(log), "--out", path(`${name}.html`), ...more);
}

const open = new Set();

/** A fresh browser, so that what is measured is one page. */
async function browse(name, { dark = false, size = { width: 1400, height: 950 } } = {}) {
  const browser = await driver.launch({
    executablePath: chromium,
    args: ["--no-sandbox", "--autoplay-policy=no-user-gesture-required"],
  });
  open.add(browser);
  const context = await browser.newContext({ viewport: size, colorScheme: dark ? "dark" : "light", reducedMotion: "reduce" });
  const page = await context.newPage();
  const seen = { requests: [], failed: [], faults: [] };
  page.on("requestfailed", (request) => seen.failed.push(`${request.url()} ${request.failure().errorText}`));
  page.on("request", (request) => seen.requests.push(request.url()));
  page.on("pageerror", (error) => seen.faults.push(error.message));
  page.on("console", (message) => message.type() === "error" && seen.faults.push(message.text()));
  await page.addInitScript(() => {
    // What is played, for the checks: the loudest sample of each piece, and its length.
    window.played = [];
    const start = AudioBufferSourceNode.prototype.start;
    AudioBufferSourceNode.prototype.start = function (...args) {
      const samples = this.buffer.getChannelData(0);
      window.played.push({ rate: this.buffer.sampleRate, seconds: this.buffer.duration, loudest: samples.reduce((most, sample) => Math.max(most, Math.abs(sample)), 0) });
      return start.apply(this, args);
    };
  });
  const began = performance.now();
  await page.goto(pathToFileURL(path(`${name}.html`)).href);
  await page.waitForSelector("html[data-ready]", { state: "attached" });
  const took = performance.now() - began;
  return { browser, page, seen, took, shot: (what) => page.screenshot({ path: path(`${what}.png`) }) };
}

/** What the timeline says that it shows (s). */
async function shown(page) {
  await page.waitForTimeout(60);
  const label = await page.getAttribute("#canvas", "aria-label");
  const seconds = [...label.matchAll(/(-?)(?:(\d+):)?(\d+):([\d.]+)/g)]
    .map(([, sign, hours, minutes, rest]) => (sign ? -1 : 1) * (Number(hours ?? 0) * 3600 + Number(minutes) * 60 + Number(rest)));
  return { from: seconds[0], to: seconds[1], head: seconds[2] };
}

/** Where a time (s) is in a lane. */
async function place(page, at, lane) {
  const { from, to } = await shown(page);
  const box = await page.locator("#lanes").boundingBox();
  const label = await page.locator(`.lane-${lane}`).first().boundingBox();
  return [box.x + ((at - from) / (to - from)) * box.width, label.y + label.height / 2];
}

/** What the demo's log tells of a call event, and when (s). */
function told(name) {
  const line = lines("demo").map((line) => JSON.parse(line)).find(({ from, event }) => from === "session" && event?.[name]);
  return { at: line.at_us / 1e6, ...line.event[name] };
}

/** The cut of the demo: when, and what was heard of what had come (s). */
function cut() {
  const { at, parts: [part] } = told("interrupted");
  return { at, heard: part.heard / 24000, received: part.received / 24000 };
}

const detail = (page) => page.locator("#detail").innerText();

/** The memory that only the page's process has (MB). */
async function memory(browser) {
  const session = await browser.newBrowserCDPSession();
  const { processInfo } = await session.send("SystemInfo.getProcessInfo");
  const sizes = processInfo.filter(({ type }) => type === "renderer").map(({ id }) => {
    const rollup = readFileSync(`/proc/${id}/smaps_rollup`, "utf8");
    return ["Private_Clean", "Private_Dirty"].reduce((sum, name) => sum + Number(rollup.match(new RegExp(`${name}:\\s+(\\d+)`))[1]), 0) / 1024;
  });
  return Math.max(...sizes);
}

const checks = {
  async "the page loads nothing, and its policy lets nothing else run"() {
    const { page, seen, shot } = await browse("demo");
    await shot("demo");
    assert.deepEqual(seen.faults, []);
    assert.equal(seen.requests.length, 1, `expected one request, got ${seen.requests}`);
    await page.evaluate(() => {
      const script = document.createElement("script");
      script.textContent = "document.title = 'hit'";
      document.body.append(script);
      const image = document.createElement("img");
      image.setAttribute("onerror", "document.title = 'hit'");
      image.src = "https://example.invalid/x.png";
      document.body.append(image);
    });
    await page.waitForTimeout(200);
    assert.match(await page.title(), /demo\.jsonl/);
    assert.deepEqual(seen.failed, ["https://example.invalid/x.png csp"]);
  },

  async "keys and wheel zoom and move"() {
    const { page } = await browse("demo");
    const whole = await shown(page);
    await page.keyboard.press("+");
    await page.keyboard.press("+");
    const near = await shown(page);
    assert.ok(near.to - near.from < (whole.to - whole.from) / 2, JSON.stringify(near));
    const [x, y] = await place(page, near.from + (near.to - near.from) * 0.7, "waits");
    await page.mouse.move(x, y);
    await page.mouse.wheel(0, -400);
    const nearer = await shown(page);
    assert.ok(nearer.to - nearer.from < near.to - near.from);
    await page.mouse.down();
    await page.mouse.move(x - 200, y, { steps: 4 });
    await page.mouse.up();
    assert.ok((await shown(page)).from > nearer.from, "dragging moves the view");
    await page.keyboard.press("0");
    const again = await shown(page);
    assert.ok(Math.abs(again.to - whole.to) < 0.01);
    await page.keyboard.press("End");
    const end = (await shown(page)).head;
    assert.ok(end > told("interrupted").at);
    await page.keyboard.press("ArrowLeft");
    assert.ok((await shown(page)).head < end);
    for (let times = 0; times < 40; times++) await page.keyboard.press("+");
    const nearest = await shown(page);
    assert.ok(nearest.to - nearest.from >= 0.019);
  },

  async "a click shows what it is and the line of the log"() {
    const { page, shot } = await browse("demo");
    // The interruption, the lane of the agent.
    const { at, heard, received } = cut();
    await page.mouse.click(...(await place(page, at, "output")));
    assert.match(await detail(page), new RegExp(`${heard.toFixed(1)} s heard of ${received.toFixed(1)} s`));
    await shot("clicked");
    await page.mouse.click(...(await place(page, told("function_calls").at, "functions")));
    const called = await detail(page);
    assert.match(called, /get_weather/);
    assert.match(called, /"Paris"/);
    assert.match(called, /"sunny"/);
    const number = Number(called.match(/Line ([\d,]+)/)[1].replace(",", ""));
    const json = await page.locator("#detail .line pre").innerText();
    assert.deepEqual(JSON.parse(json), JSON.parse(lines("demo")[number - 1]));
    await page.keyboard.press(".");
    assert.notEqual(await detail(page), called);
  },

  async "every line that is not sound is there as it stands in the log"() {
    const { page } = await browse("demo");
    await page.click("#tab-events");
    for (const name of ["words", "other"]) await page.locator(`#filters .class-${name} input`).check();
    const log = lines("demo");
    await page.locator("#panel .row").first().click();
    for (let steps = 0; steps < 60; steps++) {
      const text = await detail(page);
      const number = Number(text.match(/Line ([\d,]+)/)[1].replace(",", ""));
      const json = await page.locator("#detail .line pre").innerText();
      if (!json.includes(" bytes\"")) assert.equal(JSON.stringify(JSON.parse(json)), JSON.stringify(JSON.parse(log[number - 1])));
      await page.keyboard.press(".");
    }
  },

  async "a search finds words, functions and events"() {
    const { page, shot } = await browse("demo");
    await page.keyboard.press("/");
    await page.keyboard.type("pARIS");
    await page.keyboard.press("Enter");
    await page.waitForTimeout(300);
    const hits = parseInt(await page.locator("#hits").innerText(), 10);
    assert.ok(hits > 5, `${hits} hits`);
    assert.equal(await page.locator("#tab-found").getAttribute("aria-selected"), "true");
    assert.match(await detail(page), /Paris/);
    const first = (await shown(page)).head;
    await page.keyboard.press("Enter");
    await page.keyboard.press("Enter");
    assert.notEqual((await shown(page)).head, first);
    await shot("found");
    await page.fill("#query", "speech_started");
    await page.waitForTimeout(300);
    assert.equal(parseInt(await page.locator("#hits").innerText(), 10), 4);
    await page.fill("#query", "[(no such");
    await page.waitForTimeout(300);
    assert.equal(await page.locator("#hits").innerText(), "0 hits");
    await page.keyboard.press("Escape");
    assert.equal(await page.locator("#tab-found").isVisible(), false);
  },

  async "space plays both sides, with the sound of the log"() {
    const { page } = await browse("demo");
    await page.mouse.click(...(await place(page, cut().at - 0.7, "input")));
    const before = (await shown(page)).head;
    await page.keyboard.press(" ");
    await page.waitForTimeout(1500);
    assert.equal(await page.locator("#play").innerText(), "Pause");
    await page.keyboard.press(" ");
    const after = (await shown(page)).head;
    assert.ok(after - before > 0.7 && after - before < 2.5, `${before} to ${after}`);
    await page.waitForTimeout(200);
    assert.equal((await shown(page)).head, after);
    const played = await page.evaluate(() => window.played);
    assert.ok(played.filter(({ loudest }) => loudest > 0.05).length >= 2, JSON.stringify(played));
    await page.click(".side.output");
    assert.equal(await page.locator(".side.output").getAttribute("aria-pressed"), "false");
    await page.mouse.click(...(await place(page, cut().at - 2, "output")));
    await page.evaluate(() => (window.played = []));
    await page.click("text=Play all that was made");
    await page.waitForTimeout(100);
    const whole = await page.evaluate(() => window.played);
    assert.ok(Math.abs(whole[0].seconds - cut().received) < 0.01, JSON.stringify(whole));
  },

  async "sound that had to be made smaller is still heard"() {
    for (const [name, rate] of [["mu-law", 24000], ["narrow", 8000]]) {
      const { page } = await browse(name);
      await page.mouse.click(...(await place(page, cut().at - 2, "output")));
      await page.click("text=Play all that was made");
      await page.waitForTimeout(100);
      const [whole] = await page.evaluate(() => window.played);
      assert.ok(Math.abs(whole.seconds - cut().received) < 0.01 && whole.loudest > 0.05, JSON.stringify(whole));
      assert.equal(whole.rate, rate);
    }
  },

  async "without a mouse all is in reach"() {
    const { page } = await browse("demo");
    await page.keyboard.press("?");
    assert.equal(await page.locator("#help").isVisible(), true);
    await page.keyboard.press("Escape");
    assert.equal(await page.locator("#help").isVisible(), false);
    await page.keyboard.press("ArrowDown");
    await page.keyboard.press("ArrowDown");
    assert.match(await page.locator("#panel [aria-selected=true]").innerText(), /What is the weather/);
    assert.match(await page.locator("#announce").innerText(), /The user speaks/);
    await page.focus("#tab-conversation");
    await page.keyboard.press("ArrowRight");
    assert.equal(await page.locator("#tab-events").getAttribute("aria-selected"), "true");
    await page.focus("#panel .rows");
    await page.keyboard.press("ArrowDown");
    assert.equal(await page.locator("#panel [aria-selected=true]").count(), 1);
    const nameless = await page.evaluate(() => [...document.querySelectorAll("button, input, select, canvas")]
      .filter((element) => !(element.getAttribute("aria-label") ?? element.textContent + (element.labels?.[0]?.textContent ?? ""))).length);
    assert.equal(nameless, 0);
  },

  async "text can be read in the light and in the dark"() {
    for (const dark of [false, true]) {
      const { page, shot } = await browse("demo", { dark });
      await page.mouse.click(...(await place(page, cut().at, "output")));
      await shot(dark ? "dark" : "light");
      const contrasts = await page.evaluate(() => {
        const style = getComputedStyle(document.documentElement);
        const light = (name) => {
          const parts = style.getPropertyValue(`--${name}`).trim().match(/[0-9a-f]{2}/g).map((part) => parseInt(part, 16) / 255);
          const [red, green, blue] = parts.map((part) => (part <= 0.03928 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4));
          return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
        };
        const against = (a, b) => (Math.max(light(a), light(b)) + 0.05) / (Math.min(light(a), light(b)) + 0.05);
        return ["ink", "soft", "user", "agent", "tool", "good", "fair", "bad", "select", "name", "string", "literal"]
          .flatMap((name) => ["panel", "paper"].map((ground) => [name, ground, against(name, ground)]));
      });
      assert.deepEqual(contrasts.filter(([, , contrast]) => contrast < 4.5), []);
      await page.keyboard.press("d");
      assert.equal(await page.evaluate(() => document.documentElement.dataset.theme), dark ? "light" : "dark");
    }
  },

  async "a log without words and sound shows what it can"() {
    const { page, seen, shot } = await browse("metadata");
    await shot("metadata");
    assert.deepEqual(seen.faults, []);
    assert.match(await page.locator("#notes").innerText(), /no words and no sound/);
    assert.match(await page.locator("#panel").innerText(), /\d+ bytes of words/);
    const { heard, received } = cut();
    assert.match(await page.locator("#figures").innerText(), new RegExp(`Unheard\\s+${(received - heard).toFixed(1)} s`));
    assert.equal(await page.locator(".side.input").isDisabled(), true);
    await page.keyboard.press(" ");
    await page.waitForTimeout(500);
    await page.keyboard.press(" ");
    assert.ok((await shown(page)).head > 0.2);
  },

  async "what users and models say stays text"() {
    const { page, seen, shot } = await browse("hostile");
    await page.click("#tab-events");
    await page.click("#tab-numbers");
    await page.click("#tab-conversation");
    for (let times = 0; times < 12; times++) await page.keyboard.press("ArrowDown");
    await page.fill("#query", "<img");
    await page.waitForTimeout(300);
    await page.keyboard.press("Enter");
    const box = await page.locator("#lanes").boundingBox();
    for (let x = 20; x < box.width; x += 40) await page.mouse.move(box.x + x, box.y + 90);
    await shot("hostile");
    assert.notEqual(await page.title(), "hit");
    assert.equal(await page.locator("img, iframe, svg, a").count(), 0);
    assert.ok(parseInt(await page.locator("#hits").innerText(), 10) > 5);
    assert.match(await page.locator("#panel").innerText(), /<\/script><img src=x onerror/);
    assert.deepEqual(seen.faults, []);
  },

  async "two logs stand on one clock"() {
    const { page, seen, shot } = await browse("two");
    await shot("two");
    assert.deepEqual(seen.faults, []);
    assert.equal(await page.locator("#figures ul").count(), 2);
    assert.match(await page.locator("#labels").innerText(), /A[\s\S]*B/);
    await page.selectOption("#alignment", "begin");
    const together = await shown(page);
    await page.selectOption("#alignment", "day");
    const apart = await shown(page);
    assert.ok(apart.to - together.to > 25, `${together.to} and ${apart.to}`);
    await page.keyboard.press(" ");
    await page.waitForTimeout(400);
    await page.keyboard.press(" ");
    assert.ok((await shown(page)).head > 0.1);
  },

  async "a small screen has all of it, one below the other"() {
    const { page, shot } = await browse("demo", { size: { width: 420, height: 800 } });
    await shot("small");
    const wide = await page.evaluate(() => document.documentElement.scrollWidth);
    assert.ok(wide <= 420, `${wide} px wide`);
  },

  async "four hours open almost as fast as nothing, in less than 200 MB"() {
    if (!existsSync(path("long.html"))) {
      const turns = writeLongCall(log("long"));
      view("long", ["long"]);
      rmSync(log("long"));
      console.log(`         ${turns} turns, ${(readFileSync(path("long.html")).length / 1e6).toFixed(1)} MB`);
    }
    writeFileSync(path("empty.html"), "<!doctype html><html data-ready><title>empty</title></html>");
    const measured = { empty: [], long: [] };
    for (let round = 0; round < 3; round++) {
      for (const name of ["empty", "long"]) {
        const { browser, page, took, shot } = await browse(name);
        if (name === "long" && round === 2) {
          const began = performance.now();
          for (let times = 0; times < 12; times++) {
            await page.keyboard.press("+");
            await shown(page);
          }
          await page.keyboard.press("End");
          await page.click("#tab-events");
          await page.fill("#query", "what it would cost");
          await page.waitForTimeout(400);
          await page.keyboard.press("Enter");
          assert.match(await page.locator("#hits").innerText(), /\d hits/);
          await shot("long");
          console.log(`         used for ${Math.round(performance.now() - began)} ms`);
        }
        measured[name].push({ took, memory: await memory(browser) });
        await browser.close();
      }
    }
    const best = (name, what) => Math.min(...measured[name].map((one) => one[what]));
    const most = Math.max(...measured.long.map((one) => one.memory));
    console.log(`         open: ${best("long", "took").toFixed(0)} ms (empty page ${best("empty", "took").toFixed(0)} ms); `
      + `memory: ${most.toFixed(0)} MB (empty page ${best("empty", "memory").toFixed(0)} MB)`);
    assert.ok(best("long", "took") <= 3 * best("empty", "took") + 3000);
    assert.ok(most < 200);
  },
};

/** The demo's log with hostile text in everything that is said. */
function writeHostile() {
  const evil = "</script><img src=x onerror=\"document.title='hit'\"><!--<script>\u2028";
  const own = ["from", "type", "format", "content", "playback", "dialect", "audio"];
  const poison = (value, name) => {
    if (typeof value === "string") return name.endsWith("_id") || own.includes(name) || (name === "delta" && value.length > 200) ? value : value + evil;
    if (Array.isArray(value)) return value.map((element) => poison(element, name));
    if (value && typeof value === "object") return Object.fromEntries(Object.entries(value).map(([key, member]) => [key, poison(member, key)]));
    return value;
  };
  writeFileSync(log("hostile"), lines("demo").map((line) => JSON.stringify(poison(JSON.parse(line), ""))).join("\n"));
}

realtime("record", log("demo"), "--fast", "--out", path("demo"));
realtime("record", log("metadata"), "--content", "metadata", "--fast", "--out", path("metadata"));
writeHostile();
const later = lines("demo");
later[0] = later[0].replace("1790000000000000", "1790000030000000");
writeFileSync(log("later"), `${later.join("\n")}\n`);
view("demo", ["demo"]);
view("mu-law", ["demo"], "--audio", "2");
view("narrow", ["demo"], "--audio", "1");
view("metadata", ["metadata"]);
view("hostile", ["hostile"]);
view("two", ["demo", "later"]);
if (process.env.FRESH) rmSync(path("long.html"), { force: true });

let failed = 0;
for (const [name, check] of Object.entries(checks)) {
  if (!name.includes(only)) continue;
  try {
    await check();
    console.log(`ok       ${name}`);
  } catch (error) {
    failed++;
    console.log(`FAILED   ${name}\n${error.stack}`);
  }
  for (const browser of open) await browser.close().catch(() => {});
  open.clear();
}
console.log(failed ? `${failed} failed` : "all ok");
process.exit(failed ? 1 : 0);
