// What the page or the process hears about its surroundings that is a reason to look at a
// connection at once. In Node there is nothing of it, and nothing is listened to.

export interface Wakeups {
  /** The network is back, or the page is looked at again. */
  wake(): void;
  /** The page goes away: for good, or `kept`, to come back as it is ("back/forward cache"). */
  hide(kept: boolean): void;
}

/** Listens until the function that comes back is called. */
export function listen(wakeups: Wakeups): () => void {
  const off: (() => void)[] = [];
  const on = (target: EventTarget | undefined, name: string, listener: (event: Event) => void) => {
    if (typeof target?.addEventListener !== "function") return;
    target.addEventListener(name, listener);
    off.push(() => target.removeEventListener(name, listener));
  };
  const surroundings = globalThis as unknown as EventTarget;
  const page: Document | undefined = globalThis.document;
  on(surroundings, "online", () => wakeups.wake());
  on(surroundings, "pageshow", (event) => {
    if ((event as PageTransitionEvent).persisted) wakeups.wake();
  });
  on(surroundings, "pagehide", (event) => wakeups.hide((event as PageTransitionEvent).persisted));
  on(page, "visibilitychange", () => {
    if (page?.visibilityState === "visible") wakeups.wake();
  });
  return () => off.splice(0).forEach((stop) => stop());
}
