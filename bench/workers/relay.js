// How a meeting hears: Recall's socket brings the call's audio as base64 in JSON, Deepgram's takes it as bytes and
// answers with what was said.
//
// Nothing is lost when Deepgram's socket breaks: audio is kept until a final result covers it, and played to the next
// session first.

const BYTES_PER_SECOND = 16_000 * 2;
/** What is kept for the next session is bounded: older audio is given up. */
const MOST_KEPT_BYTES = 30 * BYTES_PER_SECOND;
/** Deepgram closes after ten seconds in which nothing comes. */
const KEEP_ALIVE_MS = 4_000;
/** How often it is looked whether sound has stopped: a call that is muted in mid-sentence needs its last words. */
const LULL_MS = 2_000;
/** Frames that were let go of are taken out of the list this many at a time. */
const FORGOTTEN_AT_ONCE = 64;
const RECONNECT_MS = [250, 500, 1_000, 2_000, 4_000];

export class Ears {
  #env;
  #meetingId;
  #tell;
  /** Recall's socket, while it is open. */
  #media = null;
  /** Deepgram's socket, while it is open. */
  #deepgram = null;
  #connecting = false;
  #attempts = 0;
  #keepAlive = null;
  #sentSinceKeepAlive = false;
  #lull = null;
  #sentSinceLull = false;
  #lastBuffer = "";
  #lastTime = -1;
  /** Frames that no final covers yet, in order; those before `#firstKept` are gone. */
  #kept = [];
  #firstKept = 0;
  #keptBytes = 0;
  /** How many bytes came before the first kept frame, and before the first of this session. */
  #keptFrom = 0;
  #sessionFrom = 0;

  /** `tell` is called with each message of Deepgram and the second of audio at which its session began. */
  constructor(env, meetingId, tell) {
    this.#env = env;
    this.#meetingId = meetingId;
    this.#tell = tell;
  }

  /** Takes Recall's socket; the one before it, if there is one, is no longer heard. */
  take(socket) {
    this.#media?.close(1000, "another socket took over");
    this.#media = socket;
    socket.accept();
    socket.addEventListener("message", ({ data }) => this.#onFrame(data));
    const over = () => {
      if (this.#media !== socket) return;
      this.#media = null;
      this.#deepgram?.send('{"type":"CloseStream"}');
    };
    socket.addEventListener("close", over);
    socket.addEventListener("error", over);
    if (!this.#deepgram && !this.#connecting) this.#connect();
  }

  #onFrame(text) {
    const { event, data } = JSON.parse(text);
    if (event !== "audio_mixed_raw.data") return;
    const { buffer, timestamp } = data.data;
    // The same moment and the same sound again: sent twice.
    if (timestamp.relative === this.#lastTime && buffer === this.#lastBuffer) return;
    this.#lastTime = timestamp.relative;
    this.#lastBuffer = buffer;

    const audio = Uint8Array.fromBase64(buffer);
    if (audio.length === 0) return;
    this.#keep(audio);
    if (this.#deepgram) {
      this.#deepgram.send(audio);
      this.#sentSinceKeepAlive = true;
      this.#sentSinceLull = true;
    }
  }

  #keep(audio) {
    this.#kept.push(audio);
    this.#keptBytes += audio.length;
    while (this.#keptBytes > MOST_KEPT_BYTES) this.#forgetFirst();
  }

  /** Lets go of everything that ends before or at this byte. */
  #release(confirmed) {
    while (
      this.#firstKept < this.#kept.length &&
      this.#keptFrom + this.#kept[this.#firstKept].length <= confirmed
    ) {
      this.#forgetFirst();
    }
  }

  #forgetFirst() {
    const { length } = this.#kept[this.#firstKept];
    this.#kept[this.#firstKept] = null;
    this.#firstKept += 1;
    this.#keptBytes -= length;
    this.#keptFrom += length;
    if (this.#firstKept === FORGOTTEN_AT_ONCE) {
      this.#kept.splice(0, FORGOTTEN_AT_ONCE);
      this.#firstKept = 0;
    }
  }

  async #connect() {
    this.#connecting = true;
    const query = new URLSearchParams({
      model: "nova-3",
      language: "en-US",
      smart_format: "true",
      interim_results: "true",
      endpointing: "300",
      utterance_end_ms: "1000",
      vad_events: "true",
      diarize: "true",
      encoding: "linear16",
      channels: "1",
      sample_rate: "16000",
      extra: `meeting_id:${this.#meetingId}`,
    });
    let socket = null;
    try {
      const response = await fetch(`${this.#env.DEEPGRAM_BASE_URL}/v1/listen?${query}`, {
        headers: { Upgrade: "websocket", Authorization: `Token ${this.#env.DEEPGRAM_API_KEY}` },
      });
      socket = response.webSocket;
    } catch {
      // Refused or unreachable: the same.
    }
    this.#connecting = false;
    if (!socket) {
      this.#connectLater();
      return;
    }
    socket.accept();
    socket.addEventListener("message", ({ data }) => this.#onMessage(data));
    const over = () => {
      if (this.#deepgram !== socket) return;
      this.#deepgram = null;
      clearInterval(this.#keepAlive);
      clearInterval(this.#lull);
      if (this.#media) this.#connectLater();
    };
    socket.addEventListener("close", over);
    socket.addEventListener("error", over);

    this.#deepgram = socket;
    this.#sessionFrom = this.#keptFrom;
    for (let index = this.#firstKept; index < this.#kept.length; index += 1) {
      socket.send(this.#kept[index]);
    }
    this.#keepAlive = setInterval(() => {
      if (!this.#sentSinceKeepAlive) socket.send('{"type":"KeepAlive"}');
      this.#sentSinceKeepAlive = false;
    }, KEEP_ALIVE_MS);
    let finalized = true;
    this.#lull = setInterval(() => {
      if (this.#sentSinceLull) finalized = false;
      else if (!finalized && this.#firstKept < this.#kept.length) {
        finalized = true;
        socket.send('{"type":"Finalize"}');
      }
      this.#sentSinceLull = false;
    }, LULL_MS);
  }

  #connectLater() {
    const pause = RECONNECT_MS[Math.min(this.#attempts, RECONNECT_MS.length - 1)];
    this.#attempts += 1;
    setTimeout(() => {
      if (this.#media) this.#connect();
    }, pause);
  }

  #onMessage(text) {
    const message = JSON.parse(text);
    if (message.type === "Results" && message.is_final) {
      this.#attempts = 0;
      const seconds = message.start + message.duration;
      this.#release(this.#sessionFrom + Math.round(seconds * BYTES_PER_SECOND));
    }
    this.#tell(message, this.#sessionFrom / BYTES_PER_SECOND);
  }
}
