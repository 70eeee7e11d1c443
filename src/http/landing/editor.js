// A shared plain-text document: CodeMirror over a Yjs text, kept with the `document` namespace by
// the y-websocket provider as its authors ship it.
import {
  Doc, EditorState, EditorView, UndoManager, WebsocketProvider, keymap, placeholder, yCollab, yUndoManagerKeymap,
} from "./vendor.js";
import { carets } from "./carets.js";
import { byId, setStatus } from "./dom.js";
import { showPeople, toneOf } from "./people.js";

/** Name of the text inside the Yjs document. */
const TEXT = "codemirror";

/** Colours told to editors other than this page, which draw carets by `user.color`. */
const FOREIGN_COLOURS = ["#2f7a57", "#2563a8", "#a8480f", "#7a3fa0", "#b0264f", "#0f7285", "#8a6a00", "#5a5f6b"];

/** Opens a document in `#editor` under a person's name. */
export class SharedEditor {
  #provider;

  constructor(document_, name) {
    const doc = new Doc();
    const text = doc.getText(TEXT);
    const origin = location.origin.replace(/^http/, "ws");
    this.#provider = new WebsocketProvider(`${origin}/v1/document`, encodeURIComponent(document_), doc, {
      // Windows of one browser would otherwise talk past the server, and this page is about the server.
      disableBc: true,
    });
    this.rename(name);
    this.#watchConnection();
    this.#watchPeople();

    // In a shadow root CodeMirror adopts its style sheets; in the document it would insert a style
    // element, which the page's content security policy refuses.
    const root = byId("editor").attachShadow({ mode: "open" });
    new EditorView({
      parent: root,
      state: EditorState.create({
        doc: text.toString(),
        extensions: [
          keymap.of([...yUndoManagerKeymap, ...plainTextKeymap]),
          // No awareness here: its carets set style attributes, refused likewise. Ours follow.
          yCollab(text, null, { undoManager: new UndoManager(text) }),
          carets(text, this.#provider.awareness),
          EditorView.lineWrapping,
          EditorView.contentAttributes.of({ "aria-label": "Text of the shared document" }),
          placeholder("Type here. Everyone who has this page open sees it at once."),
          theme,
        ],
      }),
    });
  }

  /** Tells the others another name. */
  rename(name) {
    this.#provider.awareness.setLocalStateField("user", { name, color: FOREIGN_COLOURS[toneOf(name)] });
  }

  #watchConnection() {
    const pill = byId("editor-status");
    const provider = this.#provider;
    const show = () => {
      if (provider.synced) setStatus(pill, "live", "in sync");
      else if (provider.wsconnected) setStatus(pill, "waiting", "syncing");
      else if (provider.wsUnsuccessfulReconnects > 0) setStatus(pill, "down", "reconnecting");
      else setStatus(pill, "waiting", "connecting");
    };
    provider.on("status", show);
    provider.on("sync", show);
    provider.on("connection-close", () => queueMicrotask(show)); // it is said before the counters move
  }

  #watchPeople() {
    const awareness = this.#provider.awareness;
    const show = () => {
      const own = awareness.getLocalState()?.user?.name;
      const names = [...awareness.getStates().values()].map((state) => state.user?.name).filter(Boolean);
      showPeople(byId("editor-peers"), names, own);
    };
    awareness.on("change", show);
    show();
  }
}

// Everything else a plain text needs, the browser's own editing does.
const plainTextKeymap = [
  { key: "Enter", run: insert("\n") },
  { key: "Tab", run: insert("  ") },
  {
    // The view holds only the lines in sight, so "all" must be said to the state.
    key: "Mod-a",
    run: ({ state, dispatch }) => {
      dispatch(state.update({ selection: { anchor: 0, head: state.doc.length } }));
      return true;
    },
  },
];

function insert(text) {
  return ({ state, dispatch }) => {
    dispatch(state.update(state.replaceSelection(text), { scrollIntoView: true, userEvent: "input" }));
    return true;
  };
}

const theme = EditorView.theme({
  "&": { height: "100%", color: "var(--ink)", backgroundColor: "transparent", fontSize: "inherit" },
  "&.cm-focused": { outline: "none" },
  ".cm-scroller": { fontFamily: "var(--mono)", lineHeight: "1.75", overflow: "auto" },
  ".cm-content": { padding: "1.4rem 0 3rem", caretColor: "var(--accent)" },
  ".cm-line": { padding: "0 1.25rem" },
  ".cm-placeholder": { color: "var(--faint)" },
});
