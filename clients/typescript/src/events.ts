// Listeners by the name of an event, typed.

export class Events<Map extends object> {
  readonly #listeners = new globalThis.Map<keyof Map, Set<(event: never) => void>>();

  /** Adds a listener; the function that comes back takes it off again. */
  on<Name extends keyof Map>(name: Name, listener: (event: Map[Name]) => void): () => void {
    const listeners = this.#listeners.get(name) ?? new Set();
    this.#listeners.set(name, listeners.add(listener));
    return () => void listeners.delete(listener);
  }

  /** Tells all of them. One that throws keeps nobody else from hearing it, and nothing from going on. */
  emit<Name extends keyof Map>(name: Name, event: Map[Name]): void {
    for (const listener of [...(this.#listeners.get(name) ?? [])]) {
      try {
        (listener as (event: Map[Name]) => void)(event);
      } catch (error) {
        // As if the listener had been called by the runtime: the application's handlers for uncaught errors see it.
        queueMicrotask(() => {
          throw error;
        });
      }
    }
  }
}
