// Reads frames of sound that look like the one before them, and sends on what is in them.
//
// They differ in their sound and their time stamp only. The runtime cuts and decodes such a frame where it lies, and only
// numbers go into wasm and back: to copy its text into wasm first, and to decode it there, takes twice as long. Anything
// else is left to the careful reader.

/** As JSON writes numbers. */
const NUMBER = /^-?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?$/;

/**
 * Where sound is decoded: a place in wasm's memory that all sockets share, as one frame is done with before the next.
 * A view of it is of no use any more once the memory has grown; then its length is zero.
 */
class Place {
  #memory;
  #address;
  #length;
  #whole;
  /** The sound of a frame; frames are mostly of one length. */
  #part;

  constructor(memory, address, length) {
    this.#memory = memory;
    this.#address = address;
    this.#length = length;
    this.#look();
  }

  get whole() {
    if (this.#whole.length === 0) this.#look();
    return this.#whole;
  }

  part(length) {
    if (this.#part.length !== length) this.#part = this.whole.subarray(0, length);
    return this.#part;
  }

  #look() {
    this.#whole = new Uint8Array(this.#memory.buffer, this.#address, this.#length);
    this.#part = this.#whole;
  }
}

let place;

/** Tells where sound is to be decoded. */
export function decodeInto(memory, address, length) {
  place = new Place(memory, address, length);
}

export class UsualFrames {
  #opening = "";
  #between = "";
  #closing = "";
  #pass;
  #careful;
  /** Where the sound goes; nowhere without it. */
  #socket;
  #stamp = 0;

  /**
   * `pass` is told of the sound of each usual frame, its length, its time stamp and the time, and says whether it is to
   * be sent; `careful` gets every other frame.
   */
  constructor(pass, careful) {
    this.#pass = pass;
    this.#careful = careful;
  }

  /** Takes note of what stands before the sound, between it and the time stamp's number, and behind the time stamp. */
  learn(opening, between, closing) {
    this.#opening = opening;
    this.#between = between;
    this.#closing = closing;
  }

  /** Sends sound to this socket from now on, or to none. */
  sendTo(socket) {
    this.#socket = socket;
  }

  /** What takes the frames off a socket. */
  listener() {
    return (event) => {
      const length = this.#decode(event.data);
      if (length === -1) this.#careful(event);
      else if (this.#pass(length, this.#stamp, Date.now())) this.#send(length);
    };
  }

  #send(length) {
    try {
      // The socket takes a copy, as the WebSocket standard demands; the next frame is decoded to the same place.
      this.#socket?.send(place.part(length));
    } catch {
      // A socket that has gone says so by its close event.
    }
  }

  /** Decodes the sound of a frame and tells how many bytes it has, or -1 if the frame is not as usual. */
  #decode(text) {
    const start = this.#opening.length;
    // Cut and compared, as V8 compares word by word what lies in two strings, and `startsWith` character by character.
    if (typeof text !== "string" || start === 0 || text.slice(0, start) !== this.#opening) return -1;
    const end = text.indexOf('"', start);
    const from = end + this.#between.length;
    if (end === -1 || text.slice(end, from) !== this.#between) return -1;
    const to = text.indexOf("}", from);
    if (to === -1 || text.slice(to) !== this.#closing) return -1;

    const comma = text.indexOf(",", from);
    const number = text.slice(from, comma === -1 ? to : Math.min(comma, to));
    if (!NUMBER.test(number)) return -1;
    const sound = text.slice(start, end);
    try {
      const { read, written } = place.whole.setFromBase64(sound);
      if (read !== sound.length) return -1;
      this.#stamp = Number(number);
      return written;
    } catch {
      // Not base64 as this decoder takes it.
      return -1;
    }
  }
}
