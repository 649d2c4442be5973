// Hears what the page plays, and lets its microphone hear the room. Runs before the page's own scripts.
//
// Everything that would reach the loudspeakers goes through here as well: what audio graphs send to their
// destination, and what media elements play. Blocks with any sound in them are handed out.
(() => {
  const RATE = 16_000;
  const BLOCK = 2_048;
  const LOOK_MS = 100;

  const contextOf = AudioContext;
  const context = new contextOf({ sampleRate: RATE });
  const connect = AudioNode.prototype.connect;
  const disconnect = AudioNode.prototype.disconnect;

  const out = context.createScriptProcessor(BLOCK, 1, 1);
  out.onaudioprocess = ({ inputBuffer }) => {
    const samples = inputBuffer.getChannelData(0);
    const pcm = new Int16Array(samples.length);
    let silent = true;
    for (let at = 0; at < samples.length; at += 1) {
      pcm[at] = Math.max(-1, Math.min(1, samples[at])) * 32_767;
      if (pcm[at] !== 0) silent = false;
    }
    if (!silent) globalThis.attacheHeard(`sound ${base64(new Uint8Array(pcm.buffer))}`);
  };
  connect.call(out, context.destination);

  function base64(bytes) {
    let text = "";
    for (const byte of bytes) text += String.fromCharCode(byte);
    return btoa(text);
  }

  // Audio graphs.
  const taps = new WeakMap();
  function tapOf(other) {
    let tap = taps.get(other);
    if (!tap) {
      tap = new MediaStreamAudioDestinationNode(other);
      connect.call(context.createMediaStreamSource(tap.stream), out);
      taps.set(other, tap);
    }
    return tap;
  }
  function isLoudspeaker(target) {
    return target instanceof AudioDestinationNode && target.context instanceof contextOf && target.context !== context;
  }
  AudioNode.prototype.connect = function (target, ...rest) {
    const result = connect.call(this, target, ...rest);
    if (isLoudspeaker(target)) connect.call(this, tapOf(this.context), ...rest.slice(0, 1));
    return result;
  };
  AudioNode.prototype.disconnect = function (target, ...rest) {
    if (isLoudspeaker(target)) disconnect.call(this, tapOf(this.context));
    return target === undefined ? disconnect.call(this) : disconnect.call(this, target, ...rest);
  };

  // Media elements.
  const followed = new Map();
  function follow(element) {
    if (!followed.has(element)) followed.set(element, { tracks: "", source: undefined, gain: undefined });
  }
  const play = HTMLMediaElement.prototype.play;
  HTMLMediaElement.prototype.play = function () {
    follow(this);
    return play.call(this);
  };
  document.addEventListener("playing", ({ target }) => follow(target), true);
  function streamOf(element) {
    if (element.srcObject instanceof MediaStream) return element.srcObject;
    return element.currentSrc ? element.captureStream() : undefined;
  }
  setInterval(() => {
    if (context.state === "suspended") void context.resume();
    for (const [element, entry] of followed) {
      const tracks = (streamOf(element)?.getAudioTracks() ?? []).filter((track) => track.readyState === "live");
      const names = tracks.map((track) => track.id).join();
      if (names !== entry.tracks) {
        entry.source?.disconnect();
        entry.gain?.disconnect();
        entry.tracks = names;
        if (tracks.length > 0) {
          entry.source = context.createMediaStreamSource(new MediaStream(tracks));
          entry.gain = context.createGain();
          connect.call(connect.call(entry.source, entry.gain), out);
        }
      }
      if (entry.gain) entry.gain.gain.value = element.paused || element.muted ? 0 : element.volume;
    }
  }, LOOK_MS);

  // The sockets, so that they can be broken.
  const sockets = new Set();
  globalThis.WebSocket = class extends WebSocket {
    constructor(...rest) {
      super(...rest);
      sockets.add(this);
      this.addEventListener("close", () => sockets.delete(this));
    }
  };
  globalThis.attacheDrop = (path) => {
    for (const socket of sockets) if (new URL(socket.url).pathname === path) socket.close();
  };

  // The microphone: asking for it counts as always, what it hears is the room.
  const devices = navigator.mediaDevices;
  const getUserMedia = devices?.getUserMedia.bind(devices);
  const ear = context.createMediaStreamDestination();
  let heardUntil = 0;
  globalThis.attacheRoom = (text) => {
    const bytes = Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
    const pcm = new Int16Array(bytes.buffer);
    const buffer = context.createBuffer(1, pcm.length, RATE);
    buffer.copyToChannel(Float32Array.from(pcm, (sample) => sample / 32_768), 0);
    const source = new AudioBufferSourceNode(context, { buffer });
    connect.call(source, ear);
    heardUntil = Math.max(heardUntil, context.currentTime + 0.05);
    source.start(heardUntil);
    heardUntil += buffer.duration;
  };
  if (devices) {
    devices.getUserMedia = async (wish) => {
      const stream = await getUserMedia(wish);
      if (!wish?.audio || wish.video) return stream;
      globalThis.attacheHeard("listens");
      return ear.stream.clone();
    };
  }
})();
