// Hands on all sound that comes in, 20 ms and more at a time.
registerProcessor(
  "recorder",
  class extends AudioWorkletProcessor {
    #kept = [];

    process(inputs) {
      const channel = inputs[0]?.[0];
      if (channel) this.#kept.push(...channel);
      if (this.#kept.length >= 1024) {
        this.port.postMessage(Float32Array.from(this.#kept));
        this.#kept = [];
      }
      return true;
    }
  },
);
