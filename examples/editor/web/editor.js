// The text: CodeMirror over a Yjs text, kept with the server by the y-websocket provider as its authors
// ship it, and in this browser by y-indexeddb, so that what is written offline outlives the window.
import {
  Doc, EditorSelection, EditorState, EditorView, IndexeddbPersistence, UndoManager, WebsocketProvider, defaultKeymap,
  keymap, placeholder, search, searchKeymap, yCollab, yUndoManagerKeymap,
} from "./vendor.js";
import { carets } from "./carets.js";
import { byId } from "./dom.js";
import { markdown } from "./markdown.js";
import { showPeople, toneOf } from "./people.js";
import { Saved } from "./saved.js";

/** Name of the text inside the Yjs document: the field that calls mean when they name none. */
const TEXT = "codemirror";

/** Colours told to editors other than this page, which draw carets by `user.color`. */
const FOREIGN_COLOURS = ["#2f7a57", "#2563a8", "#a8480f", "#7a3fa0", "#b0264f", "#0f7285", "#8a6a00", "#5a5f6b"];

export class Editor {
  #provider;
  #text;
  #view;

  /** Opens a document in `#editor` under a person's name. */
  constructor(document_, name) {
    const doc = new Doc();
    this.#text = doc.getText(TEXT);
    const base = new URL("v1/document", location.href);
    base.protocol = base.protocol.replace("http", "ws");
    this.#provider = new WebsocketProvider(base.origin + base.pathname, encodeURIComponent(document_), doc, {
      disableBc: true, // windows of one browser meet at the server, like all others
    });
    this.saved = new Saved(doc, this.#provider);
    // The provider gives a silent connection 30 seconds. The browser knows earlier, and when it is wrong
    // the provider is back at once.
    addEventListener("offline", () => {
      this.#provider.disconnect();
      this.#provider.connect();
    });
    new IndexeddbPersistence(`abide/${document_}`, doc);
    this.rename(name);
    this.#watchPeople();
    this.#view = this.#show();
  }

  /** Tells the others another name. */
  rename(name) {
    this.#provider.awareness.setLocalStateField("user", { name, color: FOREIGN_COLOURS[toneOf(name)] });
  }

  get text() {
    return this.#text.toString();
  }

  focus() {
    this.#view.focus();
  }

  /** Calls `watch` with the text now, and a moment after it has changed. */
  onText(watch) {
    let timer = null;
    this.#text.observe(() => {
      timer ??= setTimeout(() => {
        timer = null;
        watch(this.text);
      }, 250);
    });
    watch(this.text);
  }

  #show() {
    // In a shadow root CodeMirror adopts its style sheets; in the document it would insert a style
    // element, which the page's content security policy refuses.
    const root = byId("editor").attachShadow({ mode: "open", delegatesFocus: true });
    return new EditorView({
      parent: root,
      state: EditorState.create({
        doc: this.text,
        extensions: [
          keymap.of([...emphasis, ...yUndoManagerKeymap, ...searchKeymap, ...defaultKeymap]),
          search({ top: true }),
          // No awareness here: its carets set style attributes, refused likewise. Ours follow.
          yCollab(this.#text, null, { undoManager: new UndoManager(this.#text) }),
          carets(this.#text, this.#provider.awareness),
          markdown,
          EditorView.lineWrapping,
          EditorView.contentAttributes.of({ "aria-label": "Text of the document", spellcheck: "true" }),
          placeholder("Write. Everyone with the link sees it as you type; Markdown is shown as you go."),
          theme,
        ],
      }),
    });
  }

  #watchPeople() {
    const awareness = this.#provider.awareness;
    const show = () => {
      const own = awareness.getLocalState()?.user?.name;
      const others = [...awareness.getStates()].filter(([client]) => client !== awareness.clientID);
      const names = others.map(([, state]) => state.user?.name).filter(Boolean);
      showPeople(byId("people"), [own, ...names], own, 8);
    };
    awareness.on("change", show);
    show();
  }
}

/** Puts the mark around each selection, or takes it away. */
function around(mark) {
  return ({ state, dispatch }) => {
    const changes = state.changeByRange((range) => {
      const { from, to } = range;
      const [before, after] = [state.sliceDoc(from - mark.length, from), state.sliceDoc(to, to + mark.length)];
      if (before === mark && after === mark) {
        return {
          changes: [{ from: from - mark.length, to: from }, { from: to, to: to + mark.length }],
          range: EditorSelection.range(from - mark.length, to - mark.length),
        };
      }
      return {
        changes: [{ from, insert: mark }, { from: to, insert: mark }],
        range: EditorSelection.range(from + mark.length, to + mark.length),
      };
    });
    dispatch(state.update(changes, { scrollIntoView: true, userEvent: "input" }));
    return true;
  };
}

const emphasis = [
  { key: "Mod-b", run: around("**") },
  { key: "Mod-i", run: around("*") },
  { key: "Mod-e", run: around("`") },
];

const theme = EditorView.theme({
  "&": { height: "100%", color: "var(--ink)", backgroundColor: "transparent", fontSize: "inherit" },
  "&.cm-focused": { outline: "none" },
  ".cm-scroller": { fontFamily: "var(--text)", lineHeight: "1.7", overflow: "auto", scrollbarWidth: "thin" },
  ".cm-content": { maxWidth: "46rem", margin: "0 auto", padding: "2.4rem 0 6rem", caretColor: "var(--accent)" },
  ".cm-line": { padding: "0 clamp(1.1rem, 4vw, 2.4rem)" },
  ".cm-placeholder": { color: "var(--faint)" },
  ".cm-panels": { backgroundColor: "var(--sunken)", color: "var(--ink)", borderColor: "var(--line) !important" },
  ".cm-panel input, .cm-panel button": { font: "inherit", color: "inherit" },
  ".cm-panel.cm-search": { font: "14px var(--sans)" },
  ".cm-searchMatch": { backgroundColor: "color-mix(in srgb, var(--warn) 28%, transparent)" },
  ".cm-searchMatch-selected": { backgroundColor: "color-mix(in srgb, var(--warn) 55%, transparent)" },
});
