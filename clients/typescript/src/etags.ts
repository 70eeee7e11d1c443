// Values of reads with their tags, so that what has not changed is not sent again.

interface Known {
  readonly etag: string;
  readonly json: string;
}

const VALUES_MAX = 256;
const CHARS_MAX = 1024 * 1024;

/** The values used last, bounded in number and size. A map keeps the order in which it was filled. */
export class Etags {
  readonly #known = new Map<string, Known>();
  #chars = 0;

  get(url: string): Known | undefined {
    const known = this.#known.get(url);
    if (known) {
      this.#known.delete(url);
      this.#known.set(url, known);
    }
    return known;
  }

  set(url: string, etag: string, json: string): void {
    this.#forget(url);
    this.#known.set(url, { etag, json });
    this.#chars += json.length;
    for (const oldest of this.#known.keys()) {
      if (this.#known.size <= VALUES_MAX && this.#chars <= CHARS_MAX) break;
      this.#forget(oldest);
    }
  }

  #forget(url: string): void {
    this.#chars -= this.#known.get(url)?.json.length ?? 0;
    this.#known.delete(url);
  }
}
