/**
 * How the application chooses among the subprotocols that a client offers: names in its own order of preference, or a
 * function that returns one of the offered names, or `undefined` for none.
 */
export type SubprotocolRule = readonly string[] | ((offered: readonly string[]) => string | undefined);

/**
 * Chooses the subprotocol of a connection, `undefined` for none. RFC 6455 §4.2.2 step 4.
 *
 * @throws {RangeError} when the application's function chose a name that was not offered
 */
export function chooseSubprotocol(rule: SubprotocolRule, offered: readonly string[]): string | undefined {
  if (typeof rule !== 'function') return rule.find((name) => offered.includes(name));
  const chosen = rule(offered);
  if (chosen !== undefined && !offered.includes(chosen)) {
    throw new RangeError(`the subprotocol "${chosen}" was not offered: return one of the names given, or undefined`);
  }
  return chosen;
}
