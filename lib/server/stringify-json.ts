/** Writes a value as JSON. @throws {TypeError} for what JSON does not have: `undefined`, a function, a circle, a BigInt */
export function stringifyJson(method: string, value: unknown): string {
  const text: string | undefined = JSON.stringify(value);
  if (text !== undefined) return text;
  throw new TypeError(`${method} takes a value that JSON has, and not one of type ${typeof value}`);
}
