// Talks to a new session from this page: the microphone into it, its answers to the loudspeaker.

/** Bytes that wait for the network before sound is dropped: some two seconds. */
const MOST_WAITING = 128_000;
/** A function that the emulator may call. Its answer is made up here. */
const WEATHER = {
  type: "function",
  name: "get_weather",
  description: "Looks up today's weather in a city",
  parameters: { type: "object", properties: { city: { type: "string" } }, required: ["city"] },
};

let conversation = null;

byId("microphone").onclick = () => (conversation?.microphone ? conversation.close() : begin(true));

byId("write").onsubmit = async (submitted) => {
  submitted.preventDefault();
  const words = byId("words").value.trim();
  if (words === "") return;
  if (!conversation) await begin(false);
  if (!conversation) return;
  byId("words").value = "";
  conversation.write(words);
};

async function begin(withMicrophone) {
  conversation?.close();
  const mine = (conversation = new Conversation());
  tell("connecting…");
  try {
    await mine.open(withMicrophone);
  } catch (error) {
    mine.close();
    tell(`Cannot talk: ${error.message}`, true);
  }
}

function tell(text, isAlarm) {
  setText(byId("told"), text);
  byId("told").classList.toggle("alarm", isAlarm === true);
}

function showTalking(isTalking) {
  byId("microphone").setAttribute("aria-pressed", isTalking);
  setText(byId("verb"), isTalking ? "Stop" : "Talk");
  if (!isTalking) byId("level").firstElementChild.style.width = "0";
}

class Conversation {
  /** The microphone's stream, if it is in use. */
  microphone = null;
  /** The item whose sound the user spoke over. */
  dropped = null;
  /** Whether a response is running. */
  isAnswering = false;
  /** The sound thread's player. `null`: this page has no sound. */
  player = null;
  isOver = false;

  async open(withMicrophone) {
    if (withMicrophone) {
      if (!navigator.mediaDevices) throw new Error("a browser gives the microphone to pages of localhost or https only");
      const wanted = { channelCount: 1, echoCancellation: true, noiseSuppression: true, autoGainControl: true };
      this.microphone = await navigator.mediaDevices.getUserMedia({ audio: wanted });
      // Somebody may have given up while the browser asked.
      if (this.isOver) return this.letGo();
      showTalking(true);
    }
    await this.openSound();
    if (this.isOver) return this.letGo();
    await this.openSocket();
  }

  async openSound() {
    // Some browsers take a microphone at the device's rate only. Then the sound thread changes the rate.
    for (const options of [{ sampleRate: 24000 }, {}]) {
      this.sound = new AudioContext({ latencyHint: "interactive", ...options });
      try {
        this.source = this.microphone && this.sound.createMediaStreamSource(this.microphone);
        break;
      } catch (error) {
        await this.sound.close();
        if (!options.sampleRate) throw error;
      }
    }
    // Only pages of localhost or https have a sound thread. Others can still write.
    if (!this.sound.audioWorklet) return;
    const module = URL.createObjectURL(new Blob([byId("worklet").textContent], { type: "text/javascript" }));
    await this.sound.audioWorklet.addModule(module);
    URL.revokeObjectURL(module);
    await this.sound.resume();
    const player = new AudioWorkletNode(this.sound, "player", { numberOfInputs: 0, outputChannelCount: [1] });
    player.port.onmessage = ({ data }) => ("playing" in data ? this.played(data) : this.stopped(data));
    player.connect(this.sound.destination);
    this.player = player;
    if (this.source) {
      this.input = new AudioWorkletNode(this.sound, "microphone", { numberOfOutputs: 0 });
      this.input.port.onmessage = ({ data }) => this.hear(data);
      this.source.connect(this.input);
      this.microphone.getTracks()[0].onended = () => this.close("The microphone is gone.");
    }
  }

  /** Resolves when the session is ready. */
  openSocket() {
    const protocols = ["realtime", ...(key() ? [`openai-insecure-api-key.${key()}`] : [])];
    this.socket = new WebSocket(url, protocols);
    return new Promise((resolve, reject) => {
      this.isReady = resolve;
      this.socket.onmessage = ({ data }) => this.read(data);
      this.socket.onclose = ({ code, reason }) => {
        this.close(`The session has ended: ${code} ${reason}`);
        reject(new Error(`the emulator closed the connection (${code} ${reason})`));
      };
    });
  }

  send(event) {
    if (this.socket?.readyState === WebSocket.OPEN) this.socket.send(JSON.stringify(event));
  }

