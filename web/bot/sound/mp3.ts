// Cuts a stream of mp3 bytes into frames, so that each can be decoded as soon as it is there.
//
// It knows headers and tags only; decoding is the browser's work.

/** One frame of MPEG audio layer III. */
export interface Mp3Frame {
  data: Uint8Array<ArrayBuffer>;
  sampleRate: number;
  channels: number;
  /** Samples per channel. */
  samples: number;
}

/** No tag that a speech synthesizer writes comes near; beyond it, this is no mp3. */
const MAX_WITHOUT_FRAME = 256 * 1024;

const BITRATES_V1 = [0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320];
const BITRATES_V2 = [0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160];
const SAMPLE_RATES_V1 = [44100, 48000, 32000];
const HEADER_BYTES = 4;
const ID3_HEADER_BYTES = 10;

/** Finds the frames of one stream. */
export class Mp3Reader {
  #rest = new Uint8Array(0);
  #skip = 0;
  #first = true;
  /** Bytes passed over since the last frame. */
  #searched = 0;

  /** The frames that `bytes` completes; throws if the stream is no mp3. */
  push(bytes: Uint8Array): Mp3Frame[] {
    const all = new Uint8Array(this.#rest.length + bytes.length);
    all.set(this.#rest);
    all.set(bytes, this.#rest.length);
    const frames: Mp3Frame[] = [];
    let at = 0;
    while (at + HEADER_BYTES <= all.length) {
      if (this.#skip > 0) {
        const skipped = Math.min(this.#skip, all.length - at);
        this.#skip -= skipped;
        at += skipped;
        continue;
      }
      if (this.#first && isTag(all, at)) {
        if (at + ID3_HEADER_BYTES > all.length) break;
        this.#skip = tagLength(all, at);
        continue;
      }
      const header = readHeader(all, at);
      if (!header) {
        at += 1;
        this.#searched += 1;
        continue;
      }
      if (at + header.length > all.length) break;
      const frame = all.slice(at, at + header.length);
      at += header.length;
      if (this.#first && isInfo(frame, header)) continue;
      this.#first = false;
      this.#searched = 0;
      frames.push({ ...header, data: frame });
    }
    this.#rest = all.slice(at);
    if (this.#searched > MAX_WITHOUT_FRAME) {
      throw new Error("no mp3 frames in the sound");
    }
    return frames;
  }
}

interface Header {
  length: number;
  sampleRate: number;
  channels: number;
  samples: number;
  sideBytes: number;
}

function readHeader(bytes: Uint8Array, at: number): Header | undefined {
  const [sync, kind, rates, mode] = bytes.subarray(at, at + HEADER_BYTES);
  if (sync !== 0xff || kind === undefined || rates === undefined || mode === undefined) return undefined;
  if ((kind & 0xe0) !== 0xe0) return undefined;
  const version = (kind >> 3) & 3; // 3: MPEG-1, 2: MPEG-2, 0: MPEG-2.5
  const layer = (kind >> 1) & 3; // 1: layer III
  const v1 = version === 3;
  const kilobits = (v1 ? BITRATES_V1 : BITRATES_V2)[rates >> 4];
  const rateV1 = SAMPLE_RATES_V1[(rates >> 2) & 3];
  if (version === 1 || layer !== 1 || !kilobits || rateV1 === undefined) return undefined;
  const sampleRate = rateV1 / (v1 ? 1 : version === 2 ? 2 : 4);
  const samples = v1 ? 1152 : 576;
  const channels = mode >> 6 === 3 ? 1 : 2;
  const padding = (rates >> 1) & 1;
  const length = Math.floor(((samples / 8) * kilobits * 1000) / sampleRate) + padding;
  const sideBytes = v1 ? (channels === 1 ? 17 : 32) : channels === 1 ? 9 : 17;
  return { length, sampleRate, channels, samples, sideBytes };
}

function isTag(bytes: Uint8Array, at: number): boolean {
  return bytes[at] === 0x49 && bytes[at + 1] === 0x44 && bytes[at + 2] === 0x33; // "ID3"
}

function tagLength(bytes: Uint8Array, at: number): number {
  const [a, b, c, d] = [6, 7, 8, 9].map((offset) => (bytes[at + offset] as number) & 0x7f) as [
    number,
    number,
    number,
    number,
  ];
  return ID3_HEADER_BYTES + ((a << 21) | (b << 14) | (c << 7) | d);
}

/** The frame that tells about the file instead of carrying sound. */
function isInfo(frame: Uint8Array, header: Header): boolean {
  const at = HEADER_BYTES + header.sideBytes;
  const word = String.fromCharCode(...frame.subarray(at, at + 4));
  return word === "Xing" || word === "Info";
}
