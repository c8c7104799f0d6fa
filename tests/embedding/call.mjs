// The call of `call.c`, as a page holds it: node call.mjs MACHINE.wasm
//
// The module imports nothing. What a page does with its socket, its clock and its loudspeaker is printed here.

import { readFile } from "node:fs/promises";

const { instance, module } = await WebAssembly.instantiate(await readFile(process.argv[2]));
const imports = WebAssembly.Module.imports(module);
if (imports.length > 0) throw new Error(`expected a module without imports, got ${JSON.stringify(imports)}`);
const wasm = instance.exports;

// Runs `use` with the address of these bytes in the module's memory.
function lend(bytes, use) {
  const room = wasm.room_new(bytes.length);
  // The memory may have grown: a view is made for each use.
  new Uint8Array(wasm.memory.buffer, room, bytes.length).set(bytes);
  const result = use(room);
  wasm.room_free(room, bytes.length);
  return result;
}

const lendText = (text, use) => lend(new TextEncoder().encode(`${text}\0`), use);

function textAt(address) {
  const bytes = new Uint8Array(wasm.memory.buffer, address);
  return new TextDecoder().decode(bytes.subarray(0, bytes.indexOf(0)));
}

class Machine {
  #machine = wasm.machine_new(now(), BigInt(1_800_000_000));
  #pointer = wasm.room_new(4);

  text(text) {
    lendText(text, (at) => wasm.machine_text(this.#machine, now(), at));
    this.#drain();
  }

  command(id, command) {
    return lendText(command, (at) => wasm.machine_command(this.#machine, now(), BigInt(id), at));
  }

  append(audio) {
    return lend(audio, (at) => wasm.machine_append(this.#machine, now(), at, audio.length));
  }

  disconnected(reason) {
    lendText(reason, (at) => wasm.machine_disconnected(this.#machine, now(), at));
    this.#drain();
  }

  // When to call again (ms), for `setTimeout`.
  timeout() {
    const at = BigInt.asUintN(64, wasm.machine_timeout(this.#machine, now()));
    this.#drain();
    return Number(at - now()) / 1000;
  }

  // Does what the machine wants, until it wants nothing more.
  #drain() {
    for (let kind; (kind = wasm.machine_poll(this.#machine, this.#pointer)) !== 0; ) {
      const text = textAt(this.#read());
      if (kind === 1) console.log(`send  ${text}`);
      if (kind === 2) console.log(`event ${text}`);
      if (kind === 3) console.log("close");
      if (kind === 4) console.log(`audio ${wasm.machine_audio(this.#machine, this.#pointer)} bytes`);
    }
  }

  #read() {
    return new DataView(wasm.memory.buffer).getUint32(this.#pointer, true);
  }
}

// A page has `performance.now()`. Here time goes on by 40 ms with each text.
let time = 0n;
const now = () => time;

function expect(what, got, wanted) {
  if (got !== wanted) throw new Error(`${what}: expected ${wanted}, got ${got}`);
}

const machine = new Machine();
const say = (event) => {
  time += 40_000n;
  machine.text(JSON.stringify(event));
};
say({ type: "session.created", event_id: "e1", session: { id: "s1" } });
say({ type: "session.updated", event_id: "e2", session: { id: "s1" } });
expect("a command", machine.command(1, '{"create_response":{}}'), 0);
expect("nonsense", machine.command(2, "nonsense"), 1);
expect("audio", machine.append(new Uint8Array(960)), 0);
expect("half a sample", machine.append(new Uint8Array(1)), 2);
say({ type: "response.created", event_id: "e3", response: { id: "r1", status: "in_progress" } });
say({
  type: "response.output_audio.delta",
  event_id: "e4",
  response_id: "r1",
  item_id: "i1",
  output_index: 0,
  content_index: 0,
  delta: "AAABAAIAAwA=",
});
say({ type: "response.done", event_id: "e5", response: { id: "r1", status: "completed" } });
if (!(machine.timeout() > 0)) throw new Error("nothing is due later");
expect("the end", machine.command(3, '{"close":{}}'), 0);
machine.disconnected('{"closed":{"code":1000,"reason":""}}');
