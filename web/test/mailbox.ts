// What came in, kept in order, and a way to wait for more.

/** No step of a test on a busy machine takes longer. */
const PATIENCE_MS = 20_000;
/** How much of what came helps to understand a failure. */
const TOLD = 12;

/** Collects items and wakes those who wait for one. */
export class Mailbox<T> {
  readonly all: T[] = [];
  #wake: (() => void)[] = [];

  put(item: T): void {
    this.all.push(item);
    for (const wake of this.#wake.splice(0)) wake();
  }

  /** Forgets what came so far. */
  clear(): void {
    this.all.length = 0;
  }

  /** The first item, now or later, for which `wanted` holds. */
  async first(what: string, wanted: (item: T) => boolean): Promise<T> {
    return this.until(what, () => this.all.find(wanted));
  }

  /** Waits until `look` finds something among the items. */
  async until<R>(what: string, look: () => R | undefined): Promise<R> {
    const deadline = performance.now() + PATIENCE_MS;
    for (;;) {
      const found = look();
      if (found !== undefined) return found;
      const left = deadline - performance.now();
      if (left <= 0) {
        const came = JSON.stringify(this.all.slice(-TOLD));
        throw new Error(`waited in vain for ${what}; at last came: ${came}`);
      }
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, left);
        this.#wake.push(() => {
          clearTimeout(timer);
          resolve();
        });
      });
    }
  }
}
