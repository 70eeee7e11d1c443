// The indicator beside the title.
import { setStatus } from "./dom.js";

/** Says in `pill` where the changes of this window are. */
export function showStatus(pill, saved) {
  saved.watch(() => {
    const [state, text, title] = words(saved);
    setStatus(pill, state, text);
    pill.title = title;
  });
}

function words(saved) {
  const changes = `${saved.kept.toLocaleString("en")} change${saved.kept === 1 ? "" : "s"}`;
  switch (saved.state) {
    case "saved":
      return ["live", "Saved", "Everything written here is on the server's disk."];
    case "saving":
      return ["waiting", "Saving…", "The server has not said yet that it is on disk."];
    case "refused":
      return ["down", "Not saved", `The server takes no more: ${saved.refused}.`];
    case "offline":
      return saved.kept > 0
        ? ["down", `Offline, ${changes} kept`, "They are kept in this browser and merged when the server is back."]
        : ["down", "Offline", "You can write on: it is kept in this browser and merged when the server is back."];
    default:
      return ["waiting", "Opening…", ""];
  }
}
