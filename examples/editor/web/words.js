/** `1 word`, `2,345 words`. */
export function countWords(text) {
  const words = text.match(/\S+/g)?.length ?? 0;
  return `${words.toLocaleString("en")} word${words === 1 ? "" : "s"}`;
}