  /** Whatever comes, the conversation goes on: the emulator can be asked to send anything. */
  read(text) {
    if (this.isOver) return;
    try {
      this.handle(JSON.parse(text));
    } catch (error) {
      tell(`The emulator sent what this page cannot read: ${error.message}`, true);
    }
  }

  handle(event) {
    switch (event.type) {
      case "session.created":
        return this.configure(event.session ?? {});
      case "response.created":
        this.isAnswering = true;
        return;
      case "response.output_audio.delta":
      case "response.audio.delta":
        return this.play(event);
      case "response.output_audio.done":
      case "response.audio.done":
        return this.player?.port.postMessage({ do: "end" });
      case "input_audio_buffer.speech_started":
        tell("You speak.");
        return this.player?.port.postMessage({ do: "stop" });
      case "input_audio_buffer.speech_stopped":
        return tell("You have spoken.");
      case "response.done":
        this.isAnswering = false;
        return this.answerFunctions(event.response?.output ?? []);
      case "error":
        return tell(`Error: ${event.error?.message ?? event.error}`, true);
    }
  }

  /** Asks for transcripts and offers a function, in the session's dialect, then lets the emulator greet. */
  configure(session) {
    const tools = [WEATHER];
    const isGa = session.type !== undefined;
    const transcription = { model: isGa ? "gpt-4o-mini-transcribe" : "whisper-1" };
    const changes = isGa
      ? { type: "realtime", tools, audio: { input: { transcription } } }
      : { tools, input_audio_transcription: transcription };
    this.send({ type: "session.update", session: changes });
    if (this.microphone) this.send({ type: "response.create" });
    awaited = session.id ?? null;
    if (this.microphone) tell("Speak. The emulator hears when you stop.");
    else tell(this.player ? "connected" : "connected, without sound: only pages of localhost or https have it");
    this.isReady();
  }

  /** 20 ms of the microphone. */
  hear({ pcm, level }) {
    byId("level").firstElementChild.style.width = `${Math.round(100 * Math.sqrt(level))}%`;
    if (this.socket?.readyState !== WebSocket.OPEN || this.socket.bufferedAmount > MOST_WAITING) return;
    const audio = btoa(String.fromCharCode(...new Uint8Array(pcm)));
    this.send({ type: "input_audio_buffer.append", audio });
  }

  play({ item_id: item, content_index: index, delta }) {
    if (!this.player || item === this.dropped) return;
    this.index = index ?? 0;
    const bytes = Uint8Array.from(atob(delta), (character) => character.charCodeAt(0));
    const samples = new Int16Array(bytes.buffer, 0, bytes.length >> 1);
    if (samples.length > 0) this.player.port.postMessage({ do: "play", item, samples }, [bytes.buffer]);
  }

  played({ playing }) {
    if (playing) tell("The emulator speaks.");
    else if (this.microphone) tell("Speak.");
  }

  /** The player is silent: the session is told how much was heard. */
  stopped({ stopped: item, heard }) {
    if (item === null) return;
    this.dropped = item;
    // What has left the sound thread is not at the ear yet.
    const underWay = 1000 * (this.sound.outputLatency || 0);
    const audio_end_ms = Math.max(0, Math.floor(heard / 24 - underWay));
    this.send({ type: "conversation.item.truncate", item_id: item, content_index: this.index, audio_end_ms });
  }

  write(text) {
    this.player?.port.postMessage({ do: "stop" });
    if (this.isAnswering) this.send({ type: "response.cancel" });
    const item = { type: "message", role: "user", content: [{ type: "input_text", text }] };
    this.send({ type: "conversation.item.create", item });
    this.send({ type: "response.create" });
  }

  answerFunctions(items) {
    const calls = items.filter((item) => item.type === "function_call");
    for (const { name, call_id, arguments: given } of calls) {
      const output = JSON.stringify(name === WEATHER.name ? weather(given) : { error: "this page has no such function" });
      this.send({ type: "conversation.item.create", item: { type: "function_call_output", call_id, output } });
    }
    if (calls.length > 0) this.send({ type: "response.create" });
  }

  letGo() {
    this.microphone?.getTracks().forEach((track) => track.stop());
    this.socket?.close();
    if (this.sound && this.sound.state !== "closed") this.sound.close();
  }

  close(reason) {
    if (this.isOver) return;
    this.isOver = true;
    this.letGo();
    if (conversation === this) {
      conversation = null;
      showTalking(false);
      tell(reason ?? "Press the microphone and speak, or write.", reason !== undefined);
    }
  }
}

/** The weather is good everywhere. */
function weather(given) {
  try {
    return { city: JSON.parse(given).city ?? "nowhere", sky: "sunny", celsius: 21, wind: "light" };
  } catch {
    return { error: "the arguments are no JSON" };
  }
}
