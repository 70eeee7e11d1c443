// What became of the lines of a text.

/** Pairs of lines compared at most; beyond, all that differs counts as replaced. */
const PAIRS_MAX = 4_000_000;

/**
 * The lines of both texts in order, each with what it is.
 * @returns {{ kind: "same" | "gone" | "new", line: string }[]} `gone`: only before; `new`: only after
 */
export function diffLines(before, after) {
  const [a, b] = [before.split("\n"), after.split("\n")];
  let head = 0;
  while (head < a.length && head < b.length && a[head] === b[head]) head += 1;
  let tail = 0;
  while (tail < a.length - head && tail < b.length - head && a.at(-1 - tail) === b.at(-1 - tail)) tail += 1;
  const same = (line) => ({ kind: "same", line });
  return [
    ...a.slice(0, head).map(same),
    ...middle(a.slice(head, a.length - tail), b.slice(head, b.length - tail)),
    ...a.slice(a.length - tail).map(same),
  ];
}

/** Longest common subsequence, by the table. */
function middle(a, b) {
  const gone = (line) => ({ kind: "gone", line });
  const fresh = (line) => ({ kind: "new", line });
  if (a.length * b.length > PAIRS_MAX) return [...a.map(gone), ...b.map(fresh)];
  const width = b.length + 1;
  const common = new Uint32Array((a.length + 1) * width);
  for (let i = a.length - 1; i >= 0; i--) {
    for (let j = b.length - 1; j >= 0; j--) {
      common[i * width + j] = a[i] === b[j]
        ? common[(i + 1) * width + j + 1] + 1
        : Math.max(common[(i + 1) * width + j], common[i * width + j + 1]);
    }
  }
  const lines = [];
  let [i, j] = [0, 0];
  while (i < a.length || j < b.length) {
    if (i < a.length && j < b.length && a[i] === b[j]) {
      lines.push({ kind: "same", line: a[i] });
      i += 1;
      j += 1;
    } else if (j === b.length || (i < a.length && common[(i + 1) * width + j] >= common[i * width + j + 1])) {
      lines.push(gone(a[i]));
      i += 1;
    } else {
      lines.push(fresh(b[j]));
      j += 1;
    }
  }
  return lines;
}
